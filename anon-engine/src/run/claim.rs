//! [`Claims`]: one copy of a SOP instance is processed at a time.
//!
//! ```text
//!            claim            stage             receipt
//! first   ─────┬────working─────┬────staged────────┬──► stored, or failed
//! second       │  its thread    │  is parked, for  │
//!              │  waits, short  │  one commit      └──► from the start: duplicate, conflict, or new
//! ```
//!
//! Until the first copy is staged, the thread of the second waits and keeps its ticket. If the first
//! is refused, the second is assigned in that place, so pseudonyms do not depend on timing. Once the
//! first is staged, only a disk error can stop it. The second is parked then, and later objects
//! overtake it.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::run::intake::{IfBusy, Intake, Job};

/// The SOP instances that are being processed.
pub(crate) struct Claims {
    claimed: Mutex<HashMap<Arc<str>, ClaimState>>,
    changed: Condvar,
    intake: Arc<Intake>,
}

#[derive(Default)]
struct ClaimState {
    staged: bool,
    /// Threads that wait for a change. If there are none, the system call that wakes them is skipped.
    waiting: usize,
    parked: Vec<Job>,
}

/// The right to process one SOP instance. Dropping it lets the next copy start.
pub(crate) struct Claim {
    uid: Arc<str>,
    claims: Arc<Claims>,
}

impl Claims {
    pub(crate) fn new(intake: Arc<Intake>) -> Self {
        Self {
            claimed: Mutex::default(),
            changed: Condvar::new(),
            intake,
        }
    }

    /// Waits for the right to process an instance. Returns `None` if the object must be
    /// [`park`](Claims::park)ed.
    pub(crate) fn claim(self: &Arc<Self>, uid: &str, if_busy: IfBusy) -> Option<Claim> {
        let mut claimed = self.claimed();
        loop {
            match claimed.get_mut(uid) {
                None => {
                    let uid: Arc<str> = uid.into();
                    claimed.insert(Arc::clone(&uid), ClaimState::default());
                    return Some(Claim {
                        uid,
                        claims: Arc::clone(self),
                    });
                }
                Some(first) if first.staged && if_busy == IfBusy::Park => return None,
                Some(first) => {
                    // A change wakes all threads and resets the count; threads that still wait count
                    // themselves again.
                    first.waiting += 1;
                    let woken = self.changed.wait(claimed);
                    claimed = woken.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Parks an object until its instance is free. If it is free already, puts the object at the
    /// front of the queue.
    pub(crate) fn park(&self, uid: &str, mut job: Job) {
        job.in_flight = None;
        if let Some(first) = self.claimed().get_mut(uid) {
            first.parked.push(job);
            return;
        }
        self.intake.requeue(job);
    }

    fn claimed(&self) -> MutexGuard<'_, HashMap<Arc<str>, ClaimState>> {
        // A panic cannot leave the map half changed.
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// Marks the object as staged: other copies are parked from now on.
    pub(crate) fn staged(&self) {
        let mut claimed = self.claims.claimed();
        let waiting = claimed.get_mut(&self.uid).map_or(0, |state| {
            state.staged = true;
            std::mem::take(&mut state.waiting)
        });
        drop(claimed);
        if waiting > 0 {
            self.claims.changed.notify_all();
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let Some(state) = self.claims.claimed().remove(&self.uid) else {
            return;
        };
        if state.waiting > 0 {
            self.claims.changed.notify_all();
        }
        for job in state.parked.into_iter().rev() {
            self.claims.intake.requeue(job);
        }
    }
}
