//! [`Claims`]: one copy of a SOP instance is processed at a time.
//!
//! ```text
//!            claim            stage             receipt
//! first   ─────┬────working─────┬────staged────────┬──► stored, or failed
//! second       │  waits its     │  is put aside    │
//!              │  turn (short)  │  (a group long)  └──► from the start: duplicate, conflict, or new
//! ```
//!
//! While the first copy is planned and assigned, the second waits in its place of the ticket order. If
//! the first is refused, the second is processed in that place, so that pseudonyms do not depend on
//! timing. Once the first is staged, only a disk error can stop it: the second then waits aside, and
//! later objects overtake it.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::run::intake::{IfBusy, Intake, Job};

/// The SOP instances that are being processed.
pub(crate) struct Claims {
    claimed: Mutex<HashMap<Arc<str>, Holder>>,
    changed: Condvar,
    intake: Arc<Intake>,
}

#[derive(Default)]
struct Holder {
    staged: bool,
    /// Threads that wait for a change. Notifying none is skipped: it is a system call.
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

    /// Waits for the right to process an instance; `None` if the object must be
    /// [`park`](Claims::park)ed.
    pub(crate) fn claim(self: &Arc<Self>, uid: &str, if_busy: IfBusy) -> Option<Claim> {
        let mut claimed = self.claimed();
        loop {
            match claimed.get_mut(uid) {
                None => {
                    let uid: Arc<str> = uid.into();
                    claimed.insert(Arc::clone(&uid), Holder::default());
                    return Some(Claim {
                        uid,
                        claims: Arc::clone(self),
                    });
                }
                Some(holder) if holder.staged && if_busy == IfBusy::Park => return None,
                Some(holder) => {
                    // Every change wakes all waiting threads; those that wait on are counted again.
                    holder.waiting += 1;
                    let woken = self.changed.wait(claimed);
                    claimed = woken.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Puts an object aside until the instance is free; if it is by now, the object comes next.
    pub(crate) fn park(&self, uid: &str, mut job: Job) {
        job.in_flight = None;
        if let Some(holder) = self.claimed().get_mut(uid) {
            holder.parked.push(job);
            return;
        }
        self.intake.requeue(job);
    }

    fn claimed(&self) -> MutexGuard<'_, HashMap<Arc<str>, Holder>> {
        // No operation on the map can stop half way.
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// Says that the object is staged: from here on others need not wait for it in their turn.
    pub(crate) fn staged(&self) {
        let mut claimed = self.claims.claimed();
        let waiting = claimed.get_mut(&self.uid).map_or(0, |holder| {
            holder.staged = true;
            std::mem::take(&mut holder.waiting)
        });
        drop(claimed);
        if waiting > 0 {
            self.claims.changed.notify_all();
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let Some(holder) = self.claims.claimed().remove(&self.uid) else {
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
