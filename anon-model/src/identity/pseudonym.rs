//! Originals, their pseudonyms, and the trait [`Pseudonyms`] that joins them.

use std::fmt;

use crate::{BackendError, Phi};

/// A space of pseudonyms: within one, an original has one pseudonym for ever, and a pseudonym one
/// original. Study, series, instance and every other UID share one space, so that a UID met in two
/// roles keeps one pseudonym.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Space {
    /// Patient keys.
    Patient,
    /// UIDs of every role.
    Uid,
    /// Accession numbers.
    Accession,
}

/// What tells two copies of one SOP instance from two different objects under one UID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Fingerprint {
    /// Length of the data set in bytes, file meta and preamble not counted.
    pub length: u64,
    /// Digest of the data set's header: everything but bulk values.
    pub digest: [u8; 16],
}

/// What is done when a known study arrives under another patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum StudyConflict {
    /// The instance is refused with [`Conflict::StudyOfOtherPatient`].
    #[default]
    Refuse,
    /// The instance is filed under the study's first patient.
    First,
}

/// What one instance asks of the store. Originals are normalised already: decoded, SPACE and NUL
/// trimmed at both ends.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The patient key; empty where the instance names no patient.
    pub patient: Phi<String>,
    /// Study Instance UID. Never empty.
    pub study: Phi<String>,
    /// Series Instance UID. Never empty.
    pub series: Phi<String>,
    /// SOP Instance UID. Never empty.
    pub instance: Phi<String>,
    /// Every other UID that wants a pseudonym, in the order of the elements. Never empty texts.
    pub uids: Vec<Phi<String>>,
    /// Accession numbers, in the order of the elements. Never empty texts.
    pub accessions: Vec<Phi<String>>,
    /// Tells copies from conflicts.
    pub fingerprint: Fingerprint,
    /// What is done when the study is known under another patient.
    pub study_conflict: StudyConflict,
}

/// The pseudonyms of one instance, in the order of [`Wanted`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Of the patient.
    pub patient: String,
    /// Of the study.
    pub study: String,
    /// Of the series.
    pub series: String,
    /// Of the SOP instance.
    pub instance: String,
    /// Of each of [`Wanted::uids`].
    pub uids: Vec<String>,
    /// Of each of [`Wanted::accessions`].
    pub accessions: Vec<String>,
    /// The patient key under which the instance is filed, if not its own
    /// ([`StudyConflict::First`]). Dates are shifted by that patient's offset.
    pub filed_under: Option<Phi<String>>,
    /// Days by which the dates of this patient move, backwards if negative, if the store was given
    /// them ([`Adoption::adopt_studies`](crate::Adoption::adopt_studies)). None: as the
    /// project's date scheme says.
    pub date_offset: Option<i32>,
}

/// The answer to [`Pseudonyms::assign`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Assigned {
    /// The instance is new. Its pseudonyms become durable with the next commit, not before.
    New(Names),
    /// The same instance is stored already, under these names.
    Duplicate(Names),
}

/// Two facts that exclude each other. Names are pseudonyms, never originals.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Conflict {
    /// The study is known under another patient.
    #[error(
        "study {study} belongs to patient {known}, and this object says {}",
        now.as_deref().unwrap_or("a patient that is new to this project")
    )]
    StudyOfOtherPatient {
        /// The study.
        study: String,
        /// The patient it belongs to.
        known: String,
        /// The patient this instance names, if known at all.
        now: Option<String>,
    },
    /// The series is known under another study.
    #[error("series {series} belongs to study {known}, and this object names another study")]
    SeriesOfOtherStudy {
        /// The series.
        series: String,
        /// The study it belongs to.
        known: String,
    },
    /// The instance is known under another series, study or patient.
    #[error(
        "instance {instance} is stored under series {known}, and this object names another series"
    )]
    InstanceOfOtherSeries {
        /// The instance.
        instance: String,
        /// The series it is stored under.
        known: String,
    },
    /// The instance is known with other content.
    #[error("instance {instance} is stored already, with other content")]
    InstanceDiffers {
        /// The instance.
        instance: String,
    },
    /// Two originals came to the same pseudonym (only schemes that compute pseudonyms can).
    #[error("two originals have the same computed pseudonym")]
    Collision {
        /// Where.
        space: Space,
    },
}

/// Why no pseudonyms were given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssignError {
    /// The instance contradicts what is known. It belongs in quarantine.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The store failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// Why a given pair was not adopted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdoptError {
    /// The original has another pseudonym already.
    #[error("this original has the pseudonym {pseudonym} already")]
    OriginalTaken {
        /// The pseudonym it has.
        pseudonym: String,
    },
    /// The pseudonym belongs to another original.
    #[error("the pseudonym {pseudonym} belongs to another original")]
    PseudonymTaken {
        /// The pseudonym.
        pseudonym: String,
    },
    /// The pseudonym is not one for its space.
    #[error("{problem}")]
    Form {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The store failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// How many pairs each space holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Patients, the one without an id not counted.
    pub patients: u64,
    /// UIDs of every role.
    pub uids: u64,
    /// Accession numbers.
    pub accessions: u64,
}

/// Gives originals their pseudonyms.
pub trait Pseudonyms: Send + Sync + fmt::Debug {
    /// The pseudonyms of everything one instance holds; new originals get new ones.
    ///
    /// The order in which new UIDs take their numbers is that of V17: study, series, instance, then
    /// [`Wanted::uids`] in their order. Nothing is durable before the next
    /// [`Transactions::commit`](crate::Transactions::commit): what is given must not be visible
    /// outside before. A relation of the instance (study of a patient, series of a study) holds
    /// from here on, so that a contradicting instance in flight is refused.
    ///
    /// # Errors
    /// [`AssignError::Conflict`] if the instance contradicts what is known; nothing is given then.
    fn assign(&self, wanted: &Wanted) -> Result<Assigned, AssignError>;

    /// Says that an instance with [`Assigned::New`] will not be committed. Its pseudonyms stay
    /// given; its relations no longer bind others unless another instance holds them too.
    fn abandon(&self, wanted: &Wanted);

    /// Takes over a given pair, durable on return. The same pair again is no change; counters rise
    /// above the number in the pseudonym.
    ///
    /// # Errors
    /// [`AdoptError`] if either side is taken by another.
    fn adopt(
        &self,
        space: Space,
        original: &Phi<String>,
        pseudonym: &str,
    ) -> Result<(), AdoptError>;

    /// The pseudonym of an original, if it has one. Gives none.
    ///
    /// # Errors
    /// If the store fails.
    fn pseudonym(
        &self,
        space: Space,
        original: &Phi<String>,
    ) -> Result<Option<String>, BackendError>;

    /// The originals behind a pseudonym, in whatever space it stands.
    ///
    /// # Errors
    /// If the store fails.
    fn originals(&self, pseudonym: &str) -> Result<Vec<(Space, Phi<String>)>, BackendError>;

    /// How many pairs each space holds, what is not committed yet included.
    ///
    /// # Errors
    /// If the store fails.
    fn counts(&self) -> Result<Counts, BackendError>;
}
