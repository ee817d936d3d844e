#!/usr/bin/env bash
# Imports a folder of real, broken and character-set files and explains the outcome of every file.
# Arguments: the anon binary, the folder, a project directory to make, a Python with pydicom.
set -euo pipefail
export PYTHONWARNINGS=ignore
anon="$1" corpus="$2" project="$3" python="$4"

status=0
"$anon" -p "$project" --format json --quiet import "$corpus" --modalities all >"$project.jsonl" || status=$?
[ "$status" -le 1 ] || { echo "import of the corpus ended with $status" >&2; exit 1; }
"$python" .ci/corpus.py "$project.jsonl" "$corpus" "$project/public"

tools="$(dirname "$corpus")/tools"
if [ -f "$tools/phi_leak_check.py" ]; then
    # What the rule set keeps on purpose is listed by element; anything else fails.
    "$python" .ci/readable.py "$corpus" "$project/public" "$project.map" "$project.in" "$project.out" "$project.pairs"
    "$python" "$tools/phi_leak_check.py" "$project.in" "$project.out" --map "$project.pairs" --json "$project.leaks" \
        >"$project.leaks.txt" 2>&1 || true
    "$python" .ci/leaks.py "$project.leaks" "$project.in" "$project.out" "$project.pairs"
fi
