#!/usr/bin/env bash
# Type-checks the crates for Windows and macOS, where their targets are installed (`rustup target add`).
# blake3 and ring (features `tls` of anon-net, `s3` and `cognito` of anon-export) are the only crates with C code: without
# them (`blake3/pure`, none of these features) no C compiler for the target is needed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for target in x86_64-pc-windows-gnu aarch64-apple-darwin; do
    if ! rustc --print target-libdir --target "$target" 2>/dev/null | xargs -r test -d; then
        echo "skipped: target $target not installed"
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
done
