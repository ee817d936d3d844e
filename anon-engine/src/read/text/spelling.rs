//! The spelling of defined terms in Specific Character Set (0008,0005).
//!
//! Writers confuse case, blanks, underscores and hyphens, and write UTF-8 by its common name. Such a
//! term is read as the one that it means, and written as PS3.3 section C.12.1.1.2 defines it, so that
//! other readers understand it too. anon-net reads terms the same way, and neither crate depends on the
//! other.

use super::Term;

/// Returns a value of (0008,0005) with each term as it is defined. `None` if each term is already
/// spelled so, or if one is unknown.
pub(crate) fn corrected(value: &[u8]) -> Option<String> {
    if terms(value).all(is_defined) {
        return None;
    }
    let terms: Option<Vec<String>> = terms(value).map(defined).collect();
    Some(terms?.join("\\"))
}

fn terms(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b'\\').map(trim)
}

/// Returns a term without padding.
pub(super) fn trim(mut term: &[u8]) -> &[u8] {
    while let [b' ' | 0 | b'\t' | b'\n' | b'\r', rest @ ..]
    | [rest @ .., b' ' | 0 | b'\t' | b'\n' | b'\r'] = term
    {
        term = rest;
    }
    term
}

/// Returns what follows the words of a term that are spelled as defined.
fn after_defined_words(term: &[u8]) -> Option<&[u8]> {
    term.strip_prefix(b"ISO_IR ")
        .or_else(|| term.strip_prefix(b"ISO 2022 IR "))
}

/// Returns true if a term has a defined form. Its number may still be unknown.
fn is_defined(term: &[u8]) -> bool {
    match after_defined_words(term) {
        Some([b'1'..=b'9', rest @ ..]) => {
            rest.iter().all(u8::is_ascii_digit) && term != b"ISO 2022 IR 192"
        }
        Some(_) => false,
        None => matches!(term, b"" | b"GB18030" | b"GBK"),
    }
}

/// Returns the defined form of a term, or `None` if the term is unknown.
fn defined(term: &[u8]) -> Option<String> {
    match Term::parse(term) {
        Term::Unknown => return None,
        Term::Whole(encoding) if encoding == encoding_rs::UTF_8 => {
            return Some("ISO_IR 192".into());
        }
        Term::Whole(encoding) => return Some(encoding.name().to_ascii_uppercase()),
        Term::Ascii if term.is_empty() => return Some(String::new()),
        _ => {}
    }
    let number = number(term)?;
    Some(match words(term, &[b"ISO", b"2022"]) {
        Some(_) => format!("ISO 2022 IR {number}"),
        None => format!("ISO_IR {number}"),
    })
}

/// Returns the ISO registration number that a term means; UTF-8 has 192.
pub(super) fn number(term: &[u8]) -> Option<u16> {
    let read = |digits| std::str::from_utf8(digits).ok()?.parse().ok();
    let defined = after_defined_words(term).and_then(read);
    defined.or_else(|| {
        if is_words(term, &[b"UTF", b"8"]) {
            return Some(192);
        }
        words(term, &[b"ISO", b"IR"])
            .or_else(|| words(term, &[b"ISO", b"2022", b"IR"]))
            .and_then(read)
    })
}

/// Returns true if a term consists of these words.
pub(super) fn is_words(term: &[u8], expect: &[&[u8]]) -> bool {
    words(term, expect).is_some_and(<[u8]>::is_empty)
}

/// Returns what follows these words at the start of a term. Case does not matter, nor which of blank,
/// underscore and hyphen follow a word, if any.
fn words<'t>(term: &'t [u8], expect: &[&[u8]]) -> Option<&'t [u8]> {
    expect.iter().try_fold(term, |term, word| {
        let (head, mut rest) = term.split_at_checked(word.len())?;
        while let [b' ' | b'_' | b'-', tail @ ..] = rest {
            rest = tail;
        }
        head.eq_ignore_ascii_case(word).then_some(rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::text::Charset;

    /// The defined terms of PS3.3 tables C.12-2 to C.12-5.
    const DEFINED: [&str; 33] = [
        "ISO_IR 6",
        "ISO_IR 13",
        "ISO_IR 100",
        "ISO_IR 101",
        "ISO_IR 109",
        "ISO_IR 110",
        "ISO_IR 126",
        "ISO_IR 127",
        "ISO_IR 138",
        "ISO_IR 144",
        "ISO_IR 148",
        "ISO_IR 166",
        "ISO_IR 203",
        "ISO_IR 192",
        "ISO 2022 IR 6",
        "ISO 2022 IR 13",
        "ISO 2022 IR 58",
        "ISO 2022 IR 87",
        "ISO 2022 IR 100",
        "ISO 2022 IR 101",
        "ISO 2022 IR 109",
        "ISO 2022 IR 110",
        "ISO 2022 IR 126",
        "ISO 2022 IR 127",
        "ISO 2022 IR 138",
        "ISO 2022 IR 144",
        "ISO 2022 IR 148",
        "ISO 2022 IR 149",
        "ISO 2022 IR 159",
        "ISO 2022 IR 166",
        "ISO 2022 IR 203",
        "GB18030",
        "GBK",
    ];

    #[test]
    fn defined_terms_stay_and_their_misspellings_mean_the_same() {
        for term in DEFINED {
            let meant = Charset::parse(term.as_bytes());
            assert_eq!(corrected(term.as_bytes()), None, "{term}");
            for pad in [" ", "\0", "\t", "\n", "\r\n", "\0\n", "\n\0 "] {
                let padded = [pad, term, pad].concat();
                assert_eq!(corrected(padded.as_bytes()), None, "{padded:?}");
                assert_eq!(Charset::parse(padded.as_bytes()), meant, "{padded:?}");
            }
            for blank in ["", " ", "_", "-", "  ", " - "] {
                for underscore in ["", " ", "_", "-"] {
                    let wrong = term.replace('_', "\n").replace(' ', blank);
                    let wrong = wrong.replace('\n', underscore);
                    for wrong in [wrong.to_ascii_lowercase(), wrong] {
                        let expect = (wrong != term).then(|| term.to_owned());
                        assert_eq!(corrected(wrong.as_bytes()), expect, "{wrong:?}");
                        assert_eq!(Charset::parse(wrong.as_bytes()), meant, "{wrong:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn utf_8_has_one_term_and_unknown_terms_stay() {
        for (value, expect) in [
            ("UTF-8", Some("ISO_IR 192")),
            ("utf8 ", Some("ISO_IR 192")),
            ("Utf_8", Some("ISO_IR 192")),
            ("ISO 2022 IR 192", Some("ISO_IR 192")),
            ("ISO-IR 192", Some("ISO_IR 192")),
            ("GB 18030", Some("GB18030")),
            ("\\iso 2022 ir 87", Some("\\ISO 2022 IR 87")),
            (
                "ISO_2022_IR_6\\ISO-2022-IR-100",
                Some("ISO 2022 IR 6\\ISO 2022 IR 100"),
            ),
            ("ISO_IR 0100", Some("ISO_IR 100")),
            ("", None),
            ("\\", None),
            ("XXX XXXX", None),
            ("ISO_IR", None),
            ("ISO_IR 999", None),
            ("ISO-IR 999", None),
            ("ISO IR 100\\Doe^John", None),
            ("UTF-16", None),
            ("UTF-8859", None),
            ("ISO-8859-1", None),
            ("XISO IR 100", None),
        ] {
            assert_eq!(corrected(value.as_bytes()).as_deref(), expect, "{value:?}");
        }
    }
}
