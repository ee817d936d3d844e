//! [`Charset`]: decodes and encodes the texts of identifiers (PS3.3 section C.12.1.1.2, PS3.5
//! section 6.1).
//!
//! Responses are decoded from every character set of the standard, including the code extensions of
//! ISO 2022. Keys are sent in the smallest sufficient one of three: the default repertoire,
//! Latin-1, UTF-8.

mod iso2022;
mod spelling;

use encoding_rs::Encoding;

/// The character sets of an identifier.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Charset {
    terms: Vec<Term>,
}

/// A defined term of Specific Character Set (PS3.3 section C.12.1.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Term {
    /// The default repertoire: `ISO_IR 6`, or an empty value.
    Ascii,
    /// A single-byte set in the upper half (code points 80 to FF), by its ISO registration number.
    Single(u16),
    /// JIS X 0201: katakana in the upper half. `ISO_IR 13`.
    Katakana,
    /// A set with two bytes per character, by its ISO registration number.
    Double(u16),
    /// A character set without code extensions: UTF-8, GB18030 or GBK.
    Whole(&'static Encoding),
    /// An unknown term.
    Unknown,
}

impl Charset {
    /// Parses a value of Specific Character Set (0008,0005). Terms are read however they are
    /// spelled (`UTF-8`, `iso_ir_100`). With an unknown term, or none, bytes beyond ASCII are read
    /// as Latin-1, as anon-engine reads those of a data set.
    ///
    /// # Examples
    /// ```
    /// use anon_net::text::Charset;
    ///
    /// let latin = Charset::parse(b"ISO_IR 100");
    /// assert_eq!(latin.decode(b"Buc^J\xE9r\xF4me"), "Buc^Jérôme");
    /// ```
    pub fn parse(value: &[u8]) -> Self {
        // No standard data set has more than six terms.
        let terms = value.split(|byte| *byte == b'\\').take(6);
        let terms = terms.map(|term| Term::parse(spelling::trim(term)));
        let terms = terms.collect();
        Self { terms }
    }

    /// Returns the smallest character set for keys that can encode all of these texts.
    pub fn for_texts<'t>(texts: impl IntoIterator<Item = &'t str>) -> KeyCharset {
        let latin = |text: &str| text.chars().all(|c| u32::from(c) < 0x100);
        texts
            .into_iter()
            .map(|text| match text {
                _ if text.is_ascii() => KeyCharset::Ascii,
                _ if latin(text) => KeyCharset::Latin1,
                _ => KeyCharset::Utf8,
            })
            .max()
            .unwrap_or(KeyCharset::Ascii)
    }

    /// Decodes a value. Bytes without a meaning become U+FFFD.
    pub fn decode(&self, bytes: &[u8]) -> String {
        let has_escape = bytes.contains(&iso2022::ESCAPE);
        match self.terms.as_slice() {
            [Term::Whole(encoding), ..] => whole(encoding, bytes),
            [Term::Katakana] if !has_escape => whole(encoding_rs::SHIFT_JIS, bytes),
            [] | [Term::Ascii] if !has_escape => latin1(bytes),
            [Term::Unknown, ..] => latin1(bytes),
            terms => iso2022::decode(terms, bytes),
        }
    }
}

/// A character set in which keys are sent. The order is by repertoire, smallest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "keys are sent in these three")]
pub enum KeyCharset {
    /// The default repertoire. No character set is declared.
    Ascii,
    /// `ISO_IR 100`, Latin-1.
    Latin1,
    /// `ISO_IR 192`, UTF-8.
    Utf8,
}

impl KeyCharset {
    /// Returns the defined term to declare. `None` for the default repertoire.
    pub const fn term(self) -> Option<&'static str> {
        match self {
            Self::Ascii => None,
            Self::Latin1 => Some("ISO_IR 100"),
            Self::Utf8 => Some("ISO_IR 192"),
        }
    }

    /// Encodes a text. A character outside the set becomes `?`, the wildcard for any one character
    /// (PS3.4 section C.2.2.2.4).
    pub fn encode(self, text: &str) -> Vec<u8> {
        let limit = match self {
            Self::Ascii => 0x80,
            Self::Latin1 => 0x100,
            Self::Utf8 => return text.as_bytes().to_vec(),
        };
        let byte = |c| match u8::try_from(c) {
            Ok(byte) if u32::from(byte) < limit => byte,
            _ => b'?',
        };
        text.chars().map(byte).collect()
    }
}

impl Term {
    fn parse(term: &[u8]) -> Self {
        match spelling::number(term) {
            None if term.is_empty() => Self::Ascii,
            None if spelling::is_words(term, &[b"GB", b"18030"]) => {
                Self::Whole(encoding_rs::GB18030)
            }
            None if spelling::is_words(term, &[b"GBK"]) => Self::Whole(encoding_rs::GBK),
            Some(6) => Self::Ascii,
            Some(13) => Self::Katakana,
            Some(number @ (58 | 87 | 149 | 159)) => Self::Double(number),
            Some(192) => Self::Whole(encoding_rs::UTF_8),
            Some(number) if iso2022::single(number).is_some() => Self::Single(number),
            _ => Self::Unknown,
        }
    }
}

/// Decodes each byte as the character with its number.
fn latin1(bytes: &[u8]) -> String {
    encoding_rs::mem::decode_latin1(bytes).into_owned()
}

fn whole(encoding: &'static Encoding, bytes: &[u8]) -> String {
    encoding.decode_without_bom_handling(bytes).0.into_owned()
}
