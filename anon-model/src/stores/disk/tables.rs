//! The rows of a ledger in redb.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use redb::{
    Database, Key as RedbKey, ReadOnlyDatabase, ReadOnlyTable, ReadTransaction, ReadableDatabase,
    ReadableTable, TableDefinition, Value, WriteTransaction,
};

use crate::ledger::key_of;
use crate::ledger::pending::{Given as NewPair, KeyMap};
use crate::ledger::records::{
    IntentRecord, Key, Kind, Member, Meta, Pair, PairId, PatientRecord, SeriesRecord, StudyRecord,
};
use crate::ledger::tables::{Batch, Snapshot, Tables};
use crate::stores::disk::OpenError;
use crate::stores::disk::codec::{
    Brought, MemberBytes, Row, Run, decode, encode, encode_run, member, member_bytes,
};
use crate::stores::disk::room::Watch;
use crate::{BackendError, Remedy, RulesRecord, Space};

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const IDS: TableDefinition<'_, u128, u64> = TableDefinition::new("ids");
const PAIRS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("pairs");
const NAMES: TableDefinition<'_, u128, u64> = TableDefinition::new("names");
const PATIENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("patients");
const STUDIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("studies");
const SIGHTS: TableDefinition<'_, (u64, u64), u64> = TableDefinition::new("sights");
const SERIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("series");
const STUDY_SERIES: TableDefinition<'_, (u64, u64), ()> = TableDefinition::new("study_series");
const INSTANCES: TableDefinition<'_, u64, &MemberBytes> = TableDefinition::new("instances");
const MEMBERS: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("members");
const REFERENCES: TableDefinition<'_, (u64, u64), ()> = TableDefinition::new("references");
/// Since format 2.
const OFFSETS: TableDefinition<'_, u64, i32> = TableDefinition::new("offsets");
/// Since format 2.
const ADOPTED: TableDefinition<'_, u64, ()> = TableDefinition::new("adopted");
const INTENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("intents");
const RULES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rules");

const STATE: &str = "state";
/// Pairs that a row of `pairs` may hold. Half a page: more would make reading one dearer, and what
/// they save is saved.
const RUN: usize = 16;

const HASH_KEY: &str = "hash key";
const INDEXED: &str = "indexed";

/// What redb says. Its messages name tables and files, never rows.
pub(super) fn broken(error: impl Into<redb::Error>) -> BackendError {
    BackendError::new(Remedy::Stop, error.into())
}

/// Founds an empty store.
pub(super) fn prepare(write: &WriteTransaction) -> Result<(), OpenError> {
    let mut hash_key = [0_u8; 32];
    getrandom::fill(&mut hash_key).map_err(|_| OpenError::Random)?;
    let mut buffer = Vec::new();
    encode(&Meta::default(), &mut buffer).map_err(BackendError::from)?;
    let mut meta = write.open_table(META)?;
    meta.insert(HASH_KEY, hash_key.as_slice())?;
    meta.insert(STATE, buffer.as_slice())?;
    write.open_table(IDS)?;
    write.open_table(PAIRS)?;
    write.open_table(NAMES)?;
    write.open_table(PATIENTS)?;
    write.open_table(STUDIES)?;
    write.open_table(SIGHTS)?;
    write.open_table(SERIES)?;
    write.open_table(STUDY_SERIES)?;
    write.open_table(INSTANCES)?;
    write.open_table(MEMBERS)?;
    write.open_table(REFERENCES)?;
    write.open_table(INTENTS)?;
    write.open_table(RULES)?;
    add_adopted(write)
}

/// From format 1 to 2: two tables more, both empty.
pub(super) fn add_adopted(write: &WriteTransaction) -> Result<(), OpenError> {
    write.open_table(OFFSETS)?;
    write.open_table(ADOPTED)?;
    Ok(())
}

pub(super) enum Handle {
    Write(Database),
    Read(ReadOnlyDatabase),
}

pub(crate) struct DiskTables {
    handle: Handle,
    hash_key: [u8; 32],
    tail: Mutex<Tail>,
    /// The tail as a reader read it last.
    read: Arc<Mutex<ReadTail>>,
    /// Ids that may wait in the tail.
    lag: usize,
    /// Of the disk on which the file lies, if it is one.
    room: Option<Watch>,
}

