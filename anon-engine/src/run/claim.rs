//! [`Claims`]: one copy of a SOP instance is on its way at a time.
//!
//! ```text
//!            claim            stage             receipt
//! first   ─────┬────working─────┬────staged────────┬──► stored, or failed
//! second       │  waits its     │  is put aside    │
//!              │  turn (short)  │  (a group long)  └──► from the start: duplicate, conflict, or new
//! ```
//!
//! While the first is being worked on, the second waits and keeps its turn: should the first be
//! refused, the second takes its place in the order, and numbers do not hang on timing. Once the
//! first is staged only a failing disk can stop it, and the second lets the others pass.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::run::intake::{Intake, Job, Patience};

/// The SOP instances on their way.
pub(crate) struct Claims {
    held: Mutex<HashMap<Arc<str>, Holder>>,
    changed: Condvar,
    intake: Arc<Intake>,
}

#[derive(Default)]
struct Holder {
    staged: bool,
    /// Threads that wait for a change. Waking nobody would be a system call each time.
    waiting: usize,
    parked: Vec<Job>,
}

/// The right to work on one SOP instance. Dropping it lets the next copy start.
pub(crate) struct Claim {
    uid: Arc<str>,
    claims: Arc<Claims>,
}

impl Claims {
    pub(crate) fn new(intake: Arc<Intake>) -> Self {
        Self {
            held: Mutex::default(),
            changed: Condvar::new(),
            intake,
        }
    }

    /// The right to work on an instance; none if the object has to be [`park`](Claims::park)ed.
    pub(crate) fn claim(self: &Arc<Self>, uid: &str, patience: Patience) -> Option<Claim> {
        let mut held = self.held();
        loop {
            match held.get_mut(uid) {
                None => {
                    let uid: Arc<str> = uid.into();
                    held.insert(Arc::clone(&uid), Holder::default());
                    return Some(Claim {
                        uid,
                        claims: Arc::clone(self),
                    });
                }
                Some(holder) if holder.staged && patience == Patience::Park => return None,
                Some(holder) => {
                    // Every change wakes all that wait: who still has to counts again.
                    holder.waiting += 1;
                    let woken = self.changed.wait(held);
                    held = woken.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Puts an object aside until the instance is free; if it is by now, the object comes next.
    pub(crate) fn park(&self, uid: &str, mut job: Job) {
        job.flight = None;
        if let Some(holder) = self.held().get_mut(uid) {
            holder.parked.push(job);
            return;
        }
        self.intake.requeue(job);
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Arc<str>, Holder>> {
        // No operation on the map can stop half way.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// Says that the object is staged: from here on others need not wait for it in their turn.
    pub(crate) fn staged(&self) {
        let mut held = self.claims.held();
        let waiting = held.get_mut(&self.uid).map_or(0, |holder| {
            holder.staged = true;
            std::mem::take(&mut holder.waiting)
        });
        drop(held);
        if waiting > 0 {
            self.claims.changed.notify_all();
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let Some(holder) = self.claims.held().remove(&self.uid) else {
            return;
        };
        if holder.waiting > 0 {
            self.claims.changed.notify_all();
        }
        for job in holder.parked.into_iter().rev() {
            self.claims.intake.requeue(job);
        }
    }
}
