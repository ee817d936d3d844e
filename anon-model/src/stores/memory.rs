//! [`MemoryStore`]: a lookup store that ends with its process.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use crate::identity::uid::RandomError;
use crate::ledger::pending::KeyMap;
use crate::ledger::records::{
    Field, InstanceRecord, IntentRecord, Key, Meta, Pair, PairId, PatientRecord, RemarkKey,
    RemarksRecord, SeriesRecord, StudyRecord, VariantKey, VariantRecord,
};
use crate::ledger::tables::{Batch, Snapshot, Tables};
use crate::ledger::{Access, Ledger};
use crate::stores::delegate::delegate;
use crate::{BackendError, ClashKind, Identity, RulesRecord};

/// A lookup store in memory, for tests, for trying rules, and for programs that keep the pairs
/// elsewhere. What it calls durable lasts until it is dropped.
///
/// # Examples
/// ```
/// use anon_model::{Assigned, Identity, MemoryStore, Phi, Pseudonyms, SiteId, UidRoot, Wanted};
///
/// let identity = Identity::new(SiteId::new("99")?, UidRoot::new("1.2.3")?)?;
/// let store = MemoryStore::new(identity)?;
/// let wanted = Wanted {
///     patient: Phi::new("4711".to_owned()),
///     study: Phi::new("1.3.1".to_owned()),
///     series: Phi::new("1.3.2".to_owned()),
///     instance: Phi::new("1.3.3".to_owned()),
///     ..Wanted::default()
/// };
/// let Assigned::New(names) = store.assign(&wanted)? else { unreachable!() };
/// assert_eq!(names.patient, "99-000001");
/// assert_eq!(names.instance, "1.2.3.99.3");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct MemoryStore {
    ledger: Ledger<MemoryTables>,
}

impl MemoryStore {
    /// Creates an empty store.
    ///
    /// # Errors
    /// If the operating system provides no random numbers.
    ///
    /// # Panics
    /// Never: opening an empty store in memory cannot fail.
    pub fn new(identity: Identity) -> Result<Self, RandomError> {
        let mut hash_key = [0; 32];
        getrandom::fill(&mut hash_key).map_err(|_| RandomError)?;
        let tables = MemoryTables {
            hash_key,
            rows: Arc::default(),
        };
        let ledger = Ledger::open(tables, identity, Access::Write)
            .expect("memory: an empty store accepts every identity, and reads cannot fail");
        Ok(Self { ledger })
    }

    /// Returns the identity that the pseudonyms are made with.
    pub fn identity(&self) -> &Identity {
        self.ledger.identity()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("identity", self.identity())
            .finish_non_exhaustive()
    }
}

delegate!(MemoryStore);

struct MemoryTables {
    hash_key: [u8; 32],
    rows: Arc<RwLock<Rows>>,
}

#[derive(Default)]
struct Rows {
    ids: KeyMap<PairId>,
    pairs: BTreeMap<PairId, Pair>,
    names: KeyMap<PairId>,
    patients: BTreeMap<PairId, PatientRecord>,
    studies: BTreeMap<PairId, StudyRecord>,
    patient_studies: BTreeMap<(PairId, u64), PairId>,
    series: BTreeMap<PairId, SeriesRecord>,
    study_series: BTreeSet<(PairId, PairId)>,
    instances: BTreeMap<PairId, InstanceRecord>,
    members: BTreeMap<(PairId, u64), Vec<PairId>>,
    references: BTreeSet<(PairId, PairId)>,
    accession_studies: BTreeSet<(PairId, PairId)>,
    variants: BTreeMap<VariantKey, VariantRecord>,
    clashes: BTreeSet<(ClashKind, PairId)>,
    offsets: BTreeMap<PairId, i32>,
    adopted: BTreeSet<PairId>,
    remarks: BTreeMap<PairId, RemarksRecord>,
    remark_totals: BTreeMap<RemarkKey, u64>,
    deleted: BTreeSet<PairId>,
    deleted_names: BTreeSet<Key>,
    intents: BTreeMap<u64, IntentRecord>,
    rules: Vec<RulesRecord>,
    meta: Meta,
}

fn change<K: Ord + Copy, V: Clone>(rows: &mut BTreeMap<K, V>, changes: &BTreeMap<K, Option<V>>) {
    for (key, value) in changes {
        match value {
            Some(value) => rows.insert(*key, value.clone()),
            None => rows.remove(key),
        };
    }
}

fn change_set<K: Ord + Copy>(rows: &mut BTreeSet<K>, changes: &BTreeMap<K, Option<()>>) {
    for (key, row) in changes {
        match row {
            Some(()) => rows.insert(*key),
            None => rows.remove(key),
        };
    }
}

impl Tables for MemoryTables {
    type Snapshot = View;

