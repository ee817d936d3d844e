//! [`ImageSize`]: how many bytes the pixels of an uncompressed image take.

use std::ops::RangeInclusive;

use crate::read::scan::Encoding;
use crate::read::uid;

/// The attributes of the root that determine the length of native pixel data (PS3.5 section 8.1.1;
/// PS3.3 section C.7.6.3).
#[derive(Debug, Default)]
pub(super) struct ImageSize {
    /// The raw values of Samples per Pixel, Rows, Columns and Bits Allocated.
    words: [Option<[u8; 2]>; 4],
    frames: Option<u64>,
    /// True if the samples of colour are fewer than those of brightness.
    is_subsampled: bool,
    /// True if an attribute is repeated or cannot be read.
    is_unknown: bool,
}

/// The longest value that is read.
pub(super) const MAX_VALUE: u32 = 64;

const PHOTOMETRIC_INTERPRETATION: u16 = 0x0004;
const NUMBER_OF_FRAMES: u16 = 0x0008;

impl ImageSize {
    /// Returns true for the elements of group 0028 that [`add`](Self::add) reads.
    #[inline]
    pub(super) fn reads(element: u16) -> bool {
        matches!(
            element,
            0x0002 | PHOTOMETRIC_INTERPRETATION | NUMBER_OF_FRAMES | 0x0010 | 0x0011 | 0x0100
        )
    }

    /// Adds an element of group 0028.
    pub(super) fn add(&mut self, element: u16, value: &[u8]) {
        let place = match element {
            PHOTOMETRIC_INTERPRETATION => {
                // YBR_FULL_422, YBR_PARTIAL_422 and YBR_PARTIAL_420.
                self.is_subsampled =
                    value.starts_with(b"YBR") && value.windows(2).any(|part| part == b"42");
                return;
            }
            NUMBER_OF_FRAMES => return self.add_frames(value),
            0x0002 => 0,
            0x0010 => 1,
            0x0011 => 2,
            _ => 3,
        };
        let word = value.first_chunk::<2>().filter(|_| value.len() == 2);
        if let Some(known) = self.words.get_mut(place) {
            self.is_unknown |= known.is_some() || word.is_none();
            *known = word.copied();
        }
    }

    #[cold]
    fn add_frames(&mut self, value: &[u8]) {
        let digits = uid::trim(value);
        if digits.is_empty() {
            return;
        }
        let text = std::str::from_utf8(digits).ok();
        let frames = text.and_then(|text| text.parse::<u32>().ok());
        self.is_unknown |= self.frames.is_some() || frames.is_none_or(|frames| frames == 0);
        self.frames = frames.map(u64::from);
    }

    /// Adds an element whose value is too long to be read.
    pub(super) fn add_unknown(&mut self) {
        self.is_unknown = true;
    }

    /// Returns the number of frames. `None` if it is not certain.
    pub(super) fn frames(&self) -> Option<u64> {
        (!self.is_unknown).then(|| self.frames.unwrap_or(1))
    }

    /// Returns the least and the most bytes that the pixels take, without padding. `None` if that is
    /// not certain, as for 12 bits: some writers pack them, others do not.
    ///
    /// The least is less than the most for subsampled colours, which some writers expand, and for
    /// frames of single bits, which some writers pad to whole bytes.
    pub(super) fn bytes(&self, encoding: Encoding) -> Option<RangeInclusive<u64>> {
        let number = |bytes: Option<[u8; 2]>| {
            let number = match encoding {
                Encoding::ExplicitBe => u16::from_be_bytes(bytes?),
                Encoding::ImplicitLe | Encoding::ExplicitLe => u16::from_le_bytes(bytes?),
            };
            (number > 0).then_some(u64::from(number))
        };
        let [samples, rows, columns, bits] = self.words.map(number);
        let bits = bits?;
        if self.is_unknown || !matches!(bits, 1 | 8 | 16 | 32 | 64) {
            return None;
        }
        let frames = self.frames.unwrap_or(1);
        let frame = rows? * columns? * samples? * bits;
        let all = frame.checked_mul(frames)?;
        let least = if self.is_subsampled { all / 2 } else { all };
        let most = frame.div_ceil(8).checked_mul(frames)?;
        Some(least.div_ceil(8)..=most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(elements: &[(u16, &[u8])]) -> ImageSize {
        let mut size = ImageSize::default();
        for (element, value) in elements {
            size.add(*element, value);
        }
        size
    }

    #[test]
    fn bytes_follow_from_rows_columns_samples_frames_and_bits() {
        type Element<'e> = (u16, &'e [u8]);
        const ROWS: Element<'_> = (0x10, &[3, 0]);
        const COLUMNS: Element<'_> = (0x11, &[5, 0]);
        const GREY: Element<'_> = (0x02, &[1, 0]);
        const RGB: Element<'_> = (0x02, &[3, 0]);
        const YBR_422: Element<'_> = (0x04, b"YBR_FULL_422");
        const BYTE: Element<'_> = (0x100, &[8, 0]);
        const WORD: Element<'_> = (0x100, &[16, 0]);
        const BIT: Element<'_> = (0x100, &[1, 0]);
        const PACKED: Element<'_> = (0x100, &[12, 0]);
        let frames = |text: &'static str| (0x08, text.as_bytes());
        for (elements, expected) in [
            (vec![GREY, ROWS, COLUMNS, BYTE], Some(15..=15)),
            (vec![GREY, ROWS, COLUMNS, WORD], Some(30..=30)),
            (vec![RGB, ROWS, COLUMNS, BYTE], Some(45..=45)),
            (vec![RGB, YBR_422, ROWS, COLUMNS, BYTE], Some(23..=45)),
            (vec![GREY, frames("4 "), ROWS, COLUMNS, BYTE], Some(60..=60)),
            (vec![GREY, frames(""), ROWS, COLUMNS, BYTE], Some(15..=15)),
            // Frames of 15 bits: packed, or each in two bytes.
            (vec![GREY, frames("4"), ROWS, COLUMNS, BIT], Some(8..=8)),
            (vec![GREY, frames("9"), ROWS, COLUMNS, BIT], Some(17..=18)),
            (vec![GREY, frames("many"), ROWS, COLUMNS, BYTE], None),
            (vec![GREY, frames("0"), ROWS, COLUMNS, BYTE], None),
            (vec![GREY, ROWS, COLUMNS, PACKED], None),
            (vec![GREY, ROWS, ROWS, COLUMNS, BYTE], None),
            (vec![GREY, (0x10, &[0, 0]), COLUMNS, BYTE], None),
            (vec![GREY, (0x10, b"3   "), COLUMNS, BYTE], None),
            (vec![GREY, COLUMNS, BYTE], None),
        ] {
            assert_eq!(
                image(&elements).bytes(Encoding::ExplicitLe),
                expected,
                "{elements:?}"
            );
        }
        let mut big = ImageSize::default();
        for (element, value) in [
            (0x02, [0, 1]),
            (0x10, [0, 3]),
            (0x11, [0, 5]),
            (0x100, [0, 8]),
        ] {
            big.add(element, &value);
        }
        assert_eq!(big.bytes(Encoding::ExplicitBe), Some(15..=15));
    }
}
