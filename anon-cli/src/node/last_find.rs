//! [`LastFind`]: the studies of the last `anon find`, so that `retrieve` can name them by number.
//!
//! ```text
//! private/last_find.json   {"version":1,"node":"PACS","studies":[{"study_uid":"1.2","accession":"A1"}]}
//! ```
//!
//! A file of another version is not read: `find` writes it anew.

use std::collections::HashSet;
use std::path::PathBuf;
use std::{fs, io};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::asked::AskedKey;
use crate::exit::Failure;
use crate::platform::files;
use crate::project::{Privacy, Project, write_file};

const VERSION: u32 = 1;

/// The most studies that are kept.
const MAX_STUDIES: usize = 100_000;

/// The studies of a search, in the order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastFind {
    version: u32,
    /// The server, as it was typed.
    pub(crate) node: String,
    pub(crate) studies: Vec<FoundStudy>,
}

/// A study that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FoundStudy {
    pub(crate) study_uid: String,
    /// The key that it was searched by.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<AskedKey>,
}

impl LastFind {
    pub(crate) fn new(node: &str, mut studies: Vec<FoundStudy>) -> Self {
        studies.truncate(MAX_STUDIES);
        Self {
            version: VERSION,
            node: node.to_owned(),
            studies,
        }
    }

    fn file(project: &Project) -> PathBuf {
        project.private().join("last_find.json")
    }

    /// Writes the file, readable by the owner only.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn write(&self, project: &Project) -> anyhow::Result<()> {
        let text = serde_json::to_vec(self)?;
        write_file(&Self::file(project), &text, Privacy::Private)?;
        Ok(())
    }

    /// Removes the file, if there is one.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub(crate) fn remove(project: &Project) -> anyhow::Result<()> {
        let file = Self::file(project);
        match fs::remove_file(&file) {
            // A file system that is read-only gives another error than `NotFound` for no file.
            Err(error) if !matches!(file.try_exists(), Ok(false)) => {
                let cannot = Failure::CannotRun("cannot remove private/last_find.json".into());
                Err(error).context(cannot)
            }
            _ => Ok(()),
        }
    }

    /// Reads the file.
    ///
    /// # Errors
    /// A configuration failure if there is none that can be read.
    pub(crate) fn read(project: &Project) -> anyhow::Result<Self> {
        let none = || Failure::configuration("there is no last find: run anon find first");
        let bytes = match files::read_private(&Self::file(project)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(none()),
            Err(error) => {
                let cannot = Failure::CannotRun("cannot read private/last_find.json".into());
                return Err(error).context(cannot);
            }
        };
        Self::parse(&bytes).ok_or_else(none)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let last: Self = serde_json::from_slice(bytes).ok()?;
        (last.version == VERSION).then_some(last)
    }

    /// Returns the studies of a list of numbers such as `1,3-5`, or of `all`, with their numbers. Each
    /// study once, although several keys may have found it.
    ///
    /// # Errors
    /// A configuration failure if the list is malformed or names a study that is not there.
    pub(crate) fn choose(&self, numbers: &str) -> anyhow::Result<Vec<(u64, &FoundStudy)>> {
        let mut chosen = Vec::new();
        let mut seen = HashSet::new();
        for number in self::numbers(numbers, self.studies.len())? {
            if let Some(study) = self.studies.get(number - 1)
                && seen.insert(study.study_uid.as_str())
            {
                chosen.push((u64::try_from(number)?, study));
            }
        }
        Ok(chosen)
    }
}

/// Reads a list of numbers from 1 to `count`.
fn numbers(list: &str, count: usize) -> anyhow::Result<Vec<usize>> {
    if list.trim().eq_ignore_ascii_case("all") {
        return Ok((1..=count).collect());
    }
    let mut all = Vec::new();
    for part in list.split(',').map(str::trim) {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (Ok(from), Ok(to)) = (from.trim().parse::<usize>(), to.trim().parse::<usize>()) else {
            return Err(Failure::configuration(
                "the numbers have another form than 1,3-5: separate numbers and ranges by commas",
            ));
        };
        if from == 0 || from > to || to > count {
            return Err(Failure::configuration(format!(
                "the last find has the numbers 1 to {count}, and not {part}"
            )));
        }
        all.extend(from..=to);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of version 1 stay readable.
    #[test]
    fn files_of_version_1_are_read() {
        let text = r#"{"version":1,"node":"PACS","studies":[{"study_uid":"1.2","accession":"A1"},{"study_uid":"1.3"}]}"#;
        let last = LastFind::parse(text.as_bytes()).unwrap();
        let study = |uid: &str, key| FoundStudy {
            study_uid: uid.to_owned(),
            key,
        };
        let studies = vec![
            study("1.2", Some(AskedKey::Accession("A1".to_owned()))),
            study("1.3", None),
        ];
        assert_eq!(last, LastFind::new("PACS", studies));
        assert_eq!(serde_json::to_string(&last).unwrap(), text);
        let newer = text.replace("\"version\":1", "\"version\":2");
        assert_eq!(LastFind::parse(newer.as_bytes()), None);
    }

    #[test]
    fn a_study_that_two_accession_numbers_found_is_chosen_once() {
        let study = |accession: &str| FoundStudy {
            study_uid: "1.2".to_owned(),
            key: Some(AskedKey::Accession(accession.to_owned())),
        };
        let last = LastFind::new("PACS", vec![study("A1"), study("A2")]);
        assert_eq!(last.choose("all").unwrap(), [(1, &study("A1"))]);
        assert_eq!(last.choose("2,1").unwrap(), [(2, &study("A2"))]);
    }

    #[test]
    fn numbers_and_ranges_are_read() {
        for (list, expected) in [
            ("1", &[1][..]),
            ("1,3-5", &[1, 3, 4, 5]),
            (" 2 , 1 - 2 ", &[2, 1, 2]),
            ("all", &[1, 2, 3, 4, 5]),
        ] {
            assert_eq!(numbers(list, 5).unwrap(), expected, "{list}");
        }
        for list in ["", "0", "6", "3-2", "1-6", "a", "1;2", "-1"] {
            assert_eq!(
                crate::exit::code(&numbers(list, 5).unwrap_err()),
                3,
                "{list}"
            );
        }
    }
}
