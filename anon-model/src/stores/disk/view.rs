//! [`View`]: the tables as of one commit.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use redb::{Key as RedbKey, ReadOnlyTable, ReadTransaction, ReadableTable, Value};

use crate::ledger::pending::KeyMap;
use crate::ledger::records::{
    Field, InstanceRecord, IntentRecord, Key, Meta, Pair, PairId, PatientRecord, RemarkKey,
    RemarksRecord, SeriesRecord, StudyRecord, VariantKey, VariantRecord,
};
use crate::ledger::tables::Snapshot;
use crate::stores::disk::codec::{GroupMembers, InstanceBytes, Row, decode, instance_of};
use crate::stores::disk::pair_runs::{deleted_run, entry_of, run_of};
use crate::stores::disk::recent_ids::{SharedIds, read_recent};
use crate::stores::disk::schema::{
    ACCESSION_STUDIES, ADOPTED, CLASHES, DELETED, DELETED_NAMES, IDS, INDEXED, INSTANCES, INTENTS,
    MEMBERS, META, NAMES, OFFSETS, PAIRS, PATIENT_STUDIES, PATIENTS, REFERENCES, REMARK_TOTALS,
    REMARKS, RULES, SERIES, STATE, STUDIES, STUDY_SERIES, VARIANTS, redb_error,
};
use crate::{BackendError, ClashKind, RulesRecord};

/// Where a view finds the ids that `ids` does not hold yet.
pub(super) enum RecentSource {
    /// In the memory of the process that writes.
    Memory(SharedIds),
    /// In `pairs`, from which they are read when first needed.
    File {
        hash_key: [u8; 32],
        cache: Arc<Mutex<RecentCache>>,
    },
}

/// The recent ids as a reader last read them. They are valid until a commit changes pairs.
#[derive(Default)]
pub(super) struct RecentCache {
    /// The rows of `meta` that change whenever a pair is added or removed.
    stamp: Vec<u8>,
    ids: Arc<KeyMap<PairId>>,
}

/// A read transaction with its tables opened.
pub(crate) struct View {
    recent: RecentSource,
    /// The recent ids, if this view has read them from the file.
    recent_ids: OnceLock<Arc<KeyMap<PairId>>>,
    meta: ReadOnlyTable<&'static str, &'static [u8]>,
    ids: ReadOnlyTable<u128, u64>,
    pairs: ReadOnlyTable<u64, &'static [u8]>,
    names: ReadOnlyTable<u128, u64>,
    patients: ReadOnlyTable<u64, &'static [u8]>,
    studies: ReadOnlyTable<u64, &'static [u8]>,
    patient_studies: ReadOnlyTable<(u64, u64), u64>,
    series: ReadOnlyTable<u64, &'static [u8]>,
    study_series: ReadOnlyTable<(u64, u64), ()>,
    instances: ReadOnlyTable<u64, &'static InstanceBytes>,
    members: ReadOnlyTable<(u64, u64), &'static [u8]>,
    references: ReadOnlyTable<(u64, u64), ()>,
    accession_studies: ReadOnlyTable<(u64, u64), ()>,
    variants: ReadOnlyTable<(u64, u8, u128), &'static [u8]>,
    clashes: ReadOnlyTable<(u8, u64), ()>,
    offsets: ReadOnlyTable<u64, i32>,
    adopted: ReadOnlyTable<u64, ()>,
    remarks: ReadOnlyTable<u64, &'static [u8]>,
    remark_totals: ReadOnlyTable<RemarkKey, u64>,
    deleted: ReadOnlyTable<u64, u64>,
    deleted_names: ReadOnlyTable<u128, ()>,
    intents: ReadOnlyTable<u64, &'static [u8]>,
    rules: ReadOnlyTable<u64, &'static [u8]>,
}

