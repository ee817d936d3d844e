//! Records that standard output and the control socket share.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anon_model::Adopting;
use serde::{Deserialize, Serialize};

use crate::project::remark::RemarkRecord;

/// The outcome of one file of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Instance {
    /// Its position in the run, from 1. Messages name it so, because its path can identify.
    pub(crate) number: u64,
    /// The path as given on the command line, with the part below it.
    pub(crate) source: String,
    /// `stored`, `duplicate`, `ignored`, `quarantined` or `failed`.
    pub(crate) outcome: String,
    /// The output, below `public/`.
    pub(crate) output: Option<String>,
    /// The anonymous patient id.
    pub(crate) patient: Option<String>,
    /// The quarantine category.
    pub(crate) category: Option<String>,
    /// The reason why it is not stored.
    pub(crate) reason: Option<String>,
    /// True if it is an archive, which may hold objects that are not read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) archive: bool,
    /// The quarantine entry, as `anon quarantine show` takes it.
    #[serde(default)]
    pub(crate) entry: Option<String>,
    /// What a data manager should know about a stored object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) remarks: Vec<RemarkRecord>,
}

/// The totals of an import.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) found: u64,
    pub(crate) stored: u64,
    pub(crate) duplicates: u64,
    pub(crate) ignored: u64,
    /// Counts of ignored files by reason.
    #[serde(default)]
    pub(crate) ignored_reasons: BTreeMap<String, u64>,
    /// Ignored files that are archives.
    #[serde(default)]
    pub(crate) archives: u64,
    pub(crate) quarantined: BTreeMap<String, u64>,
    pub(crate) failed: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) seconds: f64,
    /// Stored objects without a Patient ID, which are filed under the shared patient.
    pub(crate) shared_patient: u64,
    /// Stored objects of kinds that may show text in their pixels and do not declare whether they do.
    pub(crate) burned_in_unknown: u64,
    /// Duplicates whose equal content is stored in another transfer syntax.
    #[serde(default)]
    pub(crate) other_transfer_syntax: u64,
    /// Counts by storage class of objects whose class the project does not accept.
    pub(crate) storage_classes_refused: BTreeMap<String, u64>,
    /// The remarks on the stored objects.
    #[serde(default)]
    pub(crate) remarks: Vec<RemarkRecord>,
    /// Clashes that were found in the run and not before.
    #[serde(default)]
    pub(crate) clashes: Clashes,
    /// Directories not entered: hidden ones, links, the project itself.
    pub(crate) directories_passed: u64,
    /// True if it was cancelled.
    pub(crate) interrupted: bool,
    /// The error that ended it early.
    pub(crate) error: Option<String>,
}

impl Summary {
    /// Returns the summary of an import that failed before the first file.
    pub(crate) fn failed(error: &str) -> Self {
        Self {
            error: Some(error.to_owned()),
            ..Self::default()
        }
    }

    /// True if nothing failed or was quarantined, and every archive was read.
    pub(crate) fn is_clean(&self) -> bool {
        self.failed == 0 && self.archives == 0 && self.quarantined.values().all(|count| *count == 0)
    }
}

/// Counts of values that should be one and are several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Clashes {
    /// Patients with several names under one Patient ID.
    pub(crate) patient_names: u64,
    /// Patients with several birth dates under one Patient ID.
    pub(crate) birth_dates: u64,
    /// Studies with several accession numbers.
    pub(crate) accessions: u64,
    /// Studies with several dates.
    pub(crate) study_dates: u64,
    /// Accession numbers of several patients.
    pub(crate) accession_patients: u64,
}

impl Clashes {
    fn all(self) -> [u64; 5] {
        [
            self.patient_names,
            self.birth_dates,
            self.accessions,
            self.study_dates,
            self.accession_patients,
        ]
    }

    pub(crate) fn sum(self) -> u64 {
        self.all().iter().sum()
    }

    /// Returns the clashes that were added since.
    pub(crate) fn since(self, before: &Self) -> Self {
        Self {
            patient_names: self.patient_names.saturating_sub(before.patient_names),
            birth_dates: self.birth_dates.saturating_sub(before.birth_dates),
            accessions: self.accessions.saturating_sub(before.accessions),
            study_dates: self.study_dates.saturating_sub(before.study_dates),
            accession_patients: self
                .accession_patients
                .saturating_sub(before.accession_patients),
        }
    }

    /// Returns the counts in words, such as `1 patient with several names`. Empty if there is none.
    pub(crate) fn words(self) -> Vec<String> {
        const WORDS: [[&str; 3]; 5] = [
            ["patient", "patients", "with several names"],
            ["patient", "patients", "with several birth dates"],
            ["study", "studies", "with several accession numbers"],
            ["study", "studies", "with several dates"],
            [
                "accession number",
                "accession numbers",
                "of several patients",
            ],
        ];
        let counts = self.all().into_iter().zip(WORDS);
        let words = counts.filter(|(count, _)| *count > 0);
        let words = words.map(|(count, [one, many, what])| {
            let noun = if count == 1 { one } else { many };
            format!("{count} {noun} {what}")
        });
        words.collect()
    }
}

