//! [`DiskTables`]: the tables of a ledger in redb.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use redb::{
    Database, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, TransactionError,
    WriteTransaction,
};

use crate::BackendError;
use crate::ledger::pending::KeyMap;
use crate::ledger::records::{Key, PairId};
use crate::ledger::tables::{Batch, Tables};
use crate::stores::disk::OpenError;
use crate::stores::disk::free_space::FreeSpace;
use crate::stores::disk::position::{self, NumberGuard};
use crate::stores::disk::recent_ids::{
    HighestNumbers, RecentIds, SharedIds, highest_of, read_recent,
};
use crate::stores::disk::schema::{HASH_KEY, IDS, INDEXED, META, PAIRS, redb_error};
use crate::stores::disk::view::{RecentCache, RecentSource, View};
use crate::stores::disk::write::{write_batch, write_plain};

pub(super) enum Handle {
    Write(Database),
    Read(ReadOnlyDatabase),
}

pub(crate) struct DiskTables {
    handle: Handle,
    hash_key: [u8; 32],
    recent: Mutex<RecentIds>,
    /// The recent ids as a reader last read them.
    cache: Arc<Mutex<RecentCache>>,
    /// The most recent ids that may wait in memory.
    index_lag: usize,
    /// The space on the disk that holds the file. `None` if there is no file.
    free_space: Option<FreeSpace>,
    /// Decides how high the numbers may rise.
    guard: OnceLock<Arc<dyn NumberGuard>>,
}

impl DiskTables {
    pub(super) fn new(handle: Handle, index_lag: usize) -> Result<Self, OpenError> {
        let read = match &handle {
            Handle::Write(database) => database.begin_read()?,
            Handle::Read(database) => database.begin_read()?,
        };
        let meta = read.open_table(META)?;
        let hash_key = meta
            .get(HASH_KEY)?
            .and_then(|key| <[u8; 32]>::try_from(key.value()).ok());
        let hash_key = hash_key.ok_or(OpenError::Foreign)?;
        let (ids, highest) = match &handle {
            Handle::Write(_) => read_recent(&meta, &read.open_table(PAIRS)?, &hash_key)?,
            Handle::Read(_) => (KeyMap::default(), HighestNumbers::default()),
        };
        let recent = RecentIds {
            ids: Arc::new(RwLock::new(ids)),
            highest,
        };
        Ok(Self {
            handle,
            hash_key,
            recent: Mutex::new(recent),
            cache: Arc::default(),
            index_lag,
            free_space: None,
            guard: OnceLock::new(),
        })
    }

    /// Sets the path of the file, on whose disk space is kept free.
    pub(super) fn at(mut self, path: Option<PathBuf>) -> Self {
        self.free_space = path.map(FreeSpace::new);
        self
    }

    /// Begins to read the last commit.
    pub(super) fn begin_read(&self) -> Result<ReadTransaction, TransactionError> {
        match &self.handle {
            Handle::Write(database) => database.begin_read(),
            Handle::Read(database) => database.begin_read(),
        }
    }

    /// Sets the guard of the numbers, unless there is one.
    pub(super) fn set_guard(&self, guard: Arc<dyn NumberGuard>) {
        // The first one stays.
        let _ = self.guard.set(guard);
    }

    /// Writes a batch; with it the recent ids, if more than `index_lag` wait.
    fn write(
        &self,
        write: &WriteTransaction,
        batch: &Batch,
        recent: &RecentIds,
    ) -> Result<IdChanges, BackendError> {
        let mut highest = recent.highest;
        let (mut indexed, mut new) = (Vec::new(), Vec::new());
        for pair in batch.pending.pairs() {
            match highest_of(&mut highest, pair.id) {
                Some(highest) if pair.id.number() > *highest => {
                    *highest = pair.id.number();
                    new.push((pair.key, pair.id));
                }
                // An adopted pair with a lower number. Opening would not find it in `pairs`.
                _ => indexed.push((pair.key, pair.id)),
            }
        }
        let waiting = recent.ids.read().unwrap_or_else(PoisonError::into_inner);
        let all_indexed = waiting.len() + new.len() > self.index_lag;
        if all_indexed {
            indexed.extend(waiting.iter().map(|(key, id)| (*key, *id)));
            indexed.append(&mut new);
            let numbers: Vec<u8> = highest.iter().flat_map(|n| n.to_le_bytes()).collect();
            let mut meta = write.open_table(META).map_err(redb_error)?;
            meta.insert(INDEXED, numbers.as_slice())
                .map_err(redb_error)?;
        }
        // In order, so that each leaf of the tree is changed once.
        indexed.sort_unstable();
        write_plain(
            write,
            IDS,
            indexed.into_iter().map(|(key, id)| (key, Some(id.0))),
        )?;
        write_batch(write, batch, recent.highest)?;
        Ok(IdChanges {
            new,
            highest,
            all_indexed,
        })
    }
}

/// How a write changes the recent ids.
struct IdChanges {
    new: Vec<(Key, PairId)>,
    highest: HighestNumbers,
    /// True if `ids` now holds all ids from before.
    all_indexed: bool,
}

impl Tables for DiskTables {
    type Snapshot = View;

    fn snapshot(&self) -> Result<View, BackendError> {
        let read = self.begin_read().map_err(redb_error)?;
        let recent = match &self.handle {
            Handle::Write(_) => {
                let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
                RecentSource::Memory(Arc::clone(&recent.ids))
            }
            Handle::Read(_) => RecentSource::File {
                hash_key: self.hash_key,
                cache: Arc::clone(&self.cache),
            },
        };
        View::new(&read, recent).map_err(redb_error)
    }

    fn apply(&self, batch: &Batch) -> Result<(), BackendError> {
        let Handle::Write(database) = &self.handle else {
            return Err(redb_error(redb::Error::from(
                redb::StorageError::PreviousIo,
            )));
        };
        if batch.instances.values().any(Option::is_some) {
            self.ready(0)?;
        }
        if let Some(guard) = self.guard.get() {
            position::admit(&**guard, batch.meta.numbered)?;
        }
        let mut write = database.begin_write().map_err(redb_error)?;
        // Saves the allocator's state, so that opening is fast even after a crash.
        write.set_quick_repair(true);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = self.write(&write, batch, &recent)?;
        write.commit().map_err(redb_error)?;
        if changes.all_indexed {
            // A new map: older views do not see the table's new rows and still need the old one.
            recent.ids = SharedIds::default();
        }
        let mut ids = recent.ids.write().unwrap_or_else(PoisonError::into_inner);
        ids.extend(changes.new);
        for (_, key, _) in &batch.removed_pairs {
            ids.remove(key);
        }
        drop(ids);
        recent.highest = changes.highest;
        Ok(())
    }

    fn ready(&self, bytes: u64) -> Result<(), BackendError> {
        self.free_space
            .as_ref()
            .map_or(Ok(()), |space| space.check(bytes))
    }

    fn hash_key(&self) -> &[u8; 32] {
        &self.hash_key
    }
}
