//! What rules are shown of an object, and decide about it: [`ObjectHeader`], [`ObjectRules`].
//!
//! ```text
//!  Rules::look ──► engine reads the headers and short values ──► ObjectHeader
//!                                                                    │
//!  Rules::begin(&ObjectHeader) ──► ObjectRules, for this object alone ◄──┘
//!       │                               ├─ root: the state of the root
//!  Rules::action(Element) ─ Decide ─────┴─ decide(Place): the action of one element
//! ```

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use dicom_core::{Tag, VR};

use crate::action::{Action, Element, State};
use crate::moment::Moment;

/// What rules must see of an object before they decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an engine must meet every look")]
pub enum Look {
    /// Nothing: the tag decides.
    Nothing,
    /// The elements of the root data set up to this tag, without the items of sequences.
    RootUpTo(Tag),
    /// All elements, also those in sequences.
    All,
}

/// The elements of an object in the order of the data set, as far as the rules asked to see them.
///
/// A value is decoded by the character set of its data set. Values longer than
/// [`MAX_VALUE`](Self::MAX_VALUE), and those of pixel data, are not held.
#[derive(Debug, Default)]
pub struct ObjectHeader {
    elements: Vec<SeenElement>,
    text: String,
    bytes: Vec<u8>,
    is_big_endian: bool,
    moment: Option<Moment>,
}

/// An element of an [`ObjectHeader`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "an engine makes them")]
pub struct SeenElement {
    /// The tag.
    pub tag: Tag,
    /// The VR of the object, or PS3.6's if the object has none or UN.
    pub vr: VR,
    /// The sequence that holds it, by its index in the header; none in the root.
    pub parent: Option<u32>,
    /// Which item of that sequence holds it, from 0.
    pub item: u32,
    /// Where its header begins in the object. No two elements have the same.
    pub offset: u64,
    /// What is known of the value.
    pub value: SeenValue,
}

/// The value of a [`SeenElement`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an engine makes them")]
pub enum SeenValue {
    /// Text, by its range; see [`ObjectHeader::text`].
    Text(Range<u32>),
    /// Binary, by its range; see [`ObjectHeader::bytes`].
    Bytes(Range<u32>),
    /// The items of a sequence follow.
    Sequence,
    /// Not held: too long, or pixel data. The length in bytes; `u32::MAX` if it is undefined.
    Long(u32),
}

impl SeenElement {
    /// Returns true if the value has no bytes.
    pub fn is_empty(&self) -> bool {
        match &self.value {
            SeenValue::Text(range) | SeenValue::Bytes(range) => range.is_empty(),
            SeenValue::Sequence => false,
            SeenValue::Long(length) => *length == 0,
        }
    }
}

impl ObjectHeader {
    /// The longest value that is held, in bytes.
    pub const MAX_VALUE: u32 = 64 << 10;

    /// Returns an empty header.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the byte order of binary values. The default is little endian.
    #[must_use]
    pub fn with_big_endian(mut self, is_big_endian: bool) -> Self {
        self.is_big_endian = is_big_endian;
        self
    }

    /// Sets the time at which the object is processed, which scripts may write.
    #[must_use]
    pub fn with_moment(mut self, moment: Option<Moment>) -> Self {
        self.moment = moment;
        self
    }

    /// Returns true if binary values are in big endian.
    pub fn is_big_endian(&self) -> bool {
        self.is_big_endian
    }

    /// Returns the time at which the object is processed.
    pub fn moment(&self) -> Option<Moment> {
        self.moment
    }

    /// Adds an element with a text.
    pub fn push_text(&mut self, mut element: SeenElement, text: &str) {
        let begin = index(self.text.len());
        self.text.push_str(text);
        element.value = SeenValue::Text(begin..index(self.text.len()));
        self.elements.push(element);
    }

    /// Adds an element with a binary value.
    pub fn push_bytes(&mut self, mut element: SeenElement, bytes: &[u8]) {
        let begin = index(self.bytes.len());
        self.bytes.extend_from_slice(bytes);
        element.value = SeenValue::Bytes(begin..index(self.bytes.len()));
        self.elements.push(element);
    }

    /// Adds an element whose value is not held, or a sequence. Returns its index.
    pub fn push(&mut self, element: SeenElement) -> u32 {
        self.elements.push(element);
        index(self.elements.len() - 1)
    }

    /// Returns all elements, in the order of the data set: a sequence stands before its items.
    pub fn elements(&self) -> &[SeenElement] {
        &self.elements
    }

    /// Returns an element of the root.
    pub fn root(&self, tag: Tag) -> Option<&SeenElement> {
        let mut elements = self.elements.iter();
        elements.find(|element| element.parent.is_none() && element.tag == tag)
    }

    /// Returns the element whose header begins at this offset of the object.
    pub fn at(&self, offset: u64) -> Option<&SeenElement> {
        let at = self
            .elements
            .binary_search_by_key(&offset, |element| element.offset);
        self.elements.get(at.ok()?)
    }

