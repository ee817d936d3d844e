#!/usr/bin/env bash
# Runs rclone as an S3 server that checks signatures. Objects are files under $STATE/data/<bucket>.
#   KEY SECRET  the only valid pair of keys
#   BUCKET      an existing bucket
#   PATH_STYLE  false: the bucket is in the host of the URL
#   TLS_KEY TLS_CERTIFICATE  as in common.sh, but without client certificates
# Arguments: more options of `rclone serve s3`.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

mkdir -p "$STATE/data/${BUCKET:-trials}"
: >"$STATE/rclone.conf"
[ -z "${TLS_KEY:-}" ] || set -- --key "$TLS_KEY" --cert "$TLS_CERTIFICATE" "$@"
become "$VENV/bin/rclone" serve s3 --config "$STATE/rclone.conf" --cache-dir "$STATE/cache" \
    --addr "127.0.0.1:$PORT" "--force-path-style=${PATH_STYLE:-true}" --auth-key "${KEY:-ANONKEY},${SECRET:-anon-secret}" "$@" "$STATE/data"
