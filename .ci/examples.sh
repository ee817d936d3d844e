#!/usr/bin/env bash
# Runs the import command of the README twice. Its build must be without warnings.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rm -rf target/demo
line=$(grep -m1 -E '^cargo run .*anon-cli.* import ' README.md)
echo "$line"
log=$(mktemp)
bash -c "$line" 2>&1 | tee "$log"
# What a new user sees first. The lints run with all features.
if grep '^warning' "$log"; then
    echo "the README's build prints warnings" >&2
    exit 1
fi
rm "$log"
found=$(find target/demo/public -name '*.dcm' | wc -l)
given=$(find examples/files -name '*.dcm' | wc -l)
[ "$found" = "$given" ] || { echo "the README's import stored $found of $given files" >&2; exit 1; }
# The second run stores nothing and exits with 0.
bash -c "$line"
