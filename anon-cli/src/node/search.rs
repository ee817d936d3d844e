//! [`Search`]: the C-FIND queries for the keys that were given.

mod days;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anon_net::service::find::accession::{AccessionEvent, AccessionOutcome, Accessions};
use anon_net::service::find::{LeftOut, Query, StudyMatch};
use anon_net::service::{Cancel, Scu, ServiceError};
use anon_net::{InstanceUid, Node, Remedy};
use anyhow::Context as _;

use super::asked::{Asked, AskedKey, Place};
use super::failure_message::{LocalNode, failure_message, is_stopped_at_a_limit};
use super::key_list::{KeyList, ListKey, RefusedEntry};
use crate::exit::Failure;
use crate::platform::identifying;

/// How a search is split into several queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Split {
    /// One query for each day of the study date.
    Days,
}

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
    pub(crate) split: Option<Split>,
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

/// Gets each study that is found, and the key that it was searched by.
pub(crate) type OnMatch<'m> = dyn FnMut(StudyMatch, &Asked) + 'm;

/// What a search sends.
#[derive(Debug)]
enum Requests {
    /// Independent queries.
    Queries(Vec<(Asked, Query)>),
    /// One query for each day.
    Days(Asked, Vec<Query>),
    /// One query for each accession number. Only exact matches count.
    Accessions(Vec<Asked>, Accessions),
    /// One query for each patient id. Only exact matches count.
    Patients(Vec<(Asked, String, Query)>),
}

/// The result of a search. Accession numbers and patient ids can identify.
#[derive(Debug, Default)]
pub(crate) struct SearchResult {
    /// Keys without a match.
    pub(crate) missing: Vec<Asked>,
    /// Keys whose query failed.
    pub(crate) failed: Vec<(Asked, ServiceError)>,
    /// Entries not queried, because the search was cancelled or the server cannot be reached.
    pub(crate) not_asked: u64,
    /// Answers of the server that were left out, and why.
    pub(crate) left_out: LeftOut,
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
        let entries = list.entries.into_iter().map(|entry| Asked {
            place: Place::Line(entry.line),
            key: Some(AskedKey::of_list(key, entry.text)),
        });
        let entries = entries.collect();
        let requests = match key {
            ListKey::AccessionNumber => Requests::of_accessions(entries)?,
            ListKey::PatientId => Requests::of_patients(keys, entries)?,
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
        on_match: &mut OnMatch<'_>,
    ) -> Result<SearchResult, ServiceError> {
        match &self.requests {
            Requests::Queries(queries) => {
                let mut found = SearchResult::default();
                for (asked, query) in queries {
                    let queries = std::slice::from_ref(query);
                    found.query((scu, node, cancel), asked, queries, on_match)?;
                }
                Ok(found)
            }
            Requests::Days(asked, queries) => {
                let mut found = SearchResult::default();
                found.query((scu, node, cancel), asked, queries, on_match)?;
                Ok(found)
            }
            Requests::Accessions(asked, numbers) => {
                find_accessions((scu, node, cancel), asked, numbers, on_match)
            }
            Requests::Patients(patients) => find_patients(scu, node, patients, cancel, on_match),
        }
    }

