//! [`Clash`]: values that should be one, and are several.

use crate::Phi;

/// A kind of clash. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum ClashKind {
    /// A patient has several names.
    PatientNames = 0,
    /// A patient has several birth dates.
    BirthDates = 1,
    /// A study has several accession numbers.
    Accessions = 2,
    /// A study has several dates.
    StudyDates = 3,
    /// An accession number is that of several patients.
    AccessionPatients = 4,
}

impl ClashKind {
    /// All kinds, in the order in which they are listed.
    pub const ALL: [Self; 5] = [
        Self::PatientNames,
        Self::BirthDates,
        Self::Accessions,
        Self::StudyDates,
        Self::AccessionPatients,
    ];

    /// Returns the name of the kind, such as `patient_names`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PatientNames => "patient_names",
            Self::BirthDates => "birth_dates",
            Self::Accessions => "accessions",
            Self::StudyDates => "study_dates",
            Self::AccessionPatients => "accession_patients",
        }
    }
}

/// A clash in the index.
///
/// The patient without an id stands for many people, so it has no clash of names or birth dates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clash {
    /// What clashes.
    pub kind: ClashKind,
    /// The pseudonym of the patient, study or accession number that has the values.
    pub pseudonym: String,
    /// Its patient. `None` for an accession number, which has several.
    pub patient: Option<String>,
    /// The values, in the order in which they were assigned.
    pub values: Vec<ClashValue>,
    /// True if there are more than [`Clash::MAX_VALUES`] values, or more studies with one of them.
    pub has_more: bool,
}

impl Clash {
    /// The most values of a clash that are returned, and the most studies of a value.
    pub const MAX_VALUES: usize = 100;
}

/// One of the values of a clash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClashValue {
    /// The original: a name, date or accession number; the Patient ID of each patient of an
    /// accession number.
    pub original: Phi<String>,
    /// The pseudonym of an accession number or patient. Names and dates have none.
    pub pseudonym: Option<String>,
    /// The pseudonyms of the studies with this value.
    pub studies: Vec<String>,
}
