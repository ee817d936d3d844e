//! What the characters of a kept value may be (PS3.5 section 6.2).
//!
//! A rule that keeps Study Time means a time. Free text under that tag, or a length that swallows
//! the next element, would pass as one; so the bytes of kept numbers, dates, times, UIDs and codes
//! are checked, if the value is long or if the VR on the wire differs from PS3.6. Real files break PS3.5
//! in harmless ways (a long DS, a code in lower case), so a check fails only for what could be text.
//! Elements that PS3.6 does not list or lists as text are not checked.
//!
//! ```text
//! dictionary's VR    letters on the wire    looked at                        if it fails
//! text, or none      any                    no                               –
//! number, date, UID  the same, ≤ 64 bytes   no                               –
//! number, date, UID  any                    no letters or control characters emptied
//! code (CS, AE)      the same, ≤ 64 bytes   no                               –
//! code (CS, AE)      the same               no control characters, ≤ 64      emptied
//! code (CS, AE)      another                a code of at most 16 characters  emptied
//! binary             binary, UN             no: floats can look like text    –
//! binary             characters             as a number                      refused
//! ```

use crate::read::dictionary::{CharacterClass, Vr};

/// Values of the right VR are not checked up to this length. Checking them too makes planning a CT
/// slice take 6 % more instructions.
pub(super) const UNCHECKED_BYTES: u32 = 64;
/// Most bytes of one code; PS3.5 says 16.
const MAX_CODE: usize = 64;
const STRICT_CODE: usize = 16;

/// How the characters of a value are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueCheck {
    /// Nothing.
    Unchecked,
    /// Characters of a number, a date, a time or a UID.
    Number,
    /// Those of a code.
    Code,
    /// Those of a code, as the standard has it.
    StrictCode,
    /// The dictionary says binary, the wire says characters.
    BinaryAsText,
}

/// The check for a value with this VR in the dictionary and this VR on the wire.
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
/// Bits that no digit, sign or point has.
const BEYOND_DIGITS: u64 = 0xC0 * ONES;
/// Bits that no ASCII character has.
const HIGH: u64 = TOP;

/// True if there is no control character, and no byte but a backslash that has one of the bits of
/// `mask`, which are among the two highest. Eight bytes at a time: this is done to every kept number.
#[inline]
fn is_plain(value: &[u8], mask: u64) -> bool {
    let (words, rest) = value.as_chunks::<8>();
    let mut found = 0;
    for word in words {
        found |= odd_bytes(u64::from_le_bytes(*word), mask);
    }
    let mut last = u64::from(b' ');
    for byte in rest {
        last = last << 8 | u64::from(*byte);
    }
    // Spaces where there are no bytes.
    found |= odd_bytes(last | SPACES.get(rest.len()).copied().unwrap_or(0), mask);
    found == 0
}

/// Spaces above the lowest n + 1 bytes.
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

/// Not zero if a byte of the word is below a space, or has a bit of the mask and is no backslash.
#[inline]
fn odd_bytes(word: u64, mask: u64) -> u64 {
    let control = word.wrapping_sub(0x20 * ONES) & !word;
    let masked = word & mask;
    let beyond = masked | masked << 1;
    let x = word ^ (0x5C * ONES);
    let no_backslash = ((x & !TOP) + !TOP) | x;
    (control | beyond & no_backslash) & TOP
}

/// Slower, and exact: exponents, ages, padding with NUL.
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

#[cold]
fn codes(value: &[u8], most: usize, fits: fn(u8) -> bool) -> bool {
    trim(value).split(|byte| *byte == b'\\').all(|one| {
        let one = trim(one);
        one.len() <= most && one.iter().all(|byte| fits(*byte))
    })
}

fn is_visible(byte: u8) -> bool {
    (b' '..0x7F).contains(&byte)
}

fn is_code(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || b" _".contains(&byte)
}

/// Without padding.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | 0, rest @ ..] | [rest @ .., b' ' | 0] = value {
        value = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(known: Vr, wire: Vr, value: &[u8], expect: bool) {
        // As if it were a long one.
        let got = passes(
            check_for(Some(known), wire, UNCHECKED_BYTES + 1),
            known,
            value,
        );
        let shown = String::from_utf8_lossy(value);
        assert_eq!(got, expect, "{known:?} as {wire:?}: {shown:?}");
    }

    #[test]
    fn numbers_of_every_kind_pass_and_text_does_not() {
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
    fn codes_may_be_sloppy_but_neither_long_nor_binary() {
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
    fn binary_values_are_no_text() {
        for (wire, value, expect) in [
            (Vr::US, &b"Doe^John"[..], true),
            (Vr::SS, b"Doe^John", true),
            (Vr::UN, b"\x01\x02", true),
            (Vr::UN, b"ab", true),
            // Three floats of a phantom, as an implicit data set was made explicit.
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
    fn text_and_what_nobody_knows_is_not_looked_at() {
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
    fn eight_at_a_time_finds_what_one_at_a_time_finds() {
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
