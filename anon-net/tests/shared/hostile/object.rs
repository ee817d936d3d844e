//! Valid and invalid data sets in implicit VR little endian.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use super::wire::{CT, element, element_declaring, even};

const UNDEFINED: u32 = u32::MAX;

/// Returns an unused SOP Instance UID.
pub(crate) fn fresh_uid() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("1.2.826.0.1.3680043.10.1474.99.{}.{n}", process::id())
}

/// Returns a UID that, used as a file name without a check, leads out of a directory four levels
/// deep.
pub(crate) fn traversal_uid() -> String {
    format!("../../../../tmp/{}", traversal_name())
}

/// Returns the beginning of the name of such a file.
pub(crate) fn traversal_name() -> String {
    format!("anon-traversal-{}", process::id())
}

/// Returns a CT image of four pixels.
pub(crate) fn ct(instance: &str) -> Vec<u8> {
    image(CT, instance)
}

pub(crate) fn image(class: &str, instance: &str) -> Vec<u8> {
    [
        before_pixels(class, instance),
        element(0x7FE0, 0x0010, &[0; 8]),
    ]
    .concat()
}

/// Returns an image without its pixel data, so that other elements can be appended.
pub(crate) fn before_pixels(class: &str, instance: &str) -> Vec<u8> {
    let study = "1.2.826.0.1.3680043.10.1474.99";
    [
        uid(0x0008, 0x0016, class),
        uid(0x0008, 0x0018, instance),
        text(0x0008, 0x0020, "20240102"),
        text(0x0008, 0x0030, "101112"),
        text(0x0008, 0x0050, "H1"),
        text(0x0008, 0x0060, "CT"),
        text(0x0010, 0x0010, "Peer^Good"),
        text(0x0010, 0x0020, "HOSTILE"),
        text(0x0010, 0x0030, "19600102"),
        text(0x0010, 0x0040, "O"),
        uid(0x0020, 0x000D, study),
        uid(0x0020, 0x000E, &format!("{study}.1")),
        text(0x0020, 0x0010, "1"),
        text(0x0020, 0x0011, "1"),
        text(0x0020, 0x0013, "1"),
        number(0x0028, 0x0002, 1),
        text(0x0028, 0x0004, "MONOCHROME2"),
        number(0x0028, 0x0010, 2),
        number(0x0028, 0x0011, 2),
        number(0x0028, 0x0100, 16),
        number(0x0028, 0x0101, 16),
        number(0x0028, 0x0102, 15),
        number(0x0028, 0x0103, 0),
    ]
    .concat()
}

pub(crate) fn uid(group: u16, at: u16, value: &str) -> Vec<u8> {
    element(group, at, &even(value.as_bytes(), 0))
}

pub(crate) fn text(group: u16, at: u16, value: &str) -> Vec<u8> {
    element(group, at, &even(value.as_bytes(), b' '))
}

fn number(group: u16, at: u16, value: u16) -> Vec<u8> {
    element(group, at, &value.to_le_bytes())
}

/// Returns the start of a sequence and of an item, both of undefined length.
fn opening() -> Vec<u8> {
    [
        element_declaring(0x0040, 0xA730, UNDEFINED, &[]),
        element_declaring(0xFFFE, 0xE000, UNDEFINED, &[]),
    ]
    .concat()
}

fn closing() -> Vec<u8> {
    [element(0xFFFE, 0xE00D, &[]), element(0xFFFE, 0xE0DD, &[])].concat()
}

/// Returns nested content sequences, each in an item of the one before.
pub(crate) fn nested(instance: &str, depth: usize) -> Vec<u8> {
    [
        before_pixels(CT, instance),
        opening().repeat(depth),
        closing().repeat(depth),
    ]
    .concat()
}

/// As [`nested`], without the ends.
pub(crate) fn nested_without_end(instance: &str, depth: usize) -> Vec<u8> {
    [before_pixels(CT, instance), opening().repeat(depth)].concat()
}

/// Returns a deflated data set in explicit VR that declares 4 GB of pixel data and inflates to
/// about 20 bytes per bit (RFC 1951): one block of fixed Huffman codes with the header as literals,
/// followed by repeated "258 bytes from distance 1".
pub(crate) fn inflating(instance: &str, length: usize) -> Vec<u8> {
    let mut bits = Bits::default();
    // The last block, with fixed codes.
    bits.low_first(0b011, 3);
    for byte in explicit_header(instance) {
        bits.literal(byte);
    }
    while bits.bytes.len() < length {
        // Length 258 has code 285, distance 1 has code 0.
        bits.high_first(0b1100_0101, 8);
        bits.high_first(0, 5);
    }
    // The end of the block.
    bits.high_first(0, 7);
    bits.finish()
}

/// Returns the data set up to the first byte of the pixel data, a zero.
fn explicit_header(instance: &str) -> Vec<u8> {
    let study = "1.2.826.0.1.3680043.10.1474.99";
    let short = |group: u16, at: u16, vr: &[u8; 2], value: &[u8]| {
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        let tag = [group.to_le_bytes(), at.to_le_bytes()].concat();
        [&tag, &vr[..], &length.to_le_bytes(), value].concat()
    };
    [
        short(0x0008, 0x0016, b"UI", &even(CT.as_bytes(), 0)),
        short(0x0008, 0x0018, b"UI", &even(instance.as_bytes(), 0)),
        short(0x0008, 0x0060, b"CS", b"CT"),
        short(0x0010, 0x0020, b"LO", b"HOSTILE "),
        short(0x0020, 0x000D, b"UI", study.as_bytes()),
        short(0x0020, 0x000E, b"UI", format!("{study}.1").as_bytes()),
        b"\xE0\x7F\x10\0OW\0\0\xFE\xFF\xFF\xFF\0".to_vec(),
    ]
    .concat()
}

#[derive(Debug, Default)]
struct Bits {
    bytes: Vec<u8>,
    byte: u8,
    used: u8,
}

impl Bits {
    fn low_first(&mut self, value: u16, count: u8) {
        for at in 0..count {
            let bit = u8::from((value >> at) & 1 == 1);
            self.byte |= bit << self.used;
            self.used += 1;
            if self.used == 8 {
                self.bytes.push(self.byte);
                (self.byte, self.used) = (0, 0);
            }
        }
    }

    /// Writes a Huffman code, highest bit first.
    fn high_first(&mut self, value: u16, count: u8) {
        for at in (0..count).rev() {
            self.low_first((value >> at) & 1, 1);
        }
    }

    /// Writes a literal (RFC 1951 section 3.2.6).
    fn literal(&mut self, byte: u8) {
        match u16::from(byte) {
            low @ 0..=143 => self.high_first(0b0011_0000 + low, 8),
            high => self.high_first(0b1_1001_0000 + high - 144, 9),
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.bytes.push(self.byte);
        self.bytes
    }
}
