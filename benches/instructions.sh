#!/usr/bin/env bash
# Counts the instructions of plan and apply under callgrind, and fails if a case needs more than before
# (benches/instructions.toml). `--write` updates that file.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if ! command -v valgrind >/dev/null; then
    echo "skipped: valgrind is not installed"
    [ -z "${ANON_REQUIRE_SERVERS:-}" ] || exit 1
    exit 0
fi
exec cargo run --locked --quiet --profile bench -p anon-benches --bin instructions -- "$@"
