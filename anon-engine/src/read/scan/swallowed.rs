//! Finds elements in a value that should have none. Its length is wrong then, and takes in the elements
//! behind it.

use dicom_core::Tag;

use super::header::{self, Encoding, Header};
use super::{ITEM, ITEM_END, ITEM_HEADER, SEQUENCE_END, ScanError, Walk};
use crate::read::dictionary::{self, Vr};
use crate::read::input::Input;

/// Bytes that are searched at once.
const STEP: u64 = 32 << 10;

/// How many implicit headers must follow one that was found.
const FOLLOWING: u32 = 6;

/// How many places in an object may be read to see whether an element begins there. Waveforms have some
/// ten thousand such places, hostile objects a hundred million.
pub(super) const MAX_SEARCHES: u32 = 1 << 18;

impl<I: Input> Walk<I> {
    /// Returns true if a value of defined length holds the header of an element that PS3.6 lists, or a
    /// delimiter, at an even offset. Lengths are even (PS3.5 section 7.1.1), so elements behind a wrong
    /// length are at even offsets unless an odd length comes before them. In implicit VR data sets, where
    /// a header has no VR, other headers must follow.
    ///
    /// Also true if too many places had to be read to find out.
    #[cold]
    pub(crate) fn holds_elements(&mut self, header: &Header) -> Result<bool, ScanError> {
        let (mut at, end) = (header.value, header.end());
        let around = self.stack.last().map_or(end, |frame| frame.end);
        while end.saturating_sub(at) >= ITEM_HEADER {
            let len = usize::try_from((end - at).min(STEP)).unwrap_or(0);
            let window = self.bytes(at, len)?;
            let find = |window: &[u8], from: usize| {
                let pairs = window.get(from..)?.windows(8).step_by(2);
                let mut places = (from..).step_by(2).zip(pairs);
                let left = around - at;
                places
                    .find(|(_, bytes)| may_begin(bytes, header.encoding, left))
                    .map(|(place, _)| place)
            };
            let mut found = find(window, 0);
            // The headers that follow can be far away, and are read in the place of the window.
            let window = if found.is_some() {
                window.to_vec()
            } else {
                Vec::new()
            };
            while let Some(place) = found {
                if self.begins_element(at + place as u64, header, around)? {
                    return Ok(true);
                }
                found = find(&window, place + 2);
            }
            // Up to seven bytes may begin a header.
            at += (len as u64 - 6) & !1;
        }
        Ok(false)
    }

    /// Returns true if the bytes at an offset in the value of `outer` are a header or a delimiter. `end` is
    /// that of what is around `outer`.
    fn begins_element(&mut self, at: u64, outer: &Header, end: u64) -> Result<bool, ScanError> {
        let Some(left) = self.searches_left.checked_sub(1) else {
            return Ok(true);
        };
        self.searches_left = left;
        let (found, read) = self.header_at(at, end, outer.encoding)?;
        if read.is_err() || !(found.is_undefined() || found.end() <= end) {
            return Ok(false);
        }
        if outer.encoding != Encoding::ImplicitLe || found.tag().0 == 0xFFFE {
            return Ok(true);
        }
        self.leads_on(found, outer, end)
    }

    /// Returns true if a chain of headers begins with `first` and reaches the end of `outer`, or that of
    /// what is around it. Samples look like a few implicit headers, so several must follow.
    fn leads_on(&mut self, first: Header, outer: &Header, end: u64) -> Result<bool, ScanError> {
        let mut last = first;
        for step in 0..FOLLOWING {
            let at = if last.is_undefined() {
                last.value
            } else {
                last.end()
            };
            let is_behind = step > 0 || first.number > outer.number;
            if at == end || (at == outer.end() && is_behind) {
                return Ok(is_behind);
            }
            let (next, read) = self.header_at(at, end, outer.encoding)?;
            let fits = next.is_undefined() || (next.len.is_multiple_of(2) && next.end() <= end);
            match next.tag() {
                ITEM => return Ok(last.is_undefined()),
                ITEM_END | SEQUENCE_END => return Ok(next.len == 0),
                _ if read.is_err() || !fits || next.number <= last.number => return Ok(false),
                Tag(_, 0) if next.len == 4 => {}
                tag if may_be_in_data_set(tag) || is_private(tag) => {}
                _ => return Ok(false),
            }
            last = next;
        }
        Ok(true)
    }
}

/// Returns true if PS3.6 lists an element. Groups below 0008 are not in data sets (PS3.5 section 7.1), and
/// numbers without a meaning look like group lengths.
fn may_be_in_data_set(tag: Tag) -> bool {
    tag.0 >= 8 && tag.0.is_multiple_of(2) && tag.1 != 0 && dictionary::vr(tag).is_some()
}

/// Returns true for a private creator or element (PS3.5 section 7.8.1).
fn is_private(tag: Tag) -> bool {
    tag.0 % 2 == 1 && tag.0 >= 9 && tag.1 >= 0x10
}

/// Returns true if eight bytes can be a header of an element that PS3.6 lists, with any VR, or a delimiter.
/// `left` is at least the number of bytes that an implicit header can have behind it.
fn may_begin(bytes: &[u8], encoding: Encoding, left: u64) -> bool {
    let Some((tag, len)) = header::item(bytes, encoding) else {
        return false;
    };
    if tag.0 == 0xFFFE {
        return len == 0 && matches!(tag, ITEM_END | SEQUENCE_END);
    }
    if encoding == Encoding::ImplicitLe {
        // Noise is rejected before the dictionary is asked, which caches what it does not list.
        return len.is_multiple_of(2) && u64::from(len) <= left && may_be_in_data_set(tag);
    }
    let letters = bytes.get(4..6).and_then(|letters| letters.first_chunk());
    let vr = letters.map(|letters| Vr::of(*letters));
    vr.is_some_and(|vr| vr.length_form().is_some()) && may_be_in_data_set(tag)
}