impl View {
    /// Opens the tables. They keep the transaction open.
    pub(super) fn new(
        read: &ReadTransaction,
        recent: RecentSource,
    ) -> Result<Self, redb::TableError> {
        Ok(Self {
            recent,
            recent_ids: OnceLock::new(),
            meta: read.open_table(META)?,
            ids: read.open_table(IDS)?,
            pairs: read.open_table(PAIRS)?,
            names: read.open_table(NAMES)?,
            patients: read.open_table(PATIENTS)?,
            studies: read.open_table(STUDIES)?,
            patient_studies: read.open_table(PATIENT_STUDIES)?,
            series: read.open_table(SERIES)?,
            study_series: read.open_table(STUDY_SERIES)?,
            instances: read.open_table(INSTANCES)?,
            members: read.open_table(MEMBERS)?,
            references: read.open_table(REFERENCES)?,
            accession_studies: read.open_table(ACCESSION_STUDIES)?,
            variants: read.open_table(VARIANTS)?,
            clashes: read.open_table(CLASHES)?,
            offsets: read.open_table(OFFSETS)?,
            adopted: read.open_table(ADOPTED)?,
            remarks: read.open_table(REMARKS)?,
            remark_totals: read.open_table(REMARK_TOTALS)?,
            deleted: read.open_table(DELETED)?,
            deleted_names: read.open_table(DELETED_NAMES)?,
            intents: read.open_table(INTENTS)?,
            rules: read.open_table(RULES)?,
        })
    }

    /// Returns the recent ids. They are read again only if a commit has changed pairs.
    fn read_recent_ids(
        &self,
        hash_key: &[u8; 32],
        cache: &Mutex<RecentCache>,
    ) -> Result<Arc<KeyMap<PairId>>, BackendError> {
        let mut stamp = Vec::new();
        for name in [STATE, INDEXED] {
            if let Some(row) = ReadableTable::get(&self.meta, name).map_err(redb_error)? {
                stamp.extend_from_slice(row.value());
            }
        }
        let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.stamp != stamp {
            let (ids, _) = read_recent(&self.meta, &self.pairs, hash_key)?;
            let ids = Arc::new(ids);
            *cache = RecentCache { stamp, ids };
        }
        Ok(Arc::clone(&cache.ids))
    }
}

fn row<R: Row>(
    table: &ReadOnlyTable<u64, &'static [u8]>,
    id: u64,
) -> Result<Option<R>, BackendError> {
    match ReadableTable::get(table, id).map_err(redb_error)? {
        Some(value) => Ok(Some(decode(value.value())?)),
        None => Ok(None),
    }
}

fn number<K>(table: &ReadOnlyTable<K, u64>, key: K) -> Result<Option<u64>, BackendError>
where
    K: for<'a> RedbKey<SelfType<'a> = K> + 'static,
{
    let value = ReadableTable::get(table, key).map_err(redb_error)?;
    Ok(value.map(|value| value.value()))
}

