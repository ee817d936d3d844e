"""Synthetic files that break PS3.5 in ways in which real files do.

    odd_files.py write FOLDER              writes them
    odd_files.py check EVENTS PUBLIC       checks their import: who is stored, with which pixels
    odd_files.py map EVENTS FOLDER MAP     writes the map in-tab-out of the import of a folder
"""
import json
import pathlib
import re
import struct
import sys

PIXELS = b"\1\2\3\4"
# Files that must be refused: two values for one tag, pixels that are cut, or of another form than their transfer syntax.
# The capitals `ZZ` could be a VR of the future, so a length of 16 bits is read only for a tag that PS3.6 has with one.
# OB and OW differ in big endian.
REFUSED = re.compile(
    r"twice_other_|end_cut|native_in_jpeg|compressed_in_native|vr_new_7fe00010_short|vr_.*_7fe00010_.*_big"
)
REMOVED = re.compile(r"removed_twice_other")


def instances(events):
    rows = map(json.loads, open(events, encoding="utf-8"))
    return [row for row in rows if row["event"] == "instance"]


def check(events, public):
    import pydicom

    failures, stored = 0, 0
    for row in instances(events):
        name = pathlib.Path(row["source"]).name
        refused = REFUSED.search(name) and not REMOVED.search(name)
        if (row["outcome"] == "stored") == bool(refused):
            failures += 1
            print(f"{row['outcome']}: {name}: {row['reason']}")
        if row["outcome"] != "stored":
            continue
        stored += 1
        pixels = bytes(pydicom.dcmread(pathlib.Path(public) / row["output"]).PixelData)
        if PIXELS not in pixels and b"\xff\xd8\0\0\xff\xd9" not in pixels:
            failures += 1
            print("other pixels:", name)
    print(f"{stored} odd files stored, {failures} failures")
    sys.exit(1 if failures or not stored else 0)


def write_map(events, folder, pairs):
    with open(pairs, "w", encoding="utf-8") as out:
        for row in instances(events):
            if row["outcome"] == "stored":
                source = pathlib.Path(row["source"]).relative_to(folder)
                out.write(f"{source}\t{row['output']}\n")
    sys.exit(0)


if sys.argv[1] == "check":
    check(*sys.argv[2:])
if sys.argv[1] == "map":
    write_map(*sys.argv[2:])

out = pathlib.Path(sys.argv[2])
out.mkdir(parents=True)
LONG = (b"OB", b"OW", b"SQ", b"UN", b"UT")
IMPLICIT, EXPLICIT, BIG = b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1", b"1.2.840.10008.1.2.2"
JPEG, RLE = b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.5"
DELIMITER = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
written = 0


def element(tag, vr, value, order="<", form=None):
    """An element. Its length has 32 bits if `form` or the VR says so."""
    value += (b"\0" if vr == b"UI" else b" ") * (len(value) % 2)
    head = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
    if vr is None:
        return head + struct.pack("<I", len(value)) + value
    if form == "long" or (form is None and vr in LONG):
        return head + vr + b"\0\0" + struct.pack(order + "I", len(value)) + value
    return head + vr + struct.pack(order + "H", len(value)) + value


def image(order="<", encapsulated=False):
    """The elements of an image of 2 x 2 pixels."""
    number = lambda n: struct.pack(order + "H", n)
    uid = b"1.2.3.%d." % written
    elements = [
        (0x00080005, b"CS", b"ISO_IR 100"),
        (0x00080008, b"CS", b"ORIGINAL\\PRIMARY\\AXIAL"),
        (0x00080016, b"UI", b"1.2.840.10008.5.1.4.1.1.2"),
        (0x00080018, b"UI", uid + b"3"),
        (0x00080020, b"DA", b"20220101"),
        (0x00080050, b"SH", b"A7"),
        (0x00080060, b"CS", b"CT"),
        (0x00080070, b"LO", b"ACME"),
        (0x00081010, b"SH", b"CT1"),
        (0x00100010, b"PN", b"Doe^Jane"),
        (0x00100020, b"LO", b"12345"),
        (0x0020000D, b"UI", uid + b"1"),
        (0x0020000E, b"UI", uid + b"2"),
        (0x00280002, b"US", number(1)),
        (0x00280004, b"CS", b"MONOCHROME2"),
        (0x00280010, b"US", number(2)),
        (0x00280011, b"US", number(2)),
        (0x00280100, b"US", number(8)),
        (0x00280101, b"US", number(8)),
        (0x00280102, b"US", number(7)),
        (0x00280103, b"US", number(0)),
        (0x00280120, b"US", number(0)),
    ]
    parts = [(tag, element(tag, vr, value, order)) for tag, vr, value in elements]
    return parts if encapsulated else parts + [(0x7FE00010, element(0x7FE00010, b"OW", PIXELS, order))]


def write(name, data_set, syntax=EXPLICIT, second_meta=b""):
    global written
    written += 1
    meta = b"".join(
        (
            element(0x00020001, b"OB", b"\0\1"),
            element(0x00020002, b"UI", b"1.2.840.10008.5.1.4.1.1.2"),
            element(0x00020003, b"UI", b"1.2.3.%d.3" % (written - 1)),
            element(0x00020010, b"UI", syntax),
        )
    )
    head = bytes(128) + b"DICM" + element(0x00020000, b"UL", struct.pack("<I", len(meta)))
    (out / f"{written:03}_{name}.dcm").write_bytes(head + meta + second_meta + data_set)


