//! [`ArrivalLog`]: the outcomes of the instances that a retrieve expects.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use anon_engine::{EntryId, Quarantine};
use anon_model::{Phi, Remarks, RetrieveProgress};
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
    /// Missing Patient IDs and remarks of stored instances, not yet added to their study.
    notes: HashMap<InstanceUid, Notes>,
    /// The same, added up by study.
    study_notes: HashMap<InstanceUid, Notes>,
    /// Incremented with every recorded outcome.
    changes: u64,
}

/// What is reported about stored instances.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    /// Instances without a Patient ID.
    pub(crate) shared_patient: u64,
    /// What a data manager should know about them.
    pub(crate) remarks: Remarks,
}

impl Notes {
    pub(crate) fn is_empty(&self) -> bool {
        self.shared_patient == 0 && self.remarks.is_empty()
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.shared_patient += other.shared_patient;
        self.remarks.add_all(&other.remarks);
    }
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

    /// Records notes on a stored instance. Called before its outcome is recorded.
    pub(crate) fn record_notes(&self, instance: &InstanceUid, notes: Notes) {
        let mut state = self.state();
        if state.retrieves > 0 {
            state.notes.insert(instance.clone(), notes);
        }
    }

    /// Returns the notes on the expected instances of a study, and forgets them.
    pub(crate) fn take_notes(&self, study: &InstanceUid) -> Notes {
        self.state().study_notes.remove(study).unwrap_or_default()
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
    /// Counts the notes on an expected instance for its study, once.
    fn count_notes(&mut self, study: &InstanceUid, instance: &InstanceUid) {
        if let Some(notes) = self.notes.remove(instance) {
            self.study_notes
                .entry(study.clone())
                .or_default()
                .add(&notes);
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
                self.state().count_notes(study, instance);
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
        let notes = Notes {
            shared_patient: 1,
            ..Notes::default()
        };
        arrivals.record_notes(&uid, notes.clone());
        arrivals.state().count_notes(&study, &uid);
        arrivals.state().count_notes(&study, &uid);
        assert_eq!(arrivals.take_notes(&study), notes);
        assert!(arrivals.take_notes(&study).is_empty());
        drop(active);
        assert!(arrivals.state().not_stored.is_empty());
        drop(lookups);
        assert!(arrivals.states(&uid, std::slice::from_ref(&uid)).is_err());
    }
}