/// The newest ids, not in `ids` yet. Writing them there at random places would cost most of a
/// commit, and `pairs`, where they are appended, holds all that is needed to find them again.
struct Tail {
    ids: SharedIds,
    /// Of each sort of id, the highest that is in `ids` or in the tail.
    top: Marks,
}

type SharedIds = Arc<RwLock<KeyMap<PairId>>>;

/// A number for each space and kind.
type Marks = [u64; 9];

const SORTS: [(Space, Kind); 9] = {
    use Kind::{Computed, Given, Numbered};
    use Space::{Accession, Patient, Uid};
    [
        (Patient, Numbered),
        (Patient, Computed),
        (Patient, Given),
        (Uid, Numbered),
        (Uid, Computed),
        (Uid, Given),
        (Accession, Numbered),
        (Accession, Computed),
        (Accession, Given),
    ]
};

fn mark(marks: &mut Marks, id: PairId) -> Option<&mut u64> {
    let sort = (id.space(), id.kind());
    let place = SORTS.iter().position(|known| *known == sort)?;
    marks.get_mut(place)
}

/// The marks below which every id is in `ids`.
fn read_marks(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<Marks, BackendError> {
    let mut marks = Marks::default();
    if let Some(bytes) = meta.get(INDEXED).map_err(broken)? {
        for (mark, bytes) in marks.iter_mut().zip(bytes.value().chunks_exact(8)) {
            *mark = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
        }
    }
    Ok(marks)
}

/// Reads the tail from the ends of `pairs`.
fn read_tail(view: &View, hash_key: &[u8; 32]) -> Result<(KeyMap<PairId>, Marks), BackendError> {
    let mut ids = KeyMap::default();
    let mut top = read_marks(&view.meta)?;
    for ((space, kind), mark) in SORTS.iter().zip(&mut top) {
        let from = PairId::new(*space, *kind, *mark + 1);
        let to = PairId::new(*space, *kind, u64::MAX);
        let range = ReadableTable::range(&view.pairs, from.0..=to.0).map_err(broken)?;
        for entry in range {
            let (first, run) = entry.map_err(broken)?;
            let Run(pairs) = decode(run.value())?;
            for (id, pair) in (first.value()..).map(PairId).zip(pairs) {
                if let Some(pair) = pair {
                    ids.insert(key_of(hash_key, *space, pair.original.expose()), id);
                }
                *mark = id.number();
            }
        }
    }
    Ok((ids, top))
}

impl DiskTables {
    pub(super) fn new(handle: Handle, lag: usize) -> Result<Self, OpenError> {
        let read = match &handle {
            Handle::Write(database) => database.begin_read()?,
            Handle::Read(database) => database.begin_read()?,
        };
        let meta = read.open_table(META)?;
        let hash_key = meta
            .get(HASH_KEY)?
            .and_then(|key| <[u8; 32]>::try_from(key.value()).ok());
        let hash_key = hash_key.ok_or(OpenError::Foreign)?;
        let (ids, top) = match &handle {
            Handle::Write(_) => {
                let newest = Newest::Unread(hash_key, Arc::default());
                read_tail(&View::new(&read, newest)?, &hash_key)?
            }
            Handle::Read(_) => (KeyMap::default(), Marks::default()),
        };
        let tail = Tail {
            ids: Arc::new(RwLock::new(ids)),
            top,
        };
        Ok(Self {
            handle,
            hash_key,
            tail: Mutex::new(tail),
            read: Arc::default(),
            lag,
            room: None,
        })
    }

    /// In a file at this path.
    pub(super) fn at(mut self, path: Option<PathBuf>) -> Self {
        self.room = path.map(Watch::new);
        self
    }

    /// Writes a batch, and the tail with it once that is long enough.
    fn write(
        &self,
        write: &WriteTransaction,
        batch: &Batch,
        tail: &Tail,
    ) -> Result<Written, BackendError> {
        let mut top = tail.top;
        let (mut late, mut fresh) = (Vec::new(), Vec::new());
        for given in batch.given.pairs() {
            match mark(&mut top, given.id) {
                Some(mark) if given.id.number() > *mark => {
                    *mark = given.id.number();
                    fresh.push((given.key, given.id));
                }
                // An adopted pair below the mark: the tail is not looked for there.
                _ => late.push((given.key, given.id)),
            }
        }
        let waiting = tail.ids.read().unwrap_or_else(PoisonError::into_inner);
        let indexed = waiting.len() + fresh.len() > self.lag;
        if indexed {
            late.extend(waiting.iter().map(|(key, id)| (*key, *id)));
            late.append(&mut fresh);
            let marks: Vec<u8> = top.iter().flat_map(|mark| mark.to_le_bytes()).collect();
            let mut meta = write.open_table(META).map_err(broken)?;
            meta.insert(INDEXED, marks.as_slice()).map_err(broken)?;
        }
        // Neighbours together: each leaf of the tree is changed once.
        late.sort_unstable();
        write_plain(
            write,
            IDS,
            late.into_iter().map(|(key, id)| (key, Some(id.0))),
        )?;
        write_batch(write, batch, tail.top)?;
        Ok(Written {
            fresh,
            top,
            indexed,
        })
    }
}

/// What a write did about the tail.
struct Written {
    fresh: Vec<(Key, PairId)>,
    top: Marks,
    indexed: bool,
}

impl Tables for DiskTables {
    type Snapshot = View;

    fn snapshot(&self) -> Result<View, BackendError> {
        let read = match &self.handle {
            Handle::Write(database) => database.begin_read(),
            Handle::Read(database) => database.begin_read(),
        };
        let newest = match &self.handle {
            Handle::Write(_) => {
                let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
                Newest::Shared(Arc::clone(&tail.ids))
            }
            Handle::Read(_) => Newest::Unread(self.hash_key, Arc::clone(&self.read)),
        };
        View::new(&read.map_err(broken)?, newest).map_err(broken)
    }

    fn apply(&self, batch: &Batch) -> Result<(), BackendError> {
        let Handle::Write(database) = &self.handle else {
            return Err(broken(redb::Error::from(redb::StorageError::PreviousIo)));
        };
        if batch.instances.values().any(Option::is_some) {
            self.ready(0)?;
        }
        let mut write = database.begin_write().map_err(broken)?;
        // The next open is fast after any end only if the last commit saved the allocator's state.
        write.set_quick_repair(true);
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.write(&write, batch, &tail)?;
        write.commit().map_err(broken)?;
        if written.indexed {
            // Views from before still need the ids that are in the table from here on.
            tail.ids = SharedIds::default();
        }
        let mut ids = tail.ids.write().unwrap_or_else(PoisonError::into_inner);
        ids.extend(written.fresh);
        for (_, key, _) in &batch.removed_pairs {
            ids.remove(key);
        }
        drop(ids);
        tail.top = written.top;
        Ok(())
    }

    fn ready(&self, bytes: u64) -> Result<(), BackendError> {
        self.room.as_ref().map_or(Ok(()), |room| room.check(bytes))
    }

    fn hash_key(&self) -> &[u8; 32] {
        &self.hash_key
    }
}

fn write_batch(write: &WriteTransaction, batch: &Batch, top: Marks) -> Result<(), BackendError> {
    write_pairs(write, batch, top)?;
    write_rows(write, PATIENTS, &batch.patients)?;
    write_rows(write, STUDIES, &batch.studies)?;
    write_rows(write, SERIES, &batch.series)?;
    let mut buffer = Vec::new();
    let sights = batch
        .sights
        .iter()
        .map(|((patient, sight), study)| ((patient.0, *sight), study.map(|study| study.0)));
    write_plain(write, SIGHTS, sights)?;
    let series = batch
        .study_series
        .iter()
        .map(|((study, series), row)| ((study.0, series.0), *row));
    write_plain(write, STUDY_SERIES, series)?;
    let instances = batch
        .instances
        .iter()
        .map(|(id, member)| (id.0, member.as_ref().map(member_bytes)));
    write_instances(write, instances)?;
    write_members(write, batch)?;
    let references = batch.given.references().iter();
    write_plain(
        write,
        REFERENCES,
        references.map(|(uid, study)| ((uid.0, study.0), Some(()))),
    )?;
    let offsets = batch.offsets.iter().map(|(id, days)| (id.0, *days));
    write_plain(write, OFFSETS, offsets)?;
    let adopted = batch.adopted.iter().map(|(id, row)| (id.0, *row));
    write_plain(write, ADOPTED, adopted)?;
    if !batch.intents.is_empty() {
        let mut intents = write.open_table(INTENTS).map_err(broken)?;
        for (group, intent) in &batch.intents {
            if let Some(intent) = intent {
                encode(intent, &mut buffer)?;
                intents.insert(group, buffer.as_slice()).map_err(broken)?;
            } else {
                intents.remove(group).map_err(broken)?;
            }
        }
    }
    if let Some((number, rules)) = &batch.rules {
        encode(rules, &mut buffer)?;
        let mut table = write.open_table(RULES).map_err(broken)?;
        table.insert(number, buffer.as_slice()).map_err(broken)?;
    }
    encode(&batch.meta, &mut buffer)?;
    let mut meta = write.open_table(META).map_err(broken)?;
    meta.insert(STATE, buffer.as_slice()).map_err(broken)?;
    Ok(())
}

fn write_instances(
    write: &WriteTransaction,
    rows: impl Iterator<Item = (u64, Option<MemberBytes>)>,
) -> Result<(), BackendError> {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    let mut table = write.open_table(INSTANCES).map_err(broken)?;
    for (id, member) in rows {
        match member {
            Some(member) => table.insert(id, &member).map_err(broken)?,
            None => table.remove(id).map_err(broken)?,
        };
    }
    Ok(())
}

fn write_members(write: &WriteTransaction, batch: &Batch) -> Result<(), BackendError> {
    if batch.members.is_empty() && batch.emptied.is_empty() {
        return Ok(());
    }
    let mut members = write.open_table(MEMBERS).map_err(broken)?;
    for series in &batch.emptied {
        let lists = (series.0, 0)..=(series.0, u64::MAX);
        members.retain_in(lists, |_, _| false).map_err(broken)?;
    }
    let mut buffer = Vec::new();
    for (series, instances) in &batch.members {
        encode(&Brought(instances.clone()), &mut buffer)?;
        let key = (series.0, batch.meta.group);
        members.insert(key, buffer.as_slice()).map_err(broken)?;
    }
    Ok(())
}

type PairTable<'t> = redb::Table<'t, u64, &'static [u8]>;

/// Writes pairs in runs. `top` says up to where runs may be in the table already.
fn write_given(
    pairs: &mut PairTable<'_>,
    given: &[NewPair],
    mut top: Marks,
) -> Result<(), BackendError> {
    let mut by_id: Vec<&NewPair> = given.iter().collect();
    by_id.sort_unstable_by_key(|given| given.id);
    let mut buffer = Vec::new();
    let in_a_row = |a: &&NewPair, b: &&NewPair| a.id.0 + 1 == b.id.0;
    for row in by_id.chunk_by(in_a_row).flat_map(|row| row.chunks(RUN)) {
        let Some(first) = row.first().map(|given| given.id) else {
            continue;
        };
        if mark(&mut top, first).is_some_and(|top| first.number() > *top) {
            encode_run(row.iter().map(|given| &given.pair), &mut buffer)?;
            pairs.insert(first.0, buffer.as_slice()).map_err(broken)?;
        } else {
            for given in row {
                set_pair(pairs, given.id, Some(&given.pair))?;
            }
        }
    }
    Ok(())
}

/// Sets a pair within its run, or in a run of its own.
fn set_pair(
    pairs: &mut PairTable<'_>,
    id: PairId,
    pair: Option<&Pair>,
) -> Result<(), BackendError> {
    let mut buffer = Vec::new();
    if let Some((first, mut run)) = run_of(pairs, id)? {
        if let Some(place) = place_in(&mut run, first, id) {
            *place = pair.cloned();
        }
        if run.0.iter().all(Option::is_none) {
            pairs.remove(first).map_err(broken)?;
        } else {
            encode(&run, &mut buffer)?;
            pairs.insert(first, buffer.as_slice()).map_err(broken)?;
        }
    } else if let Some(pair) = pair {
        encode_run([pair].into_iter(), &mut buffer)?;
        pairs.insert(id.0, buffer.as_slice()).map_err(broken)?;
    }
    Ok(())
}

/// The run with a place for an id, and the first id of it.
fn run_of(
    pairs: &impl ReadableTable<u64, &'static [u8]>,
    id: PairId,
) -> Result<Option<(u64, Run)>, BackendError> {
    let from = id.0.saturating_sub(RUN as u64 - 1);
    let last = pairs.range(from..=id.0).map_err(broken)?.next_back();
    let Some((first, run)) = last.transpose().map_err(broken)? else {
        return Ok(None);
    };
    let (first, mut run) = (first.value(), decode(run.value())?);
    let held = place_in(&mut run, first, id).is_some();
    Ok(held.then_some((first, run)))
}

fn place_in(run: &mut Run, first: u64, id: PairId) -> Option<&mut Option<Pair>> {
    run.0
        .get_mut(usize::try_from(id.0.checked_sub(first)?).ok()?)
}

fn write_pairs(write: &WriteTransaction, batch: &Batch, top: Marks) -> Result<(), BackendError> {
    let given = batch.given.pairs();
    if given.is_empty() && batch.removed_pairs.is_empty() {
        return Ok(());
    }
    let mut pairs = write.open_table(PAIRS).map_err(broken)?;
    let mut names = write.open_table(NAMES).map_err(broken)?;
    write_given(&mut pairs, given, top)?;
    let mut by_name: Vec<(Key, PairId)> = given
        .iter()
        .filter_map(|given| Some((given.name?, given.id)))
        .collect();
    by_name.sort_unstable();
    for (name, id) in by_name {
        names.insert(name, id.0).map_err(broken)?;
    }
    if batch.removed_pairs.is_empty() {
        return Ok(());
    }
    let mut ids = write.open_table(IDS).map_err(broken)?;
    for (id, key, name) in &batch.removed_pairs {
        ids.remove(key).map_err(broken)?;
        set_pair(&mut pairs, *id, None)?;
        if let Some(name) = name {
            names.remove(name).map_err(broken)?;
        }
    }
    Ok(())
}

fn write_rows<R: Row>(
    write: &WriteTransaction,
    table: TableDefinition<'_, u64, &[u8]>,
    rows: &std::collections::BTreeMap<PairId, Option<R>>,
) -> Result<(), BackendError> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut table = write.open_table(table).map_err(broken)?;
    let mut buffer = Vec::new();
    for (id, row) in rows {
        if let Some(row) = row {
            encode(row, &mut buffer)?;
            table.insert(id.0, buffer.as_slice()).map_err(broken)?;
        } else {
            table.remove(id.0).map_err(broken)?;
        }
    }
    Ok(())
}

