//! Checks short values in few steps, eight bytes at a time. Nearly all kept values are checked here.

use super::decimals::are_plain_decimals;
use super::forms::{MAX_CODE, is_plain_time};
use crate::read::dictionary::Vr;
pub(super) use crate::read::words::all_words;
use crate::read::words::{ONES, TOP, ZEROS, equal};

/// Values up to this length are short.
pub(in crate::deid::plan) const SHORT_BYTES: u32 = 64;

/// Checks a short value whose VR is that of PS3.6: the first `len` bytes of `window`. Where this says
/// true, [`passes`](super::passes) does too. False if the window has no eight bytes.
#[inline(always)]
#[expect(clippy::inline_always, reason = "callers know whether it is one word")]
pub(in crate::deid::plan) fn passes_short(vr: Vr, window: &[u8], len: usize) -> bool {
    let Some(first) = window.first_chunk::<8>() else {
        return false;
    };
    let shape = SHAPES.get(vr.slot()).copied().unwrap_or(Shape::Other);
    if len > 8 {
        return passes_words(shape, window, len);
    }
    len == 0 || passes_word(shape, u64::from_le_bytes(*first), len)
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

/// As [`passes_short`], for a value of one to eight bytes at the beginning of a word.
#[inline(always)]
#[expect(clippy::inline_always, reason = "nearly all kept values are a word")]
fn passes_word(shape: Shape, first: u64, len: usize) -> bool {
    // The value stands at the end of the word, behind zero digits.
    let word = at_end(first, len);
    match shape {
        Shape::Text => controls(word) & TOP == 0,
        Shape::Code => uncoded(word) & TOP == 0,
        Shape::Decimal => are_decimals(first, len),
        Shape::Two => len == 2,
        Shape::Four => len == 4,
        Shape::Eight => len == 8 && !begins_with_item(word),
        Shape::Time => match others(word) {
            0 => matches!(len, 2 | 4 | 6),
            // `HHMMSS.F`
            point => len == 8 && point == 0x80 << 48 && word >> 48 & 0xFF == u64::from(b'.'),
        },
        Shape::Uid | Shape::Other => false,
    }
}

/// Moves the first bytes of a word to its end, behind zero digits.
#[inline]
fn at_end(first: u64, len: usize) -> u64 {
    (first ^ ZEROS) << (64 - 8 * len) ^ ZEROS
}

/// Returns true if a word begins with the tag of an item, in either byte order.
fn begins_with_item(word: u64) -> bool {
    matches!(word & 0xFFFF_FFFF, 0xE000_FFFE | 0x00E0_FEFF)
}

/// Checks decimal numbers in the first bytes of a word, as [`are_plain_decimals`] does. Takes no plus
/// sign.
#[inline]
fn are_decimals(first: u64, len: usize) -> bool {
    let padding = usize::from(len > 1 && first >> (8 * (len - 1)) & 0xFF == u64::from(b' '));
    let word = at_end(first, len - padding);
    let others = others(word);
    if others == 0 {
        return true;
    }
    let [points, signs, ends] = [b'.', b'-', b'\\'].map(|byte| exactly(word, byte));
    let begin = 64 - 8 * (len - padding);
    let digits = !others & (TOP << begin);
    // The byte behind another one has the higher mark.
    let starts = 0x80 << begin | ends << 8;
    let wrong = others & !(points | signs | ends)
        | signs & !(starts & (digits | points) >> 8)
        | starts & !(signs | digits | points)
        | points & !(digits << 8 | digits >> 8)
        | ends & 0x80 << 56;
    // The first point of a number carries up to the backslash. A second one stays.
    let numbers = !((ends >> 7) * 0xFF);
    wrong | numbers.wrapping_add(points) & points == 0
}

/// Marks this byte, and no other.
#[inline]
fn exactly(word: u64, byte: u8) -> u64 {
    let difference = word ^ (u64::from(byte) * ONES);
    !((difference & !TOP).wrapping_add(!TOP) | difference) & TOP
}

/// Marks bytes that are no digits.
#[inline]
fn others(word: u64) -> u64 {
    let digits = word ^ ZEROS;
    (digits.wrapping_add(0x76 * ONES) | digits) & TOP
}

/// Marks control characters.
#[inline]
pub(super) fn controls(word: u64) -> u64 {
    word.wrapping_sub(0x20 * ONES) & !word
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
