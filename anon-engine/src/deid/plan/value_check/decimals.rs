//! Reads lists of plain decimal numbers (DS and IS of PS3.5 section 6.2).

/// Returns true for decimal numbers in digits, with a sign, a point and a padding SPACE behind the last
/// one. Reads them by a table of states, because positions and spacings are such lists.
pub(super) fn are_plain_decimals(value: &[u8]) -> bool {
    let value = match value {
        [rest @ .., b' '] => rest,
        _ => value,
    };
    let mut state = BEGIN;
    for byte in value {
        let kind = KINDS.get(usize::from(*byte)).copied().unwrap_or(OTHER);
        let at = usize::from(state | kind) % STATES.len();
        state = STATES.get(at).copied().unwrap_or(FAIL);
    }
    matches!(state, DIGITS | FRACTION)
}

/// Kinds of bytes in decimal numbers.
const DIGIT: u8 = 0;
const POINT: u8 = 1;
const SIGN: u8 = 2;
const BACKSLASH: u8 = 3;
const OTHER: u8 = 4;

const fn kinds() -> [u8; 256] {
    let mut table = [OTHER; 256];
    let mut digit = b'0';
    #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
    #[expect(clippy::as_conversions, reason = "widening, in a const fn")]
    {
        while digit <= b'9' {
            table[digit as usize] = DIGIT;
            digit += 1;
        }
        table[b'.' as usize] = POINT;
        table[b'-' as usize] = SIGN;
        table[b'+' as usize] = SIGN;
        table[b'\\' as usize] = BACKSLASH;
    }
    table
}

static KINDS: [u8; 256] = kinds();

/// What has been read of a number: the row of [`STATES`].
const BEGIN: u8 = 0;
const SIGNED: u8 = 8;
const DIGITS: u8 = 16;
/// A point without a digit before it.
const ONLY_POINT: u8 = 24;
const FRACTION: u8 = 32;
const FAIL: u8 = 40;

/// The state behind a byte, by the state before it and the kind of the byte.
#[rustfmt::skip]
static STATES: [u8; 64] = [
    // DIGIT   POINT       SIGN    BACKSLASH
    DIGITS,    ONLY_POINT, SIGNED, FAIL,  FAIL, FAIL, FAIL, FAIL,
    DIGITS,    ONLY_POINT, FAIL,   FAIL,  FAIL, FAIL, FAIL, FAIL,
    DIGITS,    FRACTION,   FAIL,   BEGIN, FAIL, FAIL, FAIL, FAIL,
    FRACTION,  FAIL,       FAIL,   FAIL,  FAIL, FAIL, FAIL, FAIL,
    FRACTION,  FAIL,       FAIL,   BEGIN, FAIL, FAIL, FAIL, FAIL,
    FAIL,      FAIL,       FAIL,   FAIL,  FAIL, FAIL, FAIL, FAIL,
    FAIL,      FAIL,       FAIL,   FAIL,  FAIL, FAIL, FAIL, FAIL,
    FAIL,      FAIL,       FAIL,   FAIL,  FAIL, FAIL, FAIL, FAIL,
];
