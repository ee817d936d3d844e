//! [`FrameOrder`]: elements that do not stand in the order of their tags.
//!
//! PS3.5 section 7.1 requires that order. Some devices break it. DCMTK and GDCM read their files, and so
//! does this module. A walk that [sorts](Walk::sort) reads each data set and item twice: first to the
//! end, to list where its elements are, then in the order of their tags. Every byte belongs to an element
//! of the list, so nothing can hide between them.

use anon_model::RemarkReason;

use super::{Frame, FrameKind, Header, ScanError, Token, Walk};
use crate::read::input::Input;

/// Where an element stands.
#[derive(Debug, Clone, Copy)]
struct Position {
    number: u32,
    begin: u64,
    end: u64,
}

/// The elements of a data set or item that are still to be read.
#[derive(Debug)]
pub(super) struct FrameOrder {
    /// The last one first.
    left: Vec<Position>,
    /// Where the data set or item ends, and how.
    end: u64,
    token: Token,
}

/// Bytes that are compared at once. Smaller pieces than the windows of a file would read it several
/// times, because the two elements take turns.
const STEP: usize = 64 << 10;

impl<I: Input> Walk<I> {
    /// Reads elements in the order of their tags from here on: those of the current data set, and of
    /// every item that is entered. An element that repeats another byte by byte is left out.
    pub(crate) fn sort(&mut self) -> Result<(), ScanError> {
        self.sorts = true;
        self.sort_frame()
    }

    /// Finds the order of the elements of the top frame.
    pub(super) fn sort_frame(&mut self) -> Result<(), ScanError> {
        let Some(frame) = self.stack.last().copied() else {
            return Ok(());
        };
        let begin = self.at;
        self.sorts = false;
        // What is tolerated is noted when the elements are read again.
        let mended = std::mem::take(&mut self.mended);
        let listed = self.list(frame);
        self.mended = mended;
        self.sorts = true;
        let (mut left, frame, token) = listed?;
        let end = self.at;
        self.at = begin;
        if left.is_sorted_by(|one, next| one.number < next.number) {
            self.push(frame)?;
            return Ok(());
        }
        self.push(Frame {
            kind: FrameKind::Sorted,
            ..frame
        })?;
        self.note_order(&left);
        left.sort_by_key(|position| position.number);
        self.drop_repeated(&mut left)?;
        left.reverse();
        self.orders.push(FrameOrder { left, end, token });
        Ok(())
    }

    /// Lists the elements of the top frame and removes it from the stack. Returns the list, the frame
    /// (its encoding guessed from its first element) and its end token.
    fn list(&mut self, mut frame: Frame) -> Result<(Vec<Position>, Frame, Token), ScanError> {
        let mut elements = Vec::new();
        let mut header = Header::NONE;
        loop {
            let token = self.next(&mut header)?;
            if token != Token::Element {
                return Ok((elements, frame, token));
            }
            frame = self.stack.last().copied().unwrap_or(frame);
            let listed = elements.len() + self.orders.iter().map(|it| it.left.len()).sum::<usize>();
            if (listed * size_of::<Position>()) as u64 > self.max_order_bytes {
                let problem = "an object with elements out of order has too many to be sorted";
                return Err(ScanError::memory(problem, header.tag(), header.at));
            }
            self.skip(&header)?;
            elements.push(Position {
                number: header.number,
                begin: header.at,
                end: self.at,
            });
        }
    }

    fn note_order(&mut self, elements: &[Position]) {
        for (one, next) in elements.iter().zip(elements.iter().skip(1)) {
            if next.number < one.number {
                self.mended
                    .add(RemarkReason::OutOfOrder, next.number, next.begin);
            }
        }
    }

    /// Leaves out elements that repeat the one before them.
    fn drop_repeated(&mut self, elements: &mut Vec<Position>) -> Result<(), ScanError> {
        let mut kept: Vec<Position> = Vec::with_capacity(elements.len());
        for element in elements.drain(..) {
            match kept.last() {
                Some(last) if last.number == element.number && self.is_equal(*last, element)? => {
                    self.mended
                        .add(RemarkReason::Repeated, element.number, element.begin);
                }
                _ => kept.push(element),
            }
        }
        *elements = kept;
        Ok(())
    }

    /// Returns true if two elements have the same bytes.
    fn is_equal(&mut self, one: Position, other: Position) -> Result<bool, ScanError> {
        let len = one.end - one.begin;
        if other.end - other.begin != len {
            return Ok(false);
        }
        let mut copy = Vec::new();
        let mut done = 0;
        while done < len {
            let step = usize::try_from(len - done).unwrap_or(STEP).min(STEP);
            copy.clear();
            copy.extend_from_slice(self.bytes(one.begin + done, step)?);
            if self.bytes(other.begin + done, step)? != copy {
                return Ok(false);
            }
            done += step as u64;
        }
        Ok(true)
    }

    /// Reads the next element of a sorted frame, or its end.
    #[cold]
    pub(super) fn in_order(
        &mut self,
        frame: Frame,
        header: &mut Header,
    ) -> Result<Token, ScanError> {
        let next = self.orders.last_mut().and_then(|order| order.left.pop());
        let Some(element) = next else {
            self.pop();
            let Some(order) = self.orders.pop() else {
                return Ok(Token::End);
            };
            self.at = order.end;
            return Ok(order.token);
        };
        let at = element.begin;
        let window = self
            .input
            .window(at, 12)
            .map_err(|failed| ScanError::input(failed, at))?;
        if let Err(error) = header.read(window, at, frame.end, frame.encoding) {
            self.recover(header, at, frame.end, error)?;
        }
        self.begin_element(frame, header)?;
        Ok(Token::Element)
    }
}
