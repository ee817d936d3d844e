//! The functions that change a text.

use super::expression::trim;

/// Parses an integer as Java does: 32 bits, with an optional sign.
pub(super) fn integer(text: &str) -> Option<i32> {
    text.parse().ok()
}

/// Returns the first characters of a text, or the last ones if `count` is negative.
pub(super) fn truncate(text: &str, count: i32) -> String {
    let length = count.unsigned_abs() as usize;
    if count >= 0 {
        return text.chars().take(length).collect();
    }
    let text = trim(text);
    let skipped = text.chars().count().saturating_sub(length);
    text.chars().skip(skipped).collect()
}

/// Returns the initials of a person's name, the first of them last: `Doe^John^Q` gives `JQD`. Letters and
/// digits are moved on by `offset`.
pub(super) fn initials(name: &str, offset: i32) -> String {
    let name = name.replace(['^', ','], " ");
    let mut initials: Vec<char> = name
        .split(|char| char <= ' ')
        .filter_map(|word| word.chars().next())
        .collect();
    if initials.is_empty() {
        initials.push('X');
    }
    initials.rotate_left(1);
    let initials: String = initials.into_iter().collect();
    initials
        .to_uppercase()
        .chars()
        .map(|char| moved(char, offset))
        .collect()
}

/// Moves a letter or a digit on, around its end.
fn moved(char: char, offset: i32) -> char {
    let (first, count) = match char {
        'a'..='z' => ('a', 26),
        'A'..='Z' => ('A', 26),
        '0'..='9' => ('0', 10),
        other => return other,
    };
    let (first, char) = (u32::from(first), u32::from(char));
    let count = i64::from(count);
    let at = (i64::from(char - first) + i64::from(offset)).rem_euclid(count);
    u32::try_from(at)
        .ok()
        .and_then(|at| char::from_u32(first + at))
        .unwrap_or('X')
}

/// Returns what CTP hashes of a person's name: the first `words` components, without blanks and punctuation.
pub(super) fn name_to_hash(name: &str, words: Option<i32>) -> String {
    let name = name.trim_end_matches('^');
    let count = match words {
        Some(count @ 1..) => count.unsigned_abs() as usize,
        _ => usize::MAX,
    };
    let is_dropped = |char: &char| char.is_whitespace() || matches!(char, ',' | '\'' | '^' | '.');
    let kept: String = name
        .split('^')
        .take(count)
        .flat_map(str::chars)
        .filter(|char| !is_dropped(char))
        .collect();
    kept.to_uppercase()
}

/// Rounds the number that the digits of a value form, and puts its other characters behind it. `None` if it
/// has no digits.
pub(super) fn round(value: &str, size: i32) -> Option<String> {
    let digits: String = value.chars().filter(char::is_ascii_digit).collect();
    let others: String = value
        .chars()
        .filter(|char| !char.is_ascii_digit())
        .collect();
    let number: f32 = digits.parse().ok()?;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "as CTP computes it: a float of 32 bits, cut off at the ends of an integer"
    )]
    let times = (number / size as f32 + 0.5).floor() as i32;
    let rounded = format!("{}{others}", times.wrapping_mul(size));
    let is_odd = rounded.chars().count() % 2 == 1;
    Some(if is_odd {
        format!("0{rounded}")
    } else {
        rounded
    })
}

/// Returns one part of a path, counted from 0, or from the end if `at` is negative. The whole path if it has
/// no such part.
pub(super) fn path_element(path: &str, at: Option<i32>) -> String {
    let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let index = at.and_then(|at| match usize::try_from(at) {
        Ok(at) => Some(at),
        Err(_) => parts.len().checked_sub(at.unsigned_abs() as usize),
    });
    let part = index.and_then(|index| parts.get(index));
    part.map_or_else(|| path.to_owned(), |part| (*part).to_owned())
}

/// Returns whether the digits of one text form a greater number than those of another. CTP compares 32 bits;
/// without digits, or beyond 32 bits, the number is 0.
pub(super) fn is_greater(text: &str, other: &str) -> bool {
    let number = |text: &str| {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        integer(&digits).unwrap_or(0)
    };
    number(text) > number(other)
}
