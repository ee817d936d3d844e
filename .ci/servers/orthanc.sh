#!/usr/bin/env bash
# Runs Orthanc as a PACS. Version 1.10 has no bind address, so it listens on every interface.
#   ORTHANC_TRANSCODE=true|false   whether it may decompress objects that it sends
#   ORTHANC_CHECK_CALLED=false     whether it rejects other called AE titles
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
AE="${AE:-ORTHANC}"

modalities() {
    local node separator=""
    for node in $KNOWN; do
        printf '%s"%s": ["%s", "127.0.0.1", %s]' "$separator" "${node%=*}" "${node%=*}" "${node#*=}"
        separator=", "
    done
}

tls() {
    [ -n "${TLS_KEY:-}" ] || return 0
    cat <<JSON
  "DicomTlsEnabled": true,
  "DicomTlsRemoteCertificateRequired": true,
  "DicomTlsPrivateKey": "$TLS_KEY",
  "DicomTlsCertificate": "$TLS_CERTIFICATE",
  "DicomTlsTrustedCertificates": "$TLS_CA",
JSON
}

transcode="${ORTHANC_TRANSCODE:-true}"
# Without the plugin of package orthanc-gdcm it cannot decode JPEG 2000.
gdcm=/usr/share/orthanc/plugins/libOrthancGdcm.so
mkdir -p "$STATE/db" "$STATE/tmp"
cat >"$STATE/orthanc.json" <<JSON
{
  "Name": "test",
  "StorageDirectory": "$STATE/db", "IndexDirectory": "$STATE/db", "TemporaryDirectory": "$STATE/tmp",
  "Plugins": [$([ -e "$gdcm" ] && echo "\"$gdcm\"")],
  "HttpServerEnabled": false,
  "DicomAet": "$AE", "DicomPort": $PORT,
  "DicomCheckCalledAet": ${ORTHANC_CHECK_CALLED:-false},
  "DicomAlwaysAllowEcho": true, "DicomAlwaysAllowStore": true, "DicomAlwaysAllowFind": true,
  "DicomAlwaysAllowGet": true, "DicomAlwaysAllowMove": true,
  "UnknownSopClassAccepted": true, "AcceptedTransferSyntaxes": ["1.2.840.10008.1.*"],
  "TranscodeDicomProtocol": $transcode, "EnableTranscoding": $transcode,
  "DicomScpTimeout": 30, "DicomScuTimeout": 10,
$(tls)
  "SynchronousCMove": true, "DicomAssociationCloseDelay": 0, "SaveJobs": false, "StableAge": 1,
  "DicomModalities": { $(modalities) }
}
JSON
become Orthanc "$@" "$STATE/orthanc.json"
