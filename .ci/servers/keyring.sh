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
# The daemon takes its name on the bus after it has gone to the background. Whoever asks for the name
# before that has the bus start another daemon, whose keyring is locked.
owned() {
    dbus-send --session --print-reply --dest=org.freedesktop.DBus / \
        org.freedesktop.DBus.NameHasOwner string:org.freedesktop.secrets 2>/dev/null | grep -q 'boolean true'
}
for _ in {1..600}; do
    if owned; then break; fi
    sleep 0.05
done
printf '%s' "$PASSWORD" | secret-tool store --label=test service "$SERVICE" username "$USER"
unset PASSWORD
exec "$@"
