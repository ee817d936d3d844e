"""Copies the pairs of an import whose source pydicom can read to the end, for checks that need to. Arguments: the corpus,
public/, the map in-tab-out, and three things to write: a folder of inputs, one of outputs, and their map."""
import pathlib
import shutil
import sys

import pydicom

corpus, public = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
inputs, outputs = pathlib.Path(sys.argv[4]), pathlib.Path(sys.argv[5])
taken = 0
with open(sys.argv[6], "w", encoding="utf-8") as pairs:
    for line in open(sys.argv[3], encoding="utf-8"):
        source, out = line.rstrip("\n").split("\t")
        try:
            for _ in pydicom.dcmread(corpus / source, force=True).iterall():
                pass
        except Exception as error:
            print(f"not checked, {type(error).__name__} in pydicom: {source}")
            continue
        for base, folder, name in ((corpus, inputs, source), (public, outputs, out)):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(base / name, folder / name)
        pairs.write(line)
        taken += 1
print(f"{taken} pairs for the leak check")
