//! [`ElementContent`]: tells values, sequences and fragments apart.

use super::header::{self, Encoding, Header, UNDEFINED};
use super::{ITEM, ITEM_HEADER, PIXEL_DATA, ScanError, Walk};
use crate::read::dictionary::{self, Vr};
use crate::read::input::Input;

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

impl<I: Input> Walk<I> {
    /// Returns what the current element holds. Reads at most the header of its first item.
    pub(crate) fn content(&mut self, header: &Header) -> Result<ElementContent, ScanError> {
        self.content_given_vr(header, dictionary::vr(header.tag()))
    }

    /// As [`content`](Self::content); `known` is the VR that PS3.6 gives the tag.
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
        // An element of unknown VR may be a sequence (PS3.5 sections 6.2.2 and 7.1.3).
        let may_be_sequence =
            known == Some(Vr::SQ) || header.vr == Vr::UN || (is_implicit && known.is_none());
        if !may_be_sequence || header.len == 0 {
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

    /// Accepts a plain value, unless it begins with an item: a reader that parses the item would find
    /// elements that no rule has decided about.
    #[inline]
    fn plain(&mut self, header: &Header) -> Result<ElementContent, ScanError> {
        if !self.has_tag_of_item(header)? {
            return Ok(ElementContent::Value);
        }
        let value = self.bytes(header.value, 8)?;
        if [Encoding::ExplicitLe, Encoding::ExplicitBe]
            .into_iter()
            .any(|order| item_fits(value, order, header.len))
        {
            let problem = "a value that is not a sequence holds items";
            return Err(ScanError::new(problem, Some(header.tag()), header.at));
        }
        Ok(ElementContent::Value)
    }

    /// Returns true if a value begins with the tag of an item, in either byte order, and has room for
    /// an item header. Never true for pixel data, which may begin with any bytes.
    #[inline]
    fn has_tag_of_item(&mut self, header: &Header) -> Result<bool, ScanError> {
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
            if item_fits(value, inner, header.len) {
                return Ok(true);
            }
            let problem = "an item extends beyond its sequence";
            return Err(ScanError::new(problem, Some(header.tag()), header.at));
        }
        // Items in the other byte order are not parsed, so no rule could decide about their elements.
        if header::item(value, inner.other_order()).is_some_and(|(tag, _)| tag == ITEM) {
            let problem = "a value of unknown VR holds items in the other byte order";
            return Err(ScanError::new(problem, Some(header.tag()), header.at));
        }
        Ok(false)
    }
}

/// Returns true if these bytes are the header of an item that ends within a value of `len` bytes. An
/// odd value is padded when it is written (PS3.5 section 7.1.1), so the padding counts.
fn item_fits(value: &[u8], order: Encoding, len: u32) -> bool {
    let even = u64::from(len) + u64::from(len % 2);
    header::item(value, order).is_some_and(|(tag, own)| {
        tag == ITEM && (own == UNDEFINED || u64::from(own) + ITEM_HEADER <= even)
    })
}

/// Returns what an element of undefined length holds (PS3.5 sections 6.2.2, 7.5 and A.4).
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
    let problem = "the value representation does not allow an undefined length";
    Err(ScanError::new(problem, Some(header.tag()), header.at))
}
