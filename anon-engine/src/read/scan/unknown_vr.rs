//! Headers whose letters name no VR: which VR and which length an element has then.
//!
//! ```text
//! tag │ ?? │ length │ value …            16 bits, as DCMTK reads it
//! tag │ ?? │ 00 00 │ length │ value …    32 bits (PS3.5 section 7.1.2)
//! ```
//!
//! A length is taken if the value that it gives ends where its data set or item does, or where
//! another header begins, and if the other length does not. So no element can hide in a value that
//! another reader would end elsewhere.

use anon_model::RemarkReason;

use super::header::{Header, HeaderError, UNDEFINED, is_placeholder};
use super::{Encoding, Frame, ITEM, ITEM_END, ITEM_HEADER, SEQUENCE_END, ScanError, Walk};
use crate::read::dictionary::{self, LengthForm, Vr};
use crate::read::input::Input;

impl<I: Input> Walk<I> {
    /// Completes a header that could not be read.
    #[cold]
    pub(super) fn recover(
        &mut self,
        header: &mut Header,
        at: u64,
        end: u64,
        error: HeaderError,
    ) -> Result<(), ScanError> {
        let mut bytes = [0; 12];
        if error != HeaderError::UnknownVr {
            return Err(error.of(header, at));
        }
        let window = self
            .input
            .window(at, bytes.len())
            .map_err(|failed| ScanError::input(failed, at))?;
        let have = window.len().min(bytes.len());
        if let (Some(into), Some(from)) = (bytes.get_mut(..have), window.get(..have)) {
            into.copy_from_slice(from);
        }
        let bytes = bytes.get(..have).unwrap_or_default();
        if !header.correct_vr(bytes, end) && !self.find_length(header, bytes, end)? {
            return Err(error.of(header, at));
        }
        self.mended.add(RemarkReason::UnknownVr, header.number, at);
        Ok(())
    }

    /// Tries the 16-bit and the 32-bit length, and sets VR and length if exactly one leads to a valid
    /// next header or to the end. Returns false if the object is to be refused.
    fn find_length(
        &mut self,
        header: &mut Header,
        bytes: &[u8],
        end: u64,
    ) -> Result<bool, ScanError> {
        let letters = header.vr.letters();
        let is_capital = letters.iter().all(u8::is_ascii_uppercase);
        if !is_placeholder(letters) && !is_capital {
            return Ok(false);
        }
        let short = header.short_len(bytes);
        // New VRs have a 32-bit length (PS3.5 section 6.2), and DCMTK reads one behind capitals.
        if short != 0 && is_capital {
            return Ok(false);
        }
        let mut found = None;
        let long = header.long_len(bytes).filter(|_| short == 0);
        for (value, len) in [(8, Some(short)), (12, long)] {
            let Some(len) = len else { continue };
            if self.reads_right(header, header.at + value, len, end)? {
                if found.is_some() {
                    return Ok(false);
                }
                found = Some((header.at + value, len));
            }
        }
        let Some((value, len)) = found else {
            return Ok(false);
        };
        header.value = value;
        header.len = len;
        header.vr = vr_of(header);
        header.corrected = true;
        // The bytes of OB and of OW stand in different orders in big endian (PS3.5 section 7.3).
        Ok(header.encoding != Encoding::ExplicitBe || header.vr != Vr::OW)
    }

    /// Returns true if a value of this length ends where the data set or item ends, or where another
    /// header or a delimiter begins. A value of undefined length has to begin with an item.
    fn reads_right(
        &mut self,
        header: &Header,
        value: u64,
        len: u32,
        end: u64,
    ) -> Result<bool, ScanError> {
        if len == UNDEFINED {
            let (next, _) = self.header_at(value, end, header.encoding)?;
            return Ok(matches!(next.tag(), ITEM | SEQUENCE_END));
        }
        let at = value + u64::from(len);
        if at >= end {
            return Ok(at == end);
        }
        let (next, read) = self.header_at(at, end, header.encoding)?;
        if next.number == 0 {
            return Ok(self.stack.len() == 1 && self.only_zeros(at, end)?);
        }
        if next.tag().0 == 0xFFFE {
            return Ok(next.len == 0 && matches!(next.tag(), ITEM_END | SEQUENCE_END));
        }
        let ascends = next.number > header.number;
        Ok(match read {
            // A VR shows a header better than the order does, which may be broken, too.
            Ok(()) => {
                (ascends || header.encoding != Encoding::ImplicitLe)
                    && (next.is_undefined() || next.end() <= end)
            }
            // Two such elements in a row.
            Err(HeaderError::UnknownVr) => {
                ascends && is_placeholder(next.vr.letters()) && dictionary::vr(next.tag()).is_some()
            }
            Err(HeaderError::Incomplete(_)) => false,
        })
    }

    /// Reads the header at an offset. It is empty if the data set or item ends before.
    pub(super) fn header_at(
        &mut self,
        at: u64,
        end: u64,
        encoding: Encoding,
    ) -> Result<(Header, Result<(), HeaderError>), ScanError> {
        let mut header = Header::NONE;
        if end.saturating_sub(at) < ITEM_HEADER {
            return Ok((header, Err(HeaderError::Incomplete(None))));
        }
        let window = self
            .input
            .window(at, 12)
            .map_err(|failed| ScanError::input(failed, at))?;
        let read = header.read(window, at, end, encoding);
        Ok((header, read))
    }

    /// Returns the encoding of a frame in an explicit data set whose first element looks implicit. If
    /// its letters are a placeholder, it is implicit only if its implicit length reads right.
    #[cold]
    pub(super) fn checked_implicit(
        &mut self,
        at: u64,
        frame: Frame,
    ) -> Result<Encoding, ScanError> {
        let (explicit, _) = self.header_at(at, frame.end, frame.encoding)?;
        if !is_placeholder(explicit.vr.letters()) {
            return Ok(Encoding::ImplicitLe);
        }
        let (first, _) = self.header_at(at, frame.end, Encoding::ImplicitLe)?;
        let is_implicit = self.reads_right(&first, first.value, first.len, frame.end)?;
        Ok(if is_implicit {
            Encoding::ImplicitLe
        } else {
            frame.encoding
        })
    }
}

/// Returns the VR of PS3.6 if the length fits it, otherwise UN.
fn vr_of(header: &Header) -> Vr {
    let vr = dictionary::vr(header.tag()).unwrap_or(Vr::UN);
    let is_whole = header.is_undefined() || header.len.is_multiple_of(vr.unit());
    let fits = u16::try_from(header.len).is_ok() || vr.length_form() == Some(LengthForm::Long);
    if is_whole && fits { vr } else { Vr::UN }
}
