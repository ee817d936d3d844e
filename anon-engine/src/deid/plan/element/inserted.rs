//! Writes the elements that rules insert, in the order of tags.

use anon_script::object::Insert;

use super::{FLOAT_PIXELS, Planner};
use crate::deid::method;
use crate::read::dictionary;
use crate::read::input::Input;
use crate::read::scan::{Header, ScanError};

impl<I: Input> Planner<'_, I> {
    /// Returns true for an element of the root that an inserted one replaces.
    #[inline]
    pub(super) fn is_replaced(&self, header: &Header) -> bool {
        let tag = header.tag();
        self.insert_filter.may_be_replaced(tag) && method::is_replaced(self.inserts, tag)
    }

    /// Writes those up to this tag, as a number.
    #[inline]
    pub(super) fn insert_up_to(&mut self, number: u32) -> Result<(), ScanError> {
        while self.next_inserted <= number {
            let Some(insert) = self.inserts.get(self.inserted) else {
                break;
            };
            self.inserted += 1;
            self.next_inserted = next_inserted(self.inserts, self.inserted);
            let target = self.target();
            method::insert(&mut self.template, self.policy, target, insert)
                .ok_or_else(|| ScanError::rule("an inserted text is too long", insert.tag, 0))?;
        }
        Ok(())
    }
}

/// The first of the elements from this index on, as a number. Pixel data takes the slow path in any case.
#[inline]
pub(super) fn next_inserted(inserts: &[Insert], from: usize) -> u32 {
    let next = inserts.get(from);
    next.map_or(FLOAT_PIXELS, |insert| dictionary::number(insert.tag))
}
