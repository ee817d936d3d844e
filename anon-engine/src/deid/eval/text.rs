//! Encodes the constant values of rules for a VR (PS3.5 section 6.2).

use crate::read::dictionary::Vr;
use crate::read::scan::Encoding;
use crate::read::text::Charset;

/// Appends `text` as a value of this VR. Returns `None` if the VR cannot hold it.
///
/// Numbers are decimal. Backslashes separate several values (PS3.5 section 6.4).
pub(crate) fn encode(
    out: &mut Vec<u8>,
    text: &str,
    vr: Vr,
    encoding: Encoding,
    charset: &Charset,
) -> Option<()> {
    if text.is_empty() {
        return Some(());
    }
    match vr {
        Vr::US => numbers(out, text, |n: u16| encoding.put_u16(n)),
        Vr::SS => numbers(out, text, |n: i16| encoding.put_u16(n.cast_unsigned())),
        Vr::UL => numbers(out, text, |n: u32| encoding.put_u32(n)),
        Vr::SL => numbers(out, text, |n: i32| encoding.put_u32(n.cast_unsigned())),
        Vr::FL => numbers(out, text, |n: f32| encoding.put_u32(n.to_bits())),
        Vr::FD => numbers(out, text, |n: f64| eight(encoding, n.to_bits())),
        Vr::UV => numbers(out, text, |n: u64| eight(encoding, n)),
        Vr::SV => numbers(out, text, |n: i64| eight(encoding, n.cast_unsigned())),
        Vr::UN => characters(out, text, usize::MAX, &Charset::default()),
        Vr::UI => {
            let valid =
                |uid: &str| uid.is_empty() || crate::read::uid::is_well_formed(uid.as_bytes());
            text.split('\\').all(valid).then_some(())?;
            characters(out, text, 64, charset)
        }
        Vr::UC | Vr::UR | Vr::UT => whole(out, text, usize::MAX, charset),
        Vr::LT => whole(out, text, 10_240, charset),
        Vr::ST => whole(out, text, 1_024, charset),
        _ => characters(out, text, max_characters(vr)?, charset),
    }
}

/// Returns how many characters a value of this VR may have (PS3.5 section 6.2), or `None` if it has
/// no character values.
fn max_characters(vr: Vr) -> Option<usize> {
    Some(match vr {
        Vr::AE | Vr::CS | Vr::DS | Vr::SH | Vr::TM => 16,
        Vr::AS => 4,
        Vr::DA => 8,
        Vr::DT => 26,
        Vr::IS => 12,
        Vr::LO => 64,
        // Three component groups of 64 characters and two equal signs (PS3.5 section 6.2.1).
        Vr::PN => 194,
        _ => return None,
    })
}

fn numbers<N: std::str::FromStr, const SIZE: usize>(
    out: &mut Vec<u8>,
    text: &str,
    bytes: impl Fn(N) -> [u8; SIZE],
) -> Option<()> {
    for number in text.split('\\') {
        out.extend_from_slice(&bytes(number.trim().parse().ok()?));
    }
    Some(())
}

fn eight(encoding: Encoding, bits: u64) -> [u8; 8] {
    match encoding {
        Encoding::ExplicitBe => bits.to_be_bytes(),
        _ => bits.to_le_bytes(),
    }
}

/// Appends text whose values are separated by backslashes.
fn characters(out: &mut Vec<u8>, text: &str, max: usize, charset: &Charset) -> Option<()> {
    let fits = text.split('\\').all(|value| value.chars().count() <= max);
    fits.then(|| whole(out, text, usize::MAX, charset))?
}

/// Appends text that is one value.
fn whole(out: &mut Vec<u8>, text: &str, max: usize, charset: &Charset) -> Option<()> {
    if text.chars().count() > max {
        return None;
    }
    out.extend_from_slice(&charset.encode(text)?);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_that_does_not_fit_its_vr_is_refused() {
        use Encoding::{ExplicitBe, ExplicitLe};
        let long = "x".repeat(65);
        for (text, vr, encoding, expect) in [
            ("YES", Vr::CS, ExplicitLe, Some(&b"YES"[..])),
            ("", Vr::OB, ExplicitLe, Some(b"")),
            ("1\\2", Vr::US, ExplicitLe, Some(b"\x01\0\x02\0")),
            ("258", Vr::US, ExplicitBe, Some(b"\x01\x02")),
            ("-1", Vr::SS, ExplicitLe, Some(b"\xFF\xFF")),
            ("70000", Vr::US, ExplicitLe, None),
            ("one", Vr::US, ExplicitLe, None),
            ("1.5", Vr::FL, ExplicitLe, Some(b"\0\0\xC0\x3F")),
            ("1", Vr::FD, ExplicitBe, Some(b"\x3F\xF0\0\0\0\0\0\0")),
            ("x", Vr::OB, ExplicitLe, None),
            ("x", Vr::SQ, ExplicitLe, None),
            ("12345678901234567", Vr::SH, ExplicitLe, None),
            (&long, Vr::LO, ExplicitLe, None),
            ("1.2.3", Vr::UI, ExplicitLe, Some(b"1.2.3")),
            ("x.y", Vr::UI, ExplicitLe, None),
            ("é", Vr::LO, ExplicitLe, None),
        ] {
            let mut out = Vec::new();
            let done = encode(&mut out, text, vr, encoding, &Charset::default());
            assert_eq!(done.map(|()| out.as_slice()), expect, "{text:?} as {vr:?}");
        }
    }
}
