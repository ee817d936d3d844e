#!/usr/bin/env bash
# Runs every fuzz target for the given seconds (default 60), on the stable toolchain. A new corpus starts with the
# findings of earlier runs (fuzz/seeds).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds="${1:-60}"
export RUSTC_BOOTSTRAP=1
seeds_of() { # crate
    case "$1" in
        anon-script) echo tests/it/valid tests/it/invalid ;;
        anon-engine) echo ../examples/files ;;
    esac
}
for crate in anon-model anon-script anon-engine anon-net; do
    for target in $(cd "$crate" && cargo fuzz list); do
        echo "--- $crate $target"
        if [ ! -d "$crate/fuzz/corpus/$target" ]; then
            mkdir -p "$crate/fuzz/corpus/$target"
            seeds="$crate/fuzz/seeds/$target.tar.gz"
            [ ! -f "$seeds" ] || tar xzf "$seeds" -C "$crate/fuzz/corpus/$target"
        fi
        # shellcheck disable=SC2046 # the seeds are several folders
        (cd "$crate" && cargo fuzz run "$target" "fuzz/corpus/$target" $(seeds_of "$crate") -- \
            -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=10 -max_len=65536 -print_final_stats=1) 2>&1 |
            { grep -vE '^#|^INFO|NEW_FUNC' || true; } | tail -n 25
    done
done
