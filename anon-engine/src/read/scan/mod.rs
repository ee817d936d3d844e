//! [`Walk`]: reads the headers of a data set, element by element, and no value.
//!
//! ```text
//! Root ─ element ─ element ─ sequence ┬ item ─ element … item end
//!                                     ├ item ─ element … item end
//!                                     └ sequence end ─ element … end
//! ```
//!
//! The stack is explicit and bounded; every length is checked against the end of the enclosing
//! sequence or item (PS3.5 section 7.5).
//! Delimiters that close nothing are dropped. UN of undefined length holds implicit little endian
//! items (PS3.5 section 6.2.2). An item whose first element shows another encoding than the data set
//! around it is read in the encoding it shows.

mod header;
#[cfg(test)]
pub(crate) mod tests;

use dicom_core::Tag;

pub(crate) use self::header::{Encoding, Header, UNDEFINED};
use crate::limits::Limits;
use crate::read::dictionary::{self, Vr};
use crate::read::input::{Input, ReadError};
use crate::refusal::{Category, Refusal};

pub(crate) const ITEM: Tag = Tag(0xFFFE, 0xE000);
pub(crate) const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
pub(crate) const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);
pub(crate) const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);

/// Bytes that are checked at once behind the last element.
const STEP: usize = 32 << 10;

/// Bytes of an item's header, and of every delimiter.
pub(crate) const ITEM_HEADER: u64 = 8;

/// Why reading stops. It holds a constant text and an offset, never a value of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScanError {
    pub(crate) category: Category,
    pub(crate) problem: &'static str,
    pub(crate) tag: Option<Tag>,
    pub(crate) at: u64,
}

impl ScanError {
    pub(crate) fn new(problem: &'static str, tag: Option<Tag>, at: u64) -> Self {
        Self {
            category: Category::DicomReadError,
            problem,
            tag,
            at,
        }
    }

    /// The rule for the element cannot be applied.
    pub(crate) fn rule(problem: &'static str, tag: Tag, at: u64) -> Self {
        Self {
            category: Category::StorageError,
            problem,
            tag: Some(tag),
            at,
        }
    }

    pub(crate) fn input(failed: ReadError, at: u64) -> Self {
        let problem = match failed {
            ReadError::UnexpectedEnd => "the file ends where an element goes on",
            ReadError::Io(_) => "the file cannot be read here",
        };
        Self::new(problem, None, at)
    }
}

impl From<ScanError> for Refusal {
    fn from(error: ScanError) -> Self {
        let reason = match error.tag {
            Some(tag) => format!("{} (element {tag}, byte {})", error.problem, error.at),
            None => format!("{} (byte {})", error.problem, error.at),
        };
        let mut refusal = Self::new(error.category, reason);
        refusal.tag = error.tag;
        refusal.offset = Some(error.at);
        refusal
    }
}

/// What an element holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ElementContent {
    /// A value of defined length.
    Value,
    /// Items, in this encoding.
    Sequence(Encoding),
    /// Fragments of encapsulated pixel data (PS3.5 section A.4).
    Fragments,
}

/// One step of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// An element begins, and its header is filled in. The walk stands at its value: it must be
    /// passed or entered.
    Element,
    /// An item begins, with this length on the wire.
    Item { at: u64, len: u32 },
    /// The item ends here; an item of undefined length with a delimiter at this place.
    ItemEnd { delimiter: Option<u64> },
    /// The sequence ends here; one of undefined length with a delimiter at this place.
    SequenceEnd { delimiter: Option<u64> },
    /// The data set ends.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FrameKind {
    Root,
    Sequence,
    Item,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    kind: FrameKind,
    encoding: Encoding,
    /// Its own end, or that of what encloses it if its length is undefined.
    end: u64,
    undefined: bool,
    /// True until its first element has shown the encoding.
    fresh: bool,
}

/// A walk over the headers of one data set.
#[derive(Debug)]
pub(crate) struct Walk<I> {
    input: I,
    at: u64,
    stack: Vec<Frame>,
    /// Of the frame on top: its end, 0 unless it is a data set whose encoding is known.
    simple_end: u64,
    simple_encoding: Encoding,
    left: u64,
    max_depth: usize,
    max_value: u32,
}

