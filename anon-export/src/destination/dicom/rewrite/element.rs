//! [`Header`]: the start of a data element, read and written in either form (PS3.5 section 7.1).

use std::io::{self, Read};

use dicom_core::Tag;

use super::encoding::Form;
use super::vr::Vr;

/// Item (PS3.5 section 7.5).
pub(super) const ITEM: Tag = Tag(0xFFFE, 0xE000);
/// Item Delimitation Item.
pub(super) const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
/// Sequence Delimitation Item.
pub(super) const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);

/// The start of an element. Items and delimiters have no VR in any encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) tag: Tag,
    pub(super) vr: Option<Vr>,
    /// `None` if undefined.
    pub(super) length: Option<u32>,
}

/// The length field of undefined length.
const UNDEFINED: u32 = u32::MAX;

/// Why a header could not be read.
#[derive(Debug)]
pub(super) enum HeaderError {
    Source(io::Error),
    Problem(&'static str),
}

impl From<io::Error> for HeaderError {
    fn from(error: io::Error) -> Self {
        Self::Source(error)
    }
}

impl Header {
    pub(super) const fn without_vr(tag: Tag, length: Option<u32>) -> Self {
        let vr = None;
        Self { tag, vr, length }
    }

    /// Reads a header, and returns it with its size in bytes. `None` at the end of the source.
    /// Without a VR in the source, the header has none.
    pub(super) fn read(
        source: &mut dyn Read,
        form: Form,
    ) -> Result<Option<(Self, u64)>, HeaderError> {
        let mut first = [0];
        loop {
            match source.read(&mut first) {
                Ok(0) => return Ok(None),
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        let [first] = first;
        let [second, third, fourth] = array(source)?;
        let tag = Tag(u16_of([first, second], form), u16_of([third, fourth], form));
        if !form.explicit || tag.group() == ITEM.group() {
            let length = u32_of(array(source)?, form);
            let header = Self::without_vr(tag, defined(length));
            return Ok(Some((header, 8)));
        }
        let vr =
            Vr::of(array(source)?).ok_or(HeaderError::Problem("an element has no valid VR"))?;
        let (length, size) = if vr.has_long_length() {
            let [_, _, length @ ..] = array::<6>(source)?;
            (u32_of(length, form), 12)
        } else {
            (u16_of(array(source)?, form).into(), 8)
        };
        // Only a long length can be undefined.
        let vr = Some(vr);
        let length = defined(length);
        Ok(Some((Self { tag, vr, length }, size)))
    }

    /// Appends it to `out`. In explicit VR, a value that is too long for its VR becomes UN (PS3.5
    /// section 6.2.2).
    pub(super) fn write(&self, form: Form, out: &mut Vec<u8>) {
        for number in [self.tag.group(), self.tag.element()] {
            out.extend(bytes_of_u16(number, form));
        }
        let length = self.length.unwrap_or(UNDEFINED);
        let vr = match self.vr {
            Some(vr) if form.explicit => vr,
            _ => {
                out.extend(bytes_of_u32(length, form));
                return;
            }
        };
        match u16::try_from(length) {
            Ok(length) if !vr.has_long_length() => {
                out.extend(vr.letters());
                out.extend(bytes_of_u16(length, form));
            }
            _ => {
                out.extend(vr.letters());
                out.extend([0, 0]);
                out.extend(bytes_of_u32(length, form));
            }
        }
    }

    /// Returns true if its length fits its VR in explicit VR.
    pub(super) fn fits(&self) -> bool {
        let is_short = self.vr.is_some_and(|vr| !vr.has_long_length());
        !is_short || self.length.is_some_and(|it| it <= u16::MAX.into())
    }
}

fn defined(length: u32) -> Option<u32> {
    (length != UNDEFINED).then_some(length)
}

fn array<const N: usize>(source: &mut dyn Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    source.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn u16_of(bytes: [u8; 2], form: Form) -> u16 {
    if form.big_endian {
        u16::from_be_bytes(bytes)
    } else {
        u16::from_le_bytes(bytes)
    }
}

fn u32_of(bytes: [u8; 4], form: Form) -> u32 {
    if form.big_endian {
        u32::from_be_bytes(bytes)
    } else {
        u32::from_le_bytes(bytes)
    }
}

fn bytes_of_u16(number: u16, form: Form) -> [u8; 2] {
    if form.big_endian {
        number.to_be_bytes()
    } else {
        number.to_le_bytes()
    }
}

fn bytes_of_u32(number: u32, form: Form) -> [u8; 4] {
    if form.big_endian {
        number.to_be_bytes()
    } else {
        number.to_le_bytes()
    }
}
