#!/usr/bin/env bash
# Checks the outputs of `anon import` with independent readers. dcmdump and pydicom read every output of examples/files, of
# synthetic files that break PS3.5, and of a corpus of real files; gdcminfo and gdcmraw read it if they read its source.
# The corpus is ANON_CORPUS, which must exist if it is set, or else ../shared/dicom if that exists.
set -euo pipefail
export PYTHONWARNINGS=ignore
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python="${VENV:+$VENV/bin/}python3"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for tool in dcmdump gdcminfo gdcmraw "$python"; do
    command -v "$tool" >/dev/null || { echo "skipped: $tool not installed"; [ -z "${ANON_REQUIRE_SERVERS:-}" ] || exit 1; exit 0; }
done
"$python" -c 'import pydicom' 2>/dev/null || { echo "skipped: pydicom not installed"; [ -z "${ANON_REQUIRE_SERVERS:-}" ] || exit 1; exit 0; }

# The command as the tests built it: a plain build has other features, and would build the whole tree again.
cargo test --locked --quiet --workspace --all-features --no-run
anon="${CARGO_TARGET_DIR:-target}/debug/anon"

read_all() { # project directory
    local n=0 bad=0
    while IFS= read -r -d '' file; do
        n=$((n + 1))
        dcmdump -q "$file" >/dev/null 2>"$work/err" || { bad=$((bad + 1)); echo "dcmdump: ${file#"$1"/}: $(head -c 200 "$work/err")"; }
    done < <(find "$1/public" -name '*.dcm' -print0)
    "$python" .ci/readers.py "$1/public" || bad=$((bad + 1))
    echo "$n outputs read, $bad failures"
    [ "$bad" = 0 ] && [ "$n" -gt 0 ]
}

echo "--- examples/files"
bash .ci/corpus.sh "$anon" examples/files "$work/examples" "$python"
read_all "$work/examples"
find "$work/examples/public" -name '*.dcm' -print0 | while IFS= read -r -d '' file; do gdcminfo "$file" >/dev/null; done

# gdcminfo and gdcmraw read images only. They must read an output if they read its source.
same_readers() { # sources, project directory, map in-tab-out
    local bad=0
    while IFS=$'\t' read -r source output; do
        { gdcminfo "$2/public/$output" || ! gdcminfo "$1/$source"; } >/dev/null 2>&1 ||
            { bad=$((bad + 1)); echo "gdcminfo reads the source but not the output: $source" >&2; }
        { gdcmraw -i "$2/public/$output" -o "$work/raw" || ! gdcmraw -i "$1/$source" -o "$work/raw"; } >/dev/null 2>&1 ||
            { bad=$((bad + 1)); echo "gdcmraw reads the source but not the output: $source" >&2; }
    done <"$3"
    [ "$bad" = 0 ]
}

# Imports files that pydicom may misread, so that their pixels cannot be compared by it.
check_odd() { # sources, name
    echo "--- $1"
    local status=0
    "$anon" -p "$work/$2" --format json --quiet import "$1" --modalities all >"$work/$2.jsonl" || status=$?
    [ "$status" -le 1 ] || { echo "import ended with $status" >&2; exit 1; }
    "$python" .ci/odd_files.py map "$work/$2.jsonl" "$1" "$work/$2.map"
    read_all "$work/$2"
    same_readers "$1" "$work/$2" "$work/$2.map"
}

"$python" .ci/odd_files.py write "$work/odd"
check_odd "$work/odd" mended
"$python" .ci/odd_files.py check "$work/mended.jsonl" "$work/mended/public"
[ ! -d ../shared/cases ] || check_odd ../shared/cases cases

corpus="${ANON_CORPUS:-../shared/dicom}"
if [ ! -d "$corpus" ]; then
    if [ -n "${ANON_CORPUS:-}" ]; then
        echo "ANON_CORPUS is not a folder: $corpus" >&2
        exit 1
    fi
    echo "skipped: there is no corpus of real files (set ANON_CORPUS); examples/files were checked"
    exit 0
fi
echo "--- $corpus"
bash .ci/corpus.sh "$anon" "$corpus" "$work/corpus" "$python"
read_all "$work/corpus"
same_readers "$corpus" "$work/corpus" "$work/corpus.map"