impl<I: Input> Walk<I> {
    /// A walk over the data set from `begin` to the end of the input.
    pub(crate) fn new(input: I, begin: u64, encoding: Encoding, limits: &Limits) -> Self {
        let root = Frame {
            kind: FrameKind::Root,
            encoding,
            end: input.len(),
            undefined: false,
            fresh: true,
        };
        Self {
            input,
            at: begin,
            stack: vec![root],
            simple_end: 0,
            simple_encoding: encoding,
            left: limits.max_elements,
            // Two frames for a level, one for the root.
            max_depth: usize::from(limits.max_depth) * 2 + 1,
            max_value: limits.max_value_bytes,
        }
    }

    /// The encoding of the data set, as its first element shows it.
    pub(crate) fn detect_encoding(&mut self) -> Result<Encoding, ScanError> {
        if let Some(frame) = self.stack.last().copied()
            && frame.fresh
            && frame.end.saturating_sub(self.at) >= ITEM_HEADER
        {
            self.detect_frame_encoding(frame)?;
        }
        Ok(self
            .stack
            .last()
            .map_or(Encoding::ExplicitLe, |frame| frame.encoding))
    }

    /// The input, back again.
    pub(crate) fn into_input(self) -> I {
        self.input
    }

    /// The place up to which the data set has been read.
    pub(crate) fn position(&self) -> u64 {
        self.at
    }

    /// Reads the next element on the fast path: in a data set whose encoding is known, with a value
    /// that ends inside it. Otherwise returns false and does not move; call [`next`](Self::next).
    #[inline]
    pub(crate) fn next_simple(&mut self, into: &mut Header) -> bool {
        if self.at >= self.simple_end || self.left == 0 {
            return false;
        }
        let Ok(window) = self.input.window(self.at, 12) else {
            return false;
        };
        if !into.read_simple(window, self.at, self.simple_encoding) || into.end() > self.simple_end
        {
            return false;
        }
        self.left -= 1;
        self.at = into.value;
        true
    }

    /// The next token; the header of an element is written to `into`. Filled in place:
    /// returning it by value costs a failed store-to-load forwarding, about 12 cycles.
    pub(crate) fn next(&mut self, into: &mut Header) -> Result<Token, ScanError> {
        loop {
            let Some(frame) = self.stack.last().copied() else {
                return Ok(Token::End);
            };
            let step = match frame.kind {
                FrameKind::Sequence => self.in_sequence(frame)?,
                FrameKind::Item | FrameKind::Root => self.in_data_set(frame, into)?,
            };
            if let Some(token) = step {
                return Ok(token);
            }
        }
    }

    /// Returns `None` after dropping a stray delimiter.
    fn in_sequence(&mut self, frame: Frame) -> Result<Option<Token>, ScanError> {
        if self.at == frame.end && !frame.undefined {
            self.pop();
            return Ok(Some(Token::SequenceEnd { delimiter: None }));
        }
        let at = self.at;
        let (tag, len) = self.item_header(frame)?;
        match tag {
            ITEM => self.begin_item(frame, at, len).map(Some),
            SEQUENCE_END | ITEM_END if len != 0 => {
                Err(ScanError::new("a delimiter has a length", Some(tag), at))
            }
            SEQUENCE_END if frame.undefined => {
                self.pop();
                self.at = at + ITEM_HEADER;
                Ok(Some(Token::SequenceEnd {
                    delimiter: Some(at),
                }))
            }
            SEQUENCE_END | ITEM_END => {
                self.at = at + ITEM_HEADER;
                Ok(None)
            }
            _ => Err(ScanError::new("an item was expected", Some(tag), at)),
        }
    }

    fn begin_item(&mut self, frame: Frame, at: u64, len: u32) -> Result<Token, ScanError> {
        self.spend(1)?;
        let undefined = len == UNDEFINED;
        let begin = at + ITEM_HEADER;
        let end = if undefined {
            frame.end
        } else {
            inside(begin, len, frame.end, ITEM, at)?
        };
        self.push(Frame {
            kind: FrameKind::Item,
            encoding: frame.encoding,
            end,
            undefined,
            fresh: true,
        })?;
        self.at = begin;
        Ok(Token::Item { at, len })
    }

