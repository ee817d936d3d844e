#!/usr/bin/env bash
# Runs a command in a session with a keyring of its own, in which one password lies: keyring.sh COMMAND...
#   SERVICE USER PASSWORD  the entry
#   STATE                  a directory for it
set -euo pipefail
if [ -z "${IN_SESSION:-}" ]; then
    IN_SESSION=1 exec dbus-run-session -- bash "${BASH_SOURCE[0]}" "$@"
fi
mkdir -p "$STATE/data" "$STATE/run"
chmod 700 "$STATE/run"
export XDG_DATA_HOME="$STATE/data" XDG_RUNTIME_DIR="$STATE/run"
printf 'test' | gnome-keyring-daemon --unlock --components=secrets --daemonize >/dev/null
printf '%s' "$PASSWORD" | secret-tool store --label=test service "$SERVICE" username "$USER"
unset PASSWORD
exec "$@"
