//! Encodes data sets: transfer syntax, lengths, preamble and file meta information.

use std::io::Write as _;

use dicom_core::{Tag, VR};
use flate2::{Compression, write::DeflateEncoder};

use super::data_set::{DataSet, Element, Items, Lengths, Value};

/// A transfer syntax (PS3.5 annex A).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Syntax {
    /// Implicit VR Little Endian.
    ImplicitLittle,
    /// Explicit VR Little Endian.
    ExplicitLittle,
    /// Explicit VR Big Endian (retired).
    ExplicitBig,
    /// Deflated Explicit VR Little Endian.
    Deflated,
    /// Explicit VR Little Endian with encapsulated pixel data, under this UID.
    Encapsulated(&'static str),
}

impl Syntax {
    /// RLE Lossless.
    pub const RLE: Self = Self::Encapsulated("1.2.840.10008.1.2.5");
    /// JPEG Lossless, first-order prediction.
    pub const JPEG_LOSSLESS: Self = Self::Encapsulated("1.2.840.10008.1.2.4.70");

    /// Returns the UID of the transfer syntax (PS3.6 annex A).
    pub const fn uid(self) -> &'static str {
        match self {
            Self::ImplicitLittle => "1.2.840.10008.1.2",
            Self::ExplicitLittle => "1.2.840.10008.1.2.1",
            Self::ExplicitBig => "1.2.840.10008.1.2.2",
            Self::Deflated => "1.2.840.10008.1.2.1.99",
            Self::Encapsulated(uid) => uid,
        }
    }
}

/// The parts of a file before the data set (PS3.10 section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "all combinations are listed")]
pub enum Head {
    /// Preamble, `DICM` and file meta information.
    #[default]
    Part10,
    /// File meta without preamble and `DICM`.
    NoPreamble,
    /// Preamble and `DICM`, then the data set: no file meta.
    NoMeta,
    /// Nothing: a bare data set, as C-STORE transfers it.
    DataSet,
}

/// How a data set is written.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Form {
    /// The transfer syntax.
    pub syntax: Syntax,
    /// How lengths of sequences and items are written.
    pub lengths: Lengths,
    /// The parts before the data set.
    pub head: Head,
    /// The preamble.
    pub preamble: [u8; 128],
    /// File meta elements that are added to, or replace, those of the writer.
    pub meta: DataSet,
}

impl Form {
    /// Makes the form of a DICOM file in this syntax, with defined lengths and an empty preamble.
    pub fn new(syntax: Syntax) -> Self {
        Self {
            syntax,
            lengths: Lengths::Defined,
            head: Head::Part10,
            preamble: [0; 128],
            meta: DataSet::new(),
        }
    }

    /// Returns the form with delimiters instead of lengths.
    #[must_use]
    pub fn undefined_lengths(mut self) -> Self {
        self.lengths = Lengths::Undefined;
        self
    }

    /// Returns the form with this head.
    #[must_use]
    pub fn head(mut self, head: Head) -> Self {
        self.head = head;
        self
    }

    /// Returns the form with this preamble.
    #[must_use]
    pub fn preamble(mut self, preamble: [u8; 128]) -> Self {
        self.preamble = preamble;
        self
    }

    /// Returns the form with file meta elements that are added to, or replace, those of the writer.
    #[must_use]
    pub fn meta(mut self, meta: DataSet) -> Self {
        self.meta = meta;
        self
    }

    /// Returns the bytes before the data set.
    pub(super) fn head_bytes(&self, data_set: &DataSet) -> Vec<u8> {
        let mut out = Vec::new();
        if matches!(self.head, Head::Part10 | Head::NoMeta) {
            out.extend_from_slice(&self.preamble);
            out.extend_from_slice(b"DICM");
        }
        if matches!(self.head, Head::Part10 | Head::NoPreamble) {
            self.file_meta(data_set, &mut out);
        }
        out
    }