    /// Returns why a query of the search failed, and what to do.
    pub(crate) fn failure_message(
        &self,
        error: &ServiceError,
        node: &Node,
        local: &LocalNode,
    ) -> String {
        match &self.requests {
            Requests::Days(..) if is_stopped_at_a_limit(error) => {
                "a single day has more studies than the \
                server returns: narrow the search with --modality or another key"
                    .to_owned()
            }
            _ => failure_message(error, node, local),
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
            let keys = (1..).zip(numbers).map(|(number, text)| Asked {
                place: Place::Accession(number),
                key: Some(AskedKey::Accession(text.trim().to_owned())),
            });
            return Self::of_accessions(keys.collect());
        }
        let number = numbers.first().map(String::as_str);
        let query = query(keys, number);
        let query = query.map_err(|error| Failure::configuration(error.to_string()))?;
        if keys.study_uid.is_empty() {
            if query.is_empty() {
                return Err(Failure::configuration(
                    "no key given: name the studies with --patient-id, --accession, --study-date or another key",
                ));
            }
            let accession = number.map(|text| AskedKey::Accession(text.to_owned()));
            let patient = keys.patient_id.clone().map(AskedKey::PatientId);
            let asked = Asked {
                place: Place::Search,
                key: accession.or(patient),
            };
            return match keys.split {
                Some(Split::Days) => Self::of_days(keys, asked, &query),
                None => Ok(Self::Queries(vec![(asked, query)])),
            };
        }
        if keys.split.is_some() {
            return Err(not_split());
        }
        let each = (1..).zip(&keys.study_uid).map(|(number, uid)| {
            let asked = Asked {
                place: Place::StudyUid(number),
                key: Some(AskedKey::StudyUid(uid.clone())),
            };
            let uid = InstanceUid::new(uid)
                .map_err(|error| Failure::configuration(format!("--study-uid: {error}")))?;
            Ok((asked, query.clone().with_study(uid)))
        });
        each.collect::<anyhow::Result<_>>().map(Self::Queries)
    }

    fn of_days(keys: &Keys, asked: Asked, query: &Query) -> anyhow::Result<Self> {
        let range = keys.study_date.as_deref().ok_or_else(|| {
            Failure::configuration("--split days splits a range of dates: add --study-date FROM-TO")
        })?;
        let days = days::of_range(range).map_err(Failure::configuration)?;
        let queries = days.iter().map(|day| query.clone().with_study_date(day));
        queries
            .collect::<Result<_, _>>()
            .map(|queries| Self::Days(asked, queries))
            .map_err(|error| Failure::configuration(error.to_string()))
    }

    /// Each number is asked for once, at its first place.
    fn of_accessions(mut asked: Vec<Asked>) -> anyhow::Result<Self> {
        let mut seen = BTreeSet::new();
        asked.retain(|asked| {
            let text = asked.text().unwrap_or_default();
            !text.is_empty() && seen.insert(text.to_owned())
        });
        let numbers = Accessions::new(asked.iter().filter_map(Asked::text))
            .map_err(|error| Failure::configuration(format!("accession numbers: {error}")))?;
        Ok(Self::Accessions(asked, numbers))
    }

