//! The trait [`Pseudonyms`], which assigns pseudonyms to originals.

use std::fmt;

use crate::{BackendError, Phi};

/// A space of pseudonyms. In a space, an original always has the same pseudonym, and a pseudonym
/// has one original. All UIDs share one space, so a UID with two roles has one pseudonym.
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

/// Distinguishes a copy of an SOP instance from another object with the same UID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Fingerprint {
    /// Length of the data set in bytes, without preamble and file meta information. Less than 2^56.
    pub length: u64,
    /// Digest of the data set, without the bytes that its version leaves out.
    pub digest: [u8; 16],
    /// What the digest covers.
    pub version: DigestVersion,
}

/// What the digest of a [`Fingerprint`] covers. A record keeps the version that it was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum DigestVersion {
    /// The digest covers everything except values of 4 KiB or more and fragments.
    V1,
    /// Everything but the long values and fragments that the output holds unchanged. They can be read
    /// back from the stored object.
    #[default]
    V2,
}

impl Fingerprint {
    /// Returns true if two fingerprints can be of one object. If their versions differ, only their
    /// lengths can be compared.
    pub fn agrees_with(&self, other: &Self) -> bool {
        self.length == other.length
            && (self.version != other.version || self.digest == other.digest)
    }
}

/// An instance in the index.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredInstance {
    /// The pseudonyms that make its path: patient, study, series, instance.
    pub names: [String; 4],
    /// Its fingerprint, when it was stored.
    pub fingerprint: Fingerprint,
}

/// What happens if a known study arrives under another patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum StudyConflict {
    /// The instance is refused with [`Conflict::StudyOfOtherPatient`].
    #[default]
    Refuse,
    /// The instance is filed under the study's first patient.
    First,
}

/// What happens if an instance is stored already, with other content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum InstanceConflict {
    /// The instance is refused with [`Conflict::InstanceDiffers`].
    #[default]
    Refuse,
    /// The instance replaces the stored one, under the same pseudonyms. It is committed with
    /// [`NewInstance::replaces`](crate::NewInstance::replaces).
    Replace,
}

/// The originals of one instance. They are normalised: decoded, with SPACE and NUL trimmed at both
/// ends.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The patient key. Empty if the instance names no patient.
    pub patient: Phi<String>,
    /// Study Instance UID. Never empty.
    pub study: Phi<String>,
    /// Series Instance UID. Never empty.
    pub series: Phi<String>,
    /// SOP Instance UID. Never empty.
    pub instance: Phi<String>,
    /// The other UIDs that need a pseudonym, in the order of the elements. No text is empty.
    pub uids: Vec<Phi<String>>,
    /// Accession numbers, in the order of the elements. No text is empty.
    pub accessions: Vec<Phi<String>>,
    /// Distinguishes a copy from a conflict.
    pub fingerprint: Fingerprint,
    /// What happens if the study is known under another patient.
    pub study_conflict: StudyConflict,
    /// What happens if the instance is stored already.
    pub instance_conflict: InstanceConflict,
    /// Pseudonyms that the rules have computed for this instance.
    pub given: GivenNames,
}

/// Pseudonyms that rules compute instead of the store. `None`: the store assigns one.
///
/// An original keeps the pseudonym that it was first given. Two originals cannot have the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "rules compute these four")]
pub struct GivenNames {
    /// Of the patient. Ignored if the instance names no patient.
    pub patient: Option<String>,
    /// Of the study.
    pub study: Option<String>,
    /// Of the series.
    pub series: Option<String>,
    /// Of the SOP instance.
    pub instance: Option<String>,
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
    /// The patient key under which the instance is filed, if it is not its own
    /// ([`StudyConflict::First`]). Dates are shifted by that patient's offset.
    pub filed_under: Option<Phi<String>>,
    /// Days by which the dates of this patient are shifted, backwards if negative, if an offset was
    /// adopted ([`Adoption::adopt_studies`](crate::Adoption::adopt_studies)). `None`: the project's
    /// date scheme decides.
    pub date_offset: Option<i32>,
}

/// The result of [`Pseudonyms::assign`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Assigned {
    /// The instance is new. Its pseudonyms become durable with the next commit.
    New(Names),
    /// An instance with a fingerprint that [agrees](Fingerprint::agrees_with) is stored already, with
    /// these pseudonyms. [`Pseudonyms::stored_instance`] returns what to compare it with.
    Duplicate(Names),
}