    fn snapshot(&self) -> Result<View, BackendError> {
        Ok(View(Arc::clone(&self.rows)))
    }

    fn apply(&self, batch: &Batch) -> Result<(), BackendError> {
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        let rows = &mut *rows;
        for new in batch.pending.pairs() {
            rows.ids.insert(new.key, new.id);
            rows.pairs.insert(new.id, new.pair.clone());
            if let Some(name) = new.name {
                rows.names.insert(name, new.id);
            }
        }
        rows.references.extend(batch.pending.references());
        for (id, key, name) in &batch.removed_pairs {
            rows.ids.remove(key);
            rows.pairs.remove(id);
            if let Some(name) = name {
                rows.names.remove(name);
                rows.deleted_names.insert(*name);
            } else {
                rows.deleted.insert(*id);
            }
        }
        change(&mut rows.patients, &batch.patients);
        change(&mut rows.studies, &batch.studies);
        change(&mut rows.patient_studies, &batch.patient_studies);
        change(&mut rows.series, &batch.series);
        change_set(&mut rows.study_series, &batch.study_series);
        change(&mut rows.instances, &batch.instances);
        for series in &batch.removed_series {
            let lists = (*series, 0)..=(*series, u64::MAX);
            let groups: Vec<_> = rows.members.range(lists).map(|(key, _)| *key).collect();
            for group in groups {
                rows.members.remove(&group);
            }
        }
        for (series, instances) in &batch.members {
            let key = (*series, batch.meta.group);
            rows.members.insert(key, instances.clone());
        }
        change(&mut rows.offsets, &batch.offsets);
        change(&mut rows.remarks, &batch.remarks);
        change(&mut rows.remark_totals, &batch.remark_totals);
        change_set(&mut rows.adopted, &batch.adopted);
        change_set(&mut rows.accession_studies, &batch.accession_studies);
        change_set(&mut rows.clashes, &batch.clashes);
        change(&mut rows.variants, &batch.variants);
        change(&mut rows.intents, &batch.intents);
        rows.rules
            .extend(batch.rules.iter().map(|(_, rules)| rules.clone()));
        rows.meta = batch.meta.clone();
        Ok(())
    }

    fn hash_key(&self) -> &[u8; 32] {
        &self.hash_key
    }
}

struct View(Arc<RwLock<Rows>>);

