//! [`ArrivalLog`]: what became of the instances that a retrieve waits for.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use anon_engine::{EntryId, Quarantine};
use anon_model::{Phi, RetrieveProgress};
use anon_net::service::retrieve::{InstanceState, LocalInstances};
use anon_net::{BackendError, InstanceUid, Outcome, Remedy};

/// Knows what arrived: what is stored from the index, what is set aside from the quarantine and from
/// what it saw itself while somebody was retrieving.
#[derive(Debug)]
pub(crate) struct ArrivalLog {
    /// Weak: a retrieve that is slow to end must not keep the project open.
    lookups: Weak<dyn RetrieveProgress>,
    quarantine: Arc<dyn Quarantine>,
    /// What was in quarantine when a retrieve first missed something. Nothing leaves it while the
    /// project is held, but what becomes stored, and that the index knows.
    quarantined_before: Mutex<Option<Arc<HashSet<InstanceUid>>>>,
    state: Mutex<LogState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct LogState {
    /// How many retrieves go on. Without one, nothing is noted.
    retrieves: u32,
    /// What came and is not in the index.
    not_stored: HashMap<InstanceUid, InstanceState>,
    /// What came without a patient's id, is stored, and was not asked for yet.
    shared_patient: HashSet<InstanceUid>,
    /// How many of these each study had.
    shared_counts: HashMap<InstanceUid, u64>,
    /// Goes up with everything that comes.
    changes: u64,
}

/// A retrieve goes on, until this is dropped.
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

    /// Begins to note what comes.
    pub(crate) fn start_retrieve(&self) -> ActiveRetrieve<'_> {
        self.state().retrieves += 1;
        ActiveRetrieve(self)
    }

    /// Notes what became of an instance.
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
            // The index knows of it from here on.
            state.not_stored.remove(instance);
        } else {
            state.not_stored.insert(instance.clone(), arrival);
        }
        state.changes += 1;
        drop(state);
        self.changed.notify_all();
    }

    /// Notes that an instance is stored without a patient's id, before what became of it.
    pub(crate) fn record_shared_patient(&self, instance: &InstanceUid) {
        let mut state = self.state();
        if state.retrieves > 0 {
            state.shared_patient.insert(instance.clone());
        }
    }

    /// How many instances of a study came without a patient's id and were asked for, since this was
    /// asked last.
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

    /// The instances that were in quarantine before this retrieve, as far as they say who they are.
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
            // One that cannot be read hides no other: what is in it is asked for again.
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

    /// The instance in an entry, if it can be read.
    fn instance_of(&self, entry: &EntryId) -> Result<Option<InstanceUid>, Box<dyn Error>> {
        let Some(received) = self.quarantine.received(entry)? else {
            return Ok(None);
        };
        let uid = received.sop_instance()?;
        Ok(uid.and_then(|uid| InstanceUid::new(uid.expose()).ok()))
    }

    fn state(&self) -> MutexGuard<'_, LogState> {
        // A map and counters: no panic leaves them half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogState {
    /// Counts a stored instance of a study that is asked for, once.
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
    fn what_comes_is_noted_while_somebody_retrieves() {
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
        // What the index does not know is not stored, whoever says so.
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
