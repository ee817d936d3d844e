//! [`ArrivalLog`]: the outcomes of the instances that a retrieve expects.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use anon_engine::{EntryId, Quarantine};
use anon_model::{Phi, RetrieveProgress};
use anon_net::service::retrieve::{InstanceState, LocalInstances};
use anon_net::{BackendError, InstanceUid, Outcome, Remedy};

/// Reports which expected instances have arrived.
///
/// The index says what is stored. The quarantine, and the outcomes recorded during a retrieve, say what
/// was quarantined or excluded.
#[derive(Debug)]
pub(crate) struct ArrivalLog {
    /// Weak, so that a slow retrieve does not keep the project open.
    lookups: Weak<dyn RetrieveProgress>,
    quarantine: Arc<dyn Quarantine>,
    /// The quarantined instances, read when a retrieve first misses one. An instance leaves the quarantine
    /// of an open project only by being stored, and the index is asked first.
    quarantined_before: Mutex<Option<Arc<HashSet<InstanceUid>>>>,
    state: Mutex<LogState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct LogState {
    /// Running retrieves. Nothing is recorded while there is none.
    retrieves: u32,
    /// Instances that arrived and were quarantined or excluded.
    not_stored: HashMap<InstanceUid, InstanceState>,
    /// Stored instances without a Patient ID that are not yet counted for their study.
    shared_patient: HashSet<InstanceUid>,
    /// Counted instances without a Patient ID, by study.
    shared_counts: HashMap<InstanceUid, u64>,
    /// Incremented with every recorded outcome.
    changes: u64,
}

/// Marks a retrieve as running until it is dropped.
#[derive(Debug)]
pub(crate) struct ActiveRetrieve<'f>(&'f ArrivalLog);

