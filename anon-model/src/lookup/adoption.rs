//! [`Adoption`]: studies that another program de-identified.

use std::fmt;

use crate::{AdoptError, BackendError, PatientPhi, Phi, Space, StudyPhi};

/// A study that another program de-identified, with the pseudonyms of that program. Originals are
/// normalised as those of [`Wanted`](crate::Wanted).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExternalStudy {
    /// The patient key; empty where the study names no patient.
    pub patient_key: Phi<String>,
    /// The patient's pseudonym.
    pub patient_name: String,
    /// Original Study Instance UID. Never empty.
    pub study_uid: Phi<String>,
    /// Its pseudonym.
    pub study_name: String,
    /// The pseudonym of [`StudyPhi::accession`]; empty if there is none. Without an original it
    /// makes no pair, but its number is still reserved.
    pub accession_name: String,
    /// What was captured of the patient.
    pub patient: PatientPhi,
    /// What was captured of the study. Its `date_offset` becomes that of all the patient's dates.
    pub study: StudyPhi,
}

/// Which studies [`Adoption::adopt_studies`] adopts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Adopting {
    /// All of them, or none if one is refused.
    #[default]
    AllOrNothing,
    /// Every study that is not refused.
    WhatCanBe,
    /// None: the results say what would happen.
    Nothing,
}

/// The result for a study that was not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Adopted {
    /// The store did not have the study, one of its pseudonyms, or its offset.
    New,
    /// The store already had all of it.
    Known,
}

/// Why a study was refused. Names are pseudonyms, never originals.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotAdopted {
    /// One of its pairs contradicts a known pair.
    #[error("{}: {problem}", space_word(*.space))]
    Pair {
        /// The space of the pair.
        space: Space,
        /// The contradiction.
        problem: AdoptError,
    },
    /// The study is known under another patient.
    #[error("the study belongs to patient {known}")]
    StudyOfOtherPatient {
        /// The patient it belongs to.
        known: String,
    },
    /// The patient's dates already move by another number of days. With two numbers, the intervals
    /// between the patient's studies would change.
    #[error("the dates of patient {patient} already move by {held} days")]
    OtherOffset {
        /// The patient.
        patient: String,
        /// The days by which the dates move.
        held: i32,
    },
}

fn space_word(space: Space) -> &'static str {
    match space {
        Space::Patient => "patient",
        Space::Uid => "study",
        Space::Accession => "accession number",
    }
}

/// Takes over what another program de-identified.
pub trait Adoption: Send + Sync + fmt::Debug {
    /// Adopts studies in one transaction, durable on return: their pseudonyms, a row in the index
    /// without series and instances, and the days by which each patient's dates move
    /// ([`Names::date_offset`](crate::Names::date_offset)).
    ///
    /// The results are in the order of `studies`. Each study is checked against the store and
    /// against the studies before it. Adopting the same studies again changes nothing.
    ///
    /// A pseudonym that was deleted is refused for every original, also its own: nothing is kept of
    /// whose it was. Only what the scheme computes from an original is its own again.
    ///
    /// No number is assigned later that occurs in a pseudonym of `studies`, of refused ones too, or of
    /// `used`, the other program's further pseudonyms. The UID counter rises to a multiple of a
    /// million, by at least a million: the other program also numbered series and instances, and
    /// does not list those numbers.
    ///
    /// The patient without an id is [`Identity::default_patient`](crate::Identity::default_patient);
    /// its dates have no offset.
    ///
    /// # Errors
    /// If the store fails; with [`Remedy::Retry`](crate::Remedy::Retry) while instances of one of
    /// the patients are assigned but not settled. Then nothing is adopted.
    fn adopt_studies(
        &self,
        studies: &[ExternalStudy],
        used: &[(Space, String)],
        adopting: Adopting,
    ) -> Result<Vec<Result<Adopted, NotAdopted>>, BackendError>;
}
