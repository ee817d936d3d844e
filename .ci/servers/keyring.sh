#!/usr/bin/env bash
# Runs a command in a session with a keyring of its own, in which one password lies: keyring.sh COMMAND...
#   SERVICE USER PASSWORD  the entry
#   STATE                  a directory for it
set -euo pipefail
mkdir -p "$STATE/data" "$STATE/run"
if [ -z "${IN_SESSION:-}" ]; then
    # A bus that starts nothing by itself: asked for a keyring before ours is there, it would start another.
    cat >"$STATE/bus.conf" <<'XML'
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
XML
    IN_SESSION=1 exec dbus-run-session --config-file="$STATE/bus.conf" -- bash "${BASH_SOURCE[0]}" "$@"
fi
chmod 700 "$STATE/run"
export XDG_DATA_HOME="$STATE/data" XDG_RUNTIME_DIR="$STATE/run"
printf 'test' | gnome-keyring-daemon --unlock --components=secrets --daemonize >/dev/null
store() { printf '%s' "$PASSWORD" | secret-tool store --label=test service "$SERVICE" username "$USER"; }
for _ in $(seq 300); do
    store 2>/dev/null && stored=1 && break
    sleep 0.1
done
[ -n "${stored:-}" ] || store
unset PASSWORD
exec "$@"
