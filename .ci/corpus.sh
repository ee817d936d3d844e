#!/usr/bin/env bash
# Imports a folder and explains the outcome of every file. Also checks for leaks if the leak check is beside the folder.
# Arguments: the anon binary, the folder, a project directory to create, a Python with pydicom.
set -euo pipefail
export PYTHONWARNINGS=ignore
anon="$1" corpus="$2" project="$3" python="$4"

status=0
"$anon" -p "$project" --format json --quiet import "$corpus" --modalities all >"$project.jsonl" || status=$?
[ "$status" -le 1 ] || { echo "import of the corpus ended with $status" >&2; exit 1; }
"$python" .ci/corpus.py "$project.jsonl" "$corpus" "$project/public"

tools="$(dirname "$corpus")/tools"
if [ -f "$tools/phi_leak_check.py" ]; then
    "$python" .ci/readable.py "$corpus" "$project/public" "$project.map" "$project.in" "$project.out" "$project.pairs"
    # Exit code 1 means findings. leaks.py accepts those of elements that the rules keep on purpose, and fails on others.
    status=0
    "$python" "$tools/phi_leak_check.py" "$project.in" "$project.out" --map "$project.pairs" --json "$project.leaks" \
        >"$project.leaks.txt" 2>&1 || status=$?
    [ "$status" -le 1 ] || { echo "the leak check ended with $status:" >&2; tail -5 "$project.leaks.txt" >&2; exit 1; }
    "$python" .ci/leaks.py "$project.leaks" "$project.in" "$project.out" "$project.pairs"
else
    echo "skipped: no leak check beside $corpus"
fi
