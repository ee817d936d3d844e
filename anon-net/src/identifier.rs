//! [`Identifier`]: the data set of C-FIND, C-MOVE and C-GET requests and responses (PS3.4 Annex C).
//!
//! ```text
//! Identifier = elements in ascending order of their tags, sequences left out
//!    │ encode(Encoding)                        ▲ decode(bytes, Encoding)
//!    └──► data set of a request     data set of a response ──┘
//! ```
//!
//! This module is not a data set library: an identifier is a flat list of short values. Sequences
//! and private elements of a peer are skipped under limits, without recursion.

mod decode;
mod encode;
pub mod tag;

use std::fmt;

pub use tag::{Tag, Vr};

use crate::text::Charset;
use crate::{InstanceUid, Uid};

/// The encoding of an identifier (PS3.5 section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the standard has these three for data sets that are not compressed"
)]
pub enum Encoding {
    /// Implicit VR little endian, 1.2.840.10008.1.2. Every node supports it (PS3.5 section 10.1).
    ImplicitLittle,
    /// Explicit VR little endian, 1.2.840.10008.1.2.1.
    ExplicitLittle,
    /// Explicit VR big endian, 1.2.840.10008.1.2.2 (retired).
    ExplicitBig,
}

impl Encoding {
    /// All encodings, the most preferred first.
    pub const ALL: [Self; 3] = [
        Self::ExplicitLittle,
        Self::ImplicitLittle,
        Self::ExplicitBig,
    ];

    /// Returns the encoding of a transfer syntax. `None` if it is not one of the three.
    pub fn of(transfer_syntax: &Uid) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|encoding| encoding.transfer_syntax() == transfer_syntax.as_str())
    }

    /// Returns the transfer syntax UID (PS3.6 Annex A).
    pub const fn transfer_syntax(self) -> &'static str {
        match self {
            Self::ImplicitLittle => "1.2.840.10008.1.2",
            Self::ExplicitLittle => "1.2.840.10008.1.2.1",
            Self::ExplicitBig => "1.2.840.10008.1.2.2",
        }
    }

    const fn is_explicit(self) -> bool {
        !matches!(self, Self::ImplicitLittle)
    }

    const fn u16(self, number: u16) -> [u8; 2] {
        match self {
            Self::ExplicitBig => number.to_be_bytes(),
            _ => number.to_le_bytes(),
        }
    }

    const fn u32(self, number: u32) -> [u8; 4] {
        match self {
            Self::ExplicitBig => number.to_be_bytes(),
            _ => number.to_le_bytes(),
        }
    }
}

/// Why an identifier cannot be decoded or encoded. The error contains no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentifierError {
    /// The bytes end inside an element, or a length reaches beyond their end.
    #[error("the identifier ends inside an element")]
    Truncated,
    /// It is longer than [`Identifier::MAX_BYTES`].
    #[error("the identifier is longer than {} bytes", Identifier::MAX_BYTES)]
    TooLong,
    /// Sequences are nested deeper than [`Identifier::MAX_DEPTH`].
    #[error(
        "the identifier has sequences nested deeper than {} levels",
        Identifier::MAX_DEPTH
    )]
    TooDeep,
    /// An element occurs twice.
    #[error("the identifier has {tag} twice")]
    Duplicate {
        /// The tag of the element.
        tag: Tag,
    },
    /// An item or item delimiter occurs where none is allowed, or a value representation is not two
    /// capital letters.
    #[error("the identifier has an invalid structure at {tag}")]
    Structure {
        /// The tag at that place.
        tag: Tag,
    },
    /// A value is longer than its length field can express.
    #[error("the value of {tag} is too long")]
    ValueTooLong {
        /// The tag of the element.
        tag: Tag,
    },
}

/// An element of an identifier. `Debug` shows the length of the value only.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Element {
    /// The tag.
    pub tag: Tag,
    /// The value representation as received, or from the list in [`tag`]; otherwise `UN`.
    pub vr: Vr,
    /// The value with its padding, in the character set of the identifier.
    pub value: Vec<u8>,
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} bytes", self.tag, self.vr, self.value.len())
    }
}

/// A flat list of elements in ascending order of tags, each once. `Debug` shows tags and lengths.
///
/// # Examples
/// ```
/// use anon_net::identifier::{Encoding, Identifier, tag};
///
/// let mut identifier = Identifier::new();
/// identifier.set(tag::STUDY_UID, b"1.2.3");
/// identifier.set(tag::LEVEL, b"STUDY");
/// let bytes = identifier.encode(Encoding::ImplicitLittle)?;
/// assert_eq!(bytes.get(..8), Some(&[0x08, 0, 0x52, 0, 6, 0, 0, 0][..]));
/// let back = Identifier::decode(&bytes, Encoding::ImplicitLittle)?;
/// assert_eq!(back.text(tag::STUDY_UID).as_deref(), Some("1.2.3"));
/// # Ok::<(), anon_net::identifier::IdentifierError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Identifier {
    elements: Vec<Element>,
}

