//! [`MemoryInstances`]: the states of instances, in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::service::retrieve::{InstanceState, LocalInstances};
use crate::{BackendError, InstanceUid};

/// Keeps the states set by the test. Ignores the study of an instance.
#[derive(Default)]
pub struct MemoryInstances {
    known: Mutex<KnownStates>,
    changed: Condvar,
}

#[derive(Default)]
struct KnownStates {
    states: BTreeMap<InstanceUid, InstanceState>,
    changes: u64,
}

impl MemoryInstances {
    /// Creates an empty one: every instance is missing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the state of an instance.
    pub fn arrive(&self, instance: &InstanceUid, arrival: InstanceState) {
        let mut known = self.lock();
        known.states.insert(instance.clone(), arrival);
        known.changes += 1;
        self.changed.notify_all();
    }

    // Every change under the lock is complete before anything can panic.
    fn lock(&self) -> MutexGuard<'_, KnownStates> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LocalInstances for MemoryInstances {
    fn states(
        &self,
        _study: &InstanceUid,
        instances: &[InstanceUid],
    ) -> Result<Vec<InstanceState>, BackendError> {
        let known = self.lock();
        let state = |uid| {
            known
                .states
                .get(uid)
                .copied()
                .unwrap_or(InstanceState::Missing)
        };
        Ok(instances.iter().map(state).collect())
    }

    fn changes(&self) -> u64 {
        self.lock().changes
    }

    fn wait(&self, seen: u64, timeout: Duration) {
        let known = self.lock();
        let same = |known: &mut KnownStates| known.changes == seen;
        drop(self.changed.wait_timeout_while(known, timeout, same));
    }
}

impl fmt::Debug for MemoryInstances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.lock();
        f.debug_struct("MemoryInstances")
            .field("states", &known.states.len())
            .field("changes", &known.changes)
            .finish_non_exhaustive()
    }
}