    fn of_patients(keys: &Keys, asked: Vec<Asked>) -> anyhow::Result<Self> {
        let patients = asked.into_iter().map(|asked| {
            let id = asked.text().unwrap_or_default().to_owned();
            let query = query(keys, None)?.with_patient_id(&id)?;
            Ok((asked, id, query))
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

fn not_split() -> anyhow::Error {
    Failure::configuration(
        "--split days splits a search by date: it cannot be combined with lists and UIDs",
    )
}

impl SearchResult {
    /// Sends the queries for one key.
    fn query(
        &mut self,
        (scu, node, cancel): (&Scu, &Node, &Cancel),
        asked: &Asked,
        queries: &[Query],
        on_match: &mut OnMatch<'_>,
    ) -> Result<(), ServiceError> {
        let report = scu.find_each(node, queries, cancel, &mut |study| on_match(study, asked))?;
        self.left_out.add(&report.left_out);
        if report.studies == 0 {
            self.missing.push(asked.clone());
        }
        Ok(())
    }
}

fn find_accessions(
    (scu, node, cancel): (&Scu, &Node, &Cancel),
    asked: &[Asked],
    numbers: &Accessions,
    on_match: &mut OnMatch<'_>,
) -> Result<SearchResult, ServiceError> {
    let report = scu.find_accessions(node, numbers.clone(), cancel, &mut |event| {
        if let AccessionEvent::Match { number, study } = event
            && let Some(asked) = asked.get(number)
        {
            on_match(study.clone(), asked);
        }
    });
    let mut found = SearchResult {
        left_out: report.left_out,
        ..SearchResult::default()
    };
    let mut any_answered = false;
    for (asked, outcome) in asked.iter().zip(report.outcomes) {
        match outcome {
            AccessionOutcome::Failed(error) => found.failed.push((asked.clone(), error)),
            AccessionOutcome::NotAsked => found.not_asked += 1,
            AccessionOutcome::NotFound => {
                any_answered = true;
                found.missing.push(asked.clone());
            }
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
    patients: &[(Asked, String, Query)],
    cancel: &Cancel,
    on_match: &mut OnMatch<'_>,
) -> Result<SearchResult, ServiceError> {
    let mut found = SearchResult::default();
    let mut any_answered = false;
    let mut failures = 0;
    for (asked, id, query) in patients {
        if failures >= MAX_FAILURES || cancel.is_cancelled() {
            found.not_asked += 1;
            continue;
        }
        let (mut studies, mut others) = (0, 0);
        let result = scu.find(node, query, cancel, &mut |study| {
            if study.patient_id == *id {
                studies += 1;
                on_match(study, asked);
            } else {
                others += 1;
            }
        });
        match result {
            Ok(report) => {
                failures = 0;
                any_answered = true;
                found.left_out.add(&report.left_out);
                found.left_out.other_patient += others;
                if studies == 0 {
                    found.missing.push(asked.clone());
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
                found.failed.push((asked.clone(), error));
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
    !has_attribute(keys) && keys.study_uid.is_empty() && keys.split.is_none()
}

/// Returns true if a list of patient ids can be combined with the other keys.
fn allows_patient_list(keys: &Keys) -> bool {
    keys.patient_name.is_none()
        && keys.patient_id.is_none()
        && keys.accession.is_empty()
        && keys.accession_file.is_none()
        && keys.study_uid.is_empty()
        && keys.split.is_none()
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
pub(crate) fn write_not_found(file: &Path, entries: &[&str]) -> anyhow::Result<PathBuf> {
    let name = file
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    let path = file.with_file_name(format!("{stem}_not_found.txt"));
    let mut text = entries.join("\n");
    text.push('\n');
    identifying::write(&path, text.as_bytes()).context(Failure::CannotRun(
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
        let entries = ["A 1", "b2"];
        let written = write_not_found(&dir.path().join("ward.7.csv"), &entries).unwrap();
        assert_eq!(written, dir.path().join("ward_not_found.txt"));
        assert_eq!(std::fs::read_to_string(&written).unwrap(), "A 1\nb2\n");
    }

    #[test]
    #[cfg(unix)]
    fn entries_that_were_not_found_are_not_written_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (list, target) = (dir.path().join("ward.csv"), dir.path().join("target"));
        std::fs::create_dir(&target).unwrap();
        for (to, exists) in [("target", true), ("nowhere", false)] {
            let link = dir.path().join("ward_not_found.txt");
            std::os::unix::fs::symlink(dir.path().join(to), &link).unwrap();
            let refused = write_not_found(&list, &["A 1"]).unwrap_err();
            assert_eq!(crate::exit::code(&refused), 4);
            assert_eq!(dir.path().join(to).exists(), exists, "{to}");
            std::fs::remove_file(link).unwrap();
        }
        write_not_found(&list, &["A 1"]).unwrap();
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

    #[test]
    fn only_a_search_by_date_can_be_split() {
        let by_date = Keys {
            study_date: Some("20240228-20240301".into()),
            split: Some(Split::Days),
            ..Keys::default()
        };
        let search = Search::new(&by_date).unwrap();
        assert!(matches!(search.requests, Requests::Days(_, days) if days.len() == 3));
        for keys in [
            Keys {
                study_date: None,
                patient_id: Some("X".into()),
                ..by_date.clone()
            },
            Keys {
                accession: vec!["1".into(), "2".into()],
                ..by_date.clone()
            },
            Keys {
                study_uid: vec!["1.2".into()],
                ..by_date.clone()
            },
            Keys {
                study_date: Some("-20240301".into()),
                ..by_date
            },
        ] {
            assert_eq!(crate::exit::code(&Search::new(&keys).unwrap_err()), 3);
        }
    }
}
