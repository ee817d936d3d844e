"""An object for tests of rewriting, and a comparison of two objects.

rewriting.py make DIRECTORY: writes every-vr-{explicit,implicit,big-endian,deflated}.dcm: a value of every VR, sequences of
defined and undefined length, private elements, UN. Synthetic. Needs pydicom and DCMTK.

rewriting.py compare FILE OTHER...: fails unless each OTHER has the elements and values of FILE, whatever their encodings.
An element without a VR of its own there (UN, implicit VR) has to have the same bytes, in little endian.
"""
import pathlib
import struct
import subprocess
import sys

import pydicom
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

UNITS = {"AT": 2, "OW": 2, "SS": 2, "US": 2, "FL": 4, "OF": 4, "OL": 4, "SL": 4, "UL": 4}
UNITS |= {vr: 8 for vr in ("FD", "OD", "OV", "SV", "UV")}


def every_vr():
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = "1.2.826.0.1.3680043.10.1474.78.1.1"
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.826.0.1.3680043.10.1474.78", "1.2.826.0.1.3680043.10.1474.78.1"
    ds.PatientID, ds.PatientName, ds.StudyDate = "EVERYVR", "Every^Vr", "20240102"
    for tag, vr, value in (
        (0x00080005, "CS", "ISO_IR 192"),
        (0x0008002A, "DT", "20240102101112.5"),
        (0x00080054, "AE", "AET"),
        (0x00080081, "ST", "a text"),
        (0x00080119, "UC", "a long code"),
        (0x00080120, "UR", "https://example.org"),
        (0x00101010, "AS", "033Y"),
        (0x001021B0, "LT", "lines\r\nof text"),
        (0x00180050, "DS", ["1.5", "2"]),
        (0x00186020, "SL", [-70000, 70000]),
        (0x00189087, "FD", [1.25, -2.5e300]),
        (0x00189219, "SS", -300),
        (0x00200013, "IS", "1"),
        (0x00280009, "AT", [0x00181063, 0x7FE00010]),
        (0x00280106, "SS", -1024),
        (0x00281101, "SS", [256, -32768, 16]),
        (0x00281201, "OW", bytes(range(256)) * 2),
        (0x00283010, "SQ", None),
        (0x00420011, "OB", b"%PDF-1.4 synthetic"),
        (0x0040A160, "UT", "unlimited text " * 5000),
        (0x00660016, "OF", struct.pack("<6f", *range(6))),
        (0x00660040, "OL", struct.pack("<3L", 1, 70000, 3)),
        (0x00720076, "FL", [1.5, -2.5]),
        (0x00720082, "SV", [-5_000_000_000, 7]),
        (0x00720083, "UV", 5_000_000_000),
        (0x00081161, "UL", [1, 70000]),
        (0x54001010, "OW", bytes(range(200))),
        (0x60003000, "OW", bytes(range(128))),
        (0x7FE00009, "OD", struct.pack("<2d", 1.5, -2.5)),
        (0x7FE00001, "OV", struct.pack("<2Q", 0, 16)),
    ):
        if vr != "SQ":
            ds.add(DataElement(tag, vr, value))
    ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 16, 16, 15
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 1
    ds.add(DataElement(0x7FE00010, "OW", bytes(range(256)) * 2))
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", "99X", "meaning"
    lut = Dataset()
    lut.add(DataElement(0x00283002, "SS", [3, 0, 16]))
    lut.add(DataElement(0x00283006, "OW", struct.pack("<3H", 1, 2, 3)))
    item = Dataset()
    item.ConceptNameCodeSequence = Sequence([code, Dataset()])
    item.ReferencedSOPClassUID = CTImageStorage
    for keyword, undefined, items in (
        ("ReferencedImageSequence", False, [item, code]),
        ("SourceImageSequence", True, [item]),
        ("ModalityLUTSequence", False, [lut]),
        ("ContentSequence", True, []),
    ):
        setattr(ds, keyword, Sequence(items))
        ds[keyword].is_undefined_length = undefined
    block = ds.private_block(0x0029, "SYNTHETIC", create=True)
    block.add_new(0x01, "US", [1, 2, 3])
    block.add_new(0x02, "FD", 0.5)
    block.add_new(0x03, "LO", "private text")
    block.add_new(0x04, "OB", b"\1\2\3\4")
    private = Sequence([code])
    block.add_new(0x05, "SQ", private)
    ds[0x0029, 0x1005].is_undefined_length = True
    block.add_new(0x06, "UN", b"\5\6\7\10")
    return ds


def make(directory):
    plain = directory / "plain.dcm"
    for option, name in (("+te", "explicit"), ("+ti", "implicit"), ("+tb", "big-endian"), ("+td", "deflated")):
        ds = every_vr()
        if name == "implicit":
            # Without a VR, dcmconv makes the private sequence UN, tables of signed pixels unsigned, and waveforms bytes.
            del ds[0x0029, 0x1005], ds.ModalityLUTSequence, ds.RedPaletteColorLookupTableDescriptor, ds[0x5400, 0x1010]
        ds.save_as(plain, enforce_file_format=True)
        subprocess.run(["dcmconv", option, plain, directory / f"every-vr-{name}.dcm"], check=True)
    plain.unlink()


def little(element, vr):
    """The bytes of a value in little endian."""
    value = element.value or b""
    unit = UNITS.get(vr, 1)
    if element.is_little_endian or unit == 1:
        return value
    return b"".join(value[at : at + unit][::-1] for at in range(0, len(value), unit))


def elements(ds):
    """Tag, VR, and the value as bytes in little endian or as items."""
    # Decoding one element decodes others that it depends on.
    raws = {tag: ds.get_item(tag) for tag in ds.keys() if tag.element != 0}
    for tag, element in sorted(raws.items()):
        raw = element if isinstance(element, RawDataElement) else None
        value = ds[tag]
        if value.VR == "SQ":
            yield tag, "SQ", list(value.value)
        elif raw is None:
            # pydicom decodes Specific Character Set and the like while it reads.
            yield tag, value.VR, str(value.value).encode()
        else:
            yield tag, raw.VR or value.VR, little(raw, raw.VR or value.VR)


def compare(one, other, where=""):
    ones, others = list(elements(one)), list(elements(other))
    tags, other_tags = [tag for tag, *_ in ones], [tag for tag, *_ in others]
    assert tags == other_tags, f"{where}: other elements: {set(tags) ^ set(other_tags)}"
    for (tag, vr, value), (_, other_vr, other_value) in zip(ones, others):
        place = f"{where}{tag}"
        if vr == "SQ" or other_vr == "SQ":
            assert vr in ("SQ", "UN") and other_vr in ("SQ", "UN"), place
            assert len(value) == len(other_value), f"{place}: other number of items"
            for number, (item, other_item) in enumerate(zip(value, other_value)):
                compare(item, other_item, f"{place}[{number}]")
        else:
            assert value == other_value, f"{place} {vr} {other_vr}: {value[:40]} {other_value[:40]}"


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(pathlib.Path(sys.argv[2]))
    else:
        for name in sys.argv[3:]:
            compare(pydicom.dcmread(sys.argv[2]), pydicom.dcmread(name))
