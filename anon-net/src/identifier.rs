//! [`Identifier`]: what a C-FIND, C-MOVE or C-GET asks for, and what it is answered (PS3.4 Annex C).
//!
//! ```text
//! Identifier = elements in ascending order of their tags, sequences left out
//!    │ encode(Encoding)                        ▲ decode(bytes, Encoding)
//!    └──► data set of a request     data set of a response ──┘
//! ```
//!
//! It is no data set library: it holds a flat list of short values. What a peer sends beside that (a
//! sequence, a value of a private tag) is passed over without recursion, under limits.

mod decode;
mod encode;
pub mod tag;

use std::fmt;

pub use tag::{Tag, Vr};

use crate::text::Charset;
use crate::{InstanceUid, Uid};

/// How the elements of an identifier are written (PS3.5 section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the standard has these three for data sets that are not compressed"
)]
pub enum Encoding {
    /// Implicit VR little endian, 1.2.840.10008.1.2: what every node speaks.
    ImplicitLittle,
    /// Explicit VR little endian, 1.2.840.10008.1.2.1.
    ExplicitLittle,
    /// Explicit VR big endian, 1.2.840.10008.1.2.2 (retired).
    ExplicitBig,
}

impl Encoding {
    /// All of them, the one to be liked best first.
    pub const ALL: [Self; 3] = [
        Self::ExplicitLittle,
        Self::ImplicitLittle,
        Self::ExplicitBig,
    ];

    /// The encoding of a transfer syntax; none if it is not one of the three.
    pub fn of(transfer_syntax: &Uid) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|encoding| encoding.transfer_syntax() == transfer_syntax.as_str())
    }

    /// Its transfer syntax UID (PS3.6 Annex A).
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

/// Why an identifier cannot be read or written. Holds no value of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentifierError {
    /// It ends in the middle of an element, or a length reaches beyond its end.
    #[error("the identifier ends inside an element")]
    Truncated,
    /// It is longer than [`Identifier::MAX_BYTES`].
    #[error("the identifier is longer than {} bytes", Identifier::MAX_BYTES)]
    TooLong,
    /// Sequences stand in each other deeper than [`Identifier::MAX_DEPTH`].
    #[error("the identifier has sequences deeper than {}", Identifier::MAX_DEPTH)]
    TooDeep,
    /// An element stands twice.
    #[error("the identifier has the element {tag} twice")]
    Duplicate {
        /// The element.
        tag: Tag,
    },
    /// An item, or the end of one, stands where none can be; or an element's value representation is
    /// no two capital letters.
    #[error("the identifier is not built as elements are: at {tag}")]
    Structure {
        /// Where.
        tag: Tag,
    },
    /// A value is longer than its element can be in this encoding.
    #[error("the value of {tag} is too long")]
    ValueTooLong {
        /// The element.
        tag: Tag,
    },
}

/// An element of an identifier. `Debug` shows the length of the value.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Element {
    /// Which.
    pub tag: Tag,
    /// Its value representation: as it came, or as [`tag`] lists it; `UN` otherwise.
    pub vr: Vr,
    /// Its value with its padding, in the character set of the identifier.
    pub value: Vec<u8>,
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} bytes", self.tag, self.vr, self.value.len())
    }
}

/// A flat list of elements in ascending order, each once. `Debug` shows tags and lengths.
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
    /// The longest identifier that is read, in bytes. An answer at any level has some hundred.
    pub const MAX_BYTES: usize = 256 * 1024;
    /// How deep sequences may stand in each other.
    pub const MAX_DEPTH: usize = 32;

    /// One without elements.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads an identifier. Group lengths and sequences are left out. Elements may stand in any order
    /// and have odd lengths, as some peers send them.
    ///
    /// # Errors
    /// [`IdentifierError`] if it cannot be read whole.
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

    /// Writes it. Odd values are padded: UIDs with NUL, others with a space (PS3.5 section 6.2).
    ///
    /// # Errors
    /// [`IdentifierError::ValueTooLong`] if a value is longer than its length field can say.
    pub fn encode(&self, encoding: Encoding) -> Result<Vec<u8>, IdentifierError> {
        let mut bytes = Vec::with_capacity(512);
        for element in &self.elements {
            encode::element(&mut bytes, element, encoding)?;
        }
        Ok(bytes)
    }

    /// Sets an element that [`tag`] lists; another one becomes `UN`. Empty asks for the value.
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

    /// The elements in ascending order.
    pub fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// The value of an element as it stands, with padding; none if it is missing.
    pub fn value(&self, tag: Tag) -> Option<&[u8]> {
        let at = self.elements.binary_search_by_key(&tag, |e| e.tag).ok()?;
        self.elements
            .get(at)
            .map(|element| element.value.as_slice())
    }

    /// The character set in which its texts are written (0008,0005).
    pub fn charset(&self) -> Charset {
        Charset::parse(self.value(tag::CHARSET).unwrap_or_default())
    }

    /// The text of an element without the padding at both ends; none if it is missing or empty. What
    /// cannot be decoded is replaced.
    pub fn text(&self, tag: Tag) -> Option<String> {
        let decoded = self.charset().decode(self.value(tag)?);
        let text = decoded.trim_matches([' ', '\0']);
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// As [`text`](Self::text), cut after so many characters: what is kept of a hostile answer has an
    /// end.
    pub(crate) fn short(&self, tag: Tag, most: usize) -> Option<String> {
        let text = self.text(tag)?;
        Some(text.chars().take(most).collect())
    }

    /// The values of a multi-valued element without padding, empty ones left out.
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

    /// The UID of a study, series or instance; none if it is missing or no UID.
    pub fn uid(&self, tag: Tag) -> Option<InstanceUid> {
        InstanceUid::new(&self.text(tag)?).ok()
    }

    /// The UID of a SOP class; none if it is missing or no UID.
    pub fn class(&self, tag: Tag) -> Option<Uid> {
        Uid::new(&self.text(tag)?).ok()
    }

    /// An integer string (VR IS); none if it is missing or none.
    pub fn number<T: std::str::FromStr>(&self, tag: Tag) -> Option<T> {
        self.text(tag)?.parse().ok()
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.elements).finish()
    }
}
