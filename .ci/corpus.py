"""Explains an import of a folder: a table of outcomes by reason, pixel identity of every output, and the map in-tab-out.
Exits 1 also if there was nothing to explain or to compare."""
import collections
import json
import pathlib
import sys

import pydicom

events, corpus, public = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
rows, summary = [], None
for line in open(events, encoding="utf-8"):
    event = json.loads(line)
    if event["event"] == "instance":
        rows.append(event)
    elif event["event"] == "summary":
        summary = event

table = collections.Counter((r["outcome"], r["reason"] or "") for r in rows)
for (outcome, reason), n in sorted(table.items(), key=lambda item: (item[0][0], -item[1])):
    print(f"{n:5}  {outcome:12} {reason[:150]}")
failures = 0
files = sum(1 for p in corpus.rglob("*") if p.is_file())
if not summary or summary["found"] != len(rows) or files != len(rows):
    failures += 1
    print(f"{files} files, {len(rows)} events, summary {summary}")
for r in rows:
    if r["outcome"] in ("quarantined", "failed", "ignored") and not r["reason"]:
        failures += 1
        print("no reason:", r["source"])


def pixels(path):
    """The pixel data. A value of odd length is padded in the output (PS3.5 section 7.1.1)."""
    ds = pydicom.dcmread(path, force=True)
    tags = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
    values = [bytes(ds[t].value) for t in tags if t in ds and ds[t].value is not None]
    return [v + bytes(len(v) % 2) for v in values]


def is_cut(row, before, after):
    """Whether only bytes behind the last pixel are left out, and the event says so. The last byte may be padding."""
    said = any(remark["reason"] == "pixels_too_long" for remark in row.get("remarks", []))
    return said and len(before) == len(after) and all(map(is_beginning, after, before))


def is_beginning(part, whole):
    return len(part) < len(whole) and whole.startswith(part[:-1])


compared = 0
with open(events.replace(".jsonl", ".map"), "w", encoding="utf-8") as out:
    for r in rows:
        if r["outcome"] != "stored":
            continue
        source = pathlib.Path(r["source"])
        if not source.exists():
            source = corpus / r["source"]
        out.write(f"{source.relative_to(corpus)}\t{r['output']}\n")
        try:
            before = pixels(source)
        except Exception:
            continue  # a file that only we can read: the output is read by .ci/readers.py
        compared += bool(before)
        after = pixels(public / r["output"])
        if before != after and not is_cut(r, before, after):
            failures += 1
            print("pixels differ:", r["source"])
print(f"{len(rows)} files explained, {compared} compared by their pixels, {failures} failures")
if not rows or not compared:
    sys.exit("nothing was explained, or no pixels were compared: this shows nothing")
sys.exit(1 if failures else 0)
