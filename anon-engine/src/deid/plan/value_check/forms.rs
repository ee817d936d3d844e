//! Reads single values: numbers, dates, times, ages, UIDs and codes (PS3.5 section 6.2).

use super::decimals::are_plain_decimals;
use crate::deid::eval::date;
use crate::read::dictionary::Vr;
use crate::read::uid::{self, trim};

/// Most bytes of one code without blanks. PS3.5 section 6.2 allows 16; real files have more.
const MAX_WORD: usize = 64;
/// Most bytes of a CS or AE value (PS3.5 section 6.2).
pub(super) const MAX_CODE: usize = 16;

/// Returns true if one value can be read as its VR says.
pub(super) fn is_number(vr: Vr, one: &[u8]) -> bool {
    match vr {
        Vr::DS | Vr::IS => is_decimal(one),
        Vr::DA => is_date(one),
        Vr::TM => is_range(one, is_time),
        Vr::DT => is_date(one) || is_range(one, is_date_time),
        Vr::AS => is_age(one),
        _ => {
            one.len() <= 64
                && one
                    .iter()
                    .all(|byte| byte.is_ascii_digit() || *byte == b'.')
        }
    }
}

/// Reads a number of any length and precision, and what C prints for infinity and NaN.
pub(super) fn is_decimal(one: &[u8]) -> bool {
    are_plain_decimals(one)
        || std::str::from_utf8(one).is_ok_and(|text| text.parse::<f64>().is_ok())
}

/// Returns true for one value, or for two around a hyphen, of which one may be missing (PS3.4 section
/// C.2.2.2.5).
fn is_range(one: &[u8], fits: impl Fn(&[u8]) -> bool) -> bool {
    let hyphen = one.iter().position(|byte| *byte == b'-');
    let ends = hyphen.and_then(|at| one.split_at_checked(at));
    let is_end = |end: &[u8]| end.is_empty() || fits(end);
    fits(one)
        || ends.is_some_and(|(begin, end)| {
            one.len() > 1 && is_end(trim(begin)) && is_end(trim(end.get(1..).unwrap_or_default()))
        })
}

/// Returns true for `YYYYMMDD` or less of it, the form of ACR-NEMA, and ranges.
fn is_date(one: &[u8]) -> bool {
    let fits = |date: &[u8]| {
        matches!(date.len(), 4 | 6 | 8) && date.iter().all(u8::is_ascii_digit) || date::is_old(date)
    };
    is_range(one, fits)
}

/// Returns true for `HHMMSS.FFFFFF` or less of it, with any number of digits behind the point, and with
/// the colons of ACR-NEMA.
fn is_time(one: &[u8]) -> bool {
    let (clock, fraction) = split_at_point(one);
    let has_colon = clock.contains(&b':');
    let fits = |part: &[u8]| {
        let is_part = match part.len() {
            1 => has_colon,
            2 => true,
            len => !has_colon && matches!(len, 4 | 6),
        };
        is_part && part.iter().all(u8::is_ascii_digit)
    };
    clock.len() <= 8
        && clock.split(|byte| *byte == b':').all(fits)
        && fraction.iter().all(u8::is_ascii_digit)
}

/// Returns true for `HHMMSS`, with or without a fraction.
pub(super) fn is_plain_time(one: &[u8]) -> bool {
    let (clock, digits) = match one.split_at_checked(6) {
        Some((clock, [])) => (clock, [].as_slice()),
        Some((clock, [b'.', digits @ ..])) => (clock, digits),
        _ => return false,
    };
    clock.iter().chain(digits).all(u8::is_ascii_digit)
}

/// Returns true for `YYYYMMDDHHMMSS.FFFFFF&ZZXX` or less of it, with any number of digits behind the
/// point.
fn is_date_time(one: &[u8]) -> bool {
    let sign = one.iter().position(|byte| matches!(byte, b'+' | b'-'));
    let (time, zone) = one.split_at(sign.unwrap_or(one.len()));
    let (clock, fraction) = split_at_point(time);
    matches!(clock.len(), 4 | 6 | 8 | 10 | 12 | 14)
        && matches!(zone.len(), 0 | 5)
        && [clock, fraction, zone.get(1..).unwrap_or_default()]
            .into_iter()
            .all(|digits| digits.iter().all(u8::is_ascii_digit))
}

/// Returns what stands before and behind the first point.
fn split_at_point(value: &[u8]) -> (&[u8], &[u8]) {
    let point = value.iter().position(|byte| *byte == b'.');
    let (before, behind) = value.split_at(point.unwrap_or(value.len()));
    (before, behind.get(1..).unwrap_or_default())
}

/// Returns true for up to three digits, with a unit of any case or without one.
fn is_age(one: &[u8]) -> bool {
    let digits = match one {
        [
            digits @ ..,
            b'D' | b'W' | b'M' | b'Y' | b'd' | b'w' | b'm' | b'y',
        ] => digits,
        _ => one,
    };
    (1..=3).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
}

/// Returns true for a code: up to 16 characters, or one word. Several words that are longer are no code.
pub(super) fn is_code(one: &[u8]) -> bool {
    let is_short = one.len() <= MAX_CODE || (one.len() <= MAX_WORD && !one.contains(&b' '));
    is_short && one.iter().all(|byte| is_code_character(*byte)) && !is_foreign_uid(one)
}

/// Returns true for a visible character other than `^`, which separates the parts of a name (PS3.5
/// section 6.2).
pub(super) fn is_code_character(byte: u8) -> bool {
    (b' '..0x7F).contains(&byte) && byte != b'^'
}

/// Returns true for a CS value (PS3.5 section 6.2).
pub(super) fn is_strict_code(one: &[u8]) -> bool {
    let fits =
        |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b" _".contains(byte);
    one.len() <= MAX_CODE && one.iter().all(fits)
}

/// Returns true for a UID that is none of the standard: it can be an original. Shorter ones can be the
/// version of a program.
pub(super) fn is_foreign_uid(one: &[u8]) -> bool {
    const ROOTS: [&[u8]; 4] = [b"1.2.", b"1.3.", b"2.16.", b"2.25."];
    one.len() > MAX_CODE
        && ROOTS.iter().any(|root| one.starts_with(root))
        && uid::is_well_formed(one)
        && !uid::is_standard(one)
}