    /// Returns `None` after dropping a stray delimiter.
    #[inline]
    fn in_data_set(
        &mut self,
        frame: Frame,
        header: &mut Header,
    ) -> Result<Option<Token>, ScanError> {
        let at = self.at;
        let left = frame.end.saturating_sub(at);
        if left == 0 && !frame.undefined {
            self.pop();
            return Ok(Some(match frame.kind {
                FrameKind::Root => Token::End,
                _ => Token::ItemEnd { delimiter: None },
            }));
        }
        if left < ITEM_HEADER {
            return self.odd_end(frame).map(Some);
        }
        let encoding = if frame.fresh {
            self.detect_frame_encoding(frame)?
        } else {
            frame.encoding
        };
        let window = self
            .input
            .window(at, 12)
            .map_err(|failed| ScanError::input(failed, at))?;
        if frame.kind == FrameKind::Root && window.starts_with(&[0; 4]) {
            return self.odd_end(frame).map(Some);
        }
        header.read(window, at, frame.end, encoding)?;
        if header.tag().0 == 0xFFFE {
            return self.delimiter(frame, header);
        }
        self.spend(1)?;
        if !header.is_undefined() {
            inside(header.value, header.len, frame.end, header.tag(), at)?;
        }
        self.at = header.value;
        Ok(Some(Token::Element))
    }

    fn delimiter(&mut self, frame: Frame, header: &Header) -> Result<Option<Token>, ScanError> {
        if header.len != 0 || header.tag() == ITEM {
            return Err(ScanError::new(
                "an item or a delimiter stands where an element should be",
                Some(header.tag()),
                header.at,
            ));
        }
        self.spend(1)?;
        if frame.kind == FrameKind::Item && frame.undefined {
            if header.tag() != ITEM_END {
                return Err(ScanError::new("an item is never closed", None, header.at));
            }
            self.pop();
            self.at = header.value;
            return Ok(Some(Token::ItemEnd {
                delimiter: Some(header.at),
            }));
        }
        self.at = header.value;
        Ok(None)
    }

    /// Drops zeros behind the last element; refuses any other bytes.
    fn odd_end(&mut self, frame: Frame) -> Result<Token, ScanError> {
        if frame.kind != FrameKind::Root {
            let problem =
                "the object is cut short or damaged: a sequence or an item is not complete";
            return Err(ScanError::new(problem, None, self.at));
        }
        let mut at = self.at;
        while at < frame.end {
            let here = self
                .input
                .window(at, STEP)
                .map_err(|failed| ScanError::input(failed, at))?;
            let here = here.get(..STEP).unwrap_or(here);
            if here.iter().any(|byte| *byte != 0) {
                let problem = "the object is cut short or damaged: the bytes after the last element are no element";
                return Err(ScanError::new(problem, None, self.at));
            }
            at += here.len() as u64;
        }
        self.at = frame.end;
        self.pop();
        Ok(Token::End)
    }

    fn detect_frame_encoding(&mut self, frame: Frame) -> Result<Encoding, ScanError> {
        let at = self.at;
        let window = self
            .input
            .window(at, 12)
            .map_err(|failed| ScanError::input(failed, at))?;
        let encoding =
            header::detected_encoding(window, frame.end.saturating_sub(at), frame.encoding);
        if let Some(top) = self.stack.last_mut() {
            top.encoding = encoding;
            top.fresh = false;
        }
        self.update_simple();
        Ok(encoding)
    }

    /// What the current element holds. Reads at most the header of the first item.
    pub(crate) fn content(&mut self, header: &Header) -> Result<ElementContent, ScanError> {
        self.content_given_vr(header, dictionary::vr(header.tag()))
    }

    /// As [`content`](Self::content), with the VR of the dictionary.
    #[inline]
    pub(crate) fn content_given_vr(
        &mut self,
        header: &Header,
        known: Option<Vr>,
    ) -> Result<ElementContent, ScanError> {
        let is_implicit = header.encoding == Encoding::ImplicitLe;
        if header.is_undefined() {
            return content_of_undefined_length(header, is_implicit);
        }
        if !is_implicit && header.vr == Vr::SQ {
            return Ok(ElementContent::Sequence(header.encoding));
        }
        let suspect =
            known == Some(Vr::SQ) || header.vr == Vr::UN || (is_implicit && known.is_none());
        if !suspect || header.len == 0 {
            return self.plain(header);
        }
        let inner = if header.vr == Vr::UN {
            Encoding::ImplicitLe
        } else {
            header.encoding
        };
        if self.begins_with_item(header, inner)? {
            Ok(ElementContent::Sequence(inner))
        } else if known == Some(Vr::SQ) {
            let problem = "a sequence does not begin with an item";
            Err(ScanError::new(problem, Some(header.tag()), header.at))
        } else {
            Ok(ElementContent::Value)
        }
    }

