//! [`Fates`]: what became of the instances that a retrieve waits for.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use anon_model::{LookupStore, Phi};
use anon_net::service::retrieve::{Arrival, Arrivals};
use anon_net::{BackendError, InstanceUid, Outcome, Remedy};

/// Knows what arrived: what is stored from the index, what is set aside from what it saw itself while
/// somebody was retrieving.
#[derive(Debug)]
pub(crate) struct Fates {
    /// Weak: a retrieve that is slow to end must not keep the project open.
    lookups: Weak<dyn LookupStore>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How many retrieves go on. Without one, nothing is noted.
    retrieves: u32,
    /// What came and is not in the index.
    aside: HashMap<InstanceUid, Arrival>,
    /// Goes up with everything that comes.
    changes: u64,
}

/// A retrieve goes on, until this is dropped.
#[derive(Debug)]
pub(crate) struct Retrieving<'f>(&'f Fates);

impl Fates {
    pub(crate) fn new(lookups: &Arc<dyn LookupStore>) -> Self {
        Self {
            lookups: Arc::downgrade(lookups),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Begins to note what comes.
    pub(crate) fn retrieving(&self) -> Retrieving<'_> {
        self.state().retrieves += 1;
        Retrieving(self)
    }

    /// Notes what became of an instance.
    pub(crate) fn note(&self, instance: &InstanceUid, outcome: Outcome) {
        let mut state = self.state();
        if state.retrieves == 0 {
            return;
        }
        let arrival = match outcome {
            Outcome::Stored | Outcome::AlreadyStored => Arrival::Stored,
            Outcome::Quarantined => Arrival::Quarantined,
            Outcome::ClassNotSupported => Arrival::Excluded,
            _ => return,
        };
        if arrival == Arrival::Stored {
            // The index knows of it from here on.
            state.aside.remove(instance);
        } else {
            state.aside.insert(instance.clone(), arrival);
        }
        state.changes += 1;
        drop(state);
        self.changed.notify_all();
    }

    fn is_stored(&self, instance: &InstanceUid) -> Result<bool, BackendError> {
        let Some(lookups) = self.lookups.upgrade() else {
            return Err(BackendError::new(Remedy::Stop, "the project was closed"));
        };
        let uid = Phi::new(instance.expose().to_owned());
        lookups
            .has_instance(&uid)
            .map_err(|error| BackendError::new(Remedy::Stop, error))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A map and counters: no panic leaves them half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Arrivals for Fates {
    fn states(
        &self,
        _study: &InstanceUid,
        instances: &[InstanceUid],
    ) -> Result<Vec<Arrival>, BackendError> {
        let state_of = |instance: &InstanceUid| {
            if self.is_stored(instance)? {
                return Ok(Arrival::Stored);
            }
            let aside = self.state().aside.get(instance).copied();
            Ok(aside.unwrap_or(Arrival::Missing))
        };
        instances.iter().map(state_of).collect()
    }

    fn changes(&self) -> u64 {
        self.state().changes
    }

    fn wait(&self, seen: u64, timeout: Duration) {
        let began = Instant::now();
        let mut state = self.state();
        while state.changes == seen {
            let left = timeout.saturating_sub(began.elapsed());
            if left.is_zero() {
                return;
            }
            let woken = self.changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Retrieving<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.retrieves -= 1;
        if state.retrieves == 0 {
            state.aside = HashMap::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use anon_model::{Identity, MemoryStore, SiteId, UidRoot};

    use super::*;

    #[test]
    fn what_comes_is_noted_while_somebody_retrieves() {
        let identity = Identity::new(SiteId::new("1").unwrap(), UidRoot::default()).unwrap();
        let lookups: Arc<dyn LookupStore> = Arc::new(MemoryStore::new(identity).unwrap());
        let fates = Fates::new(&lookups);
        let uid = InstanceUid::new("1.2.3").unwrap();
        let state = |fates: &Fates| fates.states(&uid, std::slice::from_ref(&uid)).unwrap()[0];
        fates.note(&uid, Outcome::Quarantined);
        assert_eq!(state(&fates), Arrival::Missing);
        let retrieving = fates.retrieving();
        let seen = fates.changes();
        fates.wait(seen, Duration::ZERO);
        std::thread::scope(|scope| {
            scope.spawn(|| fates.note(&uid, Outcome::Quarantined));
            fates.wait(seen, Duration::from_mins(1));
        });
        assert_ne!(fates.changes(), seen);
        assert_eq!(state(&fates), Arrival::Quarantined);
        // What the index does not know is not stored, whoever says so.
        fates.note(&uid, Outcome::Stored);
        assert_eq!(state(&fates), Arrival::Missing);
        drop(retrieving);
        assert!(fates.state().aside.is_empty());
        drop(lookups);
        assert!(fates.states(&uid, std::slice::from_ref(&uid)).is_err());
    }
}
