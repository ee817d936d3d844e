//! [`ValueCheck`]: what a kept value may be (PS3.5 section 6.2).
//!
//! The length of an element can be wrong. Its value then takes in the elements behind it, also those
//! that the rules remove. Or a value is not what its element is for, such as a name in a time. So each
//! value is checked before it is kept, by its VR in PS3.6. The VR in the object counts for elements
//! that PS3.6 does not list.
//!
//! Real files break PS3.5 in ways in which nothing can hide: long decimal strings, codes in lower
//! case, dates of ACR-NEMA, values padded with NUL. These are kept.
//!
//! An element with an invalid VR counts as UN, even if PS3.6 gives it another VR.
//!
//! ```text
//! VR in PS3.6      VR in the object  the check                                    if it fails
//! text             text, UN          no control characters; ESC is one of the     emptied
//!                                    character set, and ST, LT and UT have lines;
//!                                    no UID, which would be an original
//! number, date, …  any               can be read as one                           emptied
//! code (CS, AE)    the same          16 characters, or one word of up to 64       emptied
//! code (CS, AE)    another           16 capitals, digits, SPACE, underscore       emptied
//! binary           binary, UN        whole numbers, no more than the VM allows    emptied
//! binary           characters        can be read as a number                      refused
//! ```
//!
//! An object is refused if other elements are found in the value that failed
//! ([`Walk::holds_elements`](crate::read::scan::Walk::holds_elements)). Binary values have no
//! characters to check, so long ones are searched for elements too.

mod decimals;
mod forms;
mod short;

use dicom_core::Tag;

use self::decimals::are_plain_decimals;
use self::forms::{is_code, is_decimal, is_foreign_uid, is_number, is_strict_code};
pub(super) use self::short::{SHORT_BYTES, passes_short};
use self::short::{all_words, controls};
use crate::read::dictionary::{CharacterClass, Vr};
use crate::read::multiplicity;
use crate::read::uid::trim;

/// How a value is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueCheck {
    /// Text without control characters other than ESC.
    Text,
    /// Text with tabs, lines and pages.
    Lines,
    /// A number, date, time, age or UID of this VR.
    Number(Vr),
    /// A code.
    Code,
    /// A code as PS3.5 section 6.2 defines it.
    StrictCode,
    /// A whole number of units, in bytes, and at most so many bytes.
    Binary { unit: u32, most: u32 },
    /// A number: PS3.6 says binary, the object says characters.
    BinaryAsText,
}

/// Returns the check of a value whose VR is `listed` in PS3.6 and `wire` in the object.
#[inline]
pub(super) fn check_for(tag: Tag, listed: Option<Vr>, wire: Vr) -> ValueCheck {
    let known = listed.unwrap_or(wire);
    match (known.character_class(), wire.character_class()) {
        (CharacterClass::Number, _) => ValueCheck::Number(known),
        (CharacterClass::Code, _) if known == wire => ValueCheck::Code,
        (CharacterClass::Code, _) => ValueCheck::StrictCode,
        (CharacterClass::Text, _) if has_lines(known) || has_lines(wire) => ValueCheck::Lines,
        (CharacterClass::Text, _) => ValueCheck::Text,
        (CharacterClass::Binary, CharacterClass::Binary) => binary(tag, listed, wire),
        (CharacterClass::Binary, _) => ValueCheck::BinaryAsText,
    }
}

/// The length of binary values: of whole numbers, and of no more than the VM of PS3.6.
fn binary(tag: Tag, listed: Option<Vr>, wire: Vr) -> ValueCheck {
    let vr = listed.filter(|_| wire == Vr::UN).unwrap_or(wire);
    let unit = vr.unit();
    let is_limited = vr.is_binary_number() && listed.is_some_and(Vr::is_binary_number);
    let most = if is_limited {
        unit.saturating_mul(multiplicity::most_values(tag))
    } else {
        u32::MAX
    };
    ValueCheck::Binary { unit, most }
}

/// Returns true for the VRs of text with the control characters TAB, LF, FF and CR.
fn has_lines(vr: Vr) -> bool {
    matches!(vr, Vr::ST | Vr::LT | Vr::UT)
}

