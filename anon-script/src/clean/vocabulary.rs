//! The words that stay in a description.
//!
//! `words.txt` holds plain words of the attribute names of PS3.6, the concept names of PS3.16 and
//! of radiology in several languages. `company.txt` holds words that are names too: each stays only
//! beside one of the words that follow it there (`+x` after it, `x+` before it, `#` a number, `*` any
//! term or number).

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

const WORDS: &str = include_str!("words.txt");
const COMPANY: &str = include_str!("company.txt");

static TERMS: LazyLock<HashSet<&str>> = LazyLock::new(|| WORDS.lines().collect());
static COMPANIES: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    COMPANY
        .lines()
        .filter_map(|line| line.split_once(' '))
        .collect()
});

/// Endings and beginnings of sequence, kernel and view codes, with digits between them.
const CODE_PARTS: &[&str] = &[
    "afl", "asl", "ch", "cor", "ep", "epfid", "fc", "fid", "fl", "fov", "gre", "iso", "lv", "me",
    "mb", "pasl", "pcasl", "qtf", "rf", "sag", "se", "spc", "sssh", "te", "tfi", "tfl", "ti",
    "tra", "tse", "vb", "ve", "va", "vx", "xd",
];

/// True if the folded word is a term, and no name.
pub(super) fn is_term(folded: &str) -> bool {
    TERMS.contains(folded)
}

/// True if the folded word is a term, or a name that is a term too.
pub(super) fn is_listed(folded: &str) -> bool {
    is_term(folded) || COMPANIES.contains_key(folded)
}

/// True if the folded word is part of a code such as `fl` in `fl3d1`.
pub(super) fn is_code_part(folded: &str) -> bool {
    CODE_PARTS.contains(&folded)
}

/// True if a word that is a term and a name stands in the company of its term.
///
/// `before` and `after` are the words beside it, if they stay.
pub(super) fn is_in_company(folded: &str, before: Option<&str>, after: Option<&str>) -> bool {
    let Some(company) = COMPANIES.get(folded) else {
        return false;
    };
    company
        .split(' ')
        .any(|other| match other.strip_prefix('+') {
            Some(other) => after == Some(other),
            None if other == "*" => [before, after].into_iter().flatten().any(is_company_of_all),
            None if other == "#" => [before, after].into_iter().flatten().any(is_number),
            None => before.is_some() && before == other.strip_suffix('+'),
        })
}

/// True for a term that says something, and for numbers.
fn is_company_of_all(word: &str) -> bool {
    let says_nothing = [
        "and", "for", "from", "the", "with", "without", "was", "per", "von", "mit", "con",
    ];
    is_number(word) || word.len() > 2 && is_term(word) && !says_nothing.contains(&word)
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vocabulary_is_small_sorted_and_folded() {
        for list in [WORDS, COMPANY] {
            let keys = list
                .lines()
                .map(|line| line.split(' ').next().unwrap_or_default());
            assert!(keys.clone().is_sorted());
            assert!(
                keys.clone()
                    .all(|key| !key.is_empty() && !key.contains(char::is_uppercase))
            );
        }
        assert!(
            COMPANY
                .lines()
                .all(|line| !is_term(line.split(' ').next().unwrap_or_default()))
        );
        assert!(WORDS.len() + COMPANY.len() < 300 << 10);
    }
}
