# Sourced by the server scripts. A script writes its settings into $STATE and becomes the server, in the foreground:
#   STATE  an empty directory of its own: settings, database, what it receives (default: a new temporary one)
#   PORT   where it listens; the caller asks the kernel for a free one
#   AE     its AE title
#   KNOWN  nodes that it may send to: "TITLE=PORT TITLE=PORT", all on 127.0.0.1
#   TLS_KEY TLS_CERTIFICATE TLS_CA  PEM files; with them it speaks TLS only, and demands a certificate
# By hand: PORT=4242 .ci/servers/orthanc.sh; Ctrl-C ends it. Tests start them by anon-net/tests/shared/servers
# and anon-export/tests/shared/s3.rs.
set -euo pipefail

STATE="${STATE:-$(mktemp -d)}"
PORT="${PORT:?PORT is where it listens}"
KNOWN="${KNOWN:-}"
mkdir -p "$STATE/in"
# DCMTK, and Orthanc with it, writes a message as two segments under Nagle's algorithm: each waits 40 ms for an ACK.
export TCP_NODELAY="${TCP_NODELAY-1}"
PATH="$PATH:/usr/sbin"
VENV="${VENV:-${ANON_CI_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/anon-ci}/venv}"

# Becomes the server. A test holds the other end of our standard input: when that closes, whatever ended the test,
# the whole process group is killed. The watcher also keeps the number of the group from being given to another.
become() { # command...
    if [ -p /dev/stdin ]; then
        exec 3<&0
        (read -r _ <&3 || true; kill -KILL -- "-$$") >/dev/null 2>&1 &
        exec 3<&-
    fi
    exec "$@" </dev/null
}
