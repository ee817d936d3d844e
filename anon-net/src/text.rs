//! [`Charset`]: the texts of identifiers, in both directions (PS3.3 section C.12.1.1.2, PS3.5
//! section 6.1).
//!
//! Answers come in any set that the standard has, code extensions of ISO 2022 too. Keys are sent in
//! the smallest of three: the default repertoire, Latin-1, UTF-8.

mod iso2022;

use encoding_rs::Encoding;

/// The character sets that are in force for an identifier.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Charset {
    terms: Vec<Term>,
}

/// A defined term of Specific Character Set (PS3.3 section C.12.1.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Term {
    /// `ISO_IR 6`, or none: the default repertoire.
    Ascii,
    /// A set of one byte a character in the upper half, by its ISO registration number.
    Single(u16),
    /// JIS X 0201: katakana in the upper half. `ISO_IR 13`.
    Katakana,
    /// A set of two bytes a character, by its ISO registration number.
    Double(u16),
    /// A set that is no part of ISO 2022: UTF-8, GB18030, GBK.
    Whole(&'static Encoding),
    /// None that is known.
    Unknown,
}

impl Charset {
    /// The sets that a value of Specific Character Set (0008,0005) names. A term that is not known is
    /// no error: what is not ASCII is replaced then.
    ///
    /// # Examples
    /// ```
    /// use anon_net::text::Charset;
    ///
    /// let latin = Charset::parse(b"ISO_IR 100");
    /// assert_eq!(latin.decode(b"Buc^J\xE9r\xF4me"), "Buc^Jérôme");
    /// ```
    pub fn parse(value: &[u8]) -> Self {
        // Six terms are more than any data set has.
        let terms = value.split(|byte| *byte == b'\\').take(6);
        let terms = terms.map(|term| Term::parse(term.trim_ascii())).collect();
        Self { terms }
    }

    /// The smallest set that has all these texts: what to send with them.
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

    /// Decodes a value. What has no meaning becomes U+FFFD.
    pub fn decode(&self, bytes: &[u8]) -> String {
        let has_escape = bytes.contains(&iso2022::ESCAPE);
        match self.terms.as_slice() {
            [Term::Whole(encoding), ..] => whole(encoding, bytes),
            [Term::Katakana] if !has_escape => whole(encoding_rs::SHIFT_JIS, bytes),
            // Nothing is declared, yet it is UTF-8: many peers forget to say so.
            [] | [Term::Ascii | Term::Unknown] if !has_escape => {
                String::from_utf8_lossy(bytes).into_owned()
            }
            terms => iso2022::decode(terms, bytes),
        }
    }
}

/// A character set in which keys are sent. In the order of what they can write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "keys are sent in these three")]
pub enum KeyCharset {
    /// The default repertoire: nothing is declared.
    Ascii,
    /// `ISO_IR 100`, Latin-1.
    Latin1,
    /// `ISO_IR 192`, UTF-8.
    Utf8,
}

impl KeyCharset {
    /// The defined term to declare; none if nothing is.
    pub const fn term(self) -> Option<&'static str> {
        match self {
            Self::Ascii => None,
            Self::Latin1 => Some("ISO_IR 100"),
            Self::Utf8 => Some("ISO_IR 192"),
        }
    }

    /// Writes a text; a character that the set does not have becomes `?`, which stands for any one in
    /// a key.
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
        match (term, number(term)) {
            (b"", _) | (_, Some(6)) => Self::Ascii,
            (_, Some(13)) => Self::Katakana,
            (_, Some(number @ (58 | 87 | 149 | 159))) => Self::Double(number),
            (_, Some(192)) => Self::Whole(encoding_rs::UTF_8),
            (b"GB18030", _) => Self::Whole(encoding_rs::GB18030),
            (b"GBK", _) => Self::Whole(encoding_rs::GBK),
            (_, Some(number)) if iso2022::single(number).is_some() => Self::Single(number),
            _ => Self::Unknown,
        }
    }
}

/// The registration number of a term. Peers write other characters where the space should be.
fn number(term: &[u8]) -> Option<u16> {
    let term = str::from_utf8(term).ok()?;
    let digits = term.trim_start_matches(|c: char| !c.is_ascii_digit());
    let (head, _) = term.split_at(term.len() - digits.len());
    let head: String = head.chars().filter(char::is_ascii_alphabetic).collect();
    let iso2022 = digits.strip_prefix("2022").filter(|_| head == "ISO");
    match (iso2022, head.as_str()) {
        (Some(rest), _) => rest
            .trim_start_matches([' ', '_', '-', 'I', 'R'])
            .parse()
            .ok(),
        (None, "ISOIR") => digits.parse().ok(),
        _ => None,
    }
}

fn whole(encoding: &'static Encoding, bytes: &[u8]) -> String {
    encoding.decode_without_bom_handling(bytes).0.into_owned()
}
