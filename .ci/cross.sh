#!/usr/bin/env bash
# Type-checks the crates for Windows and macOS. Installs a missing target with rustup. A target that cannot be installed
# is skipped without a failure. The last line lists the checked and the skipped targets.
# Only blake3 and ring contain C code (ring: features `tls` of anon-net, `s3` and `cognito` of anon-export). Without them
# (`blake3/pure`, and none of these features) no C compiler for the target is needed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

installed() { # target
    local libraries
    libraries=$(rustc --print target-libdir --target "$1" 2>/dev/null) && [ -d "$libraries" ]
}

fetched() { # target
    command -v rustup >/dev/null && timeout 120 rustup target add "$1" >/dev/null 2>&1 && installed "$1"
}

checked="" skipped=""
for target in x86_64-pc-windows-gnu aarch64-apple-darwin; do
    if ! installed "$target" && ! fetched "$target"; then
        echo "--- $target: skipped, because it cannot be installed"
        skipped="$skipped $target"
        continue
    fi
    echo "--- $target: libraries"
    cargo check --locked --target "$target" --all-features -p anon-script
    cargo check --locked --target "$target" --features conformance,dicom -p anon-export
    cargo check --locked --target "$target" --features testing -p anon-net
    cargo check --locked --target "$target" --all-features --features blake3/pure -p anon-model -p anon-engine
    echo "--- $target: command"
    cargo check --locked --target "$target" --no-default-features --features blake3/pure,anon-cli/keyring \
        -p anon-model -p anon-engine -p anon-cli
    checked="$checked $target"
done
echo "type-checked:${checked:- nothing}; skipped:${skipped:- nothing}"
