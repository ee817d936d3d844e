//! [`Fates`]: what became of the instances that a retrieve waits for.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anon_net::{InstanceUid, Outcome};

/// Notes the instances that somebody waits for, as they come.
#[derive(Debug, Default)]
pub(crate) struct Fates {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How many wait for an instance, and what became of it.
    watched: HashMap<InstanceUid, (u32, Option<Outcome>)>,
    /// Goes up with every note.
    notes: u64,
}

/// Waits for some instances, until this is dropped.
#[derive(Debug)]
pub(crate) struct Watch<'f> {
    fates: &'f Fates,
    instances: Vec<InstanceUid>,
}

impl Fates {
    /// Notes what became of an instance, if somebody waits for it.
    pub(crate) fn note(&self, instance: &InstanceUid, outcome: Outcome) {
        let mut state = self.state();
        let Some((_, fate)) = state.watched.get_mut(instance) else {
            return;
        };
        *fate = Some(outcome);
        state.notes += 1;
        drop(state);
        self.changed.notify_all();
    }

    /// Begins to wait for these.
    pub(crate) fn watch(&self, instances: Vec<InstanceUid>) -> Watch<'_> {
        let mut state = self.state();
        for instance in &instances {
            state.watched.entry(instance.clone()).or_default().0 += 1;
        }
        drop(state);
        Watch {
            fates: self,
            instances,
        }
    }

    /// What became of an instance that is waited for.
    pub(crate) fn of(&self, instance: &InstanceUid) -> Option<Outcome> {
        self.state().watched.get(instance)?.1
    }

    /// How many notes there were.
    pub(crate) fn notes(&self) -> u64 {
        self.state().notes
    }

    /// Waits until there are other than so many notes, for so long at most; how many there are.
    pub(crate) fn wait(&self, notes: u64, patience: Duration) -> u64 {
        let began = Instant::now();
        let mut state = self.state();
        while state.notes == notes {
            let left = patience.saturating_sub(began.elapsed());
            if left.is_zero() {
                break;
            }
            let woken = self.changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.notes
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A map and a counter: no panic leaves them half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let mut state = self.fates.state();
        for instance in &self.instances {
            if let Some((watchers, _)) = state.watched.get_mut(instance) {
                *watchers -= 1;
                if *watchers == 0 {
                    state.watched.remove(instance);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_waited_for_is_noted() {
        let uid = |text: &str| InstanceUid::new(text).unwrap();
        let fates = Fates::default();
        fates.note(&uid("1.1"), Outcome::Stored);
        let one = fates.watch(vec![uid("1.1"), uid("1.2")]);
        let other = fates.watch(vec![uid("1.1")]);
        assert_eq!(fates.of(&uid("1.1")), None);
        let notes = fates.notes();
        assert_eq!(fates.wait(notes, Duration::ZERO), notes);
        std::thread::scope(|scope| {
            scope.spawn(|| fates.note(&uid("1.1"), Outcome::Quarantined));
            assert_ne!(fates.wait(notes, Duration::from_mins(1)), notes);
        });
        drop(other);
        assert_eq!(fates.of(&uid("1.1")), Some(Outcome::Quarantined));
        drop(one);
        assert_eq!(fates.of(&uid("1.1")), None);
        assert!(fates.state().watched.is_empty());
    }
}
