# Sourced by the server scripts. A script writes its settings to $STATE and then runs the server in the foreground:
#   STATE  an empty directory for settings, database and received files (default: a new temporary one)
#   PORT   the port to listen on; the caller gets a free one from the kernel
#   AE     the AE title
#   KNOWN  nodes that the server may send to: "TITLE=PORT TITLE=PORT", all on 127.0.0.1
#   TLS_KEY TLS_CERTIFICATE TLS_CA  PEM files; with them the server accepts TLS only and requires a client certificate
# To run one by hand: PORT=4242 .ci/servers/orthanc.sh; Ctrl-C stops it. Tests start them in
# anon-net/tests/shared/servers and anon-export/tests/shared/s3.rs.
set -euo pipefail

STATE="${STATE:-$(mktemp -d)}"
PORT="${PORT:?set PORT to the port to listen on}"
KNOWN="${KNOWN:-}"
mkdir -p "$STATE/in"
# With Nagle's algorithm, DCMTK (also in Orthanc) sends a message as two segments and waits 40 ms for an ACK.
export TCP_NODELAY="${TCP_NODELAY-1}"
PATH="$PATH:/usr/sbin"
VENV="${VENV:-${ANON_CI_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/anon-ci}/venv}"

# Replaces the script with the server. If standard input is a pipe, a background process kills the process group when
# the pipe closes, that is when the test ends for any reason. That process also keeps the group id from being reused.
become() { # command...
    if [ -p /dev/stdin ]; then
        exec 3<&0
        (read -r _ <&3 || true; kill -KILL -- "-$$") >/dev/null 2>&1 &
        exec 3<&-
    fi
    exec "$@" </dev/null
}