/// Returns true if a whole value passes the check.
pub(super) fn passes(check: ValueCheck, value: &[u8]) -> bool {
    match check {
        ValueCheck::Text | ValueCheck::Lines => {
            TextCheck::new(check).passes(value) && !names_uid(value)
        }
        // Contours are megabytes of decimal strings.
        ValueCheck::Number(Vr::DS | Vr::IS) if are_plain_decimals(value) => true,
        ValueCheck::Number(vr) => all_values(value, |one| is_number(vr, one)),
        ValueCheck::Code => all_values(value, is_code),
        ValueCheck::StrictCode => all_values(value, is_strict_code),
        ValueCheck::Binary { unit, most } => {
            let len = u32::try_from(value.len()).unwrap_or(u32::MAX);
            len.is_multiple_of(unit) && len <= most
        }
        ValueCheck::BinaryAsText => all_values(value, is_decimal),
    }
}

/// Returns true if one of several values is a UID that can be an original.
pub(super) fn names_uid(value: &[u8]) -> bool {
    !all_values(value, |one| !is_foreign_uid(one))
}

/// Checks each value of several (PS3.5 section 6.4) without SPACE and NUL around it.
fn all_values(value: &[u8], fits: impl Fn(&[u8]) -> bool) -> bool {
    value
        .split(|byte| *byte == b'\\')
        .map(trim)
        .all(|one| one.is_empty() || fits(one))
}

/// Checks text piece by piece.
#[derive(Debug)]
pub(super) struct TextCheck {
    has_lines: bool,
    /// True behind a NUL, which pads a value: only more padding may follow.
    in_padding: bool,
}

impl TextCheck {
    pub(super) fn new(check: ValueCheck) -> Self {
        Self {
            has_lines: check == ValueCheck::Lines,
            in_padding: false,
        }
    }

    /// Returns true if the next piece of a value belongs to text.
    ///
    /// No multi-byte character of the sets of PS3.3 section C.12.1.1.2 has a byte below 0x20, so bytes
    /// are checked without decoding them.
    pub(super) fn passes(&mut self, piece: &[u8]) -> bool {
        if !self.in_padding && all_words(piece, controls) {
            return true;
        }
        piece.iter().all(|byte| self.is_text(*byte))
    }

