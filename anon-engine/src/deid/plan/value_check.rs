//! [`ValueCheck`]: which characters a kept value may have (PS3.5 section 6.2).
//!
//! A rule that keeps Study Time is meant for a time. Free text under that tag, or a length that
//! includes the next element, must not be kept with it. So the bytes of kept numbers, dates, times,
//! UIDs and codes are checked if the value is long, or if its VR in the object differs from PS3.6.
//! Real files break PS3.5 in harmless ways (a long DS, a code in lower case), so a check fails only
//! for a value that could be text. Elements that PS3.6 does not list, or lists as text, are not checked.
//!
//! An element whose letters name no VR counts as UN: that PS3.6 says it is a time makes it none.
//!
//! ```text
//! VR in PS3.6        VR in the object       the check                        if it fails
//! text, or none      any                    none                             –
//! number, date, UID  the same, ≤ 64 bytes   none                             –
//! number, date, UID  any                    no letters or control characters emptied
//! code (CS, AE)      the same, ≤ 64 bytes   none                             –
//! code (CS, AE)      the same               no control characters, ≤ 64      emptied
//! code (CS, AE)      another                a code of at most 16 characters  emptied
//! binary             binary, UN             none: floats can look like text  –
//! binary             characters             a number                         refused
//! ```

use crate::read::dictionary::{CharacterClass, Vr};
use crate::read::uid::trim;

/// Values of the right VR are not checked up to this length. Checking them takes 6 % more
/// instructions to plan a CT slice.
pub(super) const UNCHECKED_BYTES: u32 = 64;
/// Most bytes of one code. PS3.5 section 6.2 allows 16; real files have more.
const MAX_CODE: usize = 64;
/// Most bytes of a CS or AE value (PS3.5 section 6.2).
const STRICT_CODE: usize = 16;

/// How the characters of a value are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueCheck {
    /// Not at all.
    Unchecked,
    /// Characters of a number, a date, a time or a UID.
    Number,
    /// Characters of a code.
    Code,
    /// Characters and length of a code as PS3.5 section 6.2 defines them.
    StrictCode,
    /// Characters of a number: PS3.6 says binary, the object says characters.
    BinaryAsText,
}

/// Returns the check for a value of length `len` whose VR is `known` in PS3.6 and `wire` in the
/// object.
#[inline]
pub(super) fn check_for(known: Option<Vr>, wire: Vr, len: u32) -> ValueCheck {
    let Some(known) = known else {
        return ValueCheck::Unchecked;
    };
    if known == wire {
        if len <= UNCHECKED_BYTES {
            return ValueCheck::Unchecked;
        }
        return match known.character_class() {
            CharacterClass::Number => ValueCheck::Number,
            CharacterClass::Code => ValueCheck::Code,
            CharacterClass::Text | CharacterClass::Binary => ValueCheck::Unchecked,
        };
    }
    check_for_other_vr(known, wire)
}

#[cold]
fn check_for_other_vr(known: Vr, wire: Vr) -> ValueCheck {
    match (known.character_class(), wire.character_class()) {
        (CharacterClass::Number, _) => ValueCheck::Number,
        (CharacterClass::Code, _) => ValueCheck::StrictCode,
        (CharacterClass::Text, _) | (CharacterClass::Binary, CharacterClass::Binary) => {
            ValueCheck::Unchecked
        }
        (CharacterClass::Binary, _) => ValueCheck::BinaryAsText,
    }
}

