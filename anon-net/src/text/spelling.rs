//! The spelling of defined terms in Specific Character Set (0008,0005).
//!
//! Peers confuse case, blanks, underscores and hyphens, and write UTF-8 by its common name. Such a
//! term is read as the one that it means (PS3.3 section C.12.1.1.2). anon-engine reads them the same
//! way, and neither crate depends on the other.

/// Returns a term without padding.
pub(super) fn trim(term: &[u8]) -> &[u8] {
    let is_padding = |byte: &u8| matches!(byte, b' ' | b'\0' | b'\t' | b'\n' | b'\r');
    let start = term.iter().position(|byte| !is_padding(byte));
    let end = term.iter().rposition(|byte| !is_padding(byte));
    match (start, end) {
        (Some(start), Some(end)) => term.get(start..=end).unwrap_or_default(),
        _ => &[],
    }
}

/// Returns the ISO registration number that a term means; UTF-8 has 192.
pub(super) fn number(term: &[u8]) -> Option<u16> {
    if is_words(term, &[b"UTF", b"8"]) {
        return Some(192);
    }
    let digits =
        words(term, &[b"ISO", b"IR"]).or_else(|| words(term, &[b"ISO", b"2022", b"IR"]))?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Returns true if a term consists of these words.
pub(super) fn is_words(term: &[u8], expect: &[&[u8]]) -> bool {
    words(term, expect).is_some_and(<[u8]>::is_empty)
}

/// Returns what follows these words at the start of a term. Case does not matter, nor which of
/// blank, underscore and hyphen follow a word, if any.
fn words<'t>(term: &'t [u8], expect: &[&[u8]]) -> Option<&'t [u8]> {
    expect.iter().try_fold(term, |term, word| {
        let (head, mut rest) = term.split_at_checked(word.len())?;
        while let [b' ' | b'_' | b'-', tail @ ..] = rest {
            rest = tail;
        }
        head.eq_ignore_ascii_case(word).then_some(rest)
    })
}
