#!/usr/bin/env bash
# Runs pynetdicom's qrscp as a PACS. With the first argument `storescp`, runs its storescp (received files: $STATE/in).
# Neither checks the called AE title.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
application="${1:-qrscp}"
shift || true

if [ "$application" = storescp ]; then
    become "$VENV/bin/python" -m pynetdicom storescp --quiet --ae-title "${AE:-PYNETSTORE}" \
        --bind-address 127.0.0.1 --output-directory "$STATE/in" "$@" "$PORT"
fi

cat >"$STATE/qrscp.ini" <<INI
[DEFAULT]
    ae_title: ${AE:-PYNETQR}
    port: $PORT
    bind_address: 127.0.0.1
    max_pdu: 16382
    acse_timeout: 30
    dimse_timeout: 30
    network_timeout: 30
    instance_location: $STATE/in
    database_location: $STATE/index.sqlite
    log_identifier: False
$(for node in $KNOWN; do printf '[%s]\n    address: 127.0.0.1\n    port: %s\n' "${node%=*}" "${node#*=}"; done)
INI
become "$VENV/bin/python" "$(dirname "${BASH_SOURCE[0]}")/qrscp.py" --quiet --config "$STATE/qrscp.ini" "$@"
