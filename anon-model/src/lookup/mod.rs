//! [`LookupStore`]: pseudonyms and index in one durable place.

pub mod index;

use std::ops::ControlFlow;

use crate::{
    AdoptError, BackendError, GivenStudy, NewInstance, PatientRow, Phi, Pseudonyms, RulesRecord,
    SeriesRow, Space, StudyRow, Totals,
};

/// A committed group whose files are not known to be published, or removed, yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Group(pub u64);

/// What a commit meant to publish: kept until [`LookupStore::settle`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The group.
    pub group: Group,
    /// Of each instance, in the order of the commit, the anonymous ids that make its path:
    /// patient, study, series, instance.
    pub outputs: Vec<[String; 4]>,
}

/// What a deletion meant to remove: kept until [`LookupStore::settle`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The group.
    pub group: Group,
    /// The anonymous ids of patient and study: everything below `public/<patient>/<study>` goes.
    pub directories: Vec<[String; 2]>,
}

/// What a deletion took out of the index. The files are still there: remove
/// [`Removal::directories`], then settle its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// What has to be removed.
    pub removal: Removal,
    /// What the index lost.
    pub totals: Totals,
}

/// How much of the studies that are given is adopted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Adopting {
    /// All of them, or nothing if one cannot be.
    #[default]
    AllOrNothing,
    /// Those that can be.
    WhatCanBe,
    /// Nothing: the answers say what would come of it.
    Nothing,
}

/// What came of a study that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Adopted {
    /// Something of it was new to the store.
    New,
    /// The store held all of it.
    Known,
}

