//! [`Tables`]: the storage of a ledger, with the [`Batch`] it writes and the [`Snapshot`] it reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ledger::pending::Pending;
use crate::ledger::records::{
    Field, InstanceRecord, IntentRecord, Key, Meta, Pair, PairId, PatientRecord, RemarkKey,
    RemarksRecord, SeriesRecord, StudyRecord, VariantKey, VariantRecord,
};
use crate::{BackendError, ClashKind, RulesRecord};

/// The changes of one transaction. `None` removes a row. The maps are sorted, so that a store on
/// disk writes neighbouring rows together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Pairs and references made since the last batch. They are written first.
    pub(crate) pending: Arc<Pending>,
    /// The id of each pair, the key of its original, and that of its pseudonym if it has one. The
    /// tables remember the number or the pseudonym for ever, and nothing of the original.
    pub(crate) removed_pairs: Vec<(PairId, Key, Option<Key>)>,
    /// The first and the last id of numbers that are never given. They count as deleted.
    #[cfg(feature = "disk")]
    pub(crate) skipped: Vec<(PairId, PairId)>,
    pub(crate) patients: BTreeMap<PairId, Option<PatientRecord>>,
    pub(crate) studies: BTreeMap<PairId, Option<StudyRecord>>,
    /// (patient, first seen) → study.
    pub(crate) patient_studies: BTreeMap<(PairId, u64), Option<PairId>>,
    pub(crate) series: BTreeMap<PairId, Option<SeriesRecord>>,
    /// (study, series).
    pub(crate) study_series: BTreeMap<(PairId, PairId), Option<()>>,
    pub(crate) instances: BTreeMap<PairId, Option<InstanceRecord>>,
    /// The instances added to each series. They are stored under the number of the group.
    pub(crate) members: BTreeMap<PairId, Vec<PairId>>,
    /// Series without instances. Their lists of instances are removed.
    pub(crate) removed_series: Vec<PairId>,
    /// (accession number, study): the study's instances have this number.
    pub(crate) accession_studies: BTreeMap<(PairId, PairId), Option<()>>,
    /// The values of studies whose instances differ.
    pub(crate) variants: BTreeMap<VariantKey, Option<VariantRecord>>,
    /// Patients, studies and accession numbers that clash.
    pub(crate) clashes: BTreeMap<(ClashKind, PairId), Option<()>>,
    /// Days by which a patient's dates move, if they were adopted.
    pub(crate) offsets: BTreeMap<PairId, Option<i32>>,
    /// Adopted studies. Their rows stay even without instances.
    pub(crate) adopted: BTreeMap<PairId, Option<()>>,
    /// The remarks on instances that have any.
    pub(crate) remarks: BTreeMap<PairId, Option<RemarksRecord>>,
    /// The new sums of remarks that change.
    pub(crate) remark_totals: BTreeMap<RemarkKey, Option<u64>>,
    pub(crate) intents: BTreeMap<u64, Option<IntentRecord>>,
    pub(crate) rules: Option<(u64, RulesRecord)>,
    pub(crate) meta: Meta,
}

