#!/usr/bin/env bash
# Runs a command in a session with its own keyring, which holds one password: keyring.sh COMMAND...
#   SERVICE USER PASSWORD  the entry of the keyring
#   STATE                  a directory for its files
set -euo pipefail
mkdir -p "$STATE/data" "$STATE/run"
if [ -z "${IN_SESSION:-}" ]; then
    # The bus has no service files. Otherwise it would start another keyring before ours runs.
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
