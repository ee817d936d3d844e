//! [`Walk`]: reads a data set header by header, without its values.
//!
//! ```text
//! Root ─ element ─ element ─ sequence ┬ item ─ element … item end
//!                                     ├ item ─ element … item end
//!                                     └ sequence end ─ element … end
//! ```
//!
//! The stack is explicit and bounded. Every length is checked against the end of the enclosing
//! sequence or item (PS3.5 section 7.5). Delimiters that close nothing are dropped. UN of undefined
//! length holds implicit little endian items (PS3.5 section 6.2.2). If the first element of an item
//! shows another encoding than the data set around it, the item is read in that encoding.

mod content;
mod error;
mod fragments;
mod header;
mod order;
mod swallowed;
#[cfg(test)]
pub(crate) mod tests;
mod unknown_vr;

use dicom_core::Tag;

pub(crate) use self::content::ElementContent;
pub(crate) use self::error::ScanError;
pub(crate) use self::fragments::FragmentsEnd;
pub(crate) use self::header::{Encoding, Header, HeaderError, UNDEFINED, is_placeholder};
use self::order::FrameOrder;
use crate::limits::Limits;
use crate::read::dictionary;
use crate::read::input::Input;
use crate::read::mended::Mended;

pub(crate) const ITEM: Tag = Tag(0xFFFE, 0xE000);
pub(crate) const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
pub(crate) const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);
pub(crate) const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);

/// Bytes after the last element that are checked at once.
const STEP: usize = 32 << 10;

/// Length of the preamble of a file and the letters `DICM` behind it (PS3.10 section 7.1).
const PREAMBLE_AND_MAGIC: usize = 132;

/// Length of an item header or a delimiter, in bytes (PS3.5 section 7.5).
pub(crate) const ITEM_HEADER: u64 = 8;

/// One step of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// An element begins. Its header has been read; the caller must skip it or enter it.
    Element,
    /// An item begins at this offset, with this length in its header.
    Item { at: u64, len: u32 },
    /// An item ends. If its length is undefined, `delimiter` is the offset of its delimiter.
    ItemEnd { delimiter: Option<u64> },
    /// A sequence ends. If its length is undefined, `delimiter` is the offset of its delimiter.
    SequenceEnd { delimiter: Option<u64> },
    /// The data set ends.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FrameKind {
    Root,
    Sequence,
    Item,
    /// The root or an item whose elements are read in the order of their tags.
    Sorted,
}

/// The data set, sequence or item that is being read, or one around it.
#[derive(Debug, Clone, Copy)]
struct Frame {
    kind: FrameKind,
    encoding: Encoding,
    /// Its end, or the end of the enclosing frame if its length is undefined.
    end: u64,
    undefined: bool,
    /// True until its first element has shown the encoding.
    fresh: bool,
}

/// Reads the headers of one data set.
#[derive(Debug)]
pub(crate) struct Walk<I> {
    input: I,
    at: u64,
    stack: Vec<Frame>,
    /// The end of the top frame, or 0 if [`next_simple`](Self::next_simple) cannot read it.
    simple_end: u64,
    simple_encoding: Encoding,
    /// How many more elements, items and fragments the limits allow.
    left: u64,
    max_depth: usize,
    max_value: u32,
    /// True if elements are read in the order of their tags.
    sorts: bool,
    /// The order of the elements of each sorted frame in the stack.
    orders: Vec<FrameOrder>,
    /// The most memory for `orders`, in bytes.
    max_order_bytes: u64,
    /// The offset behind the last nonzero byte that a search for zeros has found.
    nonzero_end: u64,
    /// How many places may still be read to find elements in values.
    searches_left: u32,
    /// What was read although it is not as PS3.5 requires.
    pub(crate) mended: Mended,
}