/// What to delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// The patient with this anonymous id.
    Patient(String),
    /// The study with this anonymous UID.
    Study(String),
}

/// What a delete removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deleted {
    pub(crate) patients: u64,
    pub(crate) studies: u64,
    pub(crate) series: u64,
    pub(crate) instances: u64,
    pub(crate) bytes: u64,
}

/// Entries of the quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entries {
    /// Every entry.
    All,
    /// Every entry of the category of this name.
    Category(String),
    /// Those with these ids, or with ids that begin so.
    These(Vec<String>),
}

/// An index of the Java anonymizer, to be adopted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AdoptJob {
    /// The whole path of the file.
    #[serde(with = "crate::project::roots::hexadecimal")]
    pub(crate) file: PathBuf,
    /// True to adopt the other rows if some are refused.
    pub(crate) skip_bad_rows: bool,
}

impl AdoptJob {
    pub(crate) fn adopting(&self) -> Adopting {
        if self.skip_bad_rows {
            Adopting::WhatCanBe
        } else {
            Adopting::AllOrNothing
        }
    }
}

/// What became of a row of that index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AdoptedRow {
    /// Its number as the spreadsheet counts: the header is 1.
    pub(crate) row: u32,
    pub(crate) outcome: RowResult,
    /// Why it was refused.
    pub(crate) reason: Option<String>,
}

/// The outcomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RowResult {
    Taken,
    AlreadyThere,
    /// Nothing is wrong with it. It was not adopted because other rows were refused.
    HeldBack,
    Refused,
}

/// A change of `project.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SettingsChange {
    /// The text of the file that the change was made from. If the file holds another one when the
    /// change is written, nothing is.
    pub(crate) before: String,
    /// The text to write.
    pub(crate) after: String,
    /// The text of the script to copy into the project.
    pub(crate) script: Option<String>,
    /// True to accept the rules that the settings name.
    pub(crate) accept_rules: bool,
}

/// What a retrieve is to fetch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RetrieveJob {
    /// The server, as it was typed.
    pub(crate) node: String,
    /// `study`, `series` or `instance`.
    pub(crate) level: RetrieveLevel,
    /// `move` or `get`.
    pub(crate) via: RetrieveVia,
    /// The studies.
    pub(crate) studies: Vec<String>,
}

/// What became of one study that is retrieved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fetched {
    pub(crate) study_uid: String,
    /// Instances that the server says it has.
    pub(crate) expected: u64,
    /// Those of them that are stored, before or now.
    pub(crate) stored: u64,
    /// Those that are in quarantine.
    pub(crate) quarantined: u64,
    /// Those of classes that the project does not take.
    pub(crate) excluded: u64,
    /// Those that did not come.
    pub(crate) failed: u64,
    /// Answers of the server without a valid UID. They are in no other count.
    #[serde(default)]
    pub(crate) unusable: u64,
    /// Why it is not complete.
    pub(crate) error: Option<String>,
    /// What the server said of the failure (Error Comment). Can identify.
    #[serde(default)]
    pub(crate) comment: Option<String>,
    /// SOP Instance UIDs of those that did not come.
    #[serde(default)]
    pub(crate) missing: Vec<String>,
}

/// How far a retrieve is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FetchProgress {
    /// The studies that are fetched.
    pub(crate) studies: u64,
    /// Studies finished.
    pub(crate) done: u64,
    /// Instances expected, of the studies begun.
    pub(crate) expected: u64,
    /// Those of them that came.
    pub(crate) here: u64,
}

/// What a retrieve has to tell.
#[derive(Debug)]
pub(crate) enum StudyEvent {
    /// A study is done with.
    Study(Fetched),
    /// Something came.
    Progress(FetchProgress),
}

/// How a retrieve ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Retrieved {
    pub(crate) studies: u64,
    pub(crate) complete: u64,
    pub(crate) expected: u64,
    pub(crate) stored: u64,
    pub(crate) quarantined: u64,
    pub(crate) excluded: u64,
    pub(crate) failed: u64,
    /// Answers of the server without a valid UID.
    #[serde(default)]
    pub(crate) unusable: u64,
    pub(crate) seconds: f64,
    /// True if it was cancelled.
    pub(crate) interrupted: bool,
    /// Stored now without a Patient ID, under the shared patient.
    #[serde(default)]
    pub(crate) shared_patient: u64,
    /// The remarks on the objects stored now.
    #[serde(default)]
    pub(crate) remarks: Vec<RemarkRecord>,
    /// Clashes that were found in the run and not before.
    #[serde(default)]
    pub(crate) clashes: Clashes,
    /// The storage classes of those excluded, as far as the server says them, with counts.
    #[serde(default)]
    pub(crate) storage_classes_excluded: BTreeMap<String, u64>,
}

/// The level of the requests of a retrieve (PS3.4 section C.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RetrieveLevel {
    Study,
    Series,
    Instance,
}

/// The service that a retrieve uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RetrieveVia {
    Move,
    Get,
}