    /// File meta information, always explicit little endian (PS3.10 section 7.1).
    fn file_meta(&self, data_set: &DataSet, out: &mut Vec<u8>) {
        let mut meta = DataSet::new().put(Tag(2, 1), VR::OB, &[0, 1]);
        for (own, source) in [(Tag(2, 2), Tag(8, 0x16)), (Tag(2, 3), Tag(8, 0x18))] {
            if let Some(element) = data_set.get(source) {
                meta.set(own, VR::UI, element.value.clone());
            }
        }
        let meta = meta
            .put(Tag(2, 0x10), VR::UI, self.syntax.uid())
            .put(Tag(2, 0x12), VR::UI, "2.25.98273465019283746501928374")
            .put(Tag(2, 0x13), VR::SH, "SYNTHETIC_1")
            .with(self.meta.clone());
        let mut body = Encoder::new(Syntax::ExplicitLittle, Lengths::Defined);
        body.data_set(&meta);
        let length = u32::try_from(body.out.len()).expect("file meta is small");
        let mut group_length = Encoder::new(Syntax::ExplicitLittle, Lengths::Defined);
        group_length.data_set(&DataSet::new().put(Tag(2, 0), VR::UL, length));
        out.extend_from_slice(&group_length.out);
        out.extend_from_slice(&body.out);
    }
}

impl DataSet {
    /// Encodes the data set as a DICOM file with defined lengths.
    ///
    /// # Panics
    /// As [`DataSet::write_as`].
    pub fn write(&self, syntax: Syntax) -> Vec<u8> {
        self.write_as(&Form::new(syntax))
    }

    /// Encodes the bare data set with defined lengths, as C-STORE transfers it.
    ///
    /// # Panics
    /// As [`DataSet::write_as`].
    pub fn write_data_set(&self, syntax: Syntax) -> Vec<u8> {
        self.write_as(&Form::new(syntax).head(Head::DataSet))
    }

    /// Encodes the data set in any form.
    ///
    /// # Panics
    /// If a value does not fit the length field of its VR (65,534 bytes for the short form, 4 GiB
    /// for the long one, PS3.5 section 7.1.2).
    pub fn write_as(&self, form: &Form) -> Vec<u8> {
        let mut out = form.head_bytes(self);
        let mut encoder = Encoder::new(form.syntax, form.lengths);
        encoder.data_set(self);
        if form.syntax == Syntax::Deflated {
            out.extend_from_slice(&deflate(&encoder.out));
        } else {
            out.extend_from_slice(&encoder.out);
        }
        out
    }
}

/// A deflated data set, of even length (PS3.5 section A.5).
fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut deflater = DeflateEncoder::new(Vec::new(), Compression::new(6));
    let mut out = deflater
        .write_all(bytes)
        .and_then(|()| deflater.finish())
        .expect("writing to memory does not fail");
    if out.len() % 2 == 1 {
        out.push(0);
    }
    out
}

const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);
const UNDEFINED: u32 = 0xFFFF_FFFF;

/// The VRs whose length field has 32 bits (PS3.5 section 7.1.2).
const LONG: [[u8; 2]; 13] = [
    *b"OB", *b"OD", *b"OF", *b"OL", *b"OV", *b"OW", *b"SQ", *b"SV", *b"UC", *b"UN", *b"UR", *b"UT",
    *b"UV",
];

pub(super) struct Encoder {
    explicit: bool,
    big: bool,
    lengths: Lengths,
    pub(super) out: Vec<u8>,
}

impl Encoder {
    pub(super) fn new(syntax: Syntax, lengths: Lengths) -> Self {
        Self {
            explicit: syntax != Syntax::ImplicitLittle,
            big: syntax == Syntax::ExplicitBig,
            lengths,
            out: Vec::new(),
        }
    }

    pub(super) fn data_set(&mut self, data_set: &DataSet) {
        for element in data_set.elements() {
            self.element(element);
        }
    }

    fn element(&mut self, element: &Element) {
        let Element { tag, vr, value } = element;
        match value {
            Value::Items(sequence) => self.sequence(*tag, *vr, sequence),
            Value::Fragments(fragments) => {
                self.header(*tag, *vr, UNDEFINED);
                for fragment in std::iter::once(&Vec::new()).chain(fragments) {
                    let padded = pad(*vr, fragment.clone());
                    self.item(ITEM, length_of(&padded));
                    self.out.extend_from_slice(&padded);
                }
                self.item(SEQUENCE_END, 0);
            }
            Value::Claimed { length, bytes } => {
                self.header(*tag, *vr, *length);
                self.out.extend_from_slice(bytes);
            }
            plain => {
                let bytes = self.plain(*vr, plain);
                self.header(*tag, *vr, length_of(&bytes));
                self.out.extend_from_slice(&bytes);
            }
        }
    }

