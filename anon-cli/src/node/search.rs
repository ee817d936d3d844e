//! Which studies of a server are meant by the keys that were typed.

use std::fs;
use std::path::{Path, PathBuf};

use anon_net::service::find::accession::{AccessionEvent, AccessionOutcome, Accessions};
use anon_net::service::find::{Query, StudyMatch};
use anon_net::service::{Cancel, Scu, ServiceError};
use anon_net::{InstanceUid, Node};
use anyhow::Context as _;

use crate::exit::Failure;
use crate::project::{Privacy, write_file};

/// The keys of a search, as a person gives them.
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

/// What is asked for.
#[derive(Debug)]
pub(crate) enum Search {
    /// One query each.
    Queries(Vec<Query>),
    /// One query a number, and only exact matches.
    Accessions(Accessions),
}

/// How a search went. Accession numbers can identify.
#[derive(Debug, Default)]
pub(crate) struct SearchResult {
    pub(crate) missing: Vec<String>,
    /// Numbers that could not be asked for, and why.
    pub(crate) failed: Vec<(String, ServiceError)>,
    /// Numbers that were not asked for any more.
    pub(crate) not_asked: u64,
}

impl Search {
    /// What the keys ask for.
    ///
    /// # Errors
    /// A configuration failure if there is no key, one cannot be what it is, or they do not go together.
    pub(crate) fn new(keys: &Keys) -> anyhow::Result<Self> {
        let numbers = match &keys.accession_file {
            Some(file) => read_accession_numbers(file)?,
            None => keys.accession.clone(),
        };
        if is_list(keys, &numbers) {
            if !has_accessions_only(keys) {
                return Err(Failure::configuration(
                    "a list of accession numbers goes with no other key",
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
                    "no key says which studies: --patient-id, --accession, --study-date or another",
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

    /// Asks the server. What is found is given to `on_match` as it comes.
    ///
    /// # Errors
    /// If the server fails a query; of a list, only if it answers none.
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
                let asked = numbers.clone();
                let report = scu.find_accessions(node, asked, cancel, &mut |event| {
                    if let AccessionEvent::Match { study, .. } = event {
                        on_match(study.clone());
                    }
                });
                found.missing = report.not_found().map(str::to_owned).collect();
                let mut answered = false;
                for (number, outcome) in numbers.iter().zip(report.outcomes) {
                    match outcome {
                        AccessionOutcome::Failed(error) => {
                            found.failed.push((number.to_owned(), error));
                        }
                        AccessionOutcome::NotAsked => found.not_asked += 1,
                        _ => answered = true,
                    }
                }
                // Nothing at all is no list with gaps.
                if !answered && !found.failed.is_empty() {
                    return Err(found.failed.swap_remove(0).1);
                }
            }
        }
        Ok(found)
    }
}

/// The studies that were typed, if no other key narrows them.
pub(crate) fn studies_by_uid(keys: &Keys) -> &[String] {
    let has_number = !keys.accession.is_empty() || keys.accession_file.is_some();
    if has_number || has_attribute(keys) {
        return &[];
    }
    &keys.study_uid
}

/// True if no key but accession numbers was typed.
fn has_accessions_only(keys: &Keys) -> bool {
    !has_attribute(keys) && keys.study_uid.is_empty()
}

/// True if a key was typed that is neither an accession number nor a UID.
fn has_attribute(keys: &Keys) -> bool {
    let attributes = [
        &keys.patient_name,
        &keys.patient_id,
        &keys.study_date,
        &keys.modality,
    ];
    attributes.iter().any(|key| key.is_some())
}

/// One number alone is a list of one: a server that takes it for a beginning is put right, and it can
/// be not found. With a wildcard it is none.
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

/// The numbers of a file: between white space, commas and semicolons, as they are written there.
fn read_accession_numbers(file: &Path) -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string(file).context(Failure::CannotRun(
        "cannot read the file of accession numbers".into(),
    ))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let between = |c: char| c.is_whitespace() || c == ',' || c == ';';
    let words = text.split(between).map(|word| word.trim_matches('"'));
    let numbers: Vec<String> = words.filter(|w| !w.is_empty()).map(str::to_owned).collect();
    if numbers.is_empty() {
        return Err(Failure::configuration(
            "the file of accession numbers has none",
        ));
    }
    Ok(numbers)
}

/// Writes the numbers that were not found beside the file they came from, readable by its owner alone.
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
        "cannot write the numbers that were not found".into(),
    ))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_file_stay_as_they_are_written() {
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
    fn keys_that_do_not_go_together() {
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
