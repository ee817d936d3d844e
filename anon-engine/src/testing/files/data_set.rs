//! [`DataSet`]: elements in writing order.

use dicom_core::{Tag, VR};

/// How the lengths of a sequence and of its items are written (PS3.5 section 7.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "all combinations are listed")]
pub enum Lengths {
    /// As the [`Form`](super::Form) says. In a form itself, this means [`Lengths::Defined`].
    #[default]
    AsForm,
    /// Sequence and items carry their lengths.
    Defined,
    /// Sequence and items end with delimiters.
    Undefined,
    /// The sequence ends with a delimiter, its items carry lengths.
    UndefinedSequence,
    /// The sequence carries its length, its items end with delimiters.
    UndefinedItems,
}

/// The items of a sequence and how their lengths are written.
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a plain pair for tests to take apart"
)]
pub struct Items {
    /// The items, in order.
    pub items: Vec<DataSet>,
    /// How lengths are written.
    pub lengths: Lengths,
}

/// A value before it is encoded. Numbers take the byte order of the transfer syntax.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Bytes in any character set, padded to even length as the VR requires (PS3.5 section 6.2).
    Bytes(Vec<u8>),
    /// Bytes without padding, also of odd length.
    Exact(Vec<u8>),
    /// Bytes under a header whose length may be wrong.
    Claimed {
        /// The length in the header.
        length: u32,
        /// The bytes after the header.
        bytes: Vec<u8>,
    },
    /// 16-bit words: US, SS, OW.
    U16(Vec<u16>),
    /// 32-bit words: UL, SL, OL.
    U32(Vec<u32>),
    /// 64-bit words: UV, SV, OV.
    U64(Vec<u64>),
    /// Single floats: FL, OF.
    F32(Vec<f32>),
    /// Double floats: FD, OD.
    F64(Vec<f64>),
    /// Attribute tags: AT.
    Tags(Vec<Tag>),
    /// A sequence. Under the VR `UN` its content is implicit little endian (PS3.5 section 6.2.2).
    Items(Items),
    /// Encapsulated pixel data: an empty offset table, then these fragments (PS3.5 section A.4).
    Fragments(Vec<Vec<u8>>),
}

macro_rules! value_from {
    ($($from:ty => |$value:ident| $to:expr),+ $(,)?) => {$(
        impl From<$from> for Value {
            fn from($value: $from) -> Self {
                $to
            }
        }
    )+};
}

value_from! {
    &str => |text| Self::Bytes(text.as_bytes().to_vec()),
    String => |text| Self::Bytes(text.into_bytes()),
    &[u8] => |bytes| Self::Bytes(bytes.to_vec()),
    Vec<u8> => |bytes| Self::Bytes(bytes),
    u16 => |word| Self::U16(vec![word]),
    i16 => |word| Self::U16(vec![word.cast_unsigned()]),
    Vec<u16> => |words| Self::U16(words),
    u32 => |word| Self::U32(vec![word]),
    i32 => |word| Self::U32(vec![word.cast_unsigned()]),
    Vec<u32> => |words| Self::U32(words),
    u64 => |word| Self::U64(vec![word]),
    f32 => |float| Self::F32(vec![float]),
    f64 => |float| Self::F64(vec![float]),
    Vec<f64> => |floats| Self::F64(floats),
    Tag => |tag| Self::Tags(vec![tag]),
    Vec<DataSet> => |items| Self::Items(Items { items, lengths: Lengths::AsForm }),
    Items => |items| Self::Items(items),
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(bytes: &[u8; N]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

/// One element to be written.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a plain record for tests to take apart"
)]
pub struct Element {
    /// The tag.
    pub tag: Tag,
    /// The two letters of the VR, which may be invalid.
    pub vr: [u8; 2],
    /// The value.
    pub value: Value,
}

/// Elements in writing order. Building methods take the data set and return it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DataSet {
    elements: Vec<Element>,
}

