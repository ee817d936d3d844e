//! The problems of settings. All of them are reported at once, each with its key and what is
//! allowed.

use std::cmp::Reverse;
use std::fmt;

/// One problem of settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Not TOML.
    #[error("line {line}: {message}")]
    Syntax {
        /// The line, counted from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// A format version that this program does not know.
    #[error("format = {found} is newer than this program, which knows format 1")]
    Format {
        /// The version in the file.
        found: i64,
    },
    /// A key that is required and missing.
    #[error("{key} is missing")]
    Missing {
        /// The key.
        key: String,
    },
    /// No such key.
    #[error("there is no key {key}{}", suggestion(nearest.as_deref()))]
    UnknownKey {
        /// The key as given.
        key: String,
        /// The key that was probably meant.
        nearest: Option<String>,
    },
    /// No such node.
    #[error("there is no node {name}; {}", known_nodes(nodes))]
    NoNode {
        /// The name as given.
        name: String,
        /// The nodes that there are.
        nodes: Vec<String>,
    },
    /// A key that names a secret.
    #[error(
        "{key} looks like a secret, and settings hold none: put it in the environment or in private/"
    )]
    Secret {
        /// The key.
        key: String,
    },
    /// A value of the wrong type.
    #[error("{key} must be {expected}")]
    Type {
        /// The key.
        key: String,
        /// The type in words.
        expected: &'static str,
    },
    /// A value that is not allowed. The message does not repeat the value, except a modality code.
    #[error("{key} {problem}; allowed: {allowed}{}", suggestion(nearest.as_deref()))]
    Value {
        /// The key.
        key: String,
        /// What is wrong.
        problem: String,
        /// What is allowed.
        allowed: &'static str,
        /// The value that was probably meant.
        nearest: Option<String>,
    },
    /// A key that is not a list.
    #[error("{key} is not a list: set it instead")]
    NotAList {
        /// The key.
        key: String,
    },
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; did you mean {nearest}?"))
}

fn known_nodes(nodes: &[String]) -> String {
    match nodes {
        [] => "the settings have none".to_owned(),
        nodes => format!("the settings have {}", nodes.join(", ")),
    }
}

/// All problems of settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    /// The problems.
    pub problems: Vec<Problem>,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, problem) in self.problems.iter().enumerate() {
            if place > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingsError {}

/// Returns the candidate that was probably meant. `None` if none is near enough.
///
/// A word is near if a few letters are missing, added, swapped or wrong. In a word of up to three
/// letters a wrong letter is most of it, so only missing, added and swapped letters count: `RM` is `MR`,
/// and neither `AR` nor `RF`. Of equally near ones, the one with the same letters is meant, then the one
/// that begins alike, then the first one.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    let limit = 1 + length / 6;
    let near = |candidate: &'a str| {
        let other = candidate.to_lowercase();
        let distance = strsim::osa_distance(&word, &other);
        let is_swapped = sorted(&word) == sorted(&other);
        let is_plausible = length > 3 || is_swapped || other.chars().count() != length;
        let alike = word.chars().zip(other.chars());
        let alike = alike.take_while(|(a, b)| a == b).count();
        (length > 1 && distance <= limit && is_plausible)
            .then_some(((distance, !is_swapped, Reverse(alike)), candidate))
    };
    candidates
        .into_iter()
        .filter_map(near)
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, candidate)| candidate.to_owned())
}

fn sorted(word: &str) -> Vec<char> {
    let mut letters: Vec<char> = word.chars().collect();
    letters.sort_unstable();
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggestion_needs_few_changes() {
        let keys = ["port", "scp.port", "durability"];
        for (word, expected) in [
            ("port", Some("port")),
            ("prot", Some("port")),
            ("por", Some("port")),
            ("scp.prt", Some("scp.port")),
            ("scp.prot", Some("scp.port")),
            ("scp.trop", None),
            ("durabilty", Some("durability")),
            ("", None),
        ] {
            assert_eq!(nearest(word, keys).as_deref(), expected, "{word}");
        }
    }

    #[test]
    fn a_suggestion_for_a_short_word_has_its_letters() {
        let codes = ["CR", "CT", "AR", "MR", "US", "PT", "NM", "RF", "XA"];
        for (word, expected) in [
            ("RM", Some("MR")),
            ("mri", Some("MR")),
            ("PET", Some("PT")),
            ("SU", Some("US")),
            ("XX", None),
            ("M", None),
        ] {
            assert_eq!(nearest(word, codes).as_deref(), expected, "{word}");
        }
    }
}
