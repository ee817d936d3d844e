//! The PHI index: patient → study → series → instance, as captured from the first instance of each.

use crate::{Fingerprint, Names, Phi};

/// What is captured of a patient, from its first instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PatientPhi {
    /// Patient ID (0010,0020) as it stands in the object, trimmed; empty if absent.
    pub id: Phi<String>,
    /// Patient's Name (0010,0010).
    pub name: Phi<String>,
    /// Patient's Sex (0010,0040).
    pub sex: Option<Phi<String>>,
    /// Patient's Birth Date (0010,0030).
    pub birth_date: Option<Phi<String>>,
    /// Ethnic Group (0010,2160).
    pub ethnic_group: Option<Phi<String>>,
}

/// What is captured of a study, from its first instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StudyPhi {
    /// Where the first instance came from: a path or a peer.
    pub source: Phi<String>,
    /// Study Date (0008,0020).
    pub date: Option<Phi<String>>,
    /// Days by which the study's dates were moved.
    pub date_offset: i32,
    /// Accession Number (0008,0050).
    pub accession: Option<Phi<String>>,
    /// Study Description (0008,1030).
    pub description: Option<Phi<String>>,
}

/// What is captured of a series, from its first instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeriesPhi {
    /// Series Description (0008,103E).
    pub description: Option<Phi<String>>,
    /// Modality (0008,0060).
    pub modality: Option<Phi<String>>,
}

/// One instance about to be published: what [`LookupStore::commit`](crate::LookupStore::commit)
/// makes durable.
#[derive(Debug, Clone, Default)]
pub struct NewInstance {
    /// The patient key under which it is filed ([`Names::filed_under`] if that is set).
    pub patient_key: Phi<String>,
    /// Original Study Instance UID.
    pub study_uid: Phi<String>,
    /// Original Series Instance UID.
    pub series_uid: Phi<String>,
    /// Original SOP Instance UID.
    pub instance_uid: Phi<String>,
    /// Its pseudonyms.
    pub names: Names,
    /// Tells copies from conflicts later.
    pub fingerprint: Fingerprint,
    /// Of the patient.
    pub patient: PatientPhi,
    /// Of the study.
    pub study: StudyPhi,
    /// Of the series.
    pub series: SeriesPhi,
    /// Length of the output in bytes.
    pub output_bytes: u64,
}

/// A study that another program de-identified, with the pseudonyms that program gave: what
/// [`LookupStore::adopt_studies`](crate::LookupStore::adopt_studies) takes over. Originals are
/// normalised as those of [`Wanted`](crate::Wanted).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GivenStudy {
    /// The patient key; empty where the study names no patient.
    pub patient_key: Phi<String>,
    /// The patient's pseudonym.
    pub patient_name: String,
    /// Original Study Instance UID. Never empty.
    pub study_uid: Phi<String>,
    /// Its pseudonym.
    pub study_name: String,
    /// The pseudonym of [`StudyPhi::accession`]; empty if there is none. Without an original it is
    /// no pair, and its number is not given out all the same.
    pub accession_name: String,
    /// Of the patient.
    pub patient: PatientPhi,
    /// Of the study. Its `date_offset` is from here on that of all of the patient's dates.
    pub study: StudyPhi,
}

/// Totals of a store. They change at commit only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Patients with at least one instance, the one without an id not counted (as V17 counts).
    pub patients: u64,
    /// Studies with at least one instance.
    pub studies: u64,
    /// Series.
    pub series: u64,
    /// Instances.
    pub instances: u64,
    /// Bytes of all outputs.
    pub bytes: u64,
}

/// A patient of the index, as [`LookupStore::patients`](crate::LookupStore::patients) shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PatientRow {
    /// The anonymous id, which is the anonymous name too.
    pub pseudonym: String,
    /// What was captured.
    pub phi: PatientPhi,
    /// Studies in the index.
    pub studies: u64,
    /// Series in the index.
    pub series: u64,
    /// Instances in the index.
    pub instances: u64,
}

/// A study of the index, as [`LookupStore::studies`](crate::LookupStore::studies) shows it: one row
/// of V17's PHI index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StudyRow {
    /// The patient's anonymous id, which is the anonymous name too.
    pub patient: String,
    /// What was captured of the patient.
    pub patient_phi: PatientPhi,
    /// What was captured of the study.
    pub phi: StudyPhi,
    /// The anonymous accession number; none if the study's first instance had no accession number
    /// or the rules give it no pseudonym.
    pub accession: Option<String>,
    /// The anonymous Study Instance UID.
    pub study: String,
    /// The original Study Instance UID.
    pub study_uid: Phi<String>,
    /// Series in the index.
    pub series: u64,
    /// Instances in the index.
    pub instances: u64,
    /// Instances a retrieve expects; 0 if none was asked for.
    pub target: u64,
}

/// A series of the index, as [`LookupStore::series`](crate::LookupStore::series) shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeriesRow {
    /// The anonymous Series Instance UID.
    pub series: String,
    /// The original Series Instance UID.
    pub series_uid: Phi<String>,
    /// What was captured of the series.
    pub phi: SeriesPhi,
    /// Instances in the index.
    pub instances: u64,
}

/// The rules that outputs were made with, as a store keeps them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RulesRecord {
    /// SHA-256 of what the rules do.
    pub digest: [u8; 32],
    /// The name by which people know them.
    pub name: String,
    /// The text they were made from.
    pub text: String,
    /// When they were accepted: RFC 3339, as the caller's clock says.
    pub accepted: String,
}
