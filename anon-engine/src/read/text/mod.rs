//! [`Charset`]: decodes and encodes text by Specific Character Set (0008,0005), with the code
//! extensions of ISO 2022 (PS3.3 section C.12.1.1.2, PS3.5 section 6.1).

use std::borrow::Cow;

use encoding_rs::Encoding;

use crate::read::words::{all_words, equal};

mod iso2022;
mod spelling;

pub(crate) use spelling::corrected;

/// The character sets in force for a data set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Charset {
    terms: Vec<Term>,
}

/// A defined term of Specific Character Set (PS3.3 section C.12.1.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Term {
    /// `ISO_IR 6`, or an empty value.
    Ascii,
    /// A single-byte set in G1, by its ISO registration number.
    Single(u16),
    /// JIS X 0201: katakana in G1.
    Katakana,
    /// A set of two bytes a character, by its ISO registration number.
    Double(u16),
    /// A set without code extensions: UTF-8, GB18030 or GBK.
    Whole(&'static Encoding),
    /// A term that the standard does not define.
    Unknown,
}

/// Decoded text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decoded<'b> {
    pub(crate) text: Cow<'b, str>,
    /// True if every byte had a meaning.
    pub(crate) lossless: bool,
    /// True if bytes in a single-byte set stand without its escape sequence.
    pub(crate) without_escape: bool,
}

impl Charset {
    /// Returns the character sets that a value of (0008,0005) names.
    pub(crate) fn parse(value: &[u8]) -> Self {
        let terms: Vec<Term> = value
            .split(|byte| *byte == b'\\')
            .map(|term| Term::parse(spelling::trim(term)))
            .collect();
        match terms.as_slice() {
            [Term::Ascii] => Self::default(),
            _ => Self { terms },
        }
    }

    /// Decodes a value. Does not allocate for ASCII.
    pub(crate) fn decode<'b>(&self, bytes: &'b [u8]) -> Decoded<'b> {
        if let Some(text) = plain(bytes) {
            return Decoded {
                text: Cow::Borrowed(text),
                lossless: true,
                without_escape: false,
            };
        }
        match self.terms.as_slice() {
            // Without a declared character set, bytes are read as Latin-1, as V17's reader does.
            [] if !bytes.contains(&0x1B) => latin1(bytes, true),
            [Term::Whole(encoding), ..] => whole(encoding, bytes),
            [Term::Katakana] if !bytes.contains(&0x1B) => whole(encoding_rs::SHIFT_JIS, bytes),
            [Term::Unknown, ..] => latin1(bytes, false),
            terms => {
                let decoded = iso2022::decode(terms, bytes);
                Decoded {
                    text: Cow::Owned(decoded.text),
                    lossless: decoded.lossless,
                    without_escape: decoded.without_escape,
                }
            }
        }
    }

    /// Returns true if a value has bytes in a single-byte set without its escape sequence.
    pub(crate) fn lacks_escape(&self, bytes: &[u8]) -> bool {
        iso2022::only_single(&self.terms).is_some() && self.decode(bytes).without_escape
    }

    /// Decodes a value so that two different values never become one text. Removes SPACE and NUL at
    /// both ends. If the value cannot be decoded without loss, returns U+FFFD and one character for
    /// each byte.
    pub(crate) fn key(&self, bytes: &[u8]) -> String {
        let bytes = crate::read::uid::trim(bytes);
        if let Some(text) = plain(bytes) {
            return text.to_owned();
        }
        let decoded = self.decode(bytes);
        if decoded.lossless && !decoded.text.contains(char::REPLACEMENT_CHARACTER) {
            return decoded.text.trim_matches([' ', '\0']).to_owned();
        }
        let mut key = String::from(char::REPLACEMENT_CHARACTER);
        key.extend(bytes.iter().map(|byte| char::from(*byte)));
        key
    }

    /// Decodes a value. Removes SPACE and NUL at both ends. Bytes without a meaning become U+FFFD.
    pub(crate) fn text(&self, bytes: &[u8]) -> String {
        let bytes = crate::read::uid::trim(bytes);
        if let Some(text) = plain(bytes) {
            return text.to_owned();
        }
        let decoded = self.decode(bytes);
        decoded.text.trim_matches([' ', '\0']).to_owned()
    }

    /// Encodes text. Returns `None` if the sets have no code for it, or need code extensions.
    pub(crate) fn encode<'t>(&self, text: &'t str) -> Option<Cow<'t, [u8]>> {
        if text.is_ascii() {
            return Some(Cow::Borrowed(text.as_bytes()));
        }
        let encoding = match self.terms.as_slice() {
            [Term::Whole(encoding)] => *encoding,
            [Term::Single(number)] => iso2022::single(*number)?,
            _ => return None,
        };
        let (bytes, _, failed) = encoding.encode(text);
        // Decoded again to make sure that a reader gets the text that the rules say.
        (!failed && self.decode(&bytes).text == text).then_some(bytes)
    }
}

