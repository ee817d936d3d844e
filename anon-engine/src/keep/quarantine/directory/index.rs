//! [`EntryIndex`]: what a quarantine knows of its entries without reading the disk.
//!
//! Its lock is held for a few instructions, never while the disk works: every stored object looks up
//! here whether the quarantine may hold an entry for it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::{Entries, Entry, EntryId, Kept, QuarantineError};
use super::StoredEntry;
use crate::refusal::Category;

/// How many recent entries are cached at most. Equal files usually arrive one after the other.
const RECENT: usize = 1024;

#[derive(Default)]
pub(super) struct EntryIndex {
    totals: Mutex<EntryTotals>,
    /// True once the entries have been read. Held while they are read.
    loaded: Mutex<bool>,
}

#[derive(Default)]
struct EntryTotals {
    is_loaded: bool,
    /// The number of entries by length of their original.
    lengths: HashMap<u64, u64>,
    /// The total length of the copied originals, and of those that are being copied.
    bytes: u64,
    /// Durable entries.
    recent: HashMap<EntryId, Entry>,
    /// The categories in which all visible names are durable.
    synced: BTreeSet<Category>,
}

impl EntryIndex {
    /// Reads all entries, the first time.
    pub(super) fn load<'e>(
        &self,
        entries: impl FnOnce() -> Result<Entries<'e>, QuarantineError>,
    ) -> Result<(), QuarantineError> {
        if self.totals().is_loaded {
            return Ok(());
        }
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if *loaded {
            return Ok(());
        }
        let mut found = EntryTotals::default();
        for entry in entries()? {
            match entry {
                Ok(entry) => {
                    found.bytes += copied_bytes(&entry);
                    found.count(&entry);
                }
                // A person has to fix this entry. Until then it does not count.
                Err(QuarantineError::Format { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        found.is_loaded = true;
        *self.totals() = found;
        *loaded = true;
        Ok(())
    }

    /// Returns true if an entry has an original of this length.
    pub(super) fn has_length(&self, length: u64) -> bool {
        self.totals().lengths.contains_key(&length)
    }

    /// Returns an entry that is known to be durable.
    pub(super) fn durable(&self, id: &EntryId) -> Option<Entry> {
        self.totals().recent.get(id).cloned()
    }

    /// Reserves bytes for a copy that replaces copies of `freed` bytes.
    pub(super) fn reserve(&self, bytes: u64, freed: u64, max: u64) -> Result<(), QuarantineError> {
        let mut totals = self.totals();
        if bytes > 0 && totals.bytes.saturating_sub(freed).saturating_add(bytes) > max {
            return Err(QuarantineError::Full);
        }
        totals.bytes += bytes;
        Ok(())
    }

    /// Gives back the bytes of a copy that was not filed.
    pub(super) fn release(&self, bytes: u64) {
        let mut totals = self.totals();
        totals.bytes = totals.bytes.saturating_sub(bytes);
    }

    /// Adds an entry whose bytes are reserved.
    pub(super) fn add(&self, entry: &Entry) {
        self.totals().count(entry);
    }

    /// Notes that an entry is durable.
    pub(super) fn note_durable(&self, entry: &Entry) {
        let mut totals = self.totals();
        if totals.recent.len() >= RECENT {
            totals.recent.clear();
        }
        totals.recent.insert(entry.id, entry.clone());
    }

    /// Drops an entry from the cache while it is replaced: until that ends, either version may be the
    /// durable one.
    pub(super) fn doubt(&self, id: &EntryId) {
        self.totals().recent.remove(id);
    }

    /// Removes an entry that is replaced or cleared.
    pub(super) fn forget(&self, id: &EntryId, found: &StoredEntry) {
        let mut totals = self.totals();
        totals.recent.remove(id);
        let StoredEntry::Valid(entry) = found else {
            return;
        };
        if let Some(count) = totals.lengths.get_mut(&entry.length) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                totals.lengths.remove(&entry.length);
            }
        }
        totals.bytes = totals.bytes.saturating_sub(copied_bytes(entry));
    }

    /// Returns true if all visible names of a category are durable.
    pub(super) fn is_synced(&self, category: Category) -> bool {
        self.totals().synced.contains(&category)
    }

    /// Notes whether all visible names of a category are durable.
    pub(super) fn set_synced(&self, category: Category, synced: bool) {
        let mut totals = self.totals();
        if synced {
            totals.synced.insert(category);
        } else {
            totals.synced.remove(&category);
        }
    }

    fn totals(&self) -> MutexGuard<'_, EntryTotals> {
        // A panic cannot leave counters and maps half changed.
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EntryTotals {
    fn count(&mut self, entry: &Entry) {
        *self.lengths.entry(entry.length).or_default() += 1;
    }
}

/// Returns the length of the copy that an entry holds.
pub(super) fn copied_bytes(entry: &Entry) -> u64 {
    match entry.kept {
        Kept::Copied => entry.length,
        Kept::Referenced | Kept::Recorded => 0,
    }
}
