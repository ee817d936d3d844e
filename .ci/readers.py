"""Reads every output with pydicom and checks what each must have; exits 1 on the first kind of fault it cannot explain."""
import pathlib
import sys

import pydicom
from pydicom.tag import Tag

failures = 0
files = sorted(pathlib.Path(sys.argv[1]).rglob("*.dcm"))
for path in files:
    problems = []
    try:
        ds = pydicom.dcmread(path)
        for _ in ds.iterall():
            pass
        raw = path.read_bytes()
        meta = ds.file_meta
        if raw[:128] != bytes(128):
            problems.append("preamble is not zero")
        if meta.MediaStorageSOPInstanceUID != ds.SOPInstanceUID:
            problems.append("file meta names another instance")
        if "SourceApplicationEntityTitle" in meta or Tag(0x0002, 0x0100) in meta:
            problems.append("file meta carries the source's")
        if len(meta.ImplementationVersionName) > 16:
            problems.append("implementation version name too long")
        if ds.PatientIdentityRemoved != "YES" or not ds.DeidentificationMethod:
            problems.append("not marked as de-identified")
        if str(ds.PatientName) != ds.PatientID:
            problems.append("patient name is not the pseudonym")
        block = [e for e in ds if e.tag.is_private]
        if [e.tag for e in block] != [Tag(0x0013, 0x0010), Tag(0x0013, 0x1001), Tag(0x0013, 0x1003)]:
            problems.append("private elements other than our block")
        if path.stem != ds.SOPInstanceUID or path.parent.name != ds.SeriesInstanceUID:
            problems.append("path and identifiers differ")
        if len(set(e.tag for e in ds)) != len(list(ds)) or [e.tag for e in ds] != sorted(e.tag for e in ds):
            problems.append("elements out of order")
    except Exception as error:  # any reader's failure is a finding
        problems.append(f"pydicom: {type(error).__name__}: {error}")
    for problem in problems:
        failures += 1
        print(f"{path.name}: {problem}")
print(f"pydicom read {len(files)} outputs, {failures} findings")
sys.exit(1 if failures or not files else 0)
