#!/usr/bin/env bash
# Runs every fuzz target for the given seconds (default 60), on the stable toolchain. A new corpus starts with the
# findings of earlier runs (fuzz/seeds).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds="${1:-60}"
export RUSTC_BOOTSTRAP=1
# One directory for all crates: what they share is built once.
built="$PWD/target/fuzz"
seeds_of() { # crate
    case "$1" in
        anon-script) echo tests/it/valid tests/it/invalid ;;
        anon-engine) echo ../examples/files ;;
    esac
}

fuzz() { # crate target
    if [ ! -d "$1/fuzz/corpus/$2" ]; then
        mkdir -p "$1/fuzz/corpus/$2"
        seeds="$1/fuzz/seeds/$2.tar.gz"
        [ ! -f "$seeds" ] || tar xzf "$seeds" -C "$1/fuzz/corpus/$2"
    fi
    # shellcheck disable=SC2046 # the seeds are several folders
    (cd "$1" && cargo fuzz run --target-dir "$built" "$2" "fuzz/corpus/$2" $(seeds_of "$1") -- \
        -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=10 -max_len=65536 -print_final_stats=1) 2>&1 |
        { grep -vE '^#|^INFO|NEW_FUNC' || true; } | tail -n 25 | sed "s/^/$1 $2: /"
}

# All targets are built first, then two run at a time: each is one thread.
targets=()
for crate in anon-model anon-script anon-engine anon-net; do
    (cd "$crate" && cargo fuzz build --target-dir "$built")
    for target in $(cd "$crate" && cargo fuzz list); do targets+=("$crate $target"); done
done
while [ "${#targets[@]}" -gt 0 ]; do
    running=()
    for pair in "${targets[@]:0:2}"; do
        # shellcheck disable=SC2086 # crate and target
        fuzz $pair &
        running+=($!)
    done
    targets=("${targets[@]:2}")
    for pid in "${running[@]}"; do wait "$pid"; done
done