impl ArrivalLog {
    pub(crate) fn new(
        lookups: &Arc<dyn RetrieveProgress>,
        quarantine: Arc<dyn Quarantine>,
    ) -> Self {
        Self {
            lookups: Arc::downgrade(lookups),
            quarantine,
            quarantined_before: Mutex::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Starts to record outcomes.
    pub(crate) fn start_retrieve(&self) -> ActiveRetrieve<'_> {
        self.state().retrieves += 1;
        ActiveRetrieve(self)
    }

    /// Records the outcome of an instance.
    pub(crate) fn record(&self, instance: &InstanceUid, outcome: Outcome) {
        let mut state = self.state();
        if state.retrieves == 0 {
            return;
        }
        let arrival = match outcome {
            Outcome::Stored | Outcome::AlreadyStored => InstanceState::Stored,
            Outcome::Quarantined => InstanceState::Quarantined,
            Outcome::ClassNotSupported => InstanceState::Excluded,
            _ => return,
        };
        if arrival == InstanceState::Stored {
            // The index has it now.
            state.not_stored.remove(instance);
        } else {
            state.not_stored.insert(instance.clone(), arrival);
        }
        state.changes += 1;
        drop(state);
        self.changed.notify_all();
    }

    /// Records that a stored instance has no Patient ID. Called before its outcome is recorded.
    pub(crate) fn record_shared_patient(&self, instance: &InstanceUid) {
        let mut state = self.state();
        if state.retrieves > 0 {
            state.shared_patient.insert(instance.clone());
        }
    }

    /// Returns how many expected instances of a study had no Patient ID, and resets the count.
    pub(crate) fn take_shared_patient(&self, study: &InstanceUid) -> u64 {
        self.state().shared_counts.remove(study).unwrap_or(0)
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

    /// Returns the instances that were quarantined before this retrieve and whose UID can be read.
    fn quarantined_before(&self) -> Result<Arc<HashSet<InstanceUid>>, BackendError> {
        let mut before = self
            .quarantined_before
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = &*before {
            return Ok(Arc::clone(before));
        }
        let stop = |error| BackendError::new(Remedy::Stop, error);
        let mut found = HashSet::new();
        for entry in self.quarantine.entries().map_err(stop)? {
            // The instance of an unreadable entry counts as missing and is retrieved again.
            let Ok(entry) = entry else { continue };
            match self.instance_of(&entry.id) {
                Ok(uid) => found.extend(uid),
                Err(error) => {
                    tracing::warn!(entry = %entry.id, error, "a quarantine entry cannot be read");
                }
            }
        }
        Ok(Arc::clone(before.insert(Arc::new(found))))
    }

    /// Reads the SOP Instance UID of an entry.
    fn instance_of(&self, entry: &EntryId) -> Result<Option<InstanceUid>, Box<dyn Error>> {
        let Some(received) = self.quarantine.received(entry)? else {
            return Ok(None);
        };
        let uid = received.sop_instance()?;
        Ok(uid.and_then(|uid| InstanceUid::new(uid.expose()).ok()))
    }

    fn state(&self) -> MutexGuard<'_, LogState> {
        // Maps and counters: no panic leaves them inconsistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogState {
    /// Counts an expected instance without a Patient ID, once.
    fn count_shared_patient(&mut self, study: &InstanceUid, instance: &InstanceUid) {
        if self.shared_patient.remove(instance) {
            *self.shared_counts.entry(study.clone()).or_default() += 1;
        }
    }
}

impl LocalInstances for ArrivalLog {
    fn states(
        &self,
        study: &InstanceUid,
        instances: &[InstanceUid],
    ) -> Result<Vec<InstanceState>, BackendError> {
        let state_of = |instance: &InstanceUid| {
            if self.is_stored(instance)? {
                self.state().count_shared_patient(study, instance);
                return Ok(InstanceState::Stored);
            }
            if let Some(arrival) = self.state().not_stored.get(instance) {
                return Ok(*arrival);
            }
            Ok(if self.quarantined_before()?.contains(instance) {
                InstanceState::Quarantined
            } else {
                InstanceState::Missing
            })
        };
        instances.iter().map(state_of).collect()
    }

    fn changes(&self) -> u64 {
        self.state().changes
    }

    fn wait(&self, seen: u64, timeout: Duration) {
        let start = Instant::now();
        let mut state = self.state();
        while state.changes == seen {
            let remaining = timeout.saturating_sub(start.elapsed());
            if remaining.is_zero() {
                return;
            }
            let woken = self.changed.wait_timeout(state, remaining);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for ActiveRetrieve<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.retrieves -= 1;
        if state.retrieves == 0 {
            *state = LogState {
                changes: state.changes,
                ..LogState::default()
            };
            drop(state);
            *self
                .0
                .quarantined_before
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use anon_model::{Identity, MemoryStore, SiteId, UidRoot};

    use super::*;

    #[test]
    fn outcomes_are_recorded_only_during_a_retrieve() {
        let identity = Identity::new(SiteId::new("1").unwrap(), UidRoot::default()).unwrap();
        let lookups: Arc<dyn RetrieveProgress> = Arc::new(MemoryStore::new(identity).unwrap());
        let arrivals =
            ArrivalLog::new(&lookups, Arc::new(anon_engine::MemoryQuarantine::default()));
        let uid = InstanceUid::new("1.2.3").unwrap();
        let state =
            |arrivals: &ArrivalLog| arrivals.states(&uid, std::slice::from_ref(&uid)).unwrap()[0];
        arrivals.record(&uid, Outcome::Quarantined);
        assert_eq!(state(&arrivals), InstanceState::Missing);
        let active = arrivals.start_retrieve();
        let seen = arrivals.changes();
        arrivals.wait(seen, Duration::ZERO);
        std::thread::scope(|scope| {
            scope.spawn(|| arrivals.record(&uid, Outcome::Quarantined));
            arrivals.wait(seen, Duration::from_mins(1));
        });
        assert_ne!(arrivals.changes(), seen);
        assert_eq!(state(&arrivals), InstanceState::Quarantined);
        // An instance that the index lacks is not stored, whatever outcome was recorded.
        arrivals.record(&uid, Outcome::Stored);
        assert_eq!(state(&arrivals), InstanceState::Missing);
        let study = InstanceUid::new("1.2").unwrap();
        arrivals.record_shared_patient(&uid);
        arrivals.state().count_shared_patient(&study, &uid);
        arrivals.state().count_shared_patient(&study, &uid);
        assert_eq!(arrivals.take_shared_patient(&study), 1);
        assert_eq!(arrivals.take_shared_patient(&study), 0);
        drop(active);
        assert!(arrivals.state().not_stored.is_empty());
        drop(lookups);
        assert!(arrivals.states(&uid, std::slice::from_ref(&uid)).is_err());
    }
}
