//! A DICOMDIR and the files that it references.

use std::io::Write;

use super::super::entry::EntryKind;
use super::*;

fn element(tag: u32, vr: [u8; 2], value: &[u8], out: &mut Vec<u8>) {
    let [a, b, c, d] = tag.to_be_bytes();
    out.extend([b, a, d, c]);
    out.extend(vr);
    let length = length(value);
    if vr == *b"SQ" {
        out.extend([0, 0]);
        out.extend(length);
    } else {
        out.extend(&length[..2]);
    }
    out.extend(value);
}

fn length(value: &[u8]) -> [u8; 4] {
    u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes()
}

fn item(value: &[u8], undefined: bool, out: &mut Vec<u8>) {
    out.extend([0xFE, 0xFF, 0x00, 0xE0]);
    if undefined {
        out.extend([0xFF; 4]);
        out.extend(value);
        out.extend([0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0]);
    } else {
        out.extend(length(value));
        out.extend(value);
    }
}

fn record(id: &[u8], in_use: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    element(IN_USE, *b"US", &in_use.to_le_bytes(), &mut bytes);
    let mut icon = Vec::new();
    item(b"", false, &mut icon);
    element(0x0004_1504, *b"SQ", &icon, &mut bytes);
    element(FILE_ID, *b"CS", id, &mut bytes);
    bytes
}

fn dicomdir(records: &[(&[u8], u16)], undefined: bool) -> Vec<u8> {
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    element(SOP_CLASS, *b"UI", b"1.2.840.10008.1.3.10", &mut bytes);
    element(
        TRANSFER_SYNTAX,
        *b"UI",
        b"1.2.840.10008.1.2.1\0",
        &mut bytes,
    );
    element(0x0004_1130, *b"CS", b"DISC", &mut bytes);
    let mut sequence = Vec::new();
    for (id, in_use) in records {
        item(&record(id, *in_use), undefined, &mut sequence);
    }
    element(RECORDS, *b"SQ", &sequence, &mut bytes);
    bytes
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    File::create(path).unwrap().write_all(bytes).unwrap();
}

fn outcomes(root: &Path) -> Vec<(String, bool)> {
    Dicomdir::open(&root.join("DICOMDIR"))
        .unwrap()
        .map(|entry| {
            let path = entry.path.strip_prefix(root).unwrap().display().to_string();
            (path, matches!(entry.kind, EntryKind::File))
        })
        .collect()
}

#[test]
fn referenced_files_come_in_the_order_of_the_records() {
    for undefined in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("IMG/A1"), b"x");
        write(&dir.path().join("img2/b1.;1"), b"x");
        let records: &[(&[u8], u16)] = &[
            (b"IMG\\A1", 0xFFFF),
            (b"", 0xFFFF),
            (b"IMG2\\B1 ", 0xFFFF),
            (b"IMG\\OLD", 0),
            (b"IMG\\GONE", 0xFFFF),
            (b"..\\..\\etc", 0xFFFF),
        ];
        write(&dir.path().join("DICOMDIR"), &dicomdir(records, undefined));
        assert!(Dicomdir::recognises(&dir.path().join("DICOMDIR")));
        let expected = [
            ("IMG/A1", true),
            ("img2/b1.;1", true),
            ("IMG/GONE", false),
            ("DICOMDIR", false),
        ];
        let expected: Vec<_> = expected.map(|(path, is)| (path.to_owned(), is)).into();
        assert_eq!(outcomes(dir.path()), expected);
    }
}

/// PS3.10 section 8.2 allows no extension. Some writers add one to the names on the medium.
#[test]
fn names_with_an_extension_on_disk_are_found() {
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "img/im1.dcm",
        "IMG/IM2.img",
        "img/im3.jpg",
        "img/im3.DCM",
        "img/im4.jpg",
        "img/im4.xml",
        "img/im5",
        "img/im5.dcm",
        "img/im6.dcm",
        "img/im6.dicom",
    ] {
        write(&dir.path().join(name.replace("IMG", "img")), b"x");
    }
    let records: &[(&[u8], u16)] = &[
        (b"IMG\\IM1", 0xFFFF),
        (b"IMG\\IM2", 0xFFFF),
        (b"IMG\\IM3", 0xFFFF),
        (b"IMG\\IM4", 0xFFFF),
        (b"IMG\\IM5", 0xFFFF),
        (b"IMG\\IM6", 0xFFFF),
    ];
    write(&dir.path().join("DICOMDIR"), &dicomdir(records, false));
    let expected = [
        ("img/im1.dcm", true),
        ("img/IM2.img", true),
        ("img/im3.DCM", true),
        // Two names of which none is one of DICOM, and two that both are.
        ("img/IM4", false),
        ("img/im5", true),
        ("img/IM6", false),
    ];
    let expected: Vec<_> = expected.map(|(path, is)| (path.to_owned(), is)).into();
    assert_eq!(outcomes(dir.path()), expected);
    let entries = Dicomdir::open(&dir.path().join("DICOMDIR")).unwrap();
    let noted: Vec<_> = entries.map(|entry| entry.remark.is_some()).collect();
    assert_eq!(noted, [true, true, true, false, false, false]);
}

