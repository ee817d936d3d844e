//! [`Search`]: the C-FIND queries for the keys that were given.

use std::fs;
use std::path::{Path, PathBuf};

use anon_net::service::find::accession::{AccessionEvent, AccessionOutcome, Accessions};
use anon_net::service::find::{Query, StudyMatch};
use anon_net::service::{Cancel, Scu, ServiceError};
use anon_net::{InstanceUid, Node};
use anyhow::Context as _;

use crate::exit::Failure;
use crate::project::{Privacy, write_file};

/// The keys of a search, as given on the command line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys {
    pub(crate) patient_name: Option<String>,
    pub(crate) patient_id: Option<String>,
    pub(crate) accession: Vec<String>,
    /// A file of accession numbers.
    pub(crate) accession_file: Option<PathBuf>,
    pub(crate) study_date: Option<String>,
    pub(crate) modality: Option<String>,
    pub(crate) study_uid: Vec<String>,
}

/// What a search sends.
#[derive(Debug)]
pub(crate) enum Search {
    /// Independent queries.
    Queries(Vec<Query>),
    /// One query for each accession number. Only exact matches count.
    Accessions(Accessions),
}

/// The result of a search. Accession numbers can identify.
#[derive(Debug, Default)]
pub(crate) struct SearchResult {
    /// Accession numbers without a match.
    pub(crate) missing: Vec<String>,
    /// Accession numbers whose query failed.
    pub(crate) failed: Vec<(String, ServiceError)>,
    /// Accession numbers not queried, because the search was cancelled.
    pub(crate) not_asked: u64,
}

impl Search {
    /// Builds the queries for the keys.
    ///
    /// # Errors
    /// A configuration failure if there is no key, a key is invalid, or the keys cannot be combined.
    pub(crate) fn new(keys: &Keys) -> anyhow::Result<Self> {
        let numbers = match &keys.accession_file {
            Some(file) => read_accession_numbers(file)?,
            None => keys.accession.clone(),
        };
        if is_list(keys, &numbers) {
            if !has_accessions_only(keys) {
                return Err(Failure::configuration(
                    "a list of accession numbers cannot be combined with other keys",
                ));
            }
            let list = Accessions::new(numbers.iter().map(String::as_str));
            return list
                .map(Self::Accessions)
                .map_err(|error| Failure::configuration(format!("accession numbers: {error}")));
        }
        let query = query(keys, numbers.first().map(String::as_str));
        let query = query.map_err(|error| Failure::configuration(error.to_string()))?;
        if keys.study_uid.is_empty() {
            if query.is_empty() {
                return Err(Failure::configuration(
                    "no key given: name the studies with --patient-id, --accession, --study-date or another key",
                ));
            }
            return Ok(Self::Queries(vec![query]));
        }
        let each = keys.study_uid.iter().map(|uid| {
            let uid = InstanceUid::new(uid)
                .map_err(|error| Failure::configuration(format!("--study-uid: {error}")))?;
            Ok(query.clone().with_study(uid))
        });
        each.collect::<anyhow::Result<_>>().map(Self::Queries)
    }

    /// Queries the server. Calls `on_match` with each match as it arrives.
    ///
    /// # Errors
    /// If a query fails. For a list of accession numbers, only if all queries fail.
    pub(crate) fn run(
        &self,
        scu: &Scu,
        node: &Node,
        cancel: &Cancel,
        on_match: &mut dyn FnMut(StudyMatch),
    ) -> Result<SearchResult, ServiceError> {
        let mut found = SearchResult::default();
        match self {
            Self::Queries(queries) => {
                for query in queries {
                    scu.find(node, query, cancel, on_match)?;
                }
            }
            Self::Accessions(numbers) => {
                let list = numbers.clone();
                let report = scu.find_accessions(node, list, cancel, &mut |event| {
                    if let AccessionEvent::Match { study, .. } = event {
                        on_match(study.clone());
                    }
                });
                found.missing = report.not_found().map(str::to_owned).collect();
                let mut any_answered = false;
                for (number, outcome) in numbers.iter().zip(report.outcomes) {
                    match outcome {
                        AccessionOutcome::Failed(error) => {
                            found.failed.push((number.to_owned(), error));
                        }
                        AccessionOutcome::NotAsked => found.not_asked += 1,
                        _ => any_answered = true,
                    }
                }
                // No query was answered: the failure is the server's, not that of one number.
                if !any_answered && !found.failed.is_empty() {
                    return Err(found.failed.swap_remove(0).1);
                }
            }
        }
        Ok(found)
    }
}

