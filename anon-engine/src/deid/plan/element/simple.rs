//! Keeps simple elements in few steps.

use super::Planner;
use crate::deid::plan::value_check;
use crate::read::dictionary::{self, Vr};
use crate::read::input::Input;
use crate::read::scan::Header;

impl<I: Input> Planner<'_, I> {
    /// Keeps an element that needs no second look, in few steps: a short value of even length whose
    /// VR is that of the dictionary, written back as it stands. Nearly all that is kept is of that
    /// kind. If it returns false, nothing has changed, and [`keep`](Self::keep) decides. It never
    /// allocates, so it skips the check of the memory budget.
    #[inline]
    pub(super) fn keep_simple(&mut self, header: &Header) -> bool {
        if header.len <= 8 {
            self.keep_word(header)
        } else {
            self.keep_words(header)
        }
    }

    /// A function of its own, which calls no other: saving registers for calls would take as long as
    /// the check of a word.
    #[inline(never)]
    fn keep_word(&mut self, header: &Header) -> bool {
        header.len <= 8 && self.keep_short(header)
    }

    #[inline(never)]
    fn keep_words(&mut self, header: &Header) -> bool {
        header.len > 8 && self.keep_short(header)
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the two callers know the length")]
    fn keep_short(&mut self, header: &Header) -> bool {
        #[cfg(test)]
        if self.thorough {
            return false;
        }
        let len = header.len;
        let Some(level) = self.levels.last_mut() else {
            return false;
        };
        let number = header.number;
        let is_simple = len <= value_check::SHORT_BYTES
            && len.is_multiple_of(2)
            && !header.corrected
            && level.target == Some(header.encoding)
            && level.least <= u64::from(number)
            && header.vr != Vr::SQ
            && dictionary::is_known(number, header.vr);
        if !is_simple || (self.depth == 0 && self.next_inserted <= number) {
            return false;
        }
        let len = len as usize;
        let Ok(window) = self.walk.window(header.value, len.max(8)) else {
            return false;
        };
        if !value_check::passes_short(header.vr, window, len)
            || !self.template.source_in_place(header.at, header.end())
        {
            return false;
        }
        level.least = u64::from(number) + 1;
        self.walk.skip_value(header);
        true
    }
}
