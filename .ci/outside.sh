#!/usr/bin/env bash
# Builds and runs a crate outside the workspace, which depends on the libraries without default features. Fails if its
# dependencies include an async executor, a cloud client or the embedded database.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Starts from the workspace's lock file, so that the versions are the same. Cargo removes the unused packages.
cp Cargo.lock .ci/outside/Cargo.lock
manifest=.ci/outside/Cargo.toml
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/outside"

cargo build --quiet --manifest-path "$manifest"
tree=$(cargo tree --manifest-path "$manifest" --edges normal,build --target all --prefix none --format '{p}' | sort -u)
if grep -E '^(tokio|aws-|redb|bincode|hyper|reqwest|async-std|openssl)' <<<"$tree"; then
    echo "a program that embeds the engine must not depend on the packages above" >&2
    exit 1
fi
grep -q '^anon-engine ' <<<"$tree" || { echo "cannot read the dependencies" >&2; exit 1; }

"$CARGO_TARGET_DIR/debug/outside" examples/files/ct_1_explicit.dcm "$work/out.dcm" SYN00001
echo "$(wc -l <<<"$tree") packages; $(stat -c %s "$work/out.dcm") bytes written"