impl Term {
    /// Reads a term without padding, whether it is spelled as defined or not.
    fn parse(term: &[u8]) -> Self {
        match spelling::number(term) {
            None if term.is_empty() => Self::Ascii,
            None if spelling::is_words(term, &[b"GB", b"18030"]) => {
                Self::Whole(encoding_rs::GB18030)
            }
            None if spelling::is_words(term, &[b"GBK"]) => Self::Whole(encoding_rs::GBK),
            Some(6) => Self::Ascii,
            Some(13) => Self::Katakana,
            Some(number @ (87 | 159 | 149 | 58)) => Self::Double(number),
            Some(192) => Self::Whole(encoding_rs::UTF_8),
            Some(number) if iso2022::single(number).is_some() => Self::Single(number),
            _ => Self::Unknown,
        }
    }
}

/// Returns a value without SPACE and NUL at both ends.
pub(crate) fn trimmed(value: &str) -> &str {
    value.trim_matches([' ', '\0'])
}

/// Returns the bytes as text if they mean the same in every character set: ASCII without an escape.
fn plain(bytes: &[u8]) -> Option<&str> {
    if !all_words(bytes, |word| word | equal(word, 0x1B)) {
        return None;
    }
    // `str::from_utf8` takes three times as long for a short text. ASCII is borrowed.
    match encoding_rs::mem::decode_latin1(bytes) {
        Cow::Borrowed(text) => Some(text),
        Cow::Owned(_) => None,
    }
}

fn latin1(bytes: &[u8], lossless: bool) -> Decoded<'_> {
    Decoded {
        text: encoding_rs::mem::decode_latin1(bytes),
        lossless,
        without_escape: false,
    }
}