    fn sequence(&mut self, tag: Tag, vr: [u8; 2], sequence: &Items) {
        let lengths = match sequence.lengths {
            Lengths::AsForm => self.lengths,
            own => own,
        };
        // PS3.5 section 6.2.2: a sequence under UN is in implicit VR little endian.
        let mut inner = Self {
            explicit: self.explicit && vr != *b"UN",
            big: self.big && vr != *b"UN",
            lengths: self.lengths,
            out: Vec::new(),
        };
        let open_items = matches!(lengths, Lengths::Undefined | Lengths::UndefinedItems);
        for item in &sequence.items {
            let start = inner.out.len();
            inner.item(ITEM, UNDEFINED);
            let content = inner.out.len();
            inner.data_set(item);
            if open_items {
                inner.item(ITEM_END, 0);
            } else {
                let length = length_of(inner.out.get(content..).unwrap_or_default());
                let field = inner.u32(length);
                inner.out.splice(start + 4..content, field);
            }
        }
        if matches!(lengths, Lengths::Undefined | Lengths::UndefinedSequence) {
            inner.item(SEQUENCE_END, 0);
            self.header(tag, vr, UNDEFINED);
        } else {
            self.header(tag, vr, length_of(&inner.out));
        }
        self.out.extend_from_slice(&inner.out);
    }

    /// The header of an element: tag, VR and length.
    pub(super) fn header(&mut self, tag: Tag, vr: [u8; 2], length: u32) {
        self.tag(tag);
        if self.explicit {
            self.out.extend_from_slice(&vr);
            if !LONG.contains(&vr) {
                let short = u16::try_from(length).expect("the value fits its short VR");
                let field = self.u16(short);
                self.out.extend_from_slice(&field);
                return;
            }
            self.out.extend_from_slice(&[0, 0]);
        }
        let field = self.u32(length);
        self.out.extend_from_slice(&field);
    }

    /// The header of an item or a delimiter, which have no VR in any syntax (PS3.5 section 7.5).
    fn item(&mut self, tag: Tag, length: u32) {
        self.tag(tag);
        let field = self.u32(length);
        self.out.extend_from_slice(&field);
    }

    fn tag(&mut self, Tag(group, element): Tag) {
        for half in [group, element] {
            let field = self.u16(half);
            self.out.extend_from_slice(&field);
        }
    }

    fn u16(&self, word: u16) -> [u8; 2] {
        if self.big {
            word.to_be_bytes()
        } else {
            word.to_le_bytes()
        }
    }

    fn u32(&self, word: u32) -> [u8; 4] {
        if self.big {
            word.to_be_bytes()
        } else {
            word.to_le_bytes()
        }
    }

    fn u64(&self, word: u64) -> [u8; 8] {
        if self.big {
            word.to_be_bytes()
        } else {
            word.to_le_bytes()
        }
    }

    fn plain(&self, vr: [u8; 2], value: &Value) -> Vec<u8> {
        match value {
            Value::Bytes(bytes) => pad(vr, bytes.clone()),
            Value::Exact(bytes) => bytes.clone(),
            Value::U16(words) => words.iter().flat_map(|word| self.u16(*word)).collect(),
            Value::U32(words) => words.iter().flat_map(|word| self.u32(*word)).collect(),
            Value::U64(words) => words.iter().flat_map(|word| self.u64(*word)).collect(),
            Value::F32(floats) => floats
                .iter()
                .flat_map(|float| self.u32(float.to_bits()))
                .collect(),
            Value::F64(floats) => floats
                .iter()
                .flat_map(|float| self.u64(float.to_bits()))
                .collect(),
            Value::Tags(tags) => tags
                .iter()
                .flat_map(|Tag(group, element)| [*group, *element])
                .flat_map(|half| self.u16(half))
                .collect(),
            Value::Items(_) | Value::Fragments(_) | Value::Claimed { .. } => Vec::new(),
        }
    }
}

fn length_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("the value is under 4 GiB")
}

/// Even length: NUL for UIDs and bytes, SPACE for text (PS3.5 section 6.2).
fn pad(vr: [u8; 2], mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() % 2 == 1 {
        let filler = if [*b"UI", *b"OB", *b"UN"].contains(&vr) {
            0
        } else {
            b' '
        };
        bytes.push(filler);
    }
    bytes
}
