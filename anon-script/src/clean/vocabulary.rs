//! The words that stay in a description.
//!
//! `words.txt` holds plain words of the attribute names of PS3.6, the concept names of PS3.16 and
//! of radiology in several languages. `company.txt` holds words that are names too: each stays only
//! beside one of the words that follow it there (`+x` after it, `x+` before it).

const WORDS: &str = include_str!("words.txt");
const COMPANY: &str = include_str!("company.txt");

/// Endings and beginnings of sequence, kernel and view codes, with digits between them.
const CODE_PARTS: &[&str] = &[
    "afl", "asl", "ch", "cor", "ep", "epfid", "fc", "fid", "fl", "fov", "gre", "iso", "lv", "me",
    "mb", "pasl", "pcasl", "qtf", "rf", "sag", "se", "spc", "sssh", "te", "tfi", "tfl", "ti",
    "tra", "tse", "vb", "ve", "va", "vx", "xd",
];

/// True if the folded word is a term, and no name.
pub(super) fn is_term(folded: &str) -> bool {
    line(WORDS, folded).is_some()
}

/// True if the folded word is part of a code such as `fl` in `fl3d1`.
pub(super) fn is_code_part(folded: &str) -> bool {
    CODE_PARTS.contains(&folded)
}

/// True if a word that is a term and a name stands in the company of its term.
pub(super) fn is_in_company(folded: &str, before: Option<&str>, after: Option<&str>) -> bool {
    let Some(company) = line(COMPANY, folded) else {
        return false;
    };
    company
        .split(' ')
        .any(|other| match other.strip_prefix('+') {
            Some(other) => after == Some(other),
            None => before.is_some() && before == other.strip_suffix('+'),
        })
}

/// Finds the line that begins with `word` in a sorted list. Returns what follows it.
fn line<'l>(list: &'l str, word: &str) -> Option<&'l str> {
    if word.is_empty() || word.bytes().any(|byte| byte <= b' ') {
        return None;
    }
    let (mut low, mut high) = (0, list.len());
    while low < high {
        let middle = low.midpoint(high);
        let begin = list
            .as_bytes()
            .get(..middle)?
            .iter()
            .rposition(|&byte| byte == b'\n');
        let begin = begin.map_or(0, |end| end + 1).max(low);
        let rest = list.get(begin..)?;
        let line = rest.split('\n').next()?;
        let (key, tail) = line.split_once(' ').unwrap_or((line, ""));
        match key.cmp(word) {
            std::cmp::Ordering::Equal => return Some(tail),
            std::cmp::Ordering::Less => low = begin + line.len() + 1,
            std::cmp::Ordering::Greater => high = begin,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_vocabulary_is_found() {
        for list in [WORDS, COMPANY] {
            let keys = list
                .lines()
                .map(|line| line.split(' ').next().unwrap_or_default());
            for key in keys.clone() {
                assert!(line(list, key).is_some(), "{key}");
            }
            assert!(keys.is_sorted());
        }
        for absent in ["", "zzz", "aaaa", "smith", "a b", "\n"] {
            assert!(!is_term(absent), "{absent}");
        }
        assert!(WORDS.len() + COMPANY.len() < 300 << 10);
    }
}
