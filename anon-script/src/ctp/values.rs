//! Texts of binary values, as CTP's toolkit writes them.

use dicom_core::VR;

/// Returns the text of a binary value: its numbers with backslashes between them, or its bytes in hexadecimal.
pub(super) fn text(vr: VR, bytes: &[u8], is_big_endian: bool) -> String {
    let texts: Vec<String> = match vr {
        VR::US => numbers(bytes, is_big_endian, |b| u16::from_be_bytes(b).to_string()),
        VR::SS => numbers(bytes, is_big_endian, |b| i16::from_be_bytes(b).to_string()),
        VR::UL => numbers(bytes, is_big_endian, |b| u32::from_be_bytes(b).to_string()),
        VR::SL => numbers(bytes, is_big_endian, |b| i32::from_be_bytes(b).to_string()),
        VR::FL => numbers(bytes, is_big_endian, |b| {
            java_float(&format!("{:e}", f32::from_be_bytes(b)))
        }),
        VR::FD => numbers(bytes, is_big_endian, |b| {
            java_float(&format!("{:e}", f64::from_be_bytes(b)))
        }),
        VR::AT => bytes
            .chunks_exact(4)
            .map(|tag| {
                let halves = numbers(tag, is_big_endian, |b| {
                    format!("{:04X}", u16::from_be_bytes(b))
                });
                halves.concat()
            })
            .collect(),
        _ => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    texts.join("\\")
}

fn numbers<const SIZE: usize>(
    bytes: &[u8],
    is_big_endian: bool,
    text: impl Fn([u8; SIZE]) -> String,
) -> Vec<String> {
    let numbers = bytes.chunks_exact(SIZE).filter_map(|bytes| {
        let mut number: [u8; SIZE] = bytes.try_into().ok()?;
        if !is_big_endian {
            number.reverse();
        }
        Some(text(number))
    });
    numbers.collect()
}

/// Writes a number as Java does, from its shortest digits in the form `-1.5e3`: without an exponent from 0.001
/// up to 10,000,000.
fn java_float(scientific: &str) -> String {
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return match scientific {
            "inf" => "Infinity".to_owned(),
            "-inf" => "-Infinity".to_owned(),
            other => other.to_owned(),
        };
    };
    let exponent_number: Option<i32> = exponent.parse().ok();
    if exponent_number.is_some_and(|exponent| (-3..7).contains(&exponent)) {
        // Two floats of 32 and 64 bits with the same shortest digits have the same decimal form.
        let number: f64 = scientific.parse().unwrap_or(0.0);
        return format!("{number:?}");
    }
    let fraction = if digits.contains('.') { "" } else { ".0" };
    format!("{digits}{fraction}E{exponent}")
}