    /// A plain value, unless it holds items: a reader that parses them would find elements that no
    /// rule has decided about.
    #[inline]
    fn plain(&mut self, header: &Header) -> Result<ElementContent, ScanError> {
        if !self.has_tag_of_item(header)? {
            return Ok(ElementContent::Value);
        }
        let value = self.bytes(header.value, 8)?;
        if [Encoding::ExplicitLe, Encoding::ExplicitBe]
            .into_iter()
            .any(|order| item_inside(value, order, header.len))
        {
            let problem = "a value holds items, and it is no sequence";
            return Err(ScanError::new(problem, Some(header.tag()), header.at));
        }
        Ok(ElementContent::Value)
    }

    /// True if a value begins with the tag of an item, in either byte order, and has room for the
    /// header of one. Never for pixel data, which may begin with any bytes.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "asked of every kept value")]
    pub(crate) fn has_tag_of_item(&mut self, header: &Header) -> Result<bool, ScanError> {
        if u64::from(header.len) < ITEM_HEADER || header.tag().0 == PIXEL_DATA.0 {
            return Ok(false);
        }
        let value = self.bytes(header.value, 8)?;
        Ok(value.starts_with(&[0xFE, 0xFF, 0x00, 0xE0])
            || value.starts_with(&[0xFF, 0xFE, 0xE0, 0x00]))
    }

    fn begins_with_item(&mut self, header: &Header, inner: Encoding) -> Result<bool, ScanError> {
        if u64::from(header.len) < ITEM_HEADER {
            return Ok(false);
        }
        let value = self.bytes(header.value, 8)?;
        let Some((tag, _)) = header::item(value, inner) else {
            return Ok(false);
        };
        if tag == ITEM {
            if item_inside(value, inner, header.len) {
                return Ok(true);
            }
            let problem = "an item passes the end of its sequence";
            return Err(ScanError::new(problem, Some(header.tag()), header.at));
        }
        // Items in the other byte order: no rule can decide about elements that are not parsed.
        if header::item(value, inner.other_order()).is_some_and(|(tag, _)| tag == ITEM) {
            let problem = "a value of unknown kind holds items in another byte order";
            return Err(ScanError::new(problem, Some(header.tag()), header.at));
        }
        Ok(false)
    }

    /// Enters the current sequence.
    pub(crate) fn enter(&mut self, header: &Header, inner: Encoding) -> Result<(), ScanError> {
        let outer = self.stack.last().map_or(0, |frame| frame.end);
        self.push(Frame {
            kind: FrameKind::Sequence,
            encoding: inner,
            end: if header.is_undefined() {
                outer
            } else {
                header.end()
            },
            undefined: header.is_undefined(),
            fresh: false,
        })
    }

    /// Skips the current element and everything in it.
    #[inline]
    pub(crate) fn skip(&mut self, header: &Header) -> Result<(), ScanError> {
        if header.is_undefined() {
            return self.skip_undefined(header);
        }
        self.skip_value(header);
        Ok(())
    }

    /// Skips the current element, which has a defined length.
    #[inline]
    pub(crate) fn skip_value(&mut self, header: &Header) {
        self.at = header.end();
    }

    fn skip_undefined(&mut self, header: &Header) -> Result<(), ScanError> {
        match self.content(header)? {
            ElementContent::Fragments => self.fragments(header, |_, _| {}),
            ElementContent::Value => Ok(()),
            ElementContent::Sequence(inner) => {
                let height = self.stack.len();
                self.enter(header, inner)?;
                let mut nested = Header::NONE;
                while self.stack.len() > height {
                    if self.next(&mut nested)? == Token::Element {
                        if nested.is_undefined() {
                            self.descend(&nested)?;
                        } else {
                            self.at = nested.end();
                        }
                    }
                }
                Ok(())
            }
        }
    }

    /// Steps into an element of undefined length that is skipped.
    fn descend(&mut self, header: &Header) -> Result<(), ScanError> {
        match self.content(header)? {
            ElementContent::Fragments => self.fragments(header, |_, _| {}),
            ElementContent::Sequence(inner) => self.enter(header, inner),
            ElementContent::Value => Ok(()),
        }
    }

