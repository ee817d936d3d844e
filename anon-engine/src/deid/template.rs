//! [`Template`]: the output of an object before its pseudonyms are known.
//!
//! A template is a list of pieces: ranges of the source, new bytes, and edits that need pseudonyms.

use std::cell::Cell;
use std::collections::HashMap;
use std::mem;
use std::ops::Range;

use dicom_core::Tag;

use crate::read::dictionary::{LengthForm, Vr};
use crate::read::scan::Encoding;
use crate::read::uid;

/// A part of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A range of the source, begin and end.
    Source(u64, u64),
    /// A range of the arena, begin and end.
    Arena(u32, u32),
    /// A length field of four bytes in this byte order. It counts the bytes up to its
    /// [`Close`](Self::Close).
    Open(Encoding),
    /// Ends what the last open length field counts.
    Close,
    /// An edit, by its index.
    Edit(u32),
}

/// An element whose value depends on pseudonyms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) tag: Tag,
    pub(crate) vr: Vr,
    pub(crate) encoding: Encoding,
    pub(crate) value: EditValue,
}

/// Where the value of an edit comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EditValue {
    /// The patient's pseudonym.
    Patient,
    /// A UID of the object itself.
    OwnUid(ObjectUid),
    /// A range of the references, to UIDs.
    Uids(Range<u32>),
    /// A range of the references, to accession numbers.
    Accessions(Range<u32>),
    /// A range of the originals, which holds dates.
    Dates(Range<u32>),
}

/// The UIDs that place an object in its study and series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectUid {
    Study,
    Series,
    Instance,
}

/// One value of a multi-valued edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reference {
    Empty,
    /// A UID of the standard, which is kept: a range of the originals.
    Literal(Range<u32>),
    /// An original that gets a pseudonym, by its index.
    Original(u32),
}

/// The position of the four bytes of a length field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LengthPosition {
    Source(u64),
    Arena(u32),
}

/// A set of texts, numbered in the order in which they were added.
#[derive(Default)]
pub(crate) struct DistinctTexts {
    pub(crate) texts: Vec<String>,
    index: HashMap<String, u32>,
}

/// Up to this many texts, a linear search is used instead of the hash map.
const FEW: usize = 24;

impl DistinctTexts {
    /// Adds a text given as bytes, unless it is there. Returns its number.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> u32 {
        if self.index.is_empty()
            && bytes.is_ascii()
            && let Some(at) = self.texts.iter().position(|text| text.as_bytes() == bytes)
        {
            return count(at);
        }
        self.text(uid::text(bytes))
    }

    /// Adds a text, unless it is there. Returns its number.
    pub(crate) fn text(&mut self, text: String) -> u32 {
        if self.texts.len() <= FEW {
            if let Some(at) = self.texts.iter().position(|known| *known == text) {
                return count(at);
            }
            if self.texts.len() == FEW {
                let numbered = self.texts.iter().cloned().zip(0..);
                self.index.extend(numbered);
            }
        } else if let Some(at) = self.index.get(&text) {
            return *at;
        }
        let at = count(self.texts.len());
        if self.texts.len() >= FEW {
            self.index.insert(text.clone(), at);
        }
        self.texts.push(text);
        at
    }
}

/// The buffers of a template.
struct TemplateBuffers {
    pieces: Vec<Piece>,
    arena: Vec<u8>,
    originals: Vec<u8>,
    edits: Vec<Edit>,
    references: Vec<Reference>,
}

thread_local! {
    /// The empty buffers of the last template dropped on this thread. Allocating new ones for each
    /// object would take 5 % of plan and apply.
    static SPARE: Cell<Option<TemplateBuffers>> = const { Cell::new(None) };
}

/// Buffers with a larger capacity, in bytes, are not reused.
const MAX_SPARE: usize = 64 << 10;

impl TemplateBuffers {
    /// Returns empty buffers with room for what most objects need.
    fn new() -> Self {
        Self {
            pieces: Vec::with_capacity(128),
            arena: Vec::with_capacity(1 << 10),
            originals: Vec::with_capacity(1 << 10),
            edits: Vec::with_capacity(32),
            references: Vec::with_capacity(32),
        }
    }

    /// Returns the memory that the buffers take, in bytes.
    fn capacity(&self) -> usize {
        self.pieces.capacity() * size_of::<Piece>()
            + self.arena.capacity()
            + self.originals.capacity()
            + self.edits.capacity() * size_of::<Edit>()
            + self.references.capacity() * size_of::<Reference>()
    }

    fn clear(&mut self) {
        self.pieces.clear();
        self.arena.clear();
        self.originals.clear();
        self.edits.clear();
        self.references.clear();
    }
}

/// The output of an object, as far as it is known without pseudonyms.
pub(crate) struct Template {
    pub(crate) pieces: Vec<Piece>,
    /// New bytes of the output.
    pub(crate) arena: Vec<u8>,
    /// Values of the source that edits need.
    pub(crate) originals: Vec<u8>,
    pub(crate) edits: Vec<Edit>,
    pub(crate) references: Vec<Reference>,
    pub(crate) uids: DistinctTexts,
    pub(crate) accessions: DistinctTexts,
}

impl Template {
    /// Returns an empty template.
    pub(crate) fn new() -> Self {
        // A thread that is ending may have dropped its thread-local buffers.
        let spare = SPARE.try_with(Cell::take).ok().flatten();
        let buffers = spare.unwrap_or_else(TemplateBuffers::new);
        Self {
            pieces: buffers.pieces,
            arena: buffers.arena,
            originals: buffers.originals,
            edits: buffers.edits,
            references: buffers.references,
            uids: DistinctTexts::default(),
            accessions: DistinctTexts::default(),
        }
    }