/// A contradiction between an instance and what is stored. All names are pseudonyms, never
/// originals.
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
        /// The patient that this instance names, if it is known.
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
    /// The instance is stored with other content, or one of its originals is new.
    #[error("instance {instance} is stored already, with other content")]
    InstanceDiffers {
        /// The instance.
        instance: String,
    },
    /// Two originals have the same pseudonym. Only schemes that compute pseudonyms can cause this.
    #[error("two originals have the same computed pseudonym")]
    Collision {
        /// The space of the pseudonym.
        space: Space,
    },
    /// The rules compute another pseudonym than the original has.
    #[error("the rules compute another {} than {known}, under which it is known", given_word(*space))]
    GivenDiffers {
        /// The space of the pseudonym.
        space: Space,
        /// The pseudonym that the original has.
        known: String,
    },
    /// The rules compute the pseudonym of another original, or of one that was deleted.
    #[error("the rules compute the same {} for two originals", given_word(*space))]
    GivenTaken {
        /// The space of the pseudonym.
        space: Space,
    },
    /// The rules compute a pseudonym that is no value of its element, or that the project could assign
    /// to another original.
    #[error("the rules compute a {} that cannot be a pseudonym of this project", given_word(*space))]
    GivenForm {
        /// The space of the pseudonym.
        space: Space,
    },
}

fn given_word(space: Space) -> &'static str {
    match space {
        Space::Patient => "patient id",
        Space::Uid => "UID",
        Space::Accession => "accession number",
    }
}

/// Why no pseudonyms were assigned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssignError {
    /// The instance contradicts what is stored. It belongs in quarantine.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The store failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// Why a pair was not adopted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdoptError {
    /// The original already has another pseudonym.
    #[error("this original already has the pseudonym {pseudonym}")]
    OriginalTaken {
        /// Its pseudonym.
        pseudonym: String,
    },
    /// The pseudonym belongs to another original.
    #[error("the pseudonym {pseudonym} belongs to another original")]
    PseudonymTaken {
        /// The pseudonym.
        pseudonym: String,
    },
    /// The pseudonym was deleted with its original, and is never given to an original again. Only
    /// an original from which the scheme computes it gets it again.
    #[error(
        "the pseudonym {pseudonym} was deleted from this project, or may have been before its lookup \
         store was upgraded, and is never given again: leave it out, and the original gets a new \
         pseudonym, or adopt it into a new project"
    )]
    PseudonymDeleted {
        /// The pseudonym.
        pseudonym: String,
    },
    /// The pseudonym does not have the form of its space.
    #[error("{problem}")]
    Form {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The store failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// The number of pairs in each space.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Patients, without the one that has no id.
    pub patients: u64,
    /// UIDs of every role.
    pub uids: u64,
    /// Accession numbers.
    pub accessions: u64,
}

/// Assigns pseudonyms to originals.
pub trait Pseudonyms: Send + Sync + fmt::Debug {
    /// Returns the pseudonyms of all originals of an instance. New originals get new ones.
    ///
    /// New UIDs get their numbers in V17's order: study, series, instance, then [`Wanted::uids`].
    /// Nothing is durable before the next [`Transactions::commit`](crate::Transactions::commit), so
    /// the pseudonyms must not be visible outside before it. The relations of the instance (study
    /// of a patient, series of a study) are in force at once: a contradicting instance that is
    /// processed at the same time is refused.
    ///
    /// # Errors
    /// [`AssignError::Conflict`] if the instance contradicts what is stored. Nothing is assigned
    /// then.
    fn assign(&self, wanted: &Wanted) -> Result<Assigned, AssignError>;

    /// Gives up an instance with [`Assigned::New`] that will not be committed. Its pseudonyms stay
    /// assigned. Its relations no longer bind other instances, unless another instance has them
    /// too. Of `wanted`, only the UIDs of study, series and instance count.
    fn abandon(&self, wanted: &Wanted);

    /// Adopts a pair of another program. It is durable on return. Adopting it again changes
    /// nothing. Counters rise above the number in the pseudonym.
    ///
    /// # Errors
    /// [`AdoptError`] if the original or the pseudonym belongs to another pair, or if the pseudonym
    /// was deleted.
    fn adopt(
        &self,
        space: Space,
        original: &Phi<String>,
        pseudonym: &str,
    ) -> Result<(), AdoptError>;

    /// Returns the pseudonym of an original. `None` if it has none; this assigns no new one.
    ///
    /// # Errors
    /// If the store fails.
    fn pseudonym(
        &self,
        space: Space,
        original: &Phi<String>,
    ) -> Result<Option<String>, BackendError>;

    /// Returns the stored instance with this original SOP Instance UID. `None` if the index does not
    /// hold it.
    ///
    /// # Errors
    /// If the store fails.
    fn stored_instance(
        &self,
        instance_uid: &Phi<String>,
    ) -> Result<Option<StoredInstance>, BackendError>;

    /// Returns the originals of a pseudonym in all spaces.
    ///
    /// # Errors
    /// If the store fails.
    fn originals(&self, pseudonym: &str) -> Result<Vec<(Space, Phi<String>)>, BackendError>;

    /// Returns the number of pairs in each space, including those that are not committed yet.
    ///
    /// # Errors
    /// If the store fails.
    fn counts(&self) -> Result<Counts, BackendError>;
}
