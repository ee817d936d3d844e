//! [`MemoryQuarantine`]: entries in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Cursor, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::keep::received::Received;
use crate::platform::read_at;
use crate::refusal::Category;

use super::{
    Entries, Entry, EntryId, Filed, Kept, Original, Quarantine, QuarantineError, RefusedObject,
};

/// Keeps entries in memory, for tests and for programs that review them directly.
pub struct MemoryQuarantine {
    contents: Mutex<Contents>,
    max_bytes: u64,
}

#[derive(Default)]
struct Contents {
    entries: BTreeMap<EntryId, (Entry, Option<Vec<u8>>)>,
    bytes: u64,
}

impl Default for MemoryQuarantine {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryQuarantine {
    /// Makes an empty quarantine without a bound.
    pub fn new() -> Self {
        Self::with_max_bytes(u64::MAX)
    }

    /// Makes an empty quarantine that keeps at most `max_bytes` bytes of originals.
    pub fn with_max_bytes(max_bytes: u64) -> Self {
        Self {
            contents: Mutex::default(),
            max_bytes,
        }
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        // A panic cannot leave the map in an inconsistent state.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryQuarantine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "MemoryQuarantine({} entries)",
            self.contents().entries.len()
        )
    }
}

impl Contents {
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
    fn file(&self, case: &RefusedObject<'_>) -> Result<Filed, QuarantineError> {
        let (kept, bytes) = if case.refusal.foreign {
            (Kept::Recorded, None)
        } else {
            (Kept::Copied, Some(load(&case.original)?))
        };
        let original = bytes.as_deref().map_or(case.original, Original::Bytes);
        let digest = original.digest().map_err(QuarantineError::Source)?;
        let id = EntryId::new(case.refusal.category, digest);
        let mut contents = self.contents();
        let before = contents.of(&digest);
        let known = before.iter().filter_map(|id| contents.entries.get(id));
        let freed: u64 = known
            .filter(|(_, b)| b.is_some())
            .map(|(e, _)| e.length)
            .sum();
        let added = bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        if bytes.is_some() && contents.bytes - freed + added > self.max_bytes {
            return Err(QuarantineError::Full);
        }
        let is_new = before.is_empty();
        for id in before {
            contents.remove(&id);
        }
        contents.bytes += added;
        contents
            .entries
            .insert(id, (Entry::of(case, id, kept), bytes));
        Ok(Filed { entry: id, is_new })
    }

    fn find(&self, original: &Original<'_>) -> Result<Vec<EntryId>, QuarantineError> {
        let len = original.len();
        if !self
            .contents()
            .entries
            .values()
            .any(|(entry, _)| entry.length == len)
        {
            return Ok(Vec::new());
        }
        let digest = original.digest().map_err(QuarantineError::Source)?;
        Ok(self.contents().of(&digest))
    }

    fn entries(&self) -> Result<Entries<'_>, QuarantineError> {
        let mut last: Option<EntryId> = None;
        Ok(Box::new(std::iter::from_fn(move || {
            let contents = self.contents();
            let from = last.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
            let (id, (entry, _)) = contents
                .entries
                .range((from, std::ops::Bound::Unbounded))
                .next()?;
            last = Some(*id);
            Some(Ok(entry.clone()))
        })))
    }

    fn entry(&self, id: &EntryId) -> Result<Option<Entry>, QuarantineError> {
        Ok(self
            .contents()
            .entries
            .get(id)
            .map(|(entry, _)| entry.clone()))
    }

    fn counts(&self) -> Result<BTreeMap<Category, u64>, QuarantineError> {
        let mut counts = BTreeMap::new();
        for id in self.contents().entries.keys() {
            *counts.entry(id.category()).or_default() += 1;
        }
        Ok(counts)
    }

    fn open_original(&self, id: &EntryId) -> Result<Option<Box<dyn Read + Send>>, QuarantineError> {
        let contents = self.contents();
        let bytes = contents
            .entries
            .get(id)
            .and_then(|(_, bytes)| bytes.clone());
        Ok(bytes.map(|bytes| Box::new(Cursor::new(bytes)) as Box<dyn Read + Send>))
    }

    fn received(&self, id: &EntryId) -> Result<Option<Received>, QuarantineError> {
        let contents = self.contents();
        let Some((entry, Some(bytes))) = contents.entries.get(id) else {
            return Ok(None);
        };
        Ok(Some(entry.restore(Received::part10(bytes.clone()))))
    }

    fn clear(&self, id: &EntryId) -> Result<bool, QuarantineError> {
        Ok(self.contents().remove(id))
    }
}