fn write_plain<K, V>(
    write: &WriteTransaction,
    table: TableDefinition<'_, K, V>,
    rows: impl Iterator<Item = (K, Option<V>)>,
) -> Result<(), BackendError>
where
    K: for<'a> RedbKey<SelfType<'a> = K> + 'static,
    V: for<'a> Value<SelfType<'a> = V> + 'static,
{
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    let mut table = write.open_table(table).map_err(broken)?;
    for (key, value) in rows {
        match value {
            Some(value) => {
                table.insert(key, value).map_err(broken)?;
            }
            None => {
                table.remove(key).map_err(broken)?;
            }
        }
    }
    Ok(())
}

/// Where a view finds the ids that are not in `ids` yet.
enum Newest {
    /// In the memory of the process that writes.
    Shared(SharedIds),
    /// At the ends of `pairs`, read when first needed, under this hash key.
    Unread([u8; 32], Arc<Mutex<ReadTail>>),
}

/// The tail as a reader found it, for as long as no commit changes pairs.
#[derive(Default)]
struct ReadTail {
    /// Rows of `meta` that change with every pair given or removed.
    stamp: Vec<u8>,
    ids: Arc<KeyMap<PairId>>,
}

/// One read transaction, its tables opened.
pub(crate) struct View {
    newest: Newest,
    read_ids: OnceLock<Arc<KeyMap<PairId>>>,
    meta: ReadOnlyTable<&'static str, &'static [u8]>,
    ids: ReadOnlyTable<u128, u64>,
    pairs: ReadOnlyTable<u64, &'static [u8]>,
    names: ReadOnlyTable<u128, u64>,
    patients: ReadOnlyTable<u64, &'static [u8]>,
    studies: ReadOnlyTable<u64, &'static [u8]>,
    sights: ReadOnlyTable<(u64, u64), u64>,
    series: ReadOnlyTable<u64, &'static [u8]>,
    study_series: ReadOnlyTable<(u64, u64), ()>,
    instances: ReadOnlyTable<u64, &'static MemberBytes>,
    members: ReadOnlyTable<(u64, u64), &'static [u8]>,
    references: ReadOnlyTable<(u64, u64), ()>,
    offsets: ReadOnlyTable<u64, i32>,
    adopted: ReadOnlyTable<u64, ()>,
    intents: ReadOnlyTable<u64, &'static [u8]>,
    rules: ReadOnlyTable<u64, &'static [u8]>,
}

