//! Pixels: phantoms drawn with integer arithmetic, and RLE Lossless (PS3.5 annex G).

use dicom_core::VR;

use super::modules::tag;
use super::{DataSet, Noise};

/// A grey phantom: two nested ellipses in air, with noise. `rows` by `columns` values up to 4095.
pub(super) fn phantom(rows: u16, columns: u16, noise: &mut Noise) -> Vec<u16> {
    let mut pixels = Vec::with_capacity(usize::from(rows) * usize::from(columns));
    let mut bits = 0;
    for row in 0..rows {
        for column in 0..columns {
            if pixels.len() % 16 == 0 {
                bits = noise.next_u64();
            }
            let grain = u16::from(bits.to_le_bytes()[0] & 0x0F);
            bits = bits.rotate_right(4);
            pixels.push(tissue(row, column, rows, columns) + grain);
        }
    }
    pixels
}

/// The value of a pixel before noise: air, body or bone.
fn tissue(row: u16, column: u16, rows: u16, columns: u16) -> u16 {
    // Coordinates from -1000 to 1000 in both directions.
    let place = |at: u16, of: u16| i64::from(at) * 2000 / i64::from(of.max(1)) - 1000;
    let (y, x) = (place(row, rows), place(column, columns));
    let inside = |half_height: i64, half_width: i64| {
        y * y * half_width * half_width + x * x * half_height * half_height
            < half_height * half_height * half_width * half_width
    };
    if inside(250, 150) {
        1900
    } else if inside(650, 850) {
        1060
    } else {
        20
    }
}

/// A colour phantom: a fan of grey echoes under a green rim, `rows` by `columns` RGB triples.
pub(super) fn fan(rows: u16, columns: u16, noise: &mut Noise) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(usize::from(rows) * usize::from(columns) * 3);
    for row in 0..i64::from(rows) {
        for column in 0..i64::from(columns) {
            let x = column * 2 - i64::from(columns);
            let depth = row * row + x * x / 4;
            let edge = i64::from(rows) * i64::from(rows);
            if depth > edge || x.abs() > row {
                pixels.extend_from_slice(&[0, 0, 0]);
            } else if depth > edge * 9 / 10 {
                pixels.extend_from_slice(&[16, 160, 48]);
            } else {
                // Equal echoes in blocks, so that run-length encoding finds runs.
                let echo = noise.next_u64().to_le_bytes()[0] & 0x3F;
                pixels.extend_from_slice(&[echo, echo, echo + 8]);
            }
        }
    }
    pixels
}

/// Image pixel module of a grey image of 16 bits, 12 of them stored.
pub(super) fn grey_pixels(data_set: DataSet, rows: u16, columns: u16, pixels: Vec<u16>) -> DataSet {
    data_set
        .put(tag(0x0028_0002), VR::US, 1_u16)
        .put(tag(0x0028_0004), VR::CS, "MONOCHROME2")
        .put(tag(0x0028_0010), VR::US, rows)
        .put(tag(0x0028_0011), VR::US, columns)
        .put(tag(0x0028_0100), VR::US, 16_u16)
        .put(tag(0x0028_0101), VR::US, 12_u16)
        .put(tag(0x0028_0102), VR::US, 11_u16)
        .put(tag(0x0028_0103), VR::US, 0_u16)
        .put(tag(0x7FE0_0010), VR::OW, pixels)
}

/// One frame as RLE Lossless: a header of segment offsets, then one segment per byte plane.
///
/// `pixels` are interleaved samples of 8 bits, `planes` of them per pixel (1 to 15).
///
/// # Panics
/// If the packed frame is longer than 4 GiB: its header has 32-bit offsets (PS3.5 section G.5).
pub fn rle_frame(pixels: &[u8], planes: usize) -> Vec<u8> {
    let segments: Vec<Vec<u8>> = (0..planes)
        .map(|plane| {
            let samples: Vec<u8> = pixels.iter().skip(plane).step_by(planes).copied().collect();
            let mut segment = pack_bits(&samples);
            if segment.len() % 2 == 1 {
                segment.push(0);
            }
            segment
        })
        .collect();
    let mut header = [0_u32; 16];
    header[0] = u32::try_from(planes).unwrap_or(u32::MAX);
    let mut offset = 64_u32;
    for (slot, segment) in header.iter_mut().skip(1).zip(&segments) {
        *slot = offset;
        offset += u32::try_from(segment.len()).expect("a frame is under 4 GiB");
    }
    let mut frame: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
    frame.extend(segments.concat());
    frame
}

/// `PackBits`: runs of 2 to 128 equal bytes, literals of 1 to 128 bytes (PS3.5 section G.3.1).
fn pack_bits(samples: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut literal: Vec<u8> = Vec::new();
    let mut rest = samples;
    while let Some(first) = rest.first() {
        let run = rest
            .iter()
            .take(128)
            .take_while(|byte| *byte == first)
            .count();
        let (head, tail) = rest.split_at(run);
        if run >= 3 {
            flush(&mut packed, &mut literal);
            packed.push(run_code(run));
            packed.push(*first);
        } else {
            literal.extend_from_slice(head);
        }
        rest = tail;
    }
    flush(&mut packed, &mut literal);
    packed
}

fn run_code(run: usize) -> u8 {
    u8::try_from(257 - run).expect("runs have 2 to 128 bytes")
}

fn flush(packed: &mut Vec<u8>, literal: &mut Vec<u8>) {
    for chunk in literal.chunks(128) {
        packed.push(u8::try_from(chunk.len() - 1).expect("literals have 1 to 128 bytes"));
        packed.extend_from_slice(chunk);
    }
    literal.clear();
}
