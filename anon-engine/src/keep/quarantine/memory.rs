//! [`MemoryQuarantine`]: entries in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Cursor, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::keep::received::Received;
use crate::platform::read_at;
use crate::refusal::Category;

use super::{Case, Entries, Entry, EntryId, Kept, Original, Quarantine, QuarantineError};

/// Entries in memory: for tests, and for programs that look at them themselves.
pub struct MemoryQuarantine {
    held: Mutex<Held>,
    max_bytes: u64,
}

#[derive(Default)]
struct Held {
    entries: BTreeMap<EntryId, (Entry, Option<Vec<u8>>)>,
    bytes: u64,
}

impl Default for MemoryQuarantine {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryQuarantine {
    /// An empty quarantine without a bound.
    pub fn new() -> Self {
        Self::with_max_bytes(u64::MAX)
    }

    /// An empty quarantine that holds at most so many bytes of originals.
    pub fn with_max_bytes(max_bytes: u64) -> Self {
        Self {
            held: Mutex::default(),
            max_bytes,
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // No operation on the map can stop half way.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryQuarantine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryQuarantine({} entries)", self.held().entries.len())
    }
}

impl Held {
    fn of(&self, digest: &[u8; 32]) -> Vec<EntryId> {
        let ids = self.entries.keys();
        ids.filter(|id| id.digest() == digest).copied().collect()
    }

    fn remove(&mut self, id: &EntryId) -> bool {
        let removed = self.entries.remove(id);
        if let Some((entry, Some(_))) = &removed {
            self.bytes -= entry.length;
        }
        removed.is_some()
    }
}

fn load(original: &Original<'_>) -> Result<Vec<u8>, QuarantineError> {
    match *original {
        Original::Bytes(bytes) => Ok(bytes.to_vec()),
        Original::File { file, len } => {
            let mut bytes = Vec::new();
            let mut buffer = vec![0; 64 * 1024];
            while (bytes.len() as u64) < len {
                match read_at(file, &mut buffer, bytes.len() as u64) {
                    Ok(0) => {
                        let error = std::io::ErrorKind::UnexpectedEof.into();
                        return Err(QuarantineError::Source(error));
                    }
                    Ok(got) => bytes.extend_from_slice(buffer.get(..got).unwrap_or_default()),
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(QuarantineError::Source(error)),
                }
            }
            bytes.truncate(usize::try_from(len).unwrap_or(usize::MAX));
            Ok(bytes)
        }
    }
}

impl Quarantine for MemoryQuarantine {
    fn file(&self, case: &Case<'_>) -> Result<EntryId, QuarantineError> {
        let digest = case.original.digest().map_err(QuarantineError::Source)?;
        let id = EntryId::new(case.refusal.category, digest);
        let (kept, bytes) = if case.refusal.foreign {
            (Kept::Recorded, None)
        } else {
            (Kept::Copied, Some(load(&case.original)?))
        };
        let mut held = self.held();
        let before = held.of(&digest);
        let known = before.iter().filter_map(|id| held.entries.get(id));
        let freed: u64 = known
            .filter(|(_, b)| b.is_some())
            .map(|(e, _)| e.length)
            .sum();
        let added = bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        if bytes.is_some() && held.bytes - freed + added > self.max_bytes {
            return Err(QuarantineError::Full);
        }
        for id in before {
            held.remove(&id);
        }
        held.bytes += added;
        held.entries.insert(id, (Entry::of(case, id, kept), bytes));
        Ok(id)
    }

    fn find(&self, original: &Original<'_>) -> Result<Vec<EntryId>, QuarantineError> {
        let len = original.len();
        if !self
            .held()
            .entries
            .values()
            .any(|(entry, _)| entry.length == len)
        {
            return Ok(Vec::new());
        }
        let digest = original.digest().map_err(QuarantineError::Source)?;
        Ok(self.held().of(&digest))
    }

    fn entries(&self) -> Result<Entries<'_>, QuarantineError> {
        let mut last: Option<EntryId> = None;
        Ok(Box::new(std::iter::from_fn(move || {
            let held = self.held();
            let from = last.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
            let (id, (entry, _)) = held
                .entries
                .range((from, std::ops::Bound::Unbounded))
                .next()?;
            last = Some(*id);
            Some(Ok(entry.clone()))
        })))
    }

    fn entry(&self, id: &EntryId) -> Result<Option<Entry>, QuarantineError> {
        Ok(self.held().entries.get(id).map(|(entry, _)| entry.clone()))
    }

    fn counts(&self) -> Result<BTreeMap<Category, u64>, QuarantineError> {
        let mut counts = BTreeMap::new();
        for id in self.held().entries.keys() {
            *counts.entry(id.category()).or_default() += 1;
        }
        Ok(counts)
    }

    fn open_original(&self, id: &EntryId) -> Result<Option<Box<dyn Read + Send>>, QuarantineError> {
        let held = self.held();
        let bytes = held.entries.get(id).and_then(|(_, bytes)| bytes.clone());
        Ok(bytes.map(|bytes| Box::new(Cursor::new(bytes)) as Box<dyn Read + Send>))
    }

    fn received(&self, id: &EntryId) -> Result<Option<Received>, QuarantineError> {
        let held = self.held();
        let Some((entry, Some(bytes))) = held.entries.get(id) else {
            return Ok(None);
        };
        Ok(Some(entry.restore(Received::part10(bytes.clone()))))
    }

    fn clear(&self, id: &EntryId) -> Result<bool, QuarantineError> {
        Ok(self.held().remove(id))
    }
}