impl View {
    /// The tables keep the transaction open.
    fn new(read: &ReadTransaction, newest: Newest) -> Result<Self, redb::TableError> {
        Ok(Self {
            newest,
            read_ids: OnceLock::new(),
            meta: read.open_table(META)?,
            ids: read.open_table(IDS)?,
            pairs: read.open_table(PAIRS)?,
            names: read.open_table(NAMES)?,
            patients: read.open_table(PATIENTS)?,
            studies: read.open_table(STUDIES)?,
            sights: read.open_table(SIGHTS)?,
            series: read.open_table(SERIES)?,
            study_series: read.open_table(STUDY_SERIES)?,
            instances: read.open_table(INSTANCES)?,
            members: read.open_table(MEMBERS)?,
            references: read.open_table(REFERENCES)?,
            offsets: read.open_table(OFFSETS)?,
            adopted: read.open_table(ADOPTED)?,
            intents: read.open_table(INTENTS)?,
            rules: read.open_table(RULES)?,
        })
    }

    /// The tail, read again only if a commit has changed pairs.
    fn tail(
        &self,
        hash_key: &[u8; 32],
        last: &Mutex<ReadTail>,
    ) -> Result<Arc<KeyMap<PairId>>, BackendError> {
        let mut stamp = Vec::new();
        for name in [STATE, INDEXED] {
            if let Some(row) = ReadableTable::get(&self.meta, name).map_err(broken)? {
                stamp.extend_from_slice(row.value());
            }
        }
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.stamp != stamp {
            let (ids, _) = read_tail(self, hash_key)?;
            let ids = Arc::new(ids);
            *last = ReadTail { stamp, ids };
        }
        Ok(Arc::clone(&last.ids))
    }
}