/// Returns up to `limit` rows with this first key and a second key above `after`.
fn page<F, V, R>(
    table: &ReadOnlyTable<(F, u64), V>,
    first: F,
    after: Option<u64>,
    limit: usize,
    read: impl Fn(u64, V::SelfType<'_>) -> Result<R, BackendError>,
) -> Result<Vec<R>, BackendError>
where
    F: for<'a> RedbKey<SelfType<'a> = F> + Copy + 'static,
    V: Value + 'static,
{
    let from = match after {
        None => 0,
        Some(u64::MAX) => return Ok(Vec::new()),
        Some(after) => after + 1,
    };
    let range =
        ReadableTable::range(table, (first, from)..=(first, u64::MAX)).map_err(redb_error)?;
    let mut rows = Vec::new();
    for entry in range.take(limit) {
        let (key, value) = entry.map_err(redb_error)?;
        rows.push(read(key.value().1, value.value())?);
    }
    Ok(rows)
}

impl Snapshot for View {
    fn id(&self, key: Key) -> Result<Option<PairId>, BackendError> {
        let recent = match &self.recent {
            RecentSource::Memory(ids) => ids
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .get(&key)
                .copied(),
            RecentSource::File { .. } => None,
        };
        if recent.is_some() {
            return Ok(recent);
        }
        let indexed = number(&self.ids, key)?.map(PairId);
        match &self.recent {
            RecentSource::File { hash_key, cache } if indexed.is_none() => {
                if self.recent_ids.get().is_none() {
                    let ids = self.read_recent_ids(hash_key, cache)?;
                    // Another thread may have set the same ids meanwhile.
                    self.recent_ids.get_or_init(|| ids);
                }
                Ok(self.recent_ids.get().and_then(|ids| ids.get(&key).copied()))
            }
            _ => Ok(indexed),
        }
    }

    fn pair(&self, id: PairId) -> Result<Option<Pair>, BackendError> {
        let run = run_of(&self.pairs, id)?;
        Ok(run.and_then(|(first, mut run)| entry_of(&mut run, first, id)?.take()))
    }

    fn name(&self, key: Key) -> Result<Option<PairId>, BackendError> {
        Ok(number(&self.names, key)?.map(PairId))
    }

    fn patient(&self, id: PairId) -> Result<Option<PatientRecord>, BackendError> {
        row(&self.patients, id.0)
    }

    fn study(&self, id: PairId) -> Result<Option<StudyRecord>, BackendError> {
        row(&self.studies, id.0)
    }

    fn series(&self, id: PairId) -> Result<Option<SeriesRecord>, BackendError> {
        row(&self.series, id.0)
    }

    fn instance(&self, id: PairId) -> Result<Option<InstanceRecord>, BackendError> {
        let value = ReadableTable::get(&self.instances, id.0).map_err(redb_error)?;
        Ok(value.map(|value| instance_of(value.value())))
    }

    fn patients(&self, after: Option<PairId>, limit: usize) -> Result<Vec<PairId>, BackendError> {
        let from = after.map_or(0, |after| after.0.saturating_add(1));
        let range = ReadableTable::range(&self.patients, from..).map_err(redb_error)?;
        let mut ids = Vec::new();
        for entry in range.take(limit) {
            ids.push(PairId(entry.map_err(redb_error)?.0.value()));
        }
        Ok(ids)
    }

    fn studies(
        &self,
        patient: PairId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, PairId)>, BackendError> {
        page(
            &self.patient_studies,
            patient.0,
            after,
            limit,
            |first_seen, study| Ok((first_seen, PairId(study))),
        )
    }

    fn series_of(
        &self,
        study: PairId,
        after: Option<PairId>,
        limit: usize,
    ) -> Result<Vec<PairId>, BackendError> {
        let after = after.map(|after| after.0);
        page(&self.study_series, study.0, after, limit, |series, ()| {
            Ok(PairId(series))
        })
    }

    fn members(
        &self,
        series: PairId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Vec<PairId>)>, BackendError> {
        page(&self.members, series.0, after, limit, |group, members| {
            let GroupMembers(instances) = decode(members)?;
            Ok((group, instances))
        })
    }

    fn refers(&self, uid: PairId, study: PairId) -> Result<bool, BackendError> {
        let row = ReadableTable::get(&self.references, (uid.0, study.0)).map_err(redb_error)?;
        if row.is_some() {
            return Ok(true);
        }
        let first = self.pair(uid)?.and_then(|pair| pair.referrer);
        Ok(first == Some(study))
    }

    fn referring(
        &self,
        uid: PairId,
        after: Option<PairId>,
        limit: usize,
    ) -> Result<Vec<PairId>, BackendError> {
        let after = after.map(|after| after.0);
        page(&self.references, uid.0, after, limit, |study, ()| {
            Ok(PairId(study))
        })
    }

    fn accession_studies(
        &self,
        accession: PairId,
        after: Option<PairId>,
        limit: usize,
    ) -> Result<Vec<PairId>, BackendError> {
        let after = after.map(|after| after.0);
        page(
            &self.accession_studies,
            accession.0,
            after,
            limit,
            |study, ()| Ok(PairId(study)),
        )
    }

    fn variant(
        &self,
        (study, field, hash): VariantKey,
    ) -> Result<Option<VariantRecord>, BackendError> {
        let key = (study.0, field, hash);
        let row = ReadableTable::get(&self.variants, key).map_err(redb_error)?;
        Ok(row.map(|row| decode(row.value())).transpose()?)
    }

    fn variants(
        &self,
        study: PairId,
        field: Field,
        after: Option<Key>,
        limit: usize,
    ) -> Result<Vec<(Key, VariantRecord)>, BackendError> {
        let from = match after {
            None => 0,
            Some(Key::MAX) => return Ok(Vec::new()),
            Some(after) => after + 1,
        };
        let keys = (study.0, field as u8, from)..=(study.0, field as u8, Key::MAX);
        let range = ReadableTable::range(&self.variants, keys).map_err(redb_error)?;
        let mut rows = Vec::new();
        for entry in range.take(limit) {
            let (key, row) = entry.map_err(redb_error)?;
            rows.push((key.value().2, decode(row.value())?));
        }
        Ok(rows)
    }

    fn is_clash(&self, kind: ClashKind, id: PairId) -> Result<bool, BackendError> {
        let row = ReadableTable::get(&self.clashes, (kind as u8, id.0)).map_err(redb_error)?;
        Ok(row.is_some())
    }

    fn clashes(
        &self,
        kind: ClashKind,
        after: Option<PairId>,
        limit: usize,
    ) -> Result<Vec<PairId>, BackendError> {
        let after = after.map(|after| after.0);
        page(&self.clashes, kind as u8, after, limit, |id, ()| {
            Ok(PairId(id))
        })
    }

    fn offset(&self, patient: PairId) -> Result<Option<i32>, BackendError> {
        let days = ReadableTable::get(&self.offsets, patient.0).map_err(redb_error)?;
        Ok(days.map(|days| days.value()))
    }

    fn has_offsets(&self) -> Result<bool, BackendError> {
        Ok(ReadableTable::first(&self.offsets)
            .map_err(redb_error)?
            .is_some())
    }

    fn is_adopted(&self, study: PairId) -> Result<bool, BackendError> {
        let row = ReadableTable::get(&self.adopted, study.0).map_err(redb_error)?;
        Ok(row.is_some())
    }

    fn remarks(&self, instance: PairId) -> Result<Option<RemarksRecord>, BackendError> {
        row(&self.remarks, instance.0)
    }

    fn remark_total(&self, key: RemarkKey) -> Result<u64, BackendError> {
        Ok(number(&self.remark_totals, key)?.unwrap_or(0))
    }

    fn remark_totals(&self) -> Result<Vec<(RemarkKey, u64)>, BackendError> {
        let mut totals = Vec::new();
        for entry in self.remark_totals.iter().map_err(redb_error)? {
            let (key, total) = entry.map_err(redb_error)?;
            totals.push((key.value(), total.value()));
        }
        Ok(totals)
    }

    fn is_deleted(&self, id: PairId) -> Result<bool, BackendError> {
        let run = deleted_run(&self.deleted, id)?;
        Ok(run.is_some_and(|(_, last)| last >= id.0))
    }

    fn is_name_deleted(&self, name: Key) -> Result<bool, BackendError> {
        let row = ReadableTable::get(&self.deleted_names, name).map_err(redb_error)?;
        Ok(row.is_some())
    }

    fn intents(&self) -> Result<Vec<(u64, IntentRecord)>, BackendError> {
        let mut intents = Vec::new();
        for entry in self.intents.iter().map_err(redb_error)? {
            let (group, intent) = entry.map_err(redb_error)?;
            intents.push((group.value(), decode(intent.value())?));
        }
        Ok(intents)
    }

    fn rules(&self) -> Result<Vec<RulesRecord>, BackendError> {
        let mut rules = Vec::new();
        for entry in self.rules.iter().map_err(redb_error)? {
            rules.push(decode(entry.map_err(redb_error)?.1.value())?);
        }
        Ok(rules)
    }

    fn meta(&self) -> Result<Meta, BackendError> {
        match ReadableTable::get(&self.meta, STATE).map_err(redb_error)? {
            Some(value) => Ok(decode(value.value())?),
            None => Ok(Meta::default()),
        }
    }
}
