#!/usr/bin/env bash
# Builds and runs a crate outside the workspace that depends on the libraries by path, default features off,
# and fails if its tree holds an executor, the cloud, or the embedded database.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The versions of the workspace's lock file, less what this crate does not need.
cp Cargo.lock .ci/outside/Cargo.lock
manifest=.ci/outside/Cargo.toml
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/outside"

cargo build --quiet --manifest-path "$manifest"
tree=$(cargo tree --manifest-path "$manifest" --edges normal,build --target all --prefix none --format '{p}' | sort -u)
if grep -E '^(tokio|aws-|redb|bincode|hyper|reqwest|async-std|openssl)' <<<"$tree"; then
    echo "the tree of a program that embeds the engine holds the above" >&2
    exit 1
fi
grep -q '^anon-engine ' <<<"$tree" || { echo "the tree was not read" >&2; exit 1; }

"$CARGO_TARGET_DIR/debug/outside" examples/files/ct_1_explicit.dcm "$work/out.dcm" SYN00001
echo "$(wc -l <<<"$tree") packages; $(stat -c %s "$work/out.dcm") bytes written"