fn row<R: Row>(
    table: &ReadOnlyTable<u64, &'static [u8]>,
    id: u64,
) -> Result<Option<R>, BackendError> {
    match ReadableTable::get(table, id).map_err(broken)? {
        Some(value) => Ok(Some(decode(value.value())?)),
        None => Ok(None),
    }
}

fn number<K>(table: &ReadOnlyTable<K, u64>, key: K) -> Result<Option<u64>, BackendError>
where
    K: for<'a> RedbKey<SelfType<'a> = K> + 'static,
{
    let value = ReadableTable::get(table, key).map_err(broken)?;
    Ok(value.map(|value| value.value()))
}

/// Up to `limit` rows under a first key, with second keys above `after`.
fn page<V, R>(
    table: &ReadOnlyTable<(u64, u64), V>,
    first: u64,
    after: Option<u64>,
    limit: usize,
    read: impl Fn(u64, V::SelfType<'_>) -> Result<R, BackendError>,
) -> Result<Vec<R>, BackendError>
where
    V: Value + 'static,
{
    let from = match after {
        None => 0,
        Some(u64::MAX) => return Ok(Vec::new()),
        Some(after) => after + 1,
    };
    let range = ReadableTable::range(table, (first, from)..=(first, u64::MAX)).map_err(broken)?;
    let mut rows = Vec::new();
    for entry in range.take(limit) {
        let (key, value) = entry.map_err(broken)?;
        rows.push(read(key.value().1, value.value())?);
    }
    Ok(rows)
}

impl Snapshot for View {
    fn id(&self, key: Key) -> Result<Option<PairId>, BackendError> {
        let near = match &self.newest {
            Newest::Shared(ids) => ids
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .get(&key)
                .copied(),
            Newest::Unread(..) => None,
        };
        if near.is_some() {
            return Ok(near);
        }
        let indexed = number(&self.ids, key)?.map(PairId);
        match &self.newest {
            Newest::Unread(hash_key, last) if indexed.is_none() => {
                if self.read_ids.get().is_none() {
                    let ids = self.tail(hash_key, last)?;
                    // Another thread may have read the same.
                    self.read_ids.get_or_init(|| ids);
                }
                Ok(self.read_ids.get().and_then(|ids| ids.get(&key).copied()))
            }
            _ => Ok(indexed),
        }
    }

    fn pair(&self, id: PairId) -> Result<Option<Pair>, BackendError> {
        let run = run_of(&self.pairs, id)?;
        Ok(run.and_then(|(first, mut run)| place_in(&mut run, first, id)?.take()))
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

    fn instance(&self, id: PairId) -> Result<Option<Member>, BackendError> {
        let value = ReadableTable::get(&self.instances, id.0).map_err(broken)?;
        Ok(value.map(|value| member(value.value())))
    }

    fn patients(&self, after: Option<PairId>, limit: usize) -> Result<Vec<PairId>, BackendError> {
        let from = after.map_or(0, |after| after.0.saturating_add(1));
        let range = ReadableTable::range(&self.patients, from..).map_err(broken)?;
        let mut ids = Vec::new();
        for entry in range.take(limit) {
            ids.push(PairId(entry.map_err(broken)?.0.value()));
        }
        Ok(ids)
    }

    fn studies(
        &self,
        patient: PairId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, PairId)>, BackendError> {
        page(&self.sights, patient.0, after, limit, |sight, study| {
            Ok((sight, PairId(study)))
        })
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
        page(&self.members, series.0, after, limit, |group, brought| {
            let Brought(instances) = decode(brought)?;
            Ok((group, instances))
        })
    }

    fn refers(&self, uid: PairId, study: PairId) -> Result<bool, BackendError> {
        let row = ReadableTable::get(&self.references, (uid.0, study.0)).map_err(broken)?;
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

    fn offset(&self, patient: PairId) -> Result<Option<i32>, BackendError> {
        let days = ReadableTable::get(&self.offsets, patient.0).map_err(broken)?;
        Ok(days.map(|days| days.value()))
    }

    fn has_offsets(&self) -> Result<bool, BackendError> {
        Ok(ReadableTable::first(&self.offsets)
            .map_err(broken)?
            .is_some())
    }

    fn is_adopted(&self, study: PairId) -> Result<bool, BackendError> {
        let row = ReadableTable::get(&self.adopted, study.0).map_err(broken)?;
        Ok(row.is_some())
    }

    fn intents(&self) -> Result<Vec<(u64, IntentRecord)>, BackendError> {
        let mut intents = Vec::new();
        for entry in self.intents.iter().map_err(broken)? {
            let (group, intent) = entry.map_err(broken)?;
            intents.push((group.value(), decode(intent.value())?));
        }
        Ok(intents)
    }

    fn rules(&self) -> Result<Vec<RulesRecord>, BackendError> {
        let mut rules = Vec::new();
        for entry in self.rules.iter().map_err(broken)? {
            rules.push(decode(entry.map_err(broken)?.1.value())?);
        }
        Ok(rules)
    }

    fn meta(&self) -> Result<Meta, BackendError> {
        match ReadableTable::get(&self.meta, STATE).map_err(broken)? {
            Some(value) => Ok(decode(value.value())?),
            None => Ok(Meta::default()),
        }
    }
}
