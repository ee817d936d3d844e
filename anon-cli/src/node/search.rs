//! [`Search`]: the C-FIND queries for the keys that were given.

use std::path::{Path, PathBuf};

use anon_net::service::find::accession::{AccessionEvent, AccessionOutcome, Accessions};
use anon_net::service::find::{Query, StudyMatch};
use anon_net::service::{Cancel, Scu, ServiceError};
use anon_net::{InstanceUid, Node, Remedy};
use anyhow::Context as _;

use super::key_list::{KeyList, ListKey, RefusedEntry};
use crate::exit::Failure;
use crate::project::{Privacy, write_file};

/// The keys of a search, as given on the command line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys {
    pub(crate) patient_name: Option<String>,
    pub(crate) patient_id: Option<String>,
    pub(crate) accession: Vec<String>,
    /// A list of accession numbers.
    pub(crate) accession_file: Option<PathBuf>,
    /// A list of patient ids.
    pub(crate) patient_id_file: Option<PathBuf>,
    /// The column of the list.
    pub(crate) column: Option<String>,
    pub(crate) study_date: Option<String>,
    pub(crate) modality: Option<String>,
    pub(crate) study_uid: Vec<String>,
}

/// The most queries for patient ids in a row that may fail before the search ends.
const MAX_FAILURES: usize = 3;

impl Keys {
    /// Returns the list of the search.
    pub(crate) fn list(&self) -> Option<(ListKey, &Path)> {
        let accessions = self.accession_file.as_deref();
        let patients = self.patient_id_file.as_deref();
        accessions
            .map(|file| (ListKey::AccessionNumber, file))
            .or(patients.map(|file| (ListKey::PatientId, file)))
    }
}

/// A search that is ready to run.
#[derive(Debug)]
pub(crate) struct Search {
    requests: Requests,
    /// The entries of the list that cannot be searched for.
    pub(crate) refused: Vec<RefusedEntry>,
}

/// What a search sends.
#[derive(Debug)]
enum Requests {
    /// Independent queries.
    Queries(Vec<Query>),
    /// One query for each accession number. Only exact matches count.
    Accessions(Accessions),
    /// One query for each patient id. Only exact matches count.
    Patients(Vec<(String, Query)>),
}

/// The result of a search. Accession numbers and patient ids can identify.
#[derive(Debug, Default)]
pub(crate) struct SearchResult {
    /// Entries without a match.
    pub(crate) missing: Vec<String>,
    /// Entries whose query failed.
    pub(crate) failed: Vec<(String, ServiceError)>,
    /// Entries not queried, because the search was cancelled or the server cannot be reached.
    pub(crate) not_asked: u64,
}

impl Search {
    /// Builds the queries for the keys.
    ///
    /// # Errors
    /// A configuration failure if there is no key, a key is invalid, or the keys cannot be combined.
    pub(crate) fn new(keys: &Keys) -> anyhow::Result<Self> {
        if let Some((key, file)) = keys.list() {
            return Self::of_list(keys, key, file);
        }
        if keys.column.is_some() {
            return Err(Failure::configuration(
                "--column names a column of a list: add --accession-file or --patient-id-file",
            ));
        }
        Ok(Self {
            requests: Requests::new(keys)?,
            refused: Vec::new(),
        })
    }

    fn of_list(keys: &Keys, key: ListKey, file: &Path) -> anyhow::Result<Self> {
        match key {
            ListKey::AccessionNumber if !has_accessions_only(keys) => return Err(not_combined()),
            ListKey::PatientId if !allows_patient_list(keys) => {
                return Err(Failure::configuration(
                    "a list of patient ids can be combined with --study-date and --modality only",
                ));
            }
            _ => {}
        }
        let list = KeyList::read(file, key, keys.column.as_deref())?;
        let requests = match key {
            ListKey::AccessionNumber => Requests::of_accessions(&list.entries)?,
            ListKey::PatientId => Requests::of_patients(keys, list.entries)?,
        };
        Ok(Self {
            requests,
            refused: list.refused,
        })
    }

    /// Queries the server. Calls `on_match` with each match as it arrives.
    ///
    /// # Errors
    /// If a query fails. For a list, only if all queries fail.
    pub(crate) fn run(
        &self,
        scu: &Scu,
        node: &Node,
        cancel: &Cancel,
        on_match: &mut dyn FnMut(StudyMatch),
    ) -> Result<SearchResult, ServiceError> {
        match &self.requests {
            Requests::Queries(queries) => {
                for query in queries {
                    scu.find(node, query, cancel, on_match)?;
                }
                Ok(SearchResult::default())
            }
            Requests::Accessions(numbers) => find_accessions(scu, node, numbers, cancel, on_match),
            Requests::Patients(patients) => find_patients(scu, node, patients, cancel, on_match),
        }
    }
}