/// Returns true if the value passes the check.
#[inline]
pub(super) fn passes(check: ValueCheck, vr: Vr, value: &[u8]) -> bool {
    match check {
        ValueCheck::Unchecked => true,
        ValueCheck::Number => is_plain(value, BEYOND_DIGITS) || numbers(vr, value),
        ValueCheck::Code => {
            value.len() <= MAX_CODE && is_plain(value, HIGH) || codes(value, MAX_CODE, is_visible)
        }
        ValueCheck::StrictCode => codes(value, STRICT_CODE, is_code),
        ValueCheck::BinaryAsText => numbers(Vr::DS, value),
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const TOP: u64 = 0x80 * ONES;
/// The bits that digits, signs and points do not have.
const BEYOND_DIGITS: u64 = 0xC0 * ONES;
/// The bit that ASCII characters do not have.
const HIGH: u64 = TOP;

/// Returns true if no byte is a control character, and none except a backslash has a bit of `mask`.
/// The mask may have the two highest bits of each byte. Checks eight bytes at a time, because every
/// kept number is checked.
#[inline]
fn is_plain(value: &[u8], mask: u64) -> bool {
    let (words, rest) = value.as_chunks::<8>();
    let mut found = 0;
    for word in words {
        found |= marked_bytes(u64::from_le_bytes(*word), mask);
    }
    let mut last = u64::from(b' ');
    for byte in rest {
        last = last << 8 | u64::from(*byte);
    }
    // The bytes beyond the rest become spaces.
    found |= marked_bytes(last | SPACES.get(rest.len()).copied().unwrap_or(0), mask);
    found == 0
}

/// The word at index n has spaces above its lowest n + 1 bytes.
const SPACES: [u64; 8] = [
    0x2020_2020_2020_2000,
    0x2020_2020_2020_0000,
    0x2020_2020_2000_0000,
    0x2020_2020_0000_0000,
    0x2020_2000_0000_0000,
    0x2020_0000_0000_0000,
    0x2000_0000_0000_0000,
    0,
];

/// Returns a word that is not zero if a byte is a control character, or has a bit of the mask and is
/// not a backslash.
#[inline]
fn marked_bytes(word: u64, mask: u64) -> u64 {
    let control = word.wrapping_sub(0x20 * ONES) & !word;
    let masked = word & mask;
    let beyond = masked | masked << 1;
    let x = word ^ (0x5C * ONES);
    let not_backslash = ((x & !TOP) + !TOP) | x;
    (control | beyond & not_backslash) & TOP
}

/// Checks number by number. Slower than [`is_plain`], but knows the exponents of DS, the units of AS
/// and padding with NUL.
#[cold]
fn numbers(vr: Vr, value: &[u8]) -> bool {
    trim(value).split(|byte| *byte == b'\\').all(|one| {
        let one = trim(one);
        let is_bare = one.iter().all(|byte| (0x20..0x40).contains(byte));
        is_bare
            || match vr {
                Vr::DS | Vr::IS => std::str::from_utf8(one).is_ok_and(|s| s.parse::<f64>().is_ok()),
                Vr::AS => one.split_last().is_some_and(|(unit, digits)| {
                    b"DWMYdwmy".contains(unit)
                        && digits.len() <= 3
                        && digits.iter().all(u8::is_ascii_digit)
                }),
                _ => false,
            }
    })
}

/// Checks code by code: length and characters.
#[cold]
fn codes(value: &[u8], max: usize, fits: fn(u8) -> bool) -> bool {
    trim(value).split(|byte| *byte == b'\\').all(|one| {
        let one = trim(one);
        one.len() <= max && one.iter().all(|byte| fits(*byte))
    })
}

fn is_visible(byte: u8) -> bool {
    (b' '..0x7F).contains(&byte)
}

/// Returns true for a character of a CS value (PS3.5 section 6.2).
fn is_code(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || b" _".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(known: Vr, wire: Vr, value: &[u8], expect: bool) {
        // The length of a long value, which is always checked.
        let got = passes(
            check_for(Some(known), wire, UNCHECKED_BYTES + 1),
            known,
            value,
        );
        let shown = String::from_utf8_lossy(value);
        assert_eq!(got, expect, "{known:?} as {wire:?}: {shown:?}");
    }

    #[test]
    fn numbers_pass_and_text_does_not() {
        for (vr, values) in [
            (
                Vr::DS,
                [
                    "1.5\\-2.25e-3\\+0",
                    "nan\\-inf ",
                    "0.123456789012345678901234 ",
                ],
            ),
            (Vr::IS, ["12 ", "-1\\2\\3", " 000000000000000123\0"]),
            (Vr::TM, ["120000.123456", "12:30:00", "1000-1200 "]),
            (Vr::DA, ["20240229", "2024.02.29", "20240101-20241231"]),
            (Vr::DT, ["20240229120000.000000+0100", "2024", "\0\0"]),
            (Vr::AS, ["045Y", "3m", "12 "]),
            (Vr::UI, ["1.2.840.10008.1.2\0", "1.2\\1.3\0", ""]),
        ] {
            for value in values {
                check(vr, vr, value.as_bytes(), true);
                check(vr, Vr::LO, value.as_bytes(), true);
                check(vr, Vr::UN, value.as_bytes(), true);
            }
            for value in [
                "Doe^John",
                "12 Jane",
                "1\\2\\3\\4\\5\\6\\7\\8\\9\\10 Smith\\11",
                "M\u{fc}ller",
                "1.2\0\x10\x0F1.2",
                "123456789\x1b$)C",
            ] {
                check(vr, vr, value.as_bytes(), false);
                check(vr, Vr::PN, value.as_bytes(), false);
                check(vr, Vr::UN, value.as_bytes(), false);
            }
        }
    }

    #[test]
    fn codes_pass_in_lower_case_but_not_if_long_or_binary() {
        for vr in [Vr::CS, Vr::AE] {
            for value in [
                "CT",
                "ORIGINAL\\PRIMARY\\AXIAL\\CT_SOM5 SEQ",
                "lower case",
                "CT\0\0",
                "a.b-c",
            ] {
                check(vr, vr, value.as_bytes(), true);
            }
            let long = ["A"; 65].concat();
            let many = vec!["ABCDEFGH"; 20].join("\\");
            check(vr, vr, many.as_bytes(), true);
            for value in [
                long.as_str(),
                "CT\x10\0\x10\0\x08\0\0\0Doe^John",
                "M\u{fc}ller",
            ] {
                check(vr, vr, value.as_bytes(), false);
            }
            for (value, expect) in [
                ("ORIGINAL\\PRIMARY ", true),
                ("Doe^John", false),
                ("A CODE THAT IS TOO LONG", false),
                ("lower", false),
            ] {
                check(vr, Vr::LO, value.as_bytes(), expect);
                check(vr, Vr::UN, value.as_bytes(), expect);
            }
        }
    }

    #[test]
    fn a_binary_value_with_a_text_vr_fails() {
        for (wire, value, expect) in [
            (Vr::US, &b"Doe^John"[..], true),
            (Vr::SS, b"Doe^John", true),
            (Vr::UN, b"\x01\x02", true),
            (Vr::UN, b"ab", true),
            // Three floats of a phantom image, from an implicit data set that was made explicit.
            (Vr::UN, b"q=J?}?U?d;_?", true),
            (Vr::UN, b"Doe\x01John", true),
            (Vr::LO, b"Doe^John", false),
            (Vr::IS, b"512 ", true),
            (Vr::UT, b"ab", false),
        ] {
            check(Vr::US, wire, value, expect);
        }
    }

    #[test]
    fn text_and_unknown_elements_are_not_checked() {
        check(Vr::LO, Vr::LO, b"Doe^John", true);
        check(Vr::SH, Vr::UT, b"Doe^John", true);
        assert_eq!(check_for(None, Vr::DS, 100), ValueCheck::Unchecked);
        for (wire, len, expect) in [
            (Vr::TM, 64, ValueCheck::Unchecked),
            (Vr::TM, 65, ValueCheck::Number),
            (Vr::PN, 2, ValueCheck::Number),
        ] {
            assert_eq!(check_for(Some(Vr::TM), wire, len), expect, "{wire:?} {len}");
        }
    }

    #[test]
    fn eight_bytes_at_a_time_are_checked_as_one_at_a_time() {
        for byte in 0..=u8::MAX {
            for len in 1..20 {
                for at in [0, len / 2, len - 1] {
                    let mut value = vec![b'7'; len];
                    value[at] = byte;
                    let plain = byte >= b' ' && (byte < 0x40 || byte == b'\\');
                    assert_eq!(
                        is_plain(&value, BEYOND_DIGITS),
                        plain,
                        "{byte:#x} {at} {len}"
                    );
                    let ascii = (b' '..0x80).contains(&byte);
                    assert_eq!(is_plain(&value, HIGH), ascii, "{byte:#x} {at} {len}");
                }
            }
        }
    }
}
