#!/usr/bin/env bash
# The README's import, word for word, then the programs of examples/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rm -rf target/demo
line=$(grep -m1 -E '^cargo run .*anon-cli.* import ' README.md)
echo "$line"
bash -c "$line"
found=$(find target/demo/public -name '*.dcm' | wc -l)
given=$(find examples/files -name '*.dcm' | wc -l)
[ "$found" = "$given" ] || { echo "the README's import stored $found of $given files" >&2; exit 1; }
# Again: everything is known, nothing changes, exit 0.
bash -c "$line"