    fn is_text(&mut self, byte: u8) -> bool {
        match byte {
            0 => self.in_padding = true,
            b' ' => {}
            b'\\' => self.in_padding = false,
            _ if self.in_padding => return false,
            0x1B => {}
            b'\t' | b'\n' | 0x0C | b'\r' => return self.has_lines,
            _ => return byte > b' ',
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::forms::is_code_character;
    use super::short::{beyond_uids, uncoded};
    use super::*;

    const STUDY_TIME: Tag = Tag(0x0008, 0x0030);

    /// [`passes_short`] for a value, before other bytes.
    fn in_brief(vr: Vr, value: &[u8]) -> bool {
        let window = [value, b"\x00\x08behind"].concat();
        let fits = value.len() <= SHORT_BYTES as usize;
        fits && value.len().is_multiple_of(2) && passes_short(vr, &window, value.len())
    }

    #[track_caller]
    fn check(known: Vr, wire: Vr, value: &[u8], expect: bool) {
        let got = passes(check_for(STUDY_TIME, Some(known), wire), value);
        let shown = String::from_utf8_lossy(value);
        assert_eq!(got, expect, "{known:?} as {wire:?}: {shown:?}");
        let fits_in_brief = in_brief(known, value);
        assert!(
            known != wire || got || !fits_in_brief,
            "{known:?}: {shown:?}"
        );
    }

    #[test]
    fn text_has_no_control_characters_but_those_of_its_vr() {
        for vr in [
            Vr::LO,
            Vr::SH,
            Vr::PN,
            Vr::UC,
            Vr::UR,
            Vr::ST,
            Vr::LT,
            Vr::UT,
        ] {
            for value in [
                &b"Synthetic Imaging"[..],
                b"GE\0",
                b"GE \0\0 ",
                b"one\0\\two\0\\",
                b"\0\0",
                b"",
                // ISO 2022, GB18030 and UTF-8: no byte of a character is a control character.
                b"\x1B$B;3ED\x1B(B^\x1B$BB@O:\x1B(B",
                b"\xCD\xF5^\xD0\xA1\xB6\xAB=\x81\x5C\x81\x30\x89\x38",
                "\u{738B}^\u{5C0F}\u{6771} \u{e9}".as_bytes(),
            ] {
                check(vr, vr, value, true);
                check(vr, Vr::UN, value, true);
            }
            for value in [
                &b"GE  \x08\0\x80\0LO\x0A\0Larkspur W"[..],
                b"GE\0Larkspur",
                b"GE\x08\0",
                b"\x01",
                b"0123456789\x0B12345",
                b"A\0\\B\0C",
            ] {
                check(vr, vr, value, false);
                check(vr, Vr::UN, value, false);
                check(vr, Vr::OB, value, false);
            }
            let has_lines = matches!(vr, Vr::ST | Vr::LT | Vr::UT);
            check(vr, vr, b"one\r\ntwo\x0C\tthree", has_lines);
        }
        // A longer VR than that of PS3.6.
        check(Vr::LO, Vr::UT, b"one\r\ntwo", true);
    }

    /// Whatever the fast path takes, the slow path takes too; and it takes what is usual.
    #[test]
    fn short_values_are_checked_as_long_ones() {
        let alphabet = b"0179.-+: \\AEe^/\0\x08\x7F\xFF";
        let vrs = [
            Vr::DS,
            Vr::IS,
            Vr::TM,
            Vr::DA,
            Vr::DT,
            Vr::AS,
            Vr::UI,
            Vr::CS,
            Vr::LO,
        ];
        let mut seed = 1_u64;
        for _ in 0..200_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let mut bits = seed >> 8;
            let len = usize::try_from(2 * (1 + bits % 6)).unwrap();
            let value: Vec<u8> = std::iter::repeat_with(|| {
                bits = bits.rotate_right(5);
                // Digits more often than others.
                alphabet[usize::try_from(bits % 64)
                    .unwrap()
                    .saturating_sub(64 - alphabet.len())]
            })
            .take(len)
            .collect();
            for vr in vrs {
                let slow = passes(check_for(STUDY_TIME, Some(vr), vr), &value);
                let shown = String::from_utf8_lossy(&value);
                assert!(slow || !in_brief(vr, &value), "{vr:?} {shown:?}");
            }
        }
        for (vr, usual) in [
            (
                Vr::DS,
                &[
                    "1.0 ",
                    "120 ",
                    "-1024 ",
                    "12",
                    "-180\\-180\\200 ",
                    "40\\-600 ",
                    "0.703125\\0.703125 ",
                ][..],
            ),
            (Vr::IS, &["4 ", "500 ", "-1"]),
            (Vr::TM, &["101530", "101801.5", "101712.25 "]),
            (Vr::CS, &["CT", "HELICAL MODE", "ORIGINAL\\PRIMARY\\AXIAL"]),
            (Vr::LO, &["Synthetic Imaging ", "SN", "none"]),
            (Vr::UI, &["1.2.840.10008.5.1.4.1.1.2\0"]),
        ] {
            for value in usual {
                assert!(in_brief(vr, value.as_bytes()), "{vr:?} {value:?}");
            }
        }
    }

    #[test]
    fn a_uid_is_no_text_code_or_number() {
        let original = "1.2.826.0.1.3680043.8.498.77";
        let among = format!("version 2\\{original}");
        for vr in [
            Vr::LO,
            Vr::SH,
            Vr::LT,
            Vr::UC,
            Vr::CS,
            Vr::AE,
            Vr::DS,
            Vr::TM,
            Vr::DA,
        ] {
            for value in [
                original,
                &among,
                "2.25.329800735698586629295641978511506172918 ",
            ] {
                check(vr, vr, value.as_bytes(), false);
            }
        }
        for value in [
            "1.2.840.10008.5.1.4.1.1.2",
            "172.16.193.2",
            "51.80.108.010",
            "2.6.3\\2.6.3.6 ",
            "1.2.826.0.1 of a program",
        ] {
            check(Vr::LO, Vr::LO, value.as_bytes(), true);
        }
        check(Vr::UI, Vr::UI, original.as_bytes(), true);
    }

    #[test]
    fn text_is_checked_across_pieces() {
        for (pieces, expect) in [
            ([&b"one"[..], b"two"], true),
            ([b"one\0", b"\0 \0"], true),
            ([b"one\0", b"\\two"], true),
            ([b"one\0", b"two"], false),
            ([b"one", b"\0two"], false),
        ] {
            let mut text = TextCheck::new(ValueCheck::Text);
            let got = pieces.iter().all(|piece| text.passes(piece));
            assert_eq!(got, expect, "{pieces:?}");
        }
    }

    #[test]
    fn numbers_pass_and_what_cannot_be_read_as_one_does_not() {
        for (vr, good, bad) in [
            (
                Vr::DS,
                &[
                    "1.5\\-2.25e-3\\+0",
                    "nan\\-inf ",
                    "0.123456789012345678901234 ",
                    " 12 ",
                    ".5",
                    "-1.",
                ][..],
                &["1.2.3", "1 2", "-", ".", "1,5", "12:30"][..],
            ),
            (
                Vr::IS,
                &["12 ", "-1\\2\\3", " 000000000000000123\0", "\\\\3", "1.0"],
                &["1A", "1-2", "12345/6"],
            ),
            (
                Vr::TM,
                &[
                    "120000.123456",
                    "12:30:00",
                    "1000-1200 ",
                    "12",
                    "-1200",
                    "9:05",
                    "101530.1234567890",
                ],
                &["555-1234567", "5551234567", "1.2.3", "10:18 AM", "-", "."],
            ),
            (
                Vr::DA,
                &[
                    "20240229",
                    "2024.02.29",
                    "20240101-20241231",
                    "2024",
                    "20240101-",
                ],
                &["29.02.2024", "12345", "2024.2", "1.2.3.4"],
            ),
            (
                Vr::DT,
                &[
                    "20240229120000.000000+0100",
                    "2024",
                    "\0\0",
                    "2024.02.29",
                    "2024-2025",
                ],
                &["NaN", "20240229 1200", "2024+1", "555-1234567"],
            ),
            (
                Vr::AS,
                &["045Y", "3m", "12 ", "75Y "],
                &["0045Y", "Y", "45 Years", "4.5Y"],
            ),
            (
                Vr::UI,
                &["1.2.840.10008.1.2\0", "1.2\\1.3\0", "", "1.2 "],
                &["1/2", "not.a.uid", "1-2"],
            ),
        ] {
            for value in good {
                check(vr, vr, value.as_bytes(), true);
                check(vr, Vr::LO, value.as_bytes(), true);
                check(vr, Vr::UN, value.as_bytes(), true);
            }
            let text = [
                "Doe^John",
                "SMITH^ANN",
                "12 Jane",
                "1\\2\\3\\4\\5\\6\\7\\8\\9\\10 Smith\\11",
                "M\u{fc}ller",
                "1.2\0\x10\x0F1.2",
                "123456789\x1b$)C",
            ];
            for value in bad.iter().chain(&text) {
                check(vr, vr, value.as_bytes(), false);
                check(vr, Vr::PN, value.as_bytes(), false);
                check(vr, Vr::UN, value.as_bytes(), false);
            }
        }
    }

    #[test]
    fn codes_pass_in_lower_case_but_sentences_do_not() {
        for vr in [Vr::CS, Vr::AE] {
            let many = vec!["ABCDEFGH"; 20].join("\\");
            for value in [
                "CT",
                "ORIGINAL\\PRIMARY\\AXIAL\\CT_SOM5 SEQ",
                "lower case",
                "CT\0\0",
                "a.b-c",
                "ABDOM/RAD",
                "-2",
                "A_WORD_OF_A_VENDOR_LONGER_THAN_PS3.5_ALLOWS",
                &many,
            ] {
                check(vr, vr, value.as_bytes(), true);
            }
            let long = "A".repeat(65);
            for value in [
                long.as_str(),
                "CT\x10\0\x10\0\x08\0\0\0Doe^John",
                "M\u{fc}ller",
                "SMITH^ANN",
                "CT BRAIN WO IVCON",
                "AXIAL\\Upper abdomen, with contrast",
                "\x7F",
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
    fn binary_values_are_whole_and_no_more_than_the_vm_allows() {
        let (rows, increments, descriptor) = (
            Tag(0x0028, 0x0010),
            Tag(0x0028, 0x0009),
            Tag(0x0028, 0x1101),
        );
        for (tag, known, wire, len, expect) in [
            (rows, Some(Vr::US), Vr::US, 0, true),
            (rows, Some(Vr::US), Vr::US, 2, true),
            (rows, Some(Vr::US), Vr::US, 3, false),
            (rows, Some(Vr::US), Vr::US, 4, false),
            (rows, Some(Vr::US), Vr::UN, 2, true),
            (rows, Some(Vr::US), Vr::UN, 1_026, false),
            (rows, Some(Vr::US), Vr::UL, 4, true),
            (rows, Some(Vr::US), Vr::UL, 2, false),
            (rows, Some(Vr::US), Vr::OB, 4, true),
            (descriptor, Some(Vr::US), Vr::SS, 6, true),
            (descriptor, Some(Vr::US), Vr::SS, 2, true),
            (descriptor, Some(Vr::US), Vr::US, 8, false),
            (increments, Some(Vr::AT), Vr::AT, 400, true),
            (increments, Some(Vr::AT), Vr::AT, 402, false),
            (Tag(0x0028, 0x1201), Some(Vr::OW), Vr::OW, 512, true),
            (Tag(0x0028, 0x1201), Some(Vr::OW), Vr::US, 512, true),
            (Tag(0x0028, 0x1201), Some(Vr::OW), Vr::OW, 511, false),
            (Tag(0x0009, 0x1010), None, Vr::FD, 80, true),
            (Tag(0x0009, 0x1010), None, Vr::FD, 81, false),
            (Tag(0x0009, 0x1010), None, Vr::UN, 81, true),
        ] {
            let got = passes(check_for(tag, known, wire), &vec![1; len]);
            assert_eq!(got, expect, "{tag} {known:?} {wire:?} {len}");
            let fits_in_brief = in_brief(wire, &vec![1; len]);
            assert!(known != Some(wire) || got || !fits_in_brief, "{tag} {len}");
        }
    }

    #[test]
    fn a_binary_value_with_a_text_vr_fails() {
        for (wire, value, expect) in [
            (Vr::LO, &b"Doe^John"[..], false),
            (Vr::IS, b"512 ", true),
            (Vr::UT, b"ab", false),
        ] {
            check(Vr::US, wire, value, expect);
        }
    }

    /// The VR in the object counts where PS3.6 has none.
    #[test]
    fn private_elements_are_checked_by_their_own_vr() {
        let private = Tag(0x0009, 0x1010);
        for (vr, value, expect) in [
            (Vr::LO, &b"Doe^John"[..], true),
            (Vr::LO, b"A\x08\0B", false),
            (Vr::DS, b"Doe^John", false),
            (Vr::CS, b"Doe^John", false),
            (Vr::CS, b"lower", true),
            (Vr::UN, b"A\x08\0B", true),
        ] {
            assert_eq!(
                passes(check_for(private, None, vr), value),
                expect,
                "{vr:?} {value:?}"
            );
        }
    }

    #[test]
    fn eight_bytes_at_a_time_are_checked_as_one_at_a_time() {
        let is_uid = |byte: u8| byte.is_ascii_digit() || byte == b'.';
        let in_words = |value: &[u8], marks: fn(u64) -> u64| all_words(value, marks);
        for byte in 0..=u8::MAX {
            for len in 1..20 {
                for at in [0, len / 2, len - 1] {
                    let mut value = vec![b'7'; len];
                    value[at] = byte;
                    let case = format!("{byte:#x} {at} {len}");
                    assert_eq!(in_words(&value, controls), byte >= b' ', "{case}");
                    assert_eq!(in_words(&value, uncoded), is_code_character(byte), "{case}");
                    assert_eq!(in_words(&value, beyond_uids), is_uid(byte), "{case}");
                }
            }
        }
    }
}
