//! The rows of the PHI index: patient → study → series, as captured from the first instance of each.
//!
//! The first instance is the one whose pseudonyms were assigned first, whichever is committed first.

use crate::Phi;

/// The values captured from a patient's first instance. The patient without an id stands for many
/// people and has no values; each of its studies has its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PatientPhi {
    /// Patient ID (0010,0020) as in the object, trimmed; empty if absent.
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

/// The values captured from a study's first instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StudyPhi {
    /// The path or the peer that the first instance came from.
    pub source: Phi<String>,
    /// Study Date (0008,0020).
    pub date: Option<Phi<String>>,
    /// Days by which the study's dates were moved; negative if backwards.
    pub date_offset: i32,
    /// Accession Number (0008,0050). Several values are separated by backslashes.
    pub accession: Option<Phi<String>>,
    /// Study Description (0008,1030).
    pub description: Option<Phi<String>>,
}

/// The values captured from a series' first instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeriesPhi {
    /// Series Description (0008,103E).
    pub description: Option<Phi<String>>,
    /// Modality (0008,0060).
    pub modality: Option<Phi<String>>,
}

/// The totals of an index. Only transactions change them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Patients with at least one study: those that [`PhiIndex::patients`](crate::PhiIndex::patients)
    /// visits. V17 does not count the patient without an id.
    pub patients: u64,
    /// Studies, adopted ones without instances too.
    pub studies: u64,
    /// Series.
    pub series: u64,
    /// Instances.
    pub instances: u64,
    /// Bytes of all output files.
    pub bytes: u64,
}

/// A patient in the index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PatientRow {
    /// The patient's pseudonym, written to Patient ID and to Patient's Name.
    pub pseudonym: String,
    /// The captured values.
    pub phi: PatientPhi,
    /// Studies in the index.
    pub studies: u64,
    /// Series in the index.
    pub series: u64,
    /// Instances in the index.
    pub instances: u64,
}

/// A study in the index: a row of V17's PHI index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StudyRow {
    /// The patient's pseudonym, written to Patient ID and to Patient's Name.
    pub patient: String,
    /// The Patient ID of the patient. The other values are those of the study's first instance,
    /// which may differ from the patient's; or the patient's, if that instance has none.
    pub patient_phi: PatientPhi,
    /// The values captured from the study's first instance. The accession numbers of other
    /// instances follow its own.
    pub phi: StudyPhi,
    /// The pseudonyms of the accession numbers, in the same order, separated by backslashes as in
    /// the objects (PS3.5 section 6.2). `None` if there are none, or the rules do not replace them.
    pub accession: Option<String>,
    /// The pseudonym of the Study Instance UID.
    pub study: String,
    /// The original Study Instance UID.
    pub study_uid: Phi<String>,
    /// Series in the index.
    pub series: u64,
    /// Instances in the index.
    pub instances: u64,
    /// Instances that a retrieve expects; 0 if no retrieve asked for the study.
    pub target: u64,
    /// A number that rises in the order in which the first instances of studies were assigned. It
    /// has gaps.
    pub first_seen: u64,
}

/// A series in the index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeriesRow {
    /// The pseudonym of the Series Instance UID.
    pub series: String,
    /// The original Series Instance UID.
    pub series_uid: Phi<String>,
    /// The values captured from the series' first instance.
    pub phi: SeriesPhi,
    /// Instances in the index.
    pub instances: u64,
}

/// A stored output and what it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredOutput {
    /// The pseudonyms that make its path: patient, study, series, instance.
    pub names: [String; 4],
    /// Digests of what it was made from.
    pub digest: OutputDigest,
}

/// Digests of what an output was made from, under a key that the store and its copies alone have.
/// They identify nobody without that key, and outputs of other stores have other digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OutputDigest {
    /// Of the original SOP Instance UID.
    pub original: u128,
    /// Of the content of the original and the commit that made the output. It changes when the output
    /// is replaced, or made again.
    pub version: u64,
}
