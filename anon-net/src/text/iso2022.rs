//! Code extensions: escape sequences designate character sets as G0 (code points 00 to 7F) and G1
//! (80 to FF) (PS3.3 Tables C.12-3 and C.12-4, PS3.5 section 6.1.2.5).
//!
//! anon-engine has its own decoder for these sets, because neither crate depends on the other.

use encoding_rs::Encoding;

use super::Term;

pub(super) const ESCAPE: u8 = 0x1B;

/// Returns the encoding whose upper half is the set with this ISO registration number (PS3.3 Table
/// C.12-2).
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

/// The character sets that are designated as G0 and G1.
#[derive(Clone, Copy)]
struct CodeElements {
    g0: Term,
    g1: Term,
}

/// Decodes a value. Bytes without a meaning become U+FFFD.
pub(super) fn decode(terms: &[Term], bytes: &[u8]) -> String {
    let initial = CodeElements {
        g0: Term::Ascii,
        g1: match terms.first() {
            Some(term @ (Term::Single(_) | Term::Katakana | Term::Double(58 | 149))) => *term,
            _ => Term::Unknown,
        },
    };
    let mut code_elements = initial;
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(first) = rest.first() {
        if *first == ESCAPE
            && let Some((used, next)) = escape(rest, code_elements)
        {
            code_elements = next;
            rest = rest.get(used..).unwrap_or_default();
            continue;
        }
        // A delimiter of values or name components resets the sets to the first ones (PS3.5 section
        // 6.1.2.5.3). Inside a two-byte character the same code is no delimiter.
        let is_delimiter = matches!(first, b'\\' | b'^' | b'=' | b'\t' | b'\n' | 0x0C | b'\r');
        if is_delimiter && !matches!(code_elements.g0, Term::Double(_)) {
            code_elements = initial;
        }
        let used = character(rest, code_elements, &mut text);
        rest = rest.get(used..).unwrap_or_default();
    }
    text
}

/// Returns the length of the escape sequence at the start of the bytes, and the sets after it.
fn escape(bytes: &[u8], now: CodeElements) -> Option<(usize, CodeElements)> {
    let lower = |used, g0| Some((used, CodeElements { g0, ..now }));
    let upper = |used, g1| Some((used, CodeElements { g1, ..now }));
    match bytes.get(1..)? {
        [b'(', b'B' | b'J', ..] => lower(3, Term::Ascii),
        [b')', b'I', ..] => upper(3, Term::Katakana),
        [b'$', b'B' | b'@', ..] => lower(3, Term::Double(87)),
        [b'$', b'(', b'D', ..] => lower(4, Term::Double(159)),
        [b'$', b')', b'C', ..] => upper(4, Term::Double(149)),
        [b'$', b')', b'A', ..] => upper(4, Term::Double(58)),
        [b'-', letter, ..] => upper(3, Term::Single(by_letter(*letter)?)),
        _ => None,
    }
}

/// Returns the ISO registration number for the final letter of an escape sequence of a single-byte
/// set.
fn by_letter(letter: u8) -> Option<u16> {
    const LETTERS: [(u8, u16); 11] = [
        (b'A', 100),
        (b'B', 101),
        (b'C', 109),
        (b'D', 110),
        (b'F', 126),
        (b'G', 127),
        (b'H', 138),
        (b'L', 144),
        (b'M', 148),
        (b'T', 166),
        (b'b', 203),
    ];
    let found = LETTERS.iter().find(|(listed, _)| *listed == letter);
    found.map(|(_, number)| *number)
}

/// Appends the first character of the bytes, and returns how many bytes it takes.
fn character(bytes: &[u8], code_elements: CodeElements, text: &mut String) -> usize {
    let Some(first) = bytes.first().copied() else {
        return 1;
    };
    let term = if first >= 0x80 {
        code_elements.g1
    } else {
        code_elements.g0
    };
    let graphic = (0x21..0x7F).contains(&(first & 0x7F));
    match (term, bytes.get(1)) {
        (Term::Double(number), Some(second)) if graphic => {
            let (first, second) = (first | 0x80, *second | 0x80);
            match number {
                149 => push(encoding_rs::EUC_KR, &[first, second], text),
                58 => push(encoding_rs::GBK, &[first, second], text),
                159 => push(encoding_rs::EUC_JP, &[0x8F, first, second], text),
                _ => push(encoding_rs::EUC_JP, &[first, second], text),
            }
            return 2;
        }
        (Term::Katakana, _) => push(encoding_rs::SHIFT_JIS, &[first], text),
        (Term::Single(100), _) => text.push(char::from(first)),
        (Term::Single(number), _) => match single(number) {
            Some(encoding) => push(encoding, &[first], text),
            None => text.push(char::REPLACEMENT_CHARACTER),
        },
        _ if first < 0x80 && first != ESCAPE => text.push(char::from(first)),
        _ => text.push(char::REPLACEMENT_CHARACTER),
    }
    1
}

fn push(encoding: &'static Encoding, bytes: &[u8], text: &mut String) {
    text.push_str(&encoding.decode_without_bom_handling(bytes).0);
}