/// Returns the Study Instance UIDs given, if there is no other key.
pub(crate) fn studies_by_uid(keys: &Keys) -> &[String] {
    let has_number = !keys.accession.is_empty() || keys.accession_file.is_some();
    if has_number || has_attribute(keys) {
        return &[];
    }
    &keys.study_uid
}

/// Returns true if accession numbers are the only keys.
fn has_accessions_only(keys: &Keys) -> bool {
    !has_attribute(keys) && keys.study_uid.is_empty()
}

/// Returns true if there is a key other than accession numbers and UIDs.
fn has_attribute(keys: &Keys) -> bool {
    let attributes = [
        &keys.patient_name,
        &keys.patient_id,
        &keys.study_date,
        &keys.modality,
    ];
    attributes.iter().any(|key| key.is_some())
}

/// Returns true if the accession numbers are searched one by one, for exact matches.
///
/// A single number without a wildcard is such a list too: some servers match it as a prefix, and a list
/// reports it as missing if nothing matches exactly.
fn is_list(keys: &Keys, numbers: &[String]) -> bool {
    match numbers {
        _ if keys.accession_file.is_some() => true,
        [] => false,
        [one] => has_accessions_only(keys) && !one.contains(['*', '?']),
        _ => true,
    }
}

fn query(keys: &Keys, accession: Option<&str>) -> Result<Query, anon_net::TextError> {
    let mut query = Query::new();
    if let Some(name) = &keys.patient_name {
        query = query.with_patient_name(name)?;
    }
    if let Some(id) = &keys.patient_id {
        query = query.with_patient_id(id)?;
    }
    if let Some(accession) = accession {
        query = query.with_accession(accession)?;
    }
    if let Some(date) = &keys.study_date {
        query = query.with_study_date(date)?;
    }
    if let Some(modality) = &keys.modality {
        query = query.with_modality(modality)?;
    }
    Ok(query)
}

/// Reads accession numbers from a file, separated by white space, commas or semicolons.
fn read_accession_numbers(file: &Path) -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string(file).context(Failure::CannotRun(
        "cannot read the file of accession numbers".into(),
    ))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let is_separator = |c: char| c.is_whitespace() || c == ',' || c == ';';
    let words = text.split(is_separator).map(|word| word.trim_matches('"'));
    let numbers: Vec<String> = words.filter(|w| !w.is_empty()).map(str::to_owned).collect();
    if numbers.is_empty() {
        return Err(Failure::configuration(
            "the file of accession numbers is empty",
        ));
    }
    Ok(numbers)
}

/// Writes the missing numbers to `<stem>_not_found.txt` beside `file`, readable by the owner only.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn write_not_found(file: &Path, numbers: &[String]) -> anyhow::Result<PathBuf> {
    let name = file
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    let path = file.with_file_name(format!("{stem}_not_found.txt"));
    let mut text = numbers.join("\n");
    text.push('\n');
    write_file(&path, text.as_bytes(), Privacy::Private).context(Failure::CannotRun(
        "cannot write the file of accession numbers that were not found".into(),
    ))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accession_numbers_are_read_unchanged_and_written_back() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ward.7.csv");
        write_file(
            &file,
            "\u{feff}a1,\"B2\"\r\nc-3;  d_4.x\n".as_bytes(),
            Privacy::Public,
        )
        .unwrap();
        let numbers = read_accession_numbers(&file).unwrap();
        assert_eq!(numbers, ["a1", "B2", "c-3", "d_4.x"]);
        let written = write_not_found(&file, &numbers[..2]).unwrap();
        assert_eq!(written, dir.path().join("ward_not_found.txt"));
        assert_eq!(fs::read_to_string(&written).unwrap(), "a1\nB2\n");
        write_file(&file, b" ,\n", Privacy::Public).unwrap();
        assert_eq!(
            crate::exit::code(&read_accession_numbers(&file).unwrap_err()),
            3
        );
    }

    #[test]
    fn missing_and_contradicting_keys_are_refused() {
        let none = Search::new(&Keys::default());
        assert_eq!(crate::exit::code(&none.unwrap_err()), 3);
        let keys = Keys {
            accession: vec!["1".into(), "2".into()],
            patient_id: Some("X".into()),
            ..Keys::default()
        };
        assert_eq!(crate::exit::code(&Search::new(&keys).unwrap_err()), 3);
    }
}