    /// Returns an upper estimate of its memory, in bytes.
    #[inline]
    pub(crate) fn cost(&self) -> u64 {
        let cost = self.pieces.len() * 24
            + self.arena.len()
            + self.originals.len()
            + self.edits.len() * 32
            + self.references.len() * 16
            + (self.uids.texts.len() + self.accessions.texts.len()) * 224;
        cost as u64
    }

    /// Appends a piece. Joins it with the last one if they are adjacent.
    #[inline]
    pub(crate) fn push(&mut self, piece: Piece) {
        match (self.pieces.last_mut(), piece) {
            (Some(Piece::Source(_, end)), Piece::Source(begin, to)) if *end == begin => *end = to,
            (Some(Piece::Arena(_, end)), Piece::Arena(begin, to)) if *end == begin => *end = to,
            _ => self.pieces.push(piece),
        }
    }

    #[inline]
    pub(crate) fn source(&mut self, begin: u64, end: u64) {
        if begin < end {
            self.push(Piece::Source(begin, end));
        }
    }

    /// Appends a range of the source if that needs no allocation. Otherwise returns false and appends
    /// nothing.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "called for every kept value")]
    pub(crate) fn source_in_place(&mut self, begin: u64, end: u64) -> bool {
        if let Some(Piece::Source(_, last)) = self.pieces.last_mut()
            && *last == begin
        {
            *last = end;
            return true;
        }
        let has_room = self.pieces.len() < self.pieces.capacity();
        if has_room {
            self.pieces.push(Piece::Source(begin, end));
        }
        has_room
    }

    /// Appends the bytes that `write` adds to the arena. Returns their range.
    pub(crate) fn bytes(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Range<u32> {
        let begin = count(self.arena.len());
        write(&mut self.arena);
        let end = count(self.arena.len());
        if begin < end {
            self.push(Piece::Arena(begin, end));
        }
        begin..end
    }

    /// Appends an element; see [`put_element`].
    pub(crate) fn element(
        &mut self,
        encoding: Encoding,
        tag: Tag,
        vr: Vr,
        value: &[u8],
    ) -> Option<()> {
        let begin = count(self.arena.len());
        put_element(&mut self.arena, encoding, tag, vr, value)?;
        self.push(Piece::Arena(begin, count(self.arena.len())));
        Some(())
    }

    /// Appends an edit.
    pub(crate) fn edit(&mut self, edit: Edit) {
        let at = count(self.edits.len());
        self.edits.push(edit);
        self.push(Piece::Edit(at));
    }

    /// Stores a value of the source for an edit.
    pub(crate) fn remember(&mut self, bytes: &[u8]) -> Range<u32> {
        let begin = count(self.originals.len());
        self.originals.extend_from_slice(bytes);
        begin..count(self.originals.len())
    }

    /// Opens a length field. The header before it must have been appended. Returns the index of the
    /// piece.
    pub(crate) fn open(&mut self, encoding: Encoding) -> usize {
        self.pieces.push(Piece::Open(encoding));
        self.pieces.len() - 1
    }

    /// Closes the length field that is piece `open`. If its content is one range of the length that
    /// the field already has, the field is kept and the pieces become one.
    pub(crate) fn close(&mut self, open: usize, place: LengthPosition, declared: u32) {
        let declared = u64::from(declared);
        let whole = match (self.pieces.get(open + 1..), place) {
            (Some([]), LengthPosition::Source(at)) if declared == 0 => {
                Some(Piece::Source(at, at + 4))
            }
            (Some([]), LengthPosition::Arena(at)) if declared == 0 => {
                Some(Piece::Arena(at, at + 4))
            }
            (Some([Piece::Source(begin, end)]), LengthPosition::Source(at))
                if *begin == at + 4 && end - begin == declared =>
            {
                Some(Piece::Source(at, *end))
            }
            _ => None,
        };
        if let Some(whole) = whole {
            self.pieces.truncate(open);
            self.push(whole);
        } else {
            self.pieces.push(Piece::Close);
        }
    }
}

impl Drop for Template {
    fn drop(&mut self) {
        let mut spare = TemplateBuffers {
            pieces: mem::take(&mut self.pieces),
            arena: mem::take(&mut self.arena),
            originals: mem::take(&mut self.originals),
            edits: mem::take(&mut self.edits),
            references: mem::take(&mut self.references),
        };
        if spare.capacity() <= MAX_SPARE {
            spare.clear();
            SPARE.try_with(|kept| kept.set(Some(spare))).ok();
        }
    }
}

/// Appends an element, its value padded to even length (PS3.5 section 7.1.1). Returns `None` if the
/// length field of the VR cannot hold the length (PS3.5 section 7.1.2).
pub(crate) fn put_element(
    out: &mut Vec<u8>,
    encoding: Encoding,
    tag: Tag,
    vr: Vr,
    value: &[u8],
) -> Option<()> {
    let len = u32::try_from(value.len()).ok()?;
    let even = len.checked_add(len % 2)?;
    let is_short = encoding != Encoding::ImplicitLe && vr.length_form() == Some(LengthForm::Short);
    if even == u32::MAX || (is_short && even > 0xFFFE) {
        return None;
    }
    encoding.put_header(out, tag, vr, even);
    out.extend_from_slice(value);
    if even != len {
        out.push(vr.padding());
    }
    Some(())
}

/// Converts a position in a template. 32 bits suffice, because the limits bound its memory.
#[inline]
fn count(number: usize) -> u32 {
    u32::try_from(number).expect("a template is bounded by Limits::max_plan_bytes")
}