    /// Returns the text of an element with its backslashes. Blanks and NUL at its end are removed. `None`
    /// if its value is binary, a sequence or not held.
    pub fn text(&self, element: &SeenElement) -> Option<&str> {
        match &element.value {
            SeenValue::Text(range) => {
                let text = self.text.get(range.start as usize..range.end as usize);
                text.map(|text| text.trim_end_matches([' ', '\0']))
            }
            _ => None,
        }
    }

    /// Returns the bytes of a binary element, as they stand in the object.
    pub fn bytes(&self, element: &SeenElement) -> Option<&[u8]> {
        match &element.value {
            SeenValue::Bytes(range) => self.bytes.get(range.start as usize..range.end as usize),
            _ => None,
        }
    }

    /// Returns the text of an element of the root; empty if there is none.
    pub fn root_text(&self, tag: Tag) -> &str {
        let element = self.root(tag);
        element
            .and_then(|element| self.text(element))
            .unwrap_or_default()
    }
}

fn index(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The place of an element that [`ObjectRules::decide`] is asked about.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Place<'p> {
    /// Tag, depth and state.
    pub element: Element,
    /// The VR of the object, or PS3.6's if the object has none or UN.
    pub vr: VR,
    /// Where its header begins in the object: the [`SeenElement::offset`] of the element.
    pub offset: u64,
    /// The private creator of its block, if it is private and the rules were asked about the creator (PS3.5
    /// section 7.8.1); of a creator element, its own name.
    pub creator: Option<&'p str>,
}

impl<'p> Place<'p> {
    /// An element of this VR, at this offset.
    pub fn new(element: Element, vr: VR, offset: u64) -> Self {
        Self {
            element,
            vr,
            offset,
            creator: None,
        }
    }

    /// The element in a private block of this creator.
    #[must_use]
    pub fn of_creator(self, creator: Option<&'p str>) -> Self {
        Self { creator, ..self }
    }
}

/// An object that the rules do not store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
#[expect(clippy::exhaustive_structs, reason = "rules make them")]
pub struct Refused {
    /// Why. Holds no value of the object.
    pub reason: &'static str,
}

/// Rules for one object.
pub trait ObjectRules: fmt::Debug {
    /// The state of the root data set.
    fn root(&self) -> State {
        State(0)
    }

    /// The action for an element for which [`Rules::action`](crate::Rules::action) gave
    /// [`Action::Decide`]. It is not [`Action::Decide`] again.
    ///
    /// # Errors
    /// [`Refused`] if the object is not to be stored.
    fn decide(&self, place: &Place<'_>) -> Result<Action, Refused>;

    /// What is written into this object, instead of [`Rules::inserts`](crate::Rules::inserts). The
    /// default is the same.
    fn inserts(&self) -> Option<&[Insert]> {
        None
    }
}

/// An element that is written into the root data set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "rules make them")]
pub struct Insert {
    /// The tag.
    pub tag: Tag,
    /// The VR.
    pub vr: VR,
    /// The value.
    pub value: InsertValue,
}

/// The value of an [`Insert`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an engine must meet every value")]
pub enum InsertValue {
    /// This text.
    Text(&'static str),
    /// A text that was computed from the object. The element is left out if it does not fit the VR.
    Computed(Arc<str>),
    /// The pseudonym of the patient.
    Patient,
    /// The text of [`Method`](crate::Method).
    MethodText,
    /// The codes of [`Method`](crate::Method), if there are any.
    MethodCodes,
    /// The site id of the project.
    SiteId,
    /// The name of the project.
    ProjectName,
}

impl Insert {
    /// The private block of the RSNA anonymizer: its group.
    pub const BLOCK: u16 = 0x0013;

    /// What the RSNA anonymizer writes: the patient, how the object was de-identified, and its private
    /// block.
    pub const RSNA: &'static [Self] = &[
        Self::new(Tag(0x0010, 0x0010), VR::PN, InsertValue::Patient),
        Self::new(Tag(0x0010, 0x0020), VR::LO, InsertValue::Patient),
        Self::new(Tag(0x0012, 0x0062), VR::CS, InsertValue::Text("YES")),
        Self::new(Tag(0x0012, 0x0063), VR::LO, InsertValue::MethodText),
        Self::new(Tag(0x0012, 0x0064), VR::SQ, InsertValue::MethodCodes),
        Self::new(Tag(0x0013, 0x0010), VR::LO, InsertValue::Text("RSNA")),
        Self::new(Tag(0x0013, 0x1001), VR::SH, InsertValue::SiteId),
        Self::new(Tag(0x0013, 0x1003), VR::SH, InsertValue::ProjectName),
    ];

    /// An element of this value.
    pub const fn new(tag: Tag, vr: VR, value: InsertValue) -> Self {
        Self { tag, vr, value }
    }
}