impl View {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "every method of the trait can fail"
    )]
    fn read<R>(&self, read: impl FnOnce(&Rows) -> R) -> Result<R, BackendError> {
        Ok(read(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Returns up to `limit` rows with this first key and a second key above `after`.
fn page<K: Ord + Copy, V: Clone>(
    rows: &BTreeMap<(PairId, K), V>,
    first: PairId,
    after: Option<K>,
    limit: usize,
    least: K,
) -> Vec<(K, V)> {
    rows.range((first, after.unwrap_or(least))..)
        .take_while(|((key, _), _)| *key == first)
        .filter(|((_, key), _)| after.is_none_or(|after| *key > after))
        .take(limit)
        .map(|((_, key), value)| (*key, value.clone()))
        .collect()
}

/// Returns up to `limit` second keys of this first key, above `after`.
fn seconds<F: Ord + Copy>(
    rows: &BTreeSet<(F, PairId)>,
    first: F,
    after: Option<PairId>,
    limit: usize,
) -> Vec<PairId> {
    rows.range((first, after.unwrap_or(PairId(0)))..=(first, PairId(u64::MAX)))
        .map(|(_, second)| *second)
        .filter(|second| after.is_none_or(|after| *second > after))
        .take(limit)
        .collect()
}

impl Snapshot for View {
    fn id(&self, key: Key) -> Result<Option<PairId>, BackendError> {
        self.read(|rows| rows.ids.get(&key).copied())
    }

    fn pair(&self, id: PairId) -> Result<Option<Pair>, BackendError> {
        self.read(|rows| rows.pairs.get(&id).cloned())
    }

    fn name(&self, key: Key) -> Result<Option<PairId>, BackendError> {
        self.read(|rows| rows.names.get(&key).copied())
    }

    fn patient(&self, id: PairId) -> Result<Option<PatientRecord>, BackendError> {
        self.read(|rows| rows.patients.get(&id).cloned())
    }

    fn study(&self, id: PairId) -> Result<Option<StudyRecord>, BackendError> {
        self.read(|rows| rows.studies.get(&id).cloned())
    }

    fn series(&self, id: PairId) -> Result<Option<SeriesRecord>, BackendError> {
        self.read(|rows| rows.series.get(&id).cloned())
    }

    fn instance(&self, id: PairId) -> Result<Option<InstanceRecord>, BackendError> {
        self.read(|rows| rows.instances.get(&id).copied())
    }

    fn patients(&self, after: Option<PairId>, limit: usize) -> Result<Vec<PairId>, BackendError> {
        self.read(|rows| {
            let from = after.unwrap_or(PairId(0));
            rows.patients
                .range(from..)
                .map(|(id, _)| *id)
                .filter(|id| after.is_none_or(|after| *id > after))
                .take(limit)
                .collect()
        })
    }

    fn studies(
        &self,
        patient: PairId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, PairId)>, BackendError> {
        self.read(|rows| page(&rows.patient_studies, patient, after, limit, 0))
    }

    fn series_of(
        &self,
        study: PairId,
        after: Option<PairId>,
        limit: usize,
    ) -> Result<Vec<PairId>, BackendError> {
        self.read(|rows| seconds(&rows.study_series, study, after, limit))
    }

    fn members(
        &self,
        series: PairId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Vec<PairId>)>, BackendError> {
        self.read(|rows| page(&rows.members, series, after, limit, 0))
    }

    fn refers(&self, uid: PairId, study: PairId) -> Result<bool, BackendError> {
        self.read(|rows| {
            let first = rows.pairs.get(&uid).and_then(|pair| pair.referrer);
            first == Some(study) || rows.references.contains(&(uid, study))
        })
    }

    fn referring(
        &self,
        uid: PairId,
        after: Option<PairId>,
        limit: usize,
    ) -> Result<Vec<PairId>, BackendError> {
        self.read(|rows| seconds(&rows.references, uid, after, limit))
    }

    fn accession_studies(
        &self,
        accession: PairId,
        after: Option<PairId>,
        limit: usize,
    ) -> Result<Vec<PairId>, BackendError> {
        self.read(|rows| seconds(&rows.accession_studies, accession, after, limit))
    }

    fn variant(&self, key: VariantKey) -> Result<Option<VariantRecord>, BackendError> {
        self.read(|rows| rows.variants.get(&key).cloned())
    }

    fn variants(
        &self,
        study: PairId,
        field: Field,
        after: Option<Key>,
        limit: usize,
    ) -> Result<Vec<(Key, VariantRecord)>, BackendError> {
        let from = (study, field as u8, after.unwrap_or(0));
        let to = (study, field as u8, Key::MAX);
        self.read(|rows| {
            rows.variants
                .range(from..=to)
                .map(|((.., hash), row)| (*hash, row.clone()))
                .filter(|(hash, _)| after.is_none_or(|after| *hash > after))
                .take(limit)
                .collect()
        })
    }

    fn is_clash(&self, kind: ClashKind, id: PairId) -> Result<bool, BackendError> {
        self.read(|rows| rows.clashes.contains(&(kind, id)))
    }

    fn clashes(
        &self,
        kind: ClashKind,
        after: Option<PairId>,
        limit: usize,
    ) -> Result<Vec<PairId>, BackendError> {
        self.read(|rows| seconds(&rows.clashes, kind, after, limit))
    }

    fn offset(&self, patient: PairId) -> Result<Option<i32>, BackendError> {
        self.read(|rows| rows.offsets.get(&patient).copied())
    }

    fn has_offsets(&self) -> Result<bool, BackendError> {
        self.read(|rows| !rows.offsets.is_empty())
    }

    fn is_adopted(&self, study: PairId) -> Result<bool, BackendError> {
        self.read(|rows| rows.adopted.contains(&study))
    }

    fn remarks(&self, instance: PairId) -> Result<Option<RemarksRecord>, BackendError> {
        self.read(|rows| rows.remarks.get(&instance).cloned())
    }

    fn remark_total(&self, key: RemarkKey) -> Result<u64, BackendError> {
        self.read(|rows| rows.remark_totals.get(&key).copied().unwrap_or(0))
    }

    fn remark_totals(&self) -> Result<Vec<(RemarkKey, u64)>, BackendError> {
        self.read(|rows| {
            let totals = rows.remark_totals.iter();
            totals.map(|(key, total)| (*key, *total)).collect()
        })
    }

    fn is_deleted(&self, id: PairId) -> Result<bool, BackendError> {
        self.read(|rows| rows.deleted.contains(&id))
    }

    fn is_name_deleted(&self, name: Key) -> Result<bool, BackendError> {
        self.read(|rows| rows.deleted_names.contains(&name))
    }

    fn intents(&self) -> Result<Vec<(u64, IntentRecord)>, BackendError> {
        self.read(|rows| {
            rows.intents
                .iter()
                .map(|(group, intent)| (*group, intent.clone()))
                .collect()
        })
    }

    fn rules(&self) -> Result<Vec<RulesRecord>, BackendError> {
        self.read(|rows| rows.rules.clone())
    }

    fn meta(&self) -> Result<Meta, BackendError> {
        self.read(|rows| rows.meta.clone())
    }
}
