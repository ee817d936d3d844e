//! Checks the values that the rules keep ([`value_check`]).

use anon_model::RemarkReason;

use super::{FLOAT_PIXELS, PIXELS, Planner, value_vr};
use crate::deid::plan::value_check::{self, TextCheck, ValueCheck};
use crate::read::dictionary;
use crate::read::input::Input;
use crate::read::scan::{Header, ScanError};

/// Bytes of a kept value that are checked at once.
const PIECE: u32 = 32 << 10;

impl<I: Input> Planner<'_, I> {
    /// True if a value of defined length can be what its VR says.
    pub(super) fn passes(&mut self, header: &Header, check: ValueCheck) -> Result<bool, ScanError> {
        match check {
            ValueCheck::Binary { unit, most } => self.passes_binary(header, unit, most),
            ValueCheck::Text | ValueCheck::Lines => self.passes_text(header, check),
            _ if header.len <= PIECE => {
                let value = self.walk.bytes(header.value, header.len as usize)?;
                Ok(value_check::passes(check, value))
            }
            _ => self.passes_long(header, check),
        }
    }

    /// Length, and no elements or UIDs in the value. Pixel data of the length that it should have is
    /// not searched, nor is what is behind the last pixel, which is left out.
    fn passes_binary(&mut self, header: &Header, unit: u32, most: u32) -> Result<bool, ScanError> {
        // The other elements of the group are kept whole.
        if (FLOAT_PIXELS..=PIXELS).contains(&header.number) {
            return Ok(self.has_whole_pixels(header) || !self.walk.holds_elements(header)?);
        }
        let is_whole = header.len.is_multiple_of(unit) && header.len <= most;
        if !is_whole || (unit == 1 && self.names_uid(header)?) {
            return Ok(false);
        }
        Ok(header.len <= unit || !self.walk.holds_elements(header)?)
    }

    fn passes_text(&mut self, header: &Header, check: ValueCheck) -> Result<bool, ScanError> {
        let mut text = TextCheck::new(check);
        let (mut at, end) = (header.value, header.end());
        while at < end {
            let step = (end - at).min(PIECE.into());
            let piece = self.walk.bytes(at, usize::try_from(step).unwrap_or(0))?;
            if !text.passes(piece) {
                return Ok(false);
            }
            at += step;
        }
        Ok(!self.names_uid(header)?)
    }

    /// True if a value of usual length has a UID that can be an original.
    fn names_uid(&mut self, header: &Header) -> Result<bool, ScanError> {
        if header.len > PIECE {
            return Ok(false);
        }
        let value = self.walk.bytes(header.value, header.len as usize)?;
        Ok(value_check::names_uid(value))
    }

    /// Value by value: a piece ends before a backslash.
    #[cold]
    fn passes_long(&mut self, header: &Header, check: ValueCheck) -> Result<bool, ScanError> {
        let (mut at, end) = (header.value, header.end());
        while end - at > u64::from(PIECE) {
            let piece = self.walk.bytes(at, PIECE as usize)?;
            let Some(cut) = piece.iter().rposition(|byte| *byte == b'\\') else {
                return Ok(false);
            };
            if !value_check::passes(check, piece.get(..cut).unwrap_or_default()) {
                return Ok(false);
            }
            at += cut as u64 + 1;
        }
        let rest = usize::try_from(end - at).unwrap_or(0);
        Ok(value_check::passes(check, self.walk.bytes(at, rest)?))
    }

    /// Empties a value that failed its check. Refuses the object if the value holds other elements: its
    /// length is wrong, so what follows it may be wrong too.
    #[cold]
    pub(super) fn keep_nothing(
        &mut self,
        header: &Header,
        check: ValueCheck,
    ) -> Result<(), ScanError> {
        let problem = if self.walk.holds_elements(header)? {
            "the object is damaged: a value holds other elements, so its length is wrong"
        } else if check == ValueCheck::BinaryAsText {
            "text where the dictionary says a binary value"
        } else {
            let number = dictionary::number_to_show(header.number);
            self.remarks.add(RemarkReason::NotOfItsVr, number);
            self.walk.skip(header)?;
            return self.emit(header, value_vr(header), b"");
        };
        Err(ScanError::new(problem, Some(header.tag()), header.at))
    }
}
