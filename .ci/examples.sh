#!/usr/bin/env bash
# Runs the import command of the README twice.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rm -rf target/demo
line=$(grep -m1 -E '^cargo run .*anon-cli.* import ' README.md)
echo "$line"
bash -c "$line"
found=$(find target/demo/public -name '*.dcm' | wc -l)
given=$(find examples/files -name '*.dcm' | wc -l)
[ "$found" = "$given" ] || { echo "the README's import stored $found of $given files" >&2; exit 1; }
# The second run stores nothing and exits with 0.
bash -c "$line"