/// A consistent view of the durable rows.
pub(crate) trait Snapshot: Send + Sync {
    fn id(&self, key: Key) -> Result<Option<PairId>, BackendError>;
    fn pair(&self, id: PairId) -> Result<Option<Pair>, BackendError>;
    fn name(&self, key: Key) -> Result<Option<PairId>, BackendError>;
    fn patient(&self, id: PairId) -> Result<Option<PatientRecord>, BackendError>;
    fn study(&self, id: PairId) -> Result<Option<StudyRecord>, BackendError>;
    fn series(&self, id: PairId) -> Result<Option<SeriesRecord>, BackendError>;
    fn instance(&self, id: PairId) -> Result<Option<InstanceRecord>, BackendError>;
    /// Returns up to `limit` patients with ids above `after`, in order.
    fn patients(&self, after: Option<PairId>, limit: usize) -> Result<Vec<PairId>, BackendError>;
    /// Returns up to `limit` studies of a patient first seen later than `after`, in that order.
    fn studies(
        &self,
        patient: PairId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, PairId)>, BackendError>;
    /// Returns up to `limit` series of a study with ids above `after`.
    fn series_of(
        &self,
        study: PairId,
        after: Option<PairId>,
        limit: usize,
    ) -> Result<Vec<PairId>, BackendError>;
    /// Returns the instances that groups above `after` added to a series, up to `limit` groups. An
    /// instance may have been removed since, and added again by a later group.
    fn members(
        &self,
        series: PairId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Vec<PairId>)>, BackendError>;
    /// Returns true if this study refers to this UID.
    fn refers(&self, uid: PairId, study: PairId) -> Result<bool, BackendError>;
    /// Returns up to `limit` studies above `after` that refer to a UID. The referrer of its pair is
    /// not included; deleted studies are.
    fn referring(
        &self,
        uid: PairId,
        after: Option<PairId>,
        limit: usize,
    ) -> Result<Vec<PairId>, BackendError>;
    /// Returns up to `limit` studies above `after` whose instances have this accession number.
    fn accession_studies(
        &self,
        accession: PairId,
        after: Option<PairId>,
        limit: usize,
    ) -> Result<Vec<PairId>, BackendError>;
    fn variant(&self, key: VariantKey) -> Result<Option<VariantRecord>, BackendError>;
    /// Returns up to `limit` variants of a study in one field, with hashes above `after`.
    fn variants(
        &self,
        study: PairId,
        field: Field,
        after: Option<Key>,
        limit: usize,
    ) -> Result<Vec<(Key, VariantRecord)>, BackendError>;
    fn is_clash(&self, kind: ClashKind, id: PairId) -> Result<bool, BackendError>;
    /// Returns up to `limit` clashes of a kind with ids above `after`.
    fn clashes(
        &self,
        kind: ClashKind,
        after: Option<PairId>,
        limit: usize,
    ) -> Result<Vec<PairId>, BackendError>;
    /// Returns the days by which a patient's dates move, if they were adopted.
    fn offset(&self, patient: PairId) -> Result<Option<i32>, BackendError>;
    /// Returns true if any patient has adopted days.
    fn has_offsets(&self) -> Result<bool, BackendError>;
    /// Returns true if a study was adopted.
    fn is_adopted(&self, study: PairId) -> Result<bool, BackendError>;
    /// Returns the remarks on an instance, if it has any.
    fn remarks(&self, instance: PairId) -> Result<Option<RemarksRecord>, BackendError>;
    /// Returns the sum of a remark over all instances.
    fn remark_total(&self, key: RemarkKey) -> Result<u64, BackendError>;
    fn remark_totals(&self) -> Result<Vec<(RemarkKey, u64)>, BackendError>;
    /// Returns true if the pair with this number was deleted.
    fn is_deleted(&self, id: PairId) -> Result<bool, BackendError>;
    /// Returns true if a pair with this pseudonym was deleted. Only computed and external
    /// pseudonyms have a key.
    fn is_name_deleted(&self, name: Key) -> Result<bool, BackendError>;
    fn intents(&self) -> Result<Vec<(u64, IntentRecord)>, BackendError>;
    fn rules(&self) -> Result<Vec<RulesRecord>, BackendError>;
    fn meta(&self) -> Result<Meta, BackendError>;
}

/// The storage for rows.
pub(crate) trait Tables: Send + Sync {
    type Snapshot: Snapshot;

    /// Returns a view of the rows that are durable now.
    fn snapshot(&self) -> Result<Self::Snapshot, BackendError>;

    /// Makes a batch durable, all of it or nothing.
    fn apply(&self, batch: &Batch) -> Result<(), BackendError>;

    /// Checks that a batch of instances would find space after `bytes` more were written to the
    /// same disk.
    fn ready(&self, _bytes: u64) -> Result<(), BackendError> {
        Ok(())
    }

    /// Returns the key for hashing originals and pseudonyms.
    fn hash_key(&self) -> &[u8; 32];
}