/// Why a study was not adopted. Names are pseudonyms, never originals.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotAdopted {
    /// One of its pairs contradicts what is known.
    #[error("{}: {problem}", space_word(*.space))]
    Pair {
        /// Which.
        space: Space,
        /// How.
        problem: AdoptError,
    },
    /// The study is known under another patient.
    #[error("the study belongs to patient {known}")]
    StudyOfOtherPatient {
        /// The patient it belongs to.
        known: String,
    },
    /// The patient's dates are moved by other days already: intervals would break.
    #[error("the dates of patient {patient} are moved by {held} days already")]
    OtherOffset {
        /// The patient.
        patient: String,
        /// The days by which they are moved.
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

/// Pseudonyms and the PHI index behind one seam.
pub trait LookupStore: Pseudonyms {
    /// Makes durable, in one step: every pseudonym given so far, these instances in the index, and
    /// the intent to publish them. A group without instances makes the pseudonyms durable.
    ///
    /// # Errors
    /// If the store fails; then nothing of the group is in the index.
    fn commit(&self, group: &[NewInstance]) -> Result<Group, BackendError>;

    /// Says whether a commit of instances would find room once `bytes` more are written on the same
    /// disk. It is asked before an output of so many bytes is written, so that whoever waits for
    /// room holds nothing. Of itself every store has room.
    ///
    /// # Errors
    /// With [`Remedy::Retry`](crate::Remedy::Retry) if there is none.
    fn ready(&self, _bytes: u64) -> Result<(), BackendError> {
        Ok(())
    }

    /// Says that the files of a group are published, but for those at the positions
    /// `unpublished`, which leave the index again; or that a deletion's files are removed. The
    /// intent goes; if that is lost in a crash, settling again changes nothing.
    ///
    /// # Errors
    /// If the store fails.
    fn settle(&self, group: Group, unpublished: &[usize]) -> Result<(), BackendError>;

    /// The groups not settled: after a crash, what recovery has to look at.
    ///
    /// # Errors
    /// If the store fails.
    fn unsettled(&self) -> Result<Vec<Intent>, BackendError>;

    /// The deletions not settled: after a crash, what recovery has to remove.
    ///
    /// # Errors
    /// If the store fails.
    fn unsettled_removals(&self) -> Result<Vec<Removal>, BackendError>;

    /// Takes over studies that another program de-identified, all in one step, durable on return:
    /// their pseudonyms, a row in the index without series and instances, and the days by which
    /// each patient's dates move ([`Names::date_offset`](crate::Names::date_offset)). The answers
    /// stand in the order of `studies`; each study is held against the store and against those
    /// before it.
    ///
    /// Counters rise above the number in every pseudonym of `studies`, refused ones included, and of
    /// `used`: what the other program gave besides. That of the UIDs rises to a multiple of a
    /// million, at least a million above: the other program gave numbers to series and instances
    /// too, and those are not told. Adopting again what is there changes nothing.
    ///
    /// The patient without an id is [`Identity::default_patient`](crate::Identity::default_patient)
    /// and has no days of its own.
    ///
    /// # Errors
    /// If the store fails; with [`Remedy::Retry`](crate::Remedy::Retry) while instances of one of
    /// the patients are on their way. Then nothing is adopted.
    fn adopt_studies(
        &self,
        studies: &[GivenStudy],
        used: &[(Space, String)],
        adopting: Adopting,
    ) -> Result<Vec<Result<Adopted, NotAdopted>>, BackendError>;

    /// Makes durable what waits for the next commit: pseudonyms given and groups settled. Dropping
    /// a store does the same, without a way to say that it failed.
    ///
    /// # Errors
    /// If the store fails.
    fn flush(&self) -> Result<(), BackendError>;

    /// The totals.
    ///
    /// # Errors
    /// If the store fails.
    fn totals(&self) -> Result<Totals, BackendError>;

    /// True if the index holds the instance with this original SOP Instance UID.
    ///
    /// # Errors
    /// If the store fails.
    fn has_instance(&self, instance_uid: &Phi<String>) -> Result<bool, BackendError>;

    /// Shows each patient of the index, the one without an id first, then by pseudonym number.
    ///
    /// # Errors
    /// If the store fails.
    fn patients(
        &self,
        visit: &mut dyn FnMut(PatientRow) -> ControlFlow<()>,
    ) -> Result<(), BackendError>;

    /// The patient with this anonymous id.
    ///
    /// # Errors
    /// If the store fails.
    fn patient(&self, pseudonym: &str) -> Result<Option<PatientRow>, BackendError>;

    /// Shows each study of the index: by patient as [`LookupStore::patients`] does, then in the
    /// order of first sight. These are the rows of V17's PHI index.
    ///
    /// # Errors
    /// If the store fails.
    fn studies(
        &self,
        visit: &mut dyn FnMut(StudyRow) -> ControlFlow<()>,
    ) -> Result<(), BackendError>;

    /// The study with this anonymous UID.
    ///
    /// # Errors
    /// If the store fails.
    fn study(&self, pseudonym: &str) -> Result<Option<StudyRow>, BackendError>;

    /// Shows each series of the study with this anonymous UID, in the order in which their UIDs were
    /// first met; none if the index does not hold the study.
    ///
    /// # Errors
    /// If the store fails.
    fn series(
        &self,
        study: &str,
        visit: &mut dyn FnMut(SeriesRow) -> ControlFlow<()>,
    ) -> Result<(), BackendError>;

    /// Instances stored of the study with this original UID; 0 if the index does not hold it.
    ///
    /// # Errors
    /// If the store fails.
    fn stored_instances(&self, study_uid: &Phi<String>) -> Result<u64, BackendError>;

    /// True if the series holds at least `target` instances. False if study or series are not in
    /// the index, or do not belong together.
    ///
    /// # Errors
    /// If the store fails.
    fn series_complete(
        &self,
        study_uid: &Phi<String>,
        series_uid: &Phi<String>,
        target: u64,
    ) -> Result<bool, BackendError>;

    /// Notes that a retrieve expects `target` instances of a study, and says how many are still to
    /// come: negative if there are more than expected. Nothing is noted of a study that the index
    /// does not hold; all of it is still to come.
    ///
    /// # Errors
    /// If the store fails.
    fn expect_instances(&self, study_uid: &Phi<String>, target: u64) -> Result<i64, BackendError>;

    /// True if a retrieve asked for the study and everything it expected is stored. Studies that
    /// came on other ways are never "imported" in this sense, as in V17.
    ///
    /// # Errors
    /// If the store fails.
    fn study_imported(&self, study_uid: &Phi<String>) -> Result<bool, BackendError>;

    /// Takes the study with this anonymous UID out of the index, with the pseudonyms of its study,
    /// series and instance UIDs, but for those that other studies use; and the patient with its
    /// pseudonym if no study is left. None if there is no such study.
    ///
    /// # Errors
    /// If the store fails; with [`Remedy::Retry`](crate::Remedy::Retry) while instances of the
    /// study are on their way. Then nothing is changed.
    fn delete_study(&self, pseudonym: &str) -> Result<Option<Deleted>, BackendError>;

    /// Takes all studies of the patient with this anonymous id out of the index, as
    /// [`LookupStore::delete_study`] does, in one step. None if there is no such patient.
    ///
    /// # Errors
    /// As [`LookupStore::delete_study`].
    fn delete_patient(&self, pseudonym: &str) -> Result<Option<Deleted>, BackendError>;

    /// The rules accepted last: those that what comes next is made with. None in a new store.
    ///
    /// # Errors
    /// If the store fails.
    fn rules(&self) -> Result<Option<RulesRecord>, BackendError>;

    /// All rules ever accepted, oldest first.
    ///
    /// # Errors
    /// If the store fails.
    fn rules_history(&self) -> Result<Vec<RulesRecord>, BackendError>;

    /// Notes, durably, that what comes next is made with these rules. The same digest as
    /// [`LookupStore::rules`] again changes nothing.
    ///
    /// # Errors
    /// If the store fails.
    fn accept_rules(&self, rules: &RulesRecord) -> Result<(), BackendError>;

    /// True once a pseudonym has been given out: then `site_id`, `uid_root` and the schemes can no
    /// longer change.
    ///
    /// # Errors
    /// If the store fails.
    fn is_frozen(&self) -> Result<bool, BackendError>;
}

const _: fn() = || {
    fn assert<T: Send + Sync + ?Sized>() {}
    assert::<dyn LookupStore>();
    assert::<dyn Pseudonyms>();
};