impl Requests {
    /// Builds the queries for keys without a list.
    fn new(keys: &Keys) -> anyhow::Result<Self> {
        let numbers = &keys.accession;
        if is_list(keys, numbers) {
            if !has_accessions_only(keys) {
                return Err(not_combined());
            }
            return Self::of_accessions(numbers);
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

    fn of_accessions(numbers: &[String]) -> anyhow::Result<Self> {
        Accessions::new(numbers.iter().map(String::as_str))
            .map(Self::Accessions)
            .map_err(|error| Failure::configuration(format!("accession numbers: {error}")))
    }

    fn of_patients(keys: &Keys, ids: Vec<String>) -> anyhow::Result<Self> {
        let patients = ids.into_iter().map(|id| {
            let query = query(keys, None)?.with_patient_id(&id)?;
            Ok((id, query))
        });
        patients
            .collect::<Result<_, anon_net::TextError>>()
            .map(Self::Patients)
            .map_err(|error| Failure::configuration(error.to_string()))
    }
}

fn not_combined() -> anyhow::Error {
    Failure::configuration("a list of accession numbers cannot be combined with other keys")
}

fn find_accessions(
    scu: &Scu,
    node: &Node,
    numbers: &Accessions,
    cancel: &Cancel,
    on_match: &mut dyn FnMut(StudyMatch),
) -> Result<SearchResult, ServiceError> {
    let mut found = SearchResult::default();
    let report = scu.find_accessions(node, numbers.clone(), cancel, &mut |event| {
        if let AccessionEvent::Match { study, .. } = event {
            on_match(study.clone());
        }
    });
    found.missing = report.not_found().map(str::to_owned).collect();
    let mut any_answered = false;
    for (number, outcome) in numbers.iter().zip(report.outcomes) {
        match outcome {
            AccessionOutcome::Failed(error) => found.failed.push((number.to_owned(), error)),
            AccessionOutcome::NotAsked => found.not_asked += 1,
            _ => any_answered = true,
        }
    }
    found.unless_all_failed(any_answered)
}

/// Searches for each patient id. The server may match it as a prefix or ignore case; only studies with
/// exactly this id are passed on.
fn find_patients(
    scu: &Scu,
    node: &Node,
    patients: &[(String, Query)],
    cancel: &Cancel,
    on_match: &mut dyn FnMut(StudyMatch),
) -> Result<SearchResult, ServiceError> {
    let mut found = SearchResult::default();
    let mut any_answered = false;
    let mut failures = 0;
    for (id, query) in patients {
        if failures >= MAX_FAILURES || cancel.is_cancelled() {
            found.not_asked += 1;
            continue;
        }
        let mut studies = 0;
        let result = scu.find(node, query, cancel, &mut |study| {
            if study.patient_id == *id {
                studies += 1;
                on_match(study);
            }
        });
        match result {
            Ok(_) => {
                failures = 0;
                any_answered = true;
                if studies == 0 {
                    found.missing.push(id.clone());
                }
            }
            Err(ServiceError::Cancelled) => found.not_asked += 1,
            Err(error) => {
                failures = match (&error, error.remedy()) {
                    // The server refused this query, and may answer the next.
                    (ServiceError::Refused { .. } | ServiceError::TooMany { .. }, _) => 0,
                    (_, Remedy::Retry) => failures + 1,
                    _ => MAX_FAILURES,
                };
                found.failed.push((id.clone(), error));
            }
        }
    }
    found.unless_all_failed(any_answered)
}

impl SearchResult {
    /// Returns the first error if no query was answered: the failure is then the server's, not that of
    /// one entry.
    fn unless_all_failed(mut self, any_answered: bool) -> Result<Self, ServiceError> {
        if any_answered || self.failed.is_empty() {
            return Ok(self);
        }
        Err(self.failed.swap_remove(0).1)
    }
}

/// Returns the Study Instance UIDs given, if there is no other key.
pub(crate) fn studies_by_uid(keys: &Keys) -> &[String] {
    let has_number = !keys.accession.is_empty() || keys.list().is_some();
    if has_number || has_attribute(keys) {
        return &[];
    }
    &keys.study_uid
}

/// Returns true if accession numbers are the only keys.
fn has_accessions_only(keys: &Keys) -> bool {
    !has_attribute(keys) && keys.study_uid.is_empty()
}

/// Returns true if a list of patient ids can be combined with the other keys.
fn allows_patient_list(keys: &Keys) -> bool {
    keys.patient_name.is_none()
        && keys.patient_id.is_none()
        && keys.accession.is_empty()
        && keys.accession_file.is_none()
        && keys.study_uid.is_empty()
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

/// Writes the entries without a match to `<stem>_not_found.txt` beside `file`, readable by the owner only.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn write_not_found(file: &Path, entries: &[String]) -> anyhow::Result<PathBuf> {
    let name = file
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    let path = file.with_file_name(format!("{stem}_not_found.txt"));
    let mut text = entries.join("\n");
    text.push('\n');
    write_file(&path, text.as_bytes(), Privacy::Private).context(Failure::CannotRun(
        "cannot write the list of entries that were not found".into(),
    ))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_were_not_found_are_written_beside_the_list() {
        let dir = tempfile::tempdir().unwrap();
        let entries = ["A 1".to_owned(), "b2".to_owned()];
        let written = write_not_found(&dir.path().join("ward.7.csv"), &entries).unwrap();
        assert_eq!(written, dir.path().join("ward_not_found.txt"));
        assert_eq!(std::fs::read_to_string(&written).unwrap(), "A 1\nb2\n");
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