impl<I: Input> Walk<I> {
    /// Reads the data set from `begin` to the end of the input.
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
            // A nested level takes two frames, the root one.
            max_depth: usize::from(limits.max_depth) * 2 + 1,
            max_value: limits.max_value_bytes,
            sorts: false,
            orders: Vec::new(),
            max_order_bytes: limits.max_plan_bytes,
            nonzero_end: 0,
            searches_left: swallowed::MAX_SEARCHES,
            mended: Mended::default(),
        }
    }

    /// Returns the encoding that the first element of the data set shows.
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

    /// Returns the length of the input.
    pub(crate) fn len(&self) -> u64 {
        self.input.len()
    }

    /// Returns the input.
    pub(crate) fn into_input(self) -> I {
        self.input
    }

    /// Returns true if elements are read in the order of their tags.
    pub(crate) fn is_sorted(&self) -> bool {
        self.sorts
    }

    /// Returns the offset up to which the data set has been read.
    pub(crate) fn position(&self) -> u64 {
        self.at
    }

    /// Reads the next element on the fast path: the encoding is known, and the value ends inside the
    /// data set or item. Otherwise returns false and does not move; call [`next`](Self::next) then.
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

    /// Returns the next token, and writes the header of an element to `into`. Returning the header by
    /// value would cost a failed store-to-load forwarding, about 12 cycles.
    pub(crate) fn next(&mut self, into: &mut Header) -> Result<Token, ScanError> {
        loop {
            let Some(frame) = self.stack.last().copied() else {
                return Ok(Token::End);
            };
            let step = match frame.kind {
                FrameKind::Sequence => self.in_sequence(frame)?,
                FrameKind::Item | FrameKind::Root => self.in_data_set(frame, into)?,
                FrameKind::Sorted => Some(self.in_order(frame, into)?),
            };
            if let Some(token) = step {
                return Ok(token);
            }
        }
    }

    /// Reads an item or the end of a sequence. Returns `None` after dropping a stray delimiter.
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
                let problem = "the length of a delimiter is not zero";
                Err(ScanError::new(problem, Some(tag), at))
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
            _ => Err(ScanError::new("expected an item", Some(tag), at)),
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
        if self.sorts {
            self.sort_frame()?;
        }
        Ok(Token::Item { at, len })
    }

    /// Reads an element, or the end of a data set or item. Returns `None` after dropping a stray
    /// delimiter.
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
            return self.trailing_bytes(frame).map(Some);
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
            return self.trailing_bytes(frame).map(Some);
        }
        if let Err(error) = header.read(window, at, frame.end, encoding) {
            self.recover(header, at, frame.end, error)?;
        }
        if header.tag().0 == 0xFFFE {
            return self.delimiter(frame, header);
        }
        self.begin_element(frame, header)?;
        Ok(Some(Token::Element))
    }

    #[inline]
    fn begin_element(&mut self, frame: Frame, header: &Header) -> Result<(), ScanError> {
        self.spend(1)?;
        if !header.is_undefined() {
            inside(header.value, header.len, frame.end, header.tag(), header.at)?;
        }
        self.at = header.value;
        Ok(())
    }

    fn delimiter(&mut self, frame: Frame, header: &Header) -> Result<Option<Token>, ScanError> {
        if header.len != 0 || header.tag() == ITEM {
            return Err(ScanError::new(
                "expected an element, found an item or a delimiter",
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

    /// Drops zeros after the last element. Refuses any other bytes.
    fn trailing_bytes(&mut self, frame: Frame) -> Result<Token, ScanError> {
        if frame.kind != FrameKind::Root {
            let problem =
                "the object is cut short or damaged: a sequence or an item is not complete";
            return Err(ScanError::new(problem, None, self.at));
        }
        if !self.only_zeros(self.at, frame.end)? {
            let problem = "the object is cut short or damaged: the bytes after the last element are not an element";
            return Err(ScanError::new(problem, None, self.at));
        }
        self.at = frame.end;
        self.pop();
        Ok(Token::End)
    }

    /// Returns true if there are only zeros from `at` to `end`, which is the end of the input. Reads
    /// no zeros twice that a nonzero byte follows, because hostile objects make it search often.
    fn only_zeros(&mut self, mut at: u64, end: u64) -> Result<bool, ScanError> {
        if at < self.nonzero_end {
            return Ok(false);
        }
        while at < end {
            let here = self
                .input
                .window(at, STEP)
                .map_err(|failed| ScanError::input(failed, at))?;
            let here = here.get(..STEP).unwrap_or(here);
            if let Some(last) = here.iter().rposition(|byte| *byte != 0) {
                self.nonzero_end = at + last as u64 + 1;
                return Ok(false);
            }
            at += here.len() as u64;
        }
        Ok(true)
    }

    /// Returns true if the bytes that could not be read may be DICOM: a damaged element with a tag
    /// above `last`, or a second file. Private groups, FFFA and FFFC follow pixel data; items and
    /// delimiters may belong to it.
    pub(crate) fn may_be_dicom(&mut self, last: u32) -> Result<bool, ScanError> {
        let (at, top) = (self.at, self.stack.last());
        let encoding = top.map_or(Encoding::ExplicitLe, |top| top.encoding);
        let window = self
            .input
            .window(at, PREAMBLE_AND_MAGIC)
            .map_err(|failed| ScanError::input(failed, at))?;
        let head = window.get(..PREAMBLE_AND_MAGIC);
        if head.is_some_and(|head| head.ends_with(b"DICM")) {
            return Ok(true);
        }
        let Some((tag, _)) = header::item(window, encoding) else {
            return Ok(false);
        };
        let letters = window
            .get(4..6)
            .is_some_and(|letters| letters.iter().all(u8::is_ascii_uppercase));
        let has_vr = letters || encoding == Encoding::ImplicitLe;
        let can_follow = tag.0 % 2 == 1 || matches!(tag.0, 0xFFFA | 0xFFFC);
        let is_above = dictionary::number(tag) > last;
        Ok(tag.0 == 0xFFFE || (is_above && can_follow && has_vr))
    }

    /// Ends the data set here. The bytes after it are not read.
    pub(crate) fn end(&mut self) -> Token {
        self.stack.clear();
        self.update_simple();
        Token::End
    }

    fn detect_frame_encoding(&mut self, frame: Frame) -> Result<Encoding, ScanError> {
        let at = self.at;
        let window = self
            .input
            .window(at, 12)
            .map_err(|failed| ScanError::input(failed, at))?;
        let mut encoding =
            header::detected_encoding(window, frame.end.saturating_sub(at), frame.encoding);
        if encoding == Encoding::ImplicitLe && encoding != frame.encoding {
            encoding = self.checked_implicit(at, frame)?;
        }
        if let Some(top) = self.stack.last_mut() {
            top.encoding = encoding;
            top.fresh = false;
        }
        self.update_simple();
        Ok(encoding)
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
            ElementContent::Fragments => self.skip_fragments(header),
            ElementContent::Value => Ok(()),
            ElementContent::Sequence(inner) => {
                // What is skipped needs no order.
                let sorts = std::mem::take(&mut self.sorts);
                let skipped = self.skip_sequence(header, inner);
                self.sorts = sorts;
                skipped
            }
        }
    }

    fn skip_sequence(&mut self, header: &Header, inner: Encoding) -> Result<(), ScanError> {
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

    /// Enters or skips an element of undefined length, inside a sequence that is being skipped.
    fn descend(&mut self, header: &Header) -> Result<(), ScanError> {
        match self.content(header)? {
            ElementContent::Fragments => self.skip_fragments(header),
            ElementContent::Sequence(inner) => self.enter(header, inner),
            ElementContent::Value => Ok(()),
        }
    }

    /// Returns the value of an element. Refuses a value longer than the limits allow.
    #[inline]
    pub(crate) fn value(&mut self, header: &Header) -> Result<&[u8], ScanError> {
        if header.len > self.max_value {
            let problem = "a value to be replaced or indexed is longer than the limit";
            return Err(ScanError::rule(problem, header.tag(), header.at));
        }
        let len = usize::try_from(header.len).unwrap_or(usize::MAX);
        self.bytes(header.value, len)
    }

    /// Returns at least `want` bytes from `at` on, or fewer if the input ends before.
    #[inline]
    pub(crate) fn window(&mut self, at: u64, want: usize) -> Result<&[u8], ScanError> {
        self.input
            .window(at, want)
            .map_err(|failed| ScanError::input(failed, at))
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
            return Err(ScanError::new("sequences nest too deeply", None, self.at));
        }
        self.stack.push(frame);
        self.update_simple();
        Ok(())
    }

    fn pop(&mut self) {
        self.stack.pop();
        self.update_simple();
    }

    /// Updates the fields of [`next_simple`](Self::next_simple) after the top of the stack changed.
    fn update_simple(&mut self) {
        let top = self.stack.last();
        let known = top.filter(|frame| {
            matches!(frame.kind, FrameKind::Root | FrameKind::Item) && !frame.fresh
        });
        self.simple_end = known.map_or(0, |frame| frame.end);
        if let Some(frame) = known {
            self.simple_encoding = frame.encoding;
        }
    }
}

/// Returns the end of a value. Refuses one beyond `end`, where the enclosing frame ends (PS3.5
/// section 7.5).
#[inline]
fn inside(begin: u64, len: u32, end: u64, tag: Tag, at: u64) -> Result<u64, ScanError> {
    begin
        .checked_add(u64::from(len))
        .filter(|own| *own <= end)
        .ok_or_else(|| {
            let problem = "the object is cut short or damaged: a length extends beyond the enclosing sequence, item or data set";
            ScanError::new(problem, Some(tag), at)
        })
}