    /// Skips the current fragments (PS3.5 section A.4). Calls `each` with the offset and length of
    /// every item, including the offset table, and reads only their headers.
    pub(crate) fn fragments(
        &mut self,
        header: &Header,
        mut each: impl FnMut(u64, u32),
    ) -> Result<(), ScanError> {
        let frame = self.stack.last().copied();
        let end = frame.map_or(0, |frame| frame.end);
        let encoding = header.encoding;
        self.at = header.value;
        loop {
            self.spend(1)?;
            let at = self.at;
            if end.saturating_sub(at) < ITEM_HEADER {
                let problem =
                    "the object is cut short or damaged: encapsulated pixel data is not complete";
                return Err(ScanError::new(problem, Some(header.tag()), at));
            }
            let (tag, len) = header::item(self.bytes(at, 8)?, encoding).ok_or_else(|| {
                ScanError::new("a fragment is not complete", Some(header.tag()), at)
            })?;
            match tag {
                ITEM if len != UNDEFINED => {
                    self.at = inside(at + ITEM_HEADER, len, end, header.tag(), at)?;
                    each(at, len);
                }
                SEQUENCE_END if len == 0 => {
                    self.at = at + ITEM_HEADER;
                    return Ok(());
                }
                _ => {
                    return Err(ScanError::new(
                        "a fragment was expected",
                        Some(header.tag()),
                        at,
                    ));
                }
            }
        }
    }

    /// The value of an element, if it is not longer than the limits allow.
    #[inline]
    pub(crate) fn value(&mut self, header: &Header) -> Result<&[u8], ScanError> {
        if header.len > self.max_value {
            let problem = "a value that has to be replaced or indexed is too long to look at";
            return Err(ScanError::rule(problem, header.tag(), header.at));
        }
        let len = usize::try_from(header.len).unwrap_or(usize::MAX);
        self.bytes(header.value, len)
    }

    #[inline]
    pub(crate) fn bytes(&mut self, at: u64, len: usize) -> Result<&[u8], ScanError> {
        self.input
            .exact(at, len)
            .map_err(|failed| ScanError::input(failed, at))
    }

    fn item_header(&mut self, frame: Frame) -> Result<(Tag, u32), ScanError> {
        let at = self.at;
        let problem = "the object is cut short or damaged: a sequence is not complete";
        if frame.end.saturating_sub(at) < ITEM_HEADER {
            return Err(ScanError::new(problem, None, at));
        }
        header::item(self.bytes(at, 8)?, frame.encoding).ok_or(ScanError::new(problem, None, at))
    }

    #[inline]
    fn spend(&mut self, count: u64) -> Result<(), ScanError> {
        self.left = self
            .left
            .checked_sub(count)
            .ok_or_else(|| ScanError::new("the object has too many elements", None, self.at))?;
        Ok(())
    }

    fn push(&mut self, frame: Frame) -> Result<(), ScanError> {
        if self.stack.len() >= self.max_depth {
            return Err(ScanError::new("sequences nest too deep", None, self.at));
        }
        self.stack.push(frame);
        self.update_simple();
        Ok(())
    }

    fn pop(&mut self) {
        self.stack.pop();
        self.update_simple();
    }

    /// Updates what [`next_simple`](Self::next_simple) needs, after the top of the stack changed.
    fn update_simple(&mut self) {
        let top = self.stack.last();
        let known = top.filter(|frame| frame.kind != FrameKind::Sequence && !frame.fresh);
        self.simple_end = known.map_or(0, |frame| frame.end);
        if let Some(frame) = known {
            self.simple_encoding = frame.encoding;
        }
    }
}

/// The end of a value, if that is not beyond what encloses it.
#[inline]
fn inside(begin: u64, len: u32, end: u64, tag: Tag, at: u64) -> Result<u64, ScanError> {
    begin
        .checked_add(u64::from(len))
        .filter(|own| *own <= end)
        .ok_or_else(|| {
            let problem =
                "the object is cut short or damaged: a length passes the end of what encloses it";
            ScanError::new(problem, Some(tag), at)
        })
}

/// True if these bytes are the header of an item that ends within a value of `len` bytes, made even
/// as it is written.
fn item_inside(value: &[u8], order: Encoding, len: u32) -> bool {
    let even = u64::from(len) + u64::from(len % 2);
    header::item(value, order).is_some_and(|(tag, own)| {
        tag == ITEM && (own == UNDEFINED || u64::from(own) + ITEM_HEADER <= even)
    })
}

fn content_of_undefined_length(
    header: &Header,
    is_implicit: bool,
) -> Result<ElementContent, ScanError> {
    if header.tag() == PIXEL_DATA {
        return Ok(ElementContent::Fragments);
    }
    if is_implicit || header.vr == Vr::UN {
        return Ok(ElementContent::Sequence(Encoding::ImplicitLe));
    }
    if header.vr == Vr::SQ || dictionary::is_sequence(header.tag()) {
        return Ok(ElementContent::Sequence(header.encoding));
    }
    if header.vr.is_bulk() {
        return Ok(ElementContent::Fragments);
    }
    let problem = "an undefined length where the value representation allows none";
    Err(ScanError::new(problem, Some(header.tag()), header.at))
}