def joined(parts):
    return b"".join(part for _, part in parts)


def with_vr(order, tag, letters, form):
    """An image in which this element has these letters as its VR."""
    parts = []
    for number, part in image(order):
        if number == tag:
            long = part[4:6] in LONG
            value = part[12:] if long else part[8:]
            part = element(tag, b"UT" if form == "long" else b"LO", value, order)
            part = part[:4] + letters + part[6:]
        parts.append((number, part))
    return joined(parts)


for order, syntax, end in (("<", EXPLICIT, "little"), (">", BIG, "big")):
    for letters, name in ((b"??", "question_marks"), (b"  ", "blanks"), (b"\0\0", "nuls"), (b"ZZ", "new")):
        for tag in (0x00080005, 0x00080070, 0x00081010, 0x00280010, 0x00280120, 0x7FE00010):
            for form in ("short", "long"):
                write(f"vr_{name}_{tag:08x}_{form}_{end}", with_vr(order, tag, letters, form), syntax)
    other = lambda tag, vr, value: [(tag, element(tag, vr, value, order))]
    for name, move in {
        "swapped": lambda it: it[:6] + [it[7], it[6]] + it[8:],
        "last": lambda it: it[:7] + it[8:] + [it[7]],
        "pixels_first": lambda it: it[-1:] + it[:-1],
        "reversed": lambda it: it[::-1],
        "twice": lambda it: it[:8] + it[7:],
        "twice_far": lambda it: it + [it[7]],
        "twice_other": lambda it: it + other(0x00080070, b"LO", b"OTHER "),
        "removed_twice_other": lambda it: it + other(0x00081010, b"SH", b"CT2 "),
    }.items():
        write(f"order_{name}_{end}", joined(move(image(order))), syntax)


def item(value):
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value


def nested(elements, undefined):
    content = b"".join(elements)
    head = struct.pack("<HH", 0x0008, 0x1140) + b"SQ\0\0"
    if not undefined:
        return head + struct.pack("<I", len(content) + 8) + item(content)
    ends = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + DELIMITER
    return head + b"\xff" * 4 + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + content + ends


for undefined in (False, True):
    for name, elements in {
        "order": [element(0x00081155, b"UI", b"1.2.9"), element(0x00081150, b"UI", b"1.2.840.10008.5.1.4.1.1.2")],
        "vr": [element(0x00081150, b"??", b"1.2.8\0", form="short"), element(0x00081155, b"  ", b"1.2.9\0", form="short")],
        "implicit": [element(0x00081150, None, b"1.2.8\0"), element(0x00081155, None, b"1.2.9\0")],
    }.items():
        parts = image()
        write(f"item_{name}_{undefined}", joined(parts[:9]) + nested(elements, undefined) + joined(parts[9:]))


def rle(frame):
    segment = bytes([len(frame) - 1]) + frame
    return struct.pack("<16I", 1, 64, *[0] * 14) + segment + bytes(len(segment) % 2)


# The readers look at fragments, not at code streams, so these need not be images.
HEAD = struct.pack("<HH", 0x7FE0, 0x0010) + b"OB\0\0" + b"\xff" * 4
for syntax, fragment, kind in ((RLE, rle(PIXELS), "rle"), (JPEG, b"\xff\xd8\0\0\xff\xd9", "jpeg")):
    for name, end in {
        "whole": DELIMITER,
        "none": b"",
        "half": DELIMITER[:4],
        "zeros": bytes(8),
        "many_zeros": bytes(300),
        "length": DELIMITER[:4] + b"\4\0\0\0",
        "item_end": struct.pack("<HHI", 0xFFFE, 0xE00D, 0),
        "garbage": b"abcdefgh",
        "cut": struct.pack("<HHI", 0xFFFE, 0xE000, 60)[:6],
    }.items():
        write(f"end_{name}_{kind}", joined(image(encapsulated=True)) + HEAD + item(b"") + item(fragment) + end, syntax)
write("native_in_jpeg", joined(image()), JPEG)
write("compressed_in_native", joined(image(encapsulated=True)) + HEAD + item(b"") + item(rle(PIXELS)) + DELIMITER)
for first in (EXPLICIT, RLE):
    for second in (IMPLICIT, EXPLICIT, BIG, JPEG, RLE):
        pixels = HEAD + item(b"") + item(rle(PIXELS)) + DELIMITER if first == RLE else b""
        data_set = joined(image(encapsulated=bool(pixels))) + pixels
        write(f"second_meta_{second[-3:].decode()}", data_set, first, element(0x00020010, b"UI", second))
for name, charset, value in (
    ("utf8", b"UTF-8", "Jérôme".encode()),
    ("latin1", b"ISO IR 100", b"J\xe9r\xf4me"),
    ("no_escape", b"\\ISO 2022 IR 100", b"J\xe9r\xf4me"),
):
    fresh = dict(image())
    fresh[0x00080005] = element(0x00080005, b"CS", charset)
    fresh[0x00100010] = element(0x00100010, b"PN", value)
    write(f"text_{name}", b"".join(fresh.values()))
print(f"{written} odd files")
