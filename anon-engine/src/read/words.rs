//! Checks eight bytes at a time, because nearly all texts and kept values are checked.

/// A word with 1 in each byte.
pub(crate) const ONES: u64 = 0x0101_0101_0101_0101;
/// A word with the top bit of each byte.
pub(crate) const TOP: u64 = 0x80 * ONES;
/// A word of eight zero digits.
pub(crate) const ZEROS: u64 = 0x30 * ONES;

/// Returns true if all bytes fit. `marks` returns a word whose bytes have the top bit where a byte
/// does not fit. The zero digit must fit.
#[inline]
pub(crate) fn all_words(value: &[u8], marks: impl Fn(u64) -> u64) -> bool {
    let Some(last) = value.last_chunk::<8>() else {
        let word = value
            .iter()
            .fold(ZEROS, |word, byte| word << 8 | u64::from(*byte));
        return marks(word) & TOP == 0;
    };
    // Some of its bytes are checked again, if the length is no multiple of eight.
    let mut found = marks(u64::from_le_bytes(*last));
    let mut rest = value;
    while let Some((word, behind)) = rest.split_first_chunk::<8>() {
        found |= marks(u64::from_le_bytes(*word));
        rest = behind;
    }
    found & TOP == 0
}

/// Marks this byte, which is ASCII. A mark above a marked byte can be wrong.
#[inline]
pub(crate) fn equal(word: u64, byte: u8) -> u64 {
    let difference = word ^ (u64::from(byte) * ONES);
    difference.wrapping_sub(ONES) & !difference
}
