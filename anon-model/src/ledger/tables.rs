//! [`Tables`]: what a ledger stands on, with the [`Batch`] it writes and the [`Snapshot`] it reads.

use crate::ledger::pending::Pending;
use crate::ledger::records::{
    IntentRecord, Key, Member, Meta, Pair, PairId, PatientRecord, SeriesRecord, StudyRecord,
};
use crate::{BackendError, RulesRecord};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Changes made together. `None` removes. Maps are sorted, so that a store on disk writes
/// neighbours together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Pairs and references given since the last batch. They are written first.
    pub(crate) given: Arc<Pending>,
    pub(crate) removed_pairs: Vec<(PairId, Key, Option<Key>)>,
    pub(crate) patients: BTreeMap<PairId, Option<PatientRecord>>,
    pub(crate) studies: BTreeMap<PairId, Option<StudyRecord>>,
    /// (patient, sight) → study.
    pub(crate) sights: BTreeMap<(PairId, u64), Option<PairId>>,
    pub(crate) series: BTreeMap<PairId, Option<SeriesRecord>>,
    /// (study, series).
    pub(crate) study_series: BTreeMap<(PairId, PairId), Option<()>>,
    pub(crate) instances: BTreeMap<PairId, Option<Member>>,
    /// The instances that a series gets, under the group's number.
    pub(crate) members: BTreeMap<PairId, Vec<PairId>>,
    /// Series of which nothing is left: their lists of instances go.
    pub(crate) emptied: Vec<PairId>,
    /// Days by which a patient's dates move, where they were given from outside.
    pub(crate) offsets: BTreeMap<PairId, Option<i32>>,
    /// Studies that were given from outside: their rows stay without instances.
    pub(crate) adopted: BTreeMap<PairId, Option<()>>,
    pub(crate) intents: BTreeMap<u64, Option<IntentRecord>>,
    pub(crate) rules: Option<(u64, RulesRecord)>,
    pub(crate) meta: Meta,
}

/// A consistent view of what is durable.
pub(crate) trait Snapshot: Send + Sync {
    fn id(&self, key: Key) -> Result<Option<PairId>, BackendError>;
    fn pair(&self, id: PairId) -> Result<Option<Pair>, BackendError>;
    fn name(&self, key: Key) -> Result<Option<PairId>, BackendError>;
    fn patient(&self, id: PairId) -> Result<Option<PatientRecord>, BackendError>;
    fn study(&self, id: PairId) -> Result<Option<StudyRecord>, BackendError>;
    fn series(&self, id: PairId) -> Result<Option<SeriesRecord>, BackendError>;
    fn instance(&self, id: PairId) -> Result<Option<Member>, BackendError>;
    /// Up to `limit` patients with ids above `after`, in order.
    fn patients(&self, after: Option<PairId>, limit: usize) -> Result<Vec<PairId>, BackendError>;
    /// Up to `limit` studies of a patient after `sight`, in the order of first sight.
    fn studies(
        &self,
        patient: PairId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, PairId)>, BackendError>;
    /// Up to `limit` series of a study with ids above `after`.
    fn series_of(
        &self,
        study: PairId,
        after: Option<PairId>,
        limit: usize,
    ) -> Result<Vec<PairId>, BackendError>;
    /// The instances that up to `limit` groups above `after` brought to a series. They may have
    /// left since, and come again in a later group.
    fn members(
        &self,
        series: PairId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Vec<PairId>)>, BackendError>;
    /// True if this study is noted as referring to this UID, as first or as a later one.
    fn refers(&self, uid: PairId, study: PairId) -> Result<bool, BackendError>;
    /// Up to `limit` studies above `after` that refer to a UID, the first one of its pair not
    /// included, deleted ones included.
    fn referring(
        &self,
        uid: PairId,
        after: Option<PairId>,
        limit: usize,
    ) -> Result<Vec<PairId>, BackendError>;
    /// Days by which a patient's dates move, where they were given from outside.
    fn offset(&self, patient: PairId) -> Result<Option<i32>, BackendError>;
    /// True if any patient has such days.
    fn has_offsets(&self) -> Result<bool, BackendError>;
    /// True if a study was given from outside.
    fn is_adopted(&self, study: PairId) -> Result<bool, BackendError>;
    fn intents(&self) -> Result<Vec<(u64, IntentRecord)>, BackendError>;
    fn rules(&self) -> Result<Vec<RulesRecord>, BackendError>;
    fn meta(&self) -> Result<Meta, BackendError>;
}

/// Where rows are kept.
pub(crate) trait Tables: Send + Sync {
    type Snapshot: Snapshot;

    /// What is durable now.
    fn snapshot(&self) -> Result<Self::Snapshot, BackendError>;

    /// Makes all of a batch durable, or nothing of it.
    fn apply(&self, batch: &Batch) -> Result<(), BackendError>;

    /// Whether a batch with instances would find room after `bytes` more are written beside it.
    fn ready(&self, _bytes: u64) -> Result<(), BackendError> {
        Ok(())
    }

    /// The key of the hash over originals and pseudonyms.
    fn hash_key(&self) -> &[u8; 32];
}
