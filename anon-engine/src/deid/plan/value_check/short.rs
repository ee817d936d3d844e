//! Checks short values in few steps, eight bytes at a time. Nearly all kept values are checked here.

use super::decimals::are_plain_decimals;
use super::forms::{MAX_CODE, is_plain_time};
use crate::read::dictionary::Vr;

/// Values up to this length are short.
pub(in crate::deid::plan) const SHORT_BYTES: u32 = 64;

/// Checks a short value whose VR is that of PS3.6: the first `len` bytes of `window`. Where this says
/// true, [`passes`](super::passes) does too. False if the window has no eight bytes.
#[inline]
pub(in crate::deid::plan) fn passes_short(vr: Vr, window: &[u8], len: usize) -> bool {
    let Some(first) = window.first_chunk::<8>() else {
        return false;
    };
    let shape = SHAPES.get(vr.slot()).copied().unwrap_or(Shape::Other);
    if len > 8 {
        return passes_words(shape, window, len);
    }
    if len == 0 {
        return true;
    }
    // The value stands at the end of the word, behind zero digits.
    let used = 8 * len;
    let word = u64::from_le_bytes(*first) << (64 - used) | ZEROS >> 1 >> (used - 1);
    match shape {
        Shape::Text => controls(word) & TOP == 0,
        Shape::Code => uncoded(word) & TOP == 0,
        Shape::Two => len == 2,
        Shape::Decimal => is_plain_decimal(word, len),
        _ => passes_word(shape, word, len),
    }
}

/// What a short value of a VR usually looks like.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Text,
    Code,
    Decimal,
    Time,
    Uid,
    /// One number of two bytes.
    Two,
    Four,
    Eight,
    Other,
}

const fn shapes() -> [Shape; Vr::SLOTS] {
    let mut table = [Shape::Other; Vr::SLOTS];
    let mut rest: &[(Vr, Shape)] = &[
        (Vr::LO, Shape::Text),
        (Vr::SH, Shape::Text),
        (Vr::PN, Shape::Text),
        (Vr::ST, Shape::Text),
        (Vr::LT, Shape::Text),
        (Vr::UT, Shape::Text),
        (Vr::UC, Shape::Text),
        (Vr::UR, Shape::Text),
        (Vr::CS, Shape::Code),
        (Vr::AE, Shape::Code),
        (Vr::DS, Shape::Decimal),
        (Vr::IS, Shape::Decimal),
        (Vr::TM, Shape::Time),
        (Vr::UI, Shape::Uid),
        (Vr::US, Shape::Two),
        (Vr::SS, Shape::Two),
        (Vr::UL, Shape::Four),
        (Vr::SL, Shape::Four),
        (Vr::FL, Shape::Four),
        (Vr::AT, Shape::Four),
        (Vr::FD, Shape::Eight),
    ];
    while let [(vr, shape), tail @ ..] = rest {
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            table[vr.slot()] = *shape;
        }
        rest = tail;
    }
    table
}

static SHAPES: [Shape; Vr::SLOTS] = shapes();

/// As [`passes_short`], for values of more than eight bytes.
#[inline(never)]
fn passes_words(shape: Shape, window: &[u8], len: usize) -> bool {
    let Some(value) = window.get(..len) else {
        return false;
    };
    match shape {
        Shape::Text if len <= MAX_CODE => all_words(value, controls),
        // It may be a UID, or name one.
        Shape::Text => {
            !matches!(value, [b'0'..=b'2' | b' ', ..])
                && all_words(value, |word| controls(word) | equal(word, b'\\'))
        }
        Shape::Code => all_words(value, uncoded) && are_short(value),
        Shape::Decimal => are_plain_decimals(value),
        Shape::Time => match value {
            [time @ .., b' '] | time => is_plain_time(time),
        },
        Shape::Uid => match value {
            [uid @ .., 0] | uid => all_words(uid, beyond_uids),
        },
        _ => false,
    }
}

/// Returns true if no code of several is longer than PS3.5 section 6.2 allows.
fn are_short(mut codes: &[u8]) -> bool {
    while let Some(head) = codes.get(..=MAX_CODE) {
        let Some(last) = head.iter().rposition(|byte| *byte == b'\\') else {
            return false;
        };
        codes = codes.get(last + 1..).unwrap_or_default();
    }
    true
}

/// As [`passes_short`], for the rarer values of at most eight bytes, at the end of a word.
#[inline(never)]
fn passes_word(shape: Shape, word: u64, len: usize) -> bool {
    match shape {
        Shape::Time => match others(word) {
            0 => matches!(len, 2 | 4 | 6),
            // `HHMMSS.F`
            point => len == 8 && point == 0x80 << 48 && word >> 48 & 0xFF == u64::from(b'.'),
        },
        Shape::Four => len == 4,
        Shape::Eight => len == 8 && !begins_with_item(word),
        _ => false,
    }
}

/// Returns true if a word begins with the tag of an item, in either byte order.
fn begins_with_item(word: u64) -> bool {
    matches!(word & 0xFFFF_FFFF, 0xE000_FFFE | 0x00E0_FEFF)
}

/// Checks a number at the end of a word.
#[inline]
fn is_plain_decimal(word: u64, len: usize) -> bool {
    // A padding SPACE becomes a zero digit, which may be the only digit of two bytes.
    let padding = u64::from(word >> 56 == u64::from(b' ')) << 60;
    let others = others(word ^ padding);
    if others & others.wrapping_sub(1) == 0 && (len > 2 || padding == 0) {
        let place = others.trailing_zeros() & 0x38;
        // Only digits, or one point among them.
        if others == 0 || (len > 2 && word >> place & 0xFF == u64::from(b'.')) {
            return true;
        }
    }
    is_decimal_word(word, len)
}

#[inline(never)]
fn is_decimal_word(word: u64, len: usize) -> bool {
    let bytes = word.to_le_bytes();
    let begin = bytes.len().saturating_sub(len);
    bytes.get(begin..).is_some_and(are_plain_decimals)
}

/// Marks bytes that are no digits.
#[inline]
fn others(word: u64) -> u64 {
    let digits = word ^ ZEROS;
    (digits.wrapping_add(0x76 * ONES) | digits) & TOP
}

const ONES: u64 = 0x0101_0101_0101_0101;
const TOP: u64 = 0x80 * ONES;

const ZEROS: u64 = 0x30 * ONES;

/// Checks eight bytes at a time, because nearly all kept values are checked. `marks` returns a word
/// whose bytes have the top bit where a byte does not fit. The zero digit must fit.
#[inline]
pub(super) fn all_words(value: &[u8], marks: impl Fn(u64) -> u64) -> bool {
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

/// Marks control characters.
#[inline]
pub(super) fn controls(word: u64) -> u64 {
    word.wrapping_sub(0x20 * ONES) & !word
}

/// Marks this byte. A mark above a marked byte can be wrong.
#[inline]
fn equal(word: u64, byte: u8) -> u64 {
    let difference = word ^ (u64::from(byte) * ONES);
    difference.wrapping_sub(ONES) & !difference
}

/// Marks bytes that no code has. A mark above a marked byte can be wrong.
#[inline]
pub(super) fn uncoded(word: u64) -> u64 {
    word | word.wrapping_add(ONES) | controls(word) | equal(word, b'^')
}

/// Marks bytes other than digits and points. A mark above a marked byte can be wrong.
#[inline]
pub(super) fn beyond_uids(word: u64) -> u64 {
    word | word.wrapping_add(0x46 * ONES)
        | word.wrapping_sub(u64::from(b'.') * ONES)
        | equal(word, b'/')
}
