//! [`MemoryHandler`]: keeps instances in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::scp::{HandlerResponse, Instance, InstanceHandler, Outcome};
use crate::{BackendError, InstanceUid};

/// Keeps instances in memory, up to a number of bytes.
///
/// If another data set arrives under a SOP instance UID that is already stored, it is quarantined
/// and the first one is kept.
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
    /// Creates a handler that keeps up to `max_bytes` bytes of data sets.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            kept: Mutex::default(),
        }
    }

    /// Returns the data set of a stored instance.
    pub fn stored(&self, instance: &InstanceUid) -> Option<Vec<u8>> {
        self.lock().stored.get(instance).cloned()
    }

    /// Returns the number of stored instances.
    pub fn len(&self) -> usize {
        self.lock().stored.len()
    }

    /// Returns true if no instance is stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of quarantined data sets.
    pub fn quarantined(&self) -> usize {
        self.lock().quarantined.len()
    }

    // Every change under the lock is complete before anything can panic.
    fn lock(&self) -> MutexGuard<'_, StoredInstances> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InstanceHandler for MemoryHandler {
    fn handle(
        &self,
        instance: &Instance,
        body: &mut dyn BufRead,
    ) -> Result<HandlerResponse, BackendError> {
        // Reading one byte more than fits detects a body that is too long.
        let room = self.max_bytes.saturating_sub(self.lock().bytes);
        let mut bytes = Vec::new();
        let read = body.take(room as u64 + 1).read_to_end(&mut bytes);
        if let Err::<usize, io::Error>(error) = read {
            tracing::debug!(kind = %error.kind(), "a body broke off");
            return Ok(Outcome::BrokenOff.into());
        }
        let mut kept = self.lock();
        let known = kept.stored.get(&instance.sop_instance);
        if known == Some(&bytes) {
            return Ok(Outcome::AlreadyStored.into());
        }
        let known = known.is_some();
        if kept.bytes + bytes.len() > self.max_bytes {
            return Ok(Outcome::OutOfResources.because("the memory is full"));
        }
        tracing::trace!(?instance, bytes = bytes.len(), "kept");
        kept.bytes += bytes.len();
        let uid = instance.sop_instance.clone();
        if known {
            kept.quarantined.push((uid, bytes));
            return Ok(Outcome::Quarantined.because("another data set has this SOP instance UID"));
        }
        kept.stored.insert(uid, bytes);
        Ok(Outcome::Stored.into())
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