impl Identifier {
    /// The longest identifier that is decoded, in bytes. Usual ones have some hundred bytes.
    pub const MAX_BYTES: usize = 256 * 1024;
    /// The deepest nesting of sequences that is decoded.
    pub const MAX_DEPTH: usize = 32;

    /// Returns an identifier without elements.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes an identifier. Leaves out group lengths and sequences. Accepts elements in any order
    /// and values of odd length, because some peers send them.
    ///
    /// # Errors
    /// [`IdentifierError`] if the identifier cannot be decoded completely.
    pub fn decode(bytes: &[u8], encoding: Encoding) -> Result<Self, IdentifierError> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(IdentifierError::TooLong);
        }
        let mut elements = decode::elements(bytes, encoding)?;
        elements.sort_by_key(|element| element.tag);
        for pair in elements.windows(2) {
            if let [first, second] = pair
                && first.tag == second.tag
            {
                return Err(IdentifierError::Duplicate { tag: first.tag });
            }
        }
        Ok(Self { elements })
    }

    /// Encodes the identifier. Pads values to even length: UIDs with NUL, others with a space
    /// (PS3.5 section 6.2).
    ///
    /// # Errors
    /// [`IdentifierError::ValueTooLong`] if a value does not fit its length field.
    pub fn encode(&self, encoding: Encoding) -> Result<Vec<u8>, IdentifierError> {
        let mut bytes = Vec::with_capacity(512);
        for element in &self.elements {
            encode::element(&mut bytes, element, encoding)?;
        }
        Ok(bytes)
    }

    /// Sets the value of an element. The VR is taken from [`tag`], and is `UN` for an unlisted tag.
    /// An empty value requests the element (universal matching, PS3.4 section C.2.2.2.3).
    pub fn set(&mut self, tag: Tag, value: &[u8]) {
        let element = Element {
            tag,
            vr: Vr::of(tag),
            value: value.to_vec(),
        };
        match self.elements.binary_search_by_key(&tag, |e| e.tag) {
            Ok(at) => {
                if let Some(there) = self.elements.get_mut(at) {
                    *there = element;
                }
            }
            Err(at) => self.elements.insert(at, element),
        }
    }

    /// Removes an element.
    pub(crate) fn remove(&mut self, tag: Tag) {
        self.elements.retain(|element| element.tag != tag);
    }

    /// Returns the elements in ascending order of tags.
    pub fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// Returns the value of an element with its padding. `None` if it is missing.
    pub fn value(&self, tag: Tag) -> Option<&[u8]> {
        let at = self.elements.binary_search_by_key(&tag, |e| e.tag).ok()?;
        self.elements
            .get(at)
            .map(|element| element.value.as_slice())
    }

    /// Returns the character sets of its texts (0008,0005).
    pub fn charset(&self) -> Charset {
        Charset::parse(self.value(tag::CHARSET).unwrap_or_default())
    }

    /// Returns the text of an element without leading and trailing padding. `None` if it is missing
    /// or empty. Bytes that cannot be decoded are replaced.
    pub fn text(&self, tag: Tag) -> Option<String> {
        let decoded = self.charset().decode(self.value(tag)?);
        let text = decoded.trim_matches([' ', '\0']);
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Like [`text`](Self::text), but keeps at most `most` characters. Bounds the memory that a
    /// hostile response takes.
    pub(crate) fn bounded_text(&self, tag: Tag, most: usize) -> Option<String> {
        let text = self.text(tag)?;
        Some(text.chars().take(most).collect())
    }

    /// Returns the values of a multi-valued element without padding. Leaves out empty ones.
    pub fn texts(&self, tag: Tag) -> Vec<String> {
        let text = self.text(tag).unwrap_or_default();
        let values = text
            .split('\\')
            .map(|value| value.trim_matches([' ', '\0']));
        values
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// Returns the UID of a study, series or instance. `None` if it is missing or not a UID.
    pub fn uid(&self, tag: Tag) -> Option<InstanceUid> {
        InstanceUid::new(&self.text(tag)?).ok()
    }

    /// Returns the UID of a SOP class. `None` if it is missing or not a UID.
    pub fn class(&self, tag: Tag) -> Option<Uid> {
        Uid::new(&self.text(tag)?).ok()
    }

    /// Returns an integer string (VR IS). `None` if it is missing or not a number.
    pub fn number<T: std::str::FromStr>(&self, tag: Tag) -> Option<T> {
        self.text(tag)?.parse().ok()
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.elements).finish()
    }
}