impl DataSet {
    /// Makes a data set without elements.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets an element in ascending order of tags; replaces an element with the same tag.
    #[must_use]
    pub fn put(mut self, tag: Tag, vr: VR, value: impl Into<Value>) -> Self {
        self.set(tag, vr, value);
        self
    }

    /// As [`DataSet::put`], on a borrowed data set.
    pub fn set(&mut self, tag: Tag, vr: VR, value: impl Into<Value>) {
        let element = Element {
            tag,
            vr: letters(vr),
            value: value.into(),
        };
        let place = self.elements.partition_point(|known| known.tag < tag);
        match self.elements.get_mut(place) {
            Some(known) if known.tag == tag => *known = element,
            _ => self.elements.insert(place, element),
        }
    }

    /// Sets a sequence with these items; an empty vector makes a sequence without items.
    #[must_use]
    pub fn sequence(self, tag: Tag, items: Vec<DataSet>) -> Self {
        self.put(tag, VR::SQ, items)
    }

    /// Sets a sequence with its own form of lengths, independent of the form of the file.
    #[must_use]
    pub fn sequence_with(self, tag: Tag, lengths: Lengths, items: Vec<DataSet>) -> Self {
        self.put(tag, VR::SQ, Items { items, lengths })
    }

    /// Sets a private element `gggg,bbee` and its creator `gggg,00bb` (PS3.5 section 7.8).
    ///
    /// `group` is odd, `block` from 0x10 to 0xFF, `element` the low byte.
    #[must_use]
    pub fn private(
        self,
        (group, block, element): (u16, u8, u8),
        creator: &str,
        vr: VR,
        value: impl Into<Value>,
    ) -> Self {
        let tag = Tag(group, u16::from(block) << 8 | u16::from(element));
        self.put(Tag(group, u16::from(block)), VR::LO, creator)
            .put(tag, vr, value)
    }

    /// Appends an element at the end, even if its tag is out of order or repeated.
    #[must_use]
    pub fn push(self, tag: Tag, vr: VR, value: impl Into<Value>) -> Self {
        self.push_raw(tag, letters(vr), value)
    }

    /// Appends an element at the end under two letters that may be no VR.
    #[must_use]
    pub fn push_raw(mut self, tag: Tag, vr: [u8; 2], value: impl Into<Value>) -> Self {
        self.elements.push(Element {
            tag,
            vr,
            value: value.into(),
        });
        self
    }

    /// Removes every element with this tag.
    #[must_use]
    pub fn without(mut self, tag: Tag) -> Self {
        self.elements.retain(|element| element.tag != tag);
        self
    }

    /// Sets each element of another data set.
    #[must_use]
    pub fn with(mut self, other: DataSet) -> Self {
        for element in other.elements {
            let place = self
                .elements
                .partition_point(|known| known.tag < element.tag);
            match self.elements.get_mut(place) {
                Some(known) if known.tag == element.tag => *known = element,
                _ => self.elements.insert(place, element),
            }
        }
        self
    }

    /// Returns the elements of this level in writing order.
    pub fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// Returns the elements of this level, to change them in place.
    pub fn elements_mut(&mut self) -> &mut [Element] {
        &mut self.elements
    }

    /// Returns the first element with this tag on this level.
    pub fn get(&self, tag: Tag) -> Option<&Element> {
        self.elements.iter().find(|element| element.tag == tag)
    }

    /// Returns the number of elements on all levels, without items.
    pub fn count(&self) -> usize {
        self.elements
            .iter()
            .map(|element| match &element.value {
                Value::Items(sequence) => 1 + sequence.items.iter().map(Self::count).sum::<usize>(),
                _ => 1,
            })
            .sum()
    }
}

/// Returns the two letters of a VR.
pub(super) fn letters(vr: VR) -> [u8; 2] {
    match vr.to_string().as_bytes() {
        [first, second] => [*first, *second],
        _ => *b"UN",
    }
}
