//! Minimal DICOM files of a chosen length (PS3.10 section 7, PS3.5 section 7.1.2).

use crate::ObjectKey;

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const EXPLICIT_LITTLE: &str = "1.2.840.10008.1.2.1";

/// Returns a CT image with the UIDs of `key` and `len` bytes, rounded up to the next possible
/// length, which is even (PS3.5 section 7.1.1). `seed` determines the pixels.
pub fn image(key: &ObjectKey, len: usize, seed: u8) -> Vec<u8> {
    let [patient, study, series, instance] = key.parts();
    let mut meta = Vec::new();
    long(&mut meta, (2, 0x0001), *b"OB", &[0, 1]);
    short(&mut meta, (2, 0x0002), *b"UI", CT);
    short(&mut meta, (2, 0x0003), *b"UI", instance.as_str());
    short(&mut meta, (2, 0x0010), *b"UI", EXPLICIT_LITTLE);
    let mut file = [&[0; 128], &b"DICM"[..]].concat();
    let meta_len = u32::try_from(meta.len()).unwrap_or_default();
    header(&mut file, (2, 0), *b"UL");
    file.extend(4_u16.to_le_bytes());
    file.extend(meta_len.to_le_bytes());
    file.extend(meta);
    for (tag, vr, value) in [
        ((0x0008, 0x0016), *b"UI", CT),
        ((0x0008, 0x0018), *b"UI", instance.as_str()),
        ((0x0008, 0x0020), *b"DA", "20240229"),
        ((0x0008, 0x0030), *b"TM", "120000"),
        ((0x0008, 0x0050), *b"SH", "1"),
        ((0x0008, 0x0060), *b"CS", "CT"),
        ((0x0010, 0x0010), *b"PN", patient.as_str()),
        ((0x0010, 0x0020), *b"LO", patient.as_str()),
        ((0x0020, 0x000D), *b"UI", study.as_str()),
        ((0x0020, 0x000E), *b"UI", series.as_str()),
        ((0x0020, 0x0010), *b"SH", "1"),
        ((0x0020, 0x0011), *b"IS", "1"),
        ((0x0020, 0x0013), *b"IS", "1"),
    ] {
        short(&mut file, tag, vr, value);
    }
    let room = len.saturating_sub(file.len() + 12);
    let pixels = super::bytes(room + room % 2, seed);
    long(&mut file, (0x7FE0, 0x0010), *b"OB", &pixels);
    file
}

fn header(to: &mut Vec<u8>, (group, element): (u16, u16), vr: [u8; 2]) {
    to.extend(group.to_le_bytes());
    to.extend(element.to_le_bytes());
    to.extend(vr);
}

/// Writes an element with a 16-bit length.
fn short(to: &mut Vec<u8>, tag: (u16, u16), vr: [u8; 2], value: &str) {
    header(to, tag, vr);
    let len = value.len() + value.len() % 2;
    to.extend(u16::try_from(len).unwrap_or_default().to_le_bytes());
    to.extend(value.as_bytes());
    if value.len() % 2 == 1 {
        to.push(if vr == *b"UI" { 0 } else { b' ' });
    }
}

/// Writes an element with two reserved bytes and a 32-bit length.
fn long(to: &mut Vec<u8>, tag: (u16, u16), vr: [u8; 2], value: &[u8]) {
    header(to, tag, vr);
    to.extend([0, 0]);
    to.extend(u32::try_from(value.len()).unwrap_or_default().to_le_bytes());
    to.extend(value);
}