/// Listing it for each record takes hours for a hundred thousand files.
#[test]
fn a_directory_is_listed_once_for_all_its_records() {
    let dir = tempfile::tempdir().unwrap();
    let ids: Vec<_> = (0..60).map(|n| format!("IMG{}\\IM{n}", n / 20)).collect();
    for id in &ids {
        let name = id.replace('\\', "/").to_lowercase();
        write(&dir.path().join(name), b"x");
    }
    let records: Vec<_> = ids.iter().map(|id| (id.as_bytes(), 0xFFFF)).collect();
    write(&dir.path().join("DICOMDIR"), &dicomdir(&records, false));
    let mut entries = Dicomdir::open(&dir.path().join("DICOMDIR")).unwrap();
    let found = entries
        .by_ref()
        .filter(|it| matches!(it.kind, EntryKind::File));
    assert_eq!(found.count(), 60);
    // The medium, and three directories.
    assert_eq!(entries.listed, 4);
}

/// The same elements in big endian, which PS3.10 section 8.6 does not allow.
fn big_endian(records: &[&[u8]]) -> Vec<u8> {
    let element = |tag: u32, vr: &[u8; 2], value: &[u8]| {
        let length = u16::try_from(value.len()).unwrap();
        [&tag.to_be_bytes()[..], vr, &length.to_be_bytes(), value].concat()
    };
    let mut items = Vec::new();
    for id in records {
        let record = [
            element(IN_USE, b"US", &[0xFF, 0xFF]),
            element(FILE_ID, b"CS", id),
        ];
        items.extend(ITEM.to_be_bytes());
        items.extend([0xFF; 4]);
        items.extend(record.concat());
        items.extend(ITEM_END.to_be_bytes());
        items.extend([0; 4]);
    }
    let mut bytes = dicomdir(&[], false);
    let syntax = bytes
        .windows(19)
        .position(|it| it == b"1.2.840.10008.1.2.1")
        .unwrap();
    bytes[syntax + 18] = b'2';
    bytes.truncate(syntax + 20);
    bytes.extend(element(0x0004_1130, b"CS", b"DISC"));
    bytes.extend(RECORDS.to_be_bytes());
    bytes.extend(b"SQ\0\0");
    bytes.extend(u32::try_from(items.len()).unwrap().to_be_bytes());
    bytes.extend(items);
    bytes
}

#[test]
fn a_dicomdir_in_big_endian_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("IMG/A1"), b"x");
    write(
        &dir.path().join("DICOMDIR"),
        &big_endian(&[b"IMG\\A1", b"IMG\\GONE"]),
    );
    assert!(Dicomdir::recognises(&dir.path().join("DICOMDIR")));
    let expected = [("IMG/A1", true), ("IMG/GONE", false)];
    let expected: Vec<_> = expected.map(|(path, is)| (path.to_owned(), is)).into();
    assert_eq!(outcomes(dir.path()), expected);
}

#[test]
fn a_dicomdir_that_is_cut_anywhere_reports_one_failure() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("IMG/A1"), b"x");
    let whole = dicomdir(&[(b"IMG\\A1", 0xFFFF), (b"IMG\\A1", 0xFFFF)], true);
    let mut opened = 0;
    for cut in 0..whole.len() {
        let path = dir.path().join("CUT");
        write(&path, whole.get(..cut).unwrap());
        let Ok(dicomdir) = Dicomdir::open(&path) else {
            continue;
        };
        if dicomdir.sequence_end.is_none() {
            continue;
        }
        opened += 1;
        let entries: Vec<_> = dicomdir.collect();
        let is_failed = |kind: &EntryKind| matches!(kind, EntryKind::Failed { .. });
        let failed = entries
            .iter()
            .filter(|entry| is_failed(&entry.kind))
            .count();
        assert_eq!(failed, 1, "cut at {cut}: {entries:?}");
        assert!(entries.len() <= 3, "cut at {cut}");
    }
    assert!(opened > 100);
}

#[test]
fn other_files_are_not_taken_for_a_dicomdir() {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        ("empty", &b""[..]),
        ("text", b"DICOMDIR"),
        ("zeros", &[0; 400]),
    ] {
        let path = dir.path().join(name);
        write(&path, bytes);
        assert!(!Dicomdir::recognises(&path), "{name}");
    }
}
