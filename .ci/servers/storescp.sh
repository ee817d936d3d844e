#!/usr/bin/env bash
# Runs DCMTK's storescp on every interface. Received files are in $STATE/in.
# Arguments: more options of storescp: --fork, --ignore, +xa (all transfer syntaxes), +B (bit preserving), --abort-during,
# --abort-after, --refuse, --reject, --sleep-during N, --sleep-after N.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

tls=()
[ -z "${TLS_KEY:-}" ] || tls=(+tls "$TLS_KEY" "$TLS_CERTIFICATE" +cf "$TLS_CA" --require-peer-cert)
become storescp --aetitle "${AE:-STORESCP}" --output-directory "$STATE/in" --unique-filenames "${tls[@]}" "$@" "$PORT"
