//! Code extensions of ISO 2022: escape sequences switch the character sets in the code elements G0
//! and G1 (PS3.5 section 6.1.2.5; PS3.3 section C.12.1.1.2, tables C.12-3 and C.12-4).
//!
//! anon-net has a decoder of its own: the two crates do not depend on each other.

use encoding_rs::Encoding;

use super::Term;

/// Returns the encoding whose upper half is the single-byte set with this ISO registration number.
/// For Latin-1 (100) that is Windows-1252, which has all its printable characters.
pub(super) fn single(number: u16) -> Option<&'static Encoding> {
    Some(match number {
        100 => encoding_rs::WINDOWS_1252,
        101 => encoding_rs::ISO_8859_2,
        109 => encoding_rs::ISO_8859_3,
        110 => encoding_rs::ISO_8859_4,
        126 => encoding_rs::ISO_8859_7,
        127 => encoding_rs::ISO_8859_6,
        138 => encoding_rs::ISO_8859_8,
        144 => encoding_rs::ISO_8859_5,
        148 => encoding_rs::WINDOWS_1254,
        166 => encoding_rs::WINDOWS_874,
        203 => encoding_rs::ISO_8859_15,
        _ => return None,
    })
}

/// The character set in a code element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CodeSet {
    None,
    Ascii,
    Katakana,
    Single(u16),
    Double(u16),
}

/// Decoded text.
pub(super) struct Decoded {
    pub(super) text: String,
    /// True if every byte had a meaning.
    pub(super) lossless: bool,
    /// True if bytes were read in the only single-byte set that is named, without its escape sequence.
    pub(super) without_escape: bool,
}

/// Returns the single-byte set that bytes without an escape sequence are in. PS3.5 section 6.1.2.5
/// requires the sequence if the first term is ASCII. If the other terms name one set for G1, there is
/// only one way to read the bytes.
pub(super) fn only_single(terms: &[Term]) -> Option<u16> {
    let [Term::Ascii, others @ ..] = terms else {
        return None;
    };
    let mut sets = others.iter().filter(|term| !matches!(term, Term::Ascii));
    match (sets.next(), sets.next()) {
        (Some(Term::Single(number)), None) => Some(*number),
        _ => None,
    }
}

/// The character sets in force: G0 for bytes below 0x80, G1 for the others.
#[derive(Debug, Clone, Copy)]
struct CodeElements {
    g0: CodeSet,
    g1: CodeSet,
}

/// Decodes a value.
pub(super) fn decode(terms: &[Term], bytes: &[u8]) -> Decoded {
    let only_single = only_single(terms);
    let initial = CodeElements {
        g0: CodeSet::Ascii,
        g1: match terms.first() {
            Some(Term::Single(number)) => CodeSet::Single(*number),
            Some(Term::Katakana) => CodeSet::Katakana,
            Some(Term::Double(number @ (149 | 58))) => CodeSet::Double(*number),
            _ => only_single.map_or(CodeSet::None, CodeSet::Single),
        },
    };
    let mut has_escape = false;
    let mut without_escape = false;
    let mut state = initial;
    let mut out = String::with_capacity(bytes.len() * 2);
    let mut lossless = true;
    let mut rest = bytes;
    while let [byte, tail @ ..] = rest {
        if *byte == 0x1B {
            if let Some((used, next)) = escape(rest, state) {
                state = next;
                has_escape = true;
                rest = rest.get(used..).unwrap_or_default();
            } else {
                lossless = false;
                out.push(char::REPLACEMENT_CHARACTER);
                rest = tail;
            }
            continue;
        }
        let is_double_g0 = matches!(state.g0, CodeSet::Double(_)) && (0x21..0x7F).contains(byte);
        // A delimiter of values or name components restores the initial sets (PS3.5 section
        // 6.1.2.5.3).
        if !is_double_g0 && matches!(byte, b'\\' | b'^' | b'=' | b'\r' | b'\n' | b'\t' | 0x0C) {
            state = initial;
            has_escape = false;
        }
        without_escape |= *byte >= 0x80 && !has_escape && only_single.is_some();
        let (used, valid) = character(rest, state, &mut out);
        lossless &= valid;
        rest = rest.get(used..).unwrap_or_default();
    }
    Decoded {
        text: out,
        lossless,
        without_escape,
    }
}

/// Reads an escape sequence. Returns its length and the character sets in force after it.
fn escape(bytes: &[u8], state: CodeElements) -> Option<(usize, CodeElements)> {
    let (used, g0, g1) = match bytes.get(1..)? {
        [b'(', b'B' | b'J', ..] => (3, Some(CodeSet::Ascii), None),
        [b')', b'I', ..] => (3, None, Some(CodeSet::Katakana)),
        [b'$', b'B' | b'@', ..] => (3, Some(CodeSet::Double(87)), None),
        [b'$', b'(', b'D', ..] => (4, Some(CodeSet::Double(159)), None),
        [b'$', b')', b'C', ..] => (4, None, Some(CodeSet::Double(149))),
        [b'$', b')', b'A', ..] => (4, None, Some(CodeSet::Double(58))),
        [b'-', letter, ..] => (3, None, Some(CodeSet::Single(single_by_letter(*letter)?))),
        _ => return None,
    };
    let next = CodeElements {
        g0: g0.unwrap_or(state.g0),
        g1: g1.unwrap_or(state.g1),
    };
    Some((used, next))
}

/// Returns the ISO registration number of the single-byte set with this final letter.
fn single_by_letter(letter: u8) -> Option<u16> {
    Some(match letter {
        b'A' => 100,
        b'B' => 101,
        b'C' => 109,
        b'D' => 110,
        b'F' => 126,
        b'G' => 127,
        b'H' => 138,
        b'L' => 144,
        b'M' => 148,
        b'T' => 166,
        b'b' => 203,
        _ => return None,
    })
}

/// Appends one character. Returns how many bytes it took, and false if they had no meaning.
fn character(bytes: &[u8], state: CodeElements, out: &mut String) -> (usize, bool) {
    let [first, rest @ ..] = bytes else {
        return (1, false);
    };
    let upper = *first >= 0x80;
    let set = if upper { state.g1 } else { state.g0 };
    match (set, rest.first()) {
        (CodeSet::Double(number), Some(second)) if upper || (0x21..0x7F).contains(first) => {
            let (a, b) = (*first | 0x80, *second | 0x80);
            let valid = match number {
                149 => push(encoding_rs::EUC_KR, &[a, b], out),
                58 => push(encoding_rs::GBK, &[a, b], out),
                159 => push(encoding_rs::EUC_JP, &[0x8F, a, b], out),
                _ => push(encoding_rs::EUC_JP, &[a, b], out),
            };
            (2, valid)
        }
        (CodeSet::Katakana, _) => (1, push(encoding_rs::SHIFT_JIS, &[*first], out)),
        (CodeSet::Single(100), _) => {
            out.push(char::from(*first));
            (1, true)
        }
        (CodeSet::Single(number), _) => {
            let valid = single(number).is_some_and(|encoding| push(encoding, &[*first], out));
            (1, valid)
        }
        _ if !upper => {
            out.push(char::from(*first));
            (1, true)
        }
        _ => {
            out.push(char::REPLACEMENT_CHARACTER);
            (1, false)
        }
    }
}

fn push(encoding: &'static Encoding, bytes: &[u8], out: &mut String) -> bool {
    let (text, failed) = encoding.decode_without_bom_handling(bytes);
    out.push_str(&text);
    !failed
}
