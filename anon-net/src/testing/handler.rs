//! [`MemoryHandler`]: instances in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::scp::{Instance, InstanceHandler, Outcome};
use crate::{BackendError, InstanceUid};

/// Keeps instances in memory, up to a number of bytes.
///
/// Another data set under a SOP instance UID that it has is quarantined: neither dropped nor put in
/// the place of the first.
pub struct MemoryHandler {
    max_bytes: usize,
    kept: Mutex<StoredInstances>,
}

#[derive(Default)]
struct StoredInstances {
    stored: BTreeMap<InstanceUid, Vec<u8>>,
    quarantined: Vec<(InstanceUid, Vec<u8>)>,
    bytes: usize,
}

impl MemoryHandler {
    /// A handler that keeps up to `max_bytes` bytes of data sets.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            kept: Mutex::default(),
        }
    }

    /// The data set of an instance that is stored.
    pub fn stored(&self, instance: &InstanceUid) -> Option<Vec<u8>> {
        self.lock().stored.get(instance).cloned()
    }

    /// How many instances are stored.
    pub fn len(&self) -> usize {
        self.lock().stored.len()
    }

    /// True if none is stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many data sets are in quarantine.
    pub fn quarantined(&self) -> usize {
        self.lock().quarantined.len()
    }

    // A thread that panics while it holds the lock does so between whole changes.
    fn lock(&self) -> MutexGuard<'_, StoredInstances> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InstanceHandler for MemoryHandler {
    fn handle(&self, instance: &Instance, body: &mut dyn BufRead) -> Result<Outcome, BackendError> {
        // One byte more than there is room for tells a body that does not fit, however long it is.
        let room = self.max_bytes.saturating_sub(self.lock().bytes);
        let mut bytes = Vec::new();
        let read = body.take(room as u64 + 1).read_to_end(&mut bytes);
        if let Err::<usize, io::Error>(error) = read {
            tracing::debug!(kind = %error.kind(), "a body broke off");
            return Ok(Outcome::BrokenOff);
        }
        let mut kept = self.lock();
        let known = kept.stored.get(&instance.sop_instance);
        if known == Some(&bytes) {
            return Ok(Outcome::AlreadyStored);
        }
        let known = known.is_some();
        if kept.bytes + bytes.len() > self.max_bytes {
            return Ok(Outcome::OutOfResources);
        }
        tracing::trace!(?instance, bytes = bytes.len(), "kept");
        kept.bytes += bytes.len();
        let uid = instance.sop_instance.clone();
        if known {
            kept.quarantined.push((uid, bytes));
            return Ok(Outcome::Quarantined);
        }
        kept.stored.insert(uid, bytes);
        Ok(Outcome::Stored)
    }
}

impl fmt::Debug for MemoryHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.lock();
        f.debug_struct("MemoryHandler")
            .field("max_bytes", &self.max_bytes)
            .field("bytes", &kept.bytes)
            .field("stored", &kept.stored.len())
            .field("quarantined", &kept.quarantined.len())
            .finish_non_exhaustive()
    }
}
