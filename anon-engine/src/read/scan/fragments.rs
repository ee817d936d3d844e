//! Fragments of encapsulated pixel data (PS3.5 section A.4).

use anon_model::RemarkReason;
use dicom_core::Tag;

use super::header::{self, Encoding, Header, UNDEFINED};
use super::{ITEM, ITEM_HEADER, SEQUENCE_END, ScanError, Walk, inside};
use crate::read::input::Input;

/// How encapsulated pixel data ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FragmentsEnd {
    /// With its delimiter.
    Delimiter,
    /// No delimiter: the last fragment ends at this offset. Only the end of the object, zeros or a
    /// damaged delimiter follow.
    Missing(u64),
}

impl<I: Input> Walk<I> {
    /// Skips the fragments of the current element. Reads only their headers, and calls `each` with
    /// the offset and length of every item, including the Basic Offset Table.
    pub(crate) fn fragments(
        &mut self,
        header: &Header,
        mut each: impl FnMut(u64, u32),
    ) -> Result<FragmentsEnd, ScanError> {
        let frame = self.stack.last().copied();
        let end = frame.map_or(0, |frame| frame.end);
        let encoding = header.encoding;
        self.at = header.value;
        loop {
            self.spend(1)?;
            let at = self.at;
            if end.saturating_sub(at) < ITEM_HEADER {
                return self.no_delimiter(header, None, end);
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
                    return Ok(FragmentsEnd::Delimiter);
                }
                _ => return self.no_delimiter(header, Some(tag), end),
            }
        }
    }

    /// Skips fragments that are not kept.
    pub(super) fn skip_fragments(&mut self, header: &Header) -> Result<(), ScanError> {
        if let FragmentsEnd::Missing(at) = self.fragments(header, |_, _| {})? {
            self.mended
                .add(RemarkReason::NoDelimiter, header.number, at);
        }
        Ok(())
    }

    /// Ends fragments that have no delimiter, or a damaged one. Accepted only at the end of an object:
    /// the bytes that follow are few or zeros, and are not written.
    #[cold]
    fn no_delimiter(
        &mut self,
        header: &Header,
        tag: Option<Tag>,
        end: u64,
    ) -> Result<FragmentsEnd, ScanError> {
        let at = self.at;
        let is_cut = self.begins_item(at, header.encoding)?;
        let is_damaged = end.saturating_sub(at) <= ITEM_HEADER && !is_cut;
        let is_last = self.stack.len() == 1 && at > header.value;
        if is_last && (is_damaged || self.only_zeros(at, end)?) {
            self.at = end;
            return Ok(FragmentsEnd::Missing(at));
        }
        let problem = match tag {
            None => "the object is cut short or damaged: encapsulated pixel data is not complete",
            Some(_) => "expected a fragment",
        };
        Err(ScanError::new(problem, Some(header.tag()), at))
    }

    /// Returns true if the tag of an item stands at this offset: the object is cut behind it.
    fn begins_item(&mut self, at: u64, encoding: Encoding) -> Result<bool, ScanError> {
        let window = self
            .input
            .window(at, 4)
            .map_err(|failed| ScanError::input(failed, at))?;
        Ok(window.starts_with(&encoding.put_tag(ITEM)))
    }
}
