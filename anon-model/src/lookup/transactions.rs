//! [`Transactions`]: what changes the index, one transaction at a time.

use std::fmt;

use crate::{
    BackendError, Fingerprint, Names, PatientPhi, Phi, Remarks, SeriesPhi, StudyPhi, Totals,
};

/// The number of a transaction that commits or deletes instances. Later transactions have higher
/// numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Group(pub u64);

/// An instance that is about to be published, for [`Transactions::commit`].
#[derive(Debug, Clone, Default)]
pub struct NewInstance {
    /// The key of the patient it is filed under: [`Names::filed_under`] if that is set.
    pub patient_key: Phi<String>,
    /// Original Study Instance UID.
    pub study_uid: Phi<String>,
    /// Original Series Instance UID.
    pub series_uid: Phi<String>,
    /// Original SOP Instance UID.
    pub instance_uid: Phi<String>,
    /// Its pseudonyms. [`Names::uids`] and [`Names::accessions`] may be empty: the output has them.
    pub names: Names,
    /// Distinguishes a later copy from a conflict.
    pub fingerprint: Fingerprint,
    /// The values captured of the patient.
    pub patient: PatientPhi,
    /// The values captured of the study.
    pub study: StudyPhi,
    /// The originals of Accession Number (0008,0050), as [`Wanted::accessions`] has them.
    ///
    /// [`Wanted::accessions`]: crate::Wanted::accessions
    pub accessions: Vec<Phi<String>>,
    /// The values captured of the series.
    pub series: SeriesPhi,
    /// Length of the output file in bytes.
    pub output_bytes: u64,
    /// What a data manager should know about it.
    pub remarks: Remarks,
    /// A digest of its output, if it replaces the instance that is stored with its UID
    /// ([`InstanceConflict::Replace`](crate::InstanceConflict::Replace)). Such an instance is
    /// committed in a group of its own.
    pub replaces: Option<[u8; 16]>,
}

/// The files that a committed group is going to publish, kept until [`Transactions::settle`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The group.
    pub group: Group,
    /// The pseudonyms that make the path of each instance, in the order of the commit: patient,
    /// study, series, instance.
    pub outputs: Vec<[String; 4]>,
    /// [`NewInstance::replaces`], if the group is one instance that replaces a stored one. The file at
    /// its path is the new one if it has this digest; otherwise it is still the old one.
    pub replaces: Option<[u8; 16]>,
}

/// The files that a deletion is going to remove, kept until [`Transactions::settle`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The group.
    pub group: Group,
    /// The pseudonyms of patient and study: everything below `public/<patient>/<study>` is removed.
    pub directories: Vec<[String; 2]>,
}

/// What a deletion removed from the index. The files still exist: remove
/// [`Removal::directories`], then settle the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// The files to remove.
    pub removal: Removal,
    /// What the index lost.
    pub totals: Totals,
}

/// Commits, settles and deletes.
///
/// The unit is a group of instances in one transaction: all of it becomes durable, or nothing.
/// Several processes may share a store, so nothing here is promised from the memory of one.
pub trait Transactions: Send + Sync + fmt::Debug {
    /// Makes durable, in one transaction: these instances in the index, every pseudonym they were
    /// assigned, and the intent to publish their files.
    ///
    /// Pseudonyms that [`Pseudonyms::assign`](crate::Pseudonyms::assign) gave to other instances
    /// before become durable with them. An empty group makes only those durable.
    ///
    /// # Errors
    /// If the store fails, an instance was never assigned, or one that replaces another is not alone;
    /// then nothing of the group is in the index.
    fn commit(&self, group: &[NewInstance]) -> Result<Group, BackendError>;

    /// Checks that a commit of instances would find space after `bytes` more were written to the
    /// same disk. Called before an output of that size is written, so that a caller who has to wait
    /// for space occupies none. The default has no limit.
    ///
    /// # Errors
    /// With [`Remedy::Retry`](crate::Remedy::Retry) if there is not enough space.
    fn ready(&self, _bytes: u64) -> Result<(), BackendError> {
        Ok(())
    }

    /// Ends a group: its files are published, except those at the positions `unpublished`, which
    /// are removed from the index; or the files of a deletion are removed. If the file of an instance
    /// that was to replace another is unpublished, the index holds the other one again.
    ///
    /// The intent is deleted. If a crash loses that, settling again changes nothing.
    ///
    /// # Errors
    /// If the store fails.
    fn settle(&self, group: Group, unpublished: &[usize]) -> Result<(), BackendError>;

    /// Returns the commits that are not settled. After a crash, recovery checks their files.
    ///
    /// # Errors
    /// If the store fails.
    fn unsettled(&self) -> Result<Vec<Intent>, BackendError>;

    /// Returns the deletions that are not settled. After a crash, recovery removes their files.
    ///
    /// # Errors
    /// If the store fails.
    fn unsettled_removals(&self) -> Result<Vec<Removal>, BackendError>;

    /// Makes durable what was to be written with the next commit: assigned pseudonyms and settled
    /// groups. Dropping a store does the same, but cannot report a failure.
    ///
    /// # Errors
    /// If the store fails.
    fn flush(&self) -> Result<(), BackendError>;

    /// Removes the study with this pseudonym from the index. `None` if there is no such study.
    ///
    /// The pseudonyms of its study, series and instance UIDs are removed too, except those that
    /// other studies use; so is the patient, with its pseudonym, if this was its last study. Their
    /// numbers, and external pseudonyms, stay known without their originals. They are never assigned
    /// or adopted again. A scheme that computes pseudonyms gives an original its own again.
    ///
    /// # Errors
    /// If the store fails; with [`Remedy::Retry`](crate::Remedy::Retry) while instances of the
    /// study are assigned but not committed, or committed but not settled. Then nothing is changed.
    fn delete_study(&self, pseudonym: &str) -> Result<Option<Deleted>, BackendError>;

    /// Removes all studies of the patient with this pseudonym, as
    /// [`delete_study`](Transactions::delete_study) does, in one transaction. `None` if there is no
    /// such patient.
    ///
    /// # Errors
    /// As [`delete_study`](Transactions::delete_study).
    fn delete_patient(&self, pseudonym: &str) -> Result<Option<Deleted>, BackendError>;
}