fn whole<'b>(encoding: &'static Encoding, bytes: &'b [u8]) -> Decoded<'b> {
    let (text, failed) = encoding.decode_without_bom_handling(bytes);
    Decoded {
        text,
        lossless: !failed,
        without_escape: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of PS3.5 annexes H to K.
    #[test]
    fn the_names_in_the_standard_are_decoded() {
        for (charset, bytes, expect) in [
            ("", &b"Adams^John"[..], "Adams^John"),
            ("", b"Buc^J\xE9r\xF4me", "Buc^J\u{E9}r\u{F4}me"),
            ("ISO_IR 100", b"Buc^J\xE9r\xF4me", "Buc^J\u{E9}r\u{F4}me"),
            ("ISO_IR 144", b"\xBB\xEE\xDA\x63\x65\xDC\xD1\x79\x70\xD3", "Люкceмбypг"),
            ("ISO_IR 126", b"\xC4\xE9\xEF\xED\xF5\xF3\xE9\xEF\xF2", "Διονυσιος"),
            ("ISO_IR 127", b"\xE2\xC8\xC7\xE6\xEA^\xE4\xE6\xD2\xC7\xD1", "قباني^لنزار"),
            ("ISO_IR 138", b"\xF9\xF8\xE5\xEF^\xE3\xE1\xE5\xF8\xE4", "שרון^דבורה"),
            (
                "ISO_IR 13",
                b"\xD4\xCF\xC0\xDE^\xC0\xDB\xB3",
                "\u{FF94}\u{FF8F}\u{FF80}\u{FF9E}^\u{FF80}\u{FF9B}\u{FF73}",
            ),
            (
                "\\ISO 2022 IR 87",
                b"Yamada^Tarou=\x1B$B;3ED\x1B(B^\x1B$BB@O:\x1B(B=\x1B$B$d$^$@\x1B(B^\x1B$B$?$m$&\x1B(B",
                "Yamada^Tarou=山田^太郎=やまだ^たろう",
            ),
            (
                "ISO 2022 IR 13\\ISO 2022 IR 87",
                b"\xD4\xCF\xC0\xDE^\xC0\xDB\xB3=\x1B$B;3ED\x1B(J^\x1B$BB@O:\x1B(J=\x1B$B$d$^$@\x1B(J^\x1B$B$?$m$&\x1B(J",
                "\u{FF94}\u{FF8F}\u{FF80}\u{FF9E}^\u{FF80}\u{FF9B}\u{FF73}=山田^太郎=やまだ^たろう",
            ),
            (
                "\\ISO 2022 IR 149",
                b"Hong^Gildong=\x1B$)C\xFB\xF3^\x1B$)C\xD1\xCE\xD4\xD7=\x1B$)C\xC8\xAB^\x1B$)C\xB1\xE6\xB5\xBF",
                "Hong^Gildong=洪^吉洞=홍^길동",
            ),
            (
                "\\ISO 2022 IR 58",
                b"Zhang^XiaoDong=\x1B$)A\xD5\xC5^\x1B$)A\xD0\xA1\xB6\xAB=",
                "Zhang^XiaoDong=张^小东=",
            ),
            ("ISO_IR 192", "Wang^XiaoDong=王^小東".as_bytes(), "Wang^XiaoDong=王^小東"),
            ("GB18030", b"Wang^XiaoDong=\xCD\xF5^\xD0\xA1\xB6\xAB=", "Wang^XiaoDong=王^小东="),
            // Here 0x5C is the second byte of a character, not a backslash.
            ("GBK", b"\x81\x5C", "\u{4E57}"),
        ] {
            let decoded = Charset::parse(charset.as_bytes()).decode(bytes);
            assert_eq!((&*decoded.text, decoded.lossless), (expect, true), "{charset}");
        }
    }

    /// With one single-byte set beside ASCII the meaning is clear; with two it is ambiguous.
    #[test]
    fn single_byte_text_without_its_escape_is_read_in_the_only_set_that_is_named() {
        for (charset, bytes, expect, lacks) in [
            (
                "\\ISO 2022 IR 100",
                &b"Buc^J\xE9r"[..],
                "Buc^J\u{E9}r",
                true,
            ),
            (
                "ISO 2022 IR 6\\ISO 2022 IR 144",
                b"\xBB\xEE\xDA",
                "Люк",
                true,
            ),
            ("\\ISO 2022 IR 144", b"\x1B-L\xBB\xEE\xDA", "Люк", false),
            ("\\ISO 2022 IR 144", b"\x1B-L\xBB^\xEE", "Л^ю", true),
            ("\\ISO 2022 IR 100", b"Buc^Jerome", "Buc^Jerome", false),
            (
                "\\ISO 2022 IR 100\\ISO 2022 IR 144",
                b"\xE9",
                "\u{FFFD}",
                false,
            ),
            ("\\ISO 2022 IR 149", b"\xE9\xE9", "\u{FFFD}\u{FFFD}", false),
            (
                "\\ISO 2022 IR 100\\ISO 2022 IR 149",
                b"\xE9",
                "\u{FFFD}",
                false,
            ),
            ("ISO 2022 IR 100\\ISO 2022 IR 144", b"\xE9", "\u{E9}", false),
        ] {
            let charset_of = Charset::parse(charset.as_bytes());
            assert_eq!(charset_of.decode(bytes).text, expect, "{charset}");
            assert_eq!(charset_of.lacks_escape(bytes), lacks, "{charset}");
        }
        let set = Charset::parse(b"\\ISO 2022 IR 100");
        assert_eq!(set.key(b"J\xE9r"), set.key(b"\x1B-AJ\xE9r"));
    }

    #[test]
    fn keys_are_trimmed_and_never_collide() {
        let utf8 = Charset::parse(b"ISO_IR 192");
        assert_eq!(utf8.key(b" 12 34\0 "), "12 34");
        let broken: Vec<String> = [&b"\xFF"[..], b"\xFE", b"\xEF\xBF\xBD", b"\xFF\xFF"]
            .iter()
            .map(|bytes| utf8.key(bytes))
            .collect();
        for (n, key) in broken.iter().enumerate() {
            assert!(key.starts_with('\u{FFFD}'));
            assert!(!broken.iter().skip(n + 1).any(|other| other == key), "{n}");
        }
        assert_eq!(utf8.text(b"a\xFFb"), "a\u{FFFD}b");
        assert!(!Charset::parse(b"KLINGON").decode(b"\xE9").lossless);
    }

    #[test]
    fn text_is_encoded_only_if_it_decodes_to_the_same_text() {
        for (charset, text, expect) in [
            ("", "YES", Some(&b"YES"[..])),
            ("", "é", None),
            ("ISO_IR 100", "é", Some(b"\xE9")),
            ("ISO_IR 100", "€", None),
            ("ISO_IR 192", "é", Some("é".as_bytes())),
            ("\\ISO 2022 IR 87", "山", None),
            ("GB18030", "山", Some(b"\xC9\xBD")),
        ] {
            let encoded = Charset::parse(charset.as_bytes()).encode(text);
            assert_eq!(encoded.as_deref(), expect, "{charset} {text}");
        }
    }
}
