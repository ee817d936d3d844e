//! [`Commits`]: staged objects gather into groups; one thread at a time makes a group durable.
//!
//! ```text
//! workers ──► gather ──► LookupStore::commit ──► Store::publish ──► receipts ──► LookupStore::settle
//!            the next group gathers meanwhile                      └─ of failures: after settle
//! ```
//!
//! A group goes as soon as the last one is done: who sends one object after the other waits for each.
//! Only while a bulk importer has more to come does it wait until it is full, or nothing else is on
//! its way, or its oldest object has waited long enough.
//!
//! Who waits for its object anyway ([`Engine::process`](super::Engine::process)) makes the group
//! durable itself if nobody else is at it: waking the committer's thread, and being woken by it,
//! would cost as much as the commit of one object.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anon_model::{BackendError, Group, NewInstance, Remedy, Wanted};

use crate::error::Error;
use crate::keep::quarantine::EntryId;
use crate::keep::store::{Staged, StoreError};
use crate::run::claim::Claim;
use crate::run::core::Core;
use crate::run::event::Event;
use crate::run::job::Reply;
use crate::run::receipt::{Outcome, Receipt};

/// Objects of a full group.
pub(crate) const GROUP: usize = 256;

/// How long the first object of a group waits for the others of a busy engine.
const PATIENCE: Duration = Duration::from_millis(50);

/// Staged objects that wait at most. Their temporary files are on disk; this bounds what a slow
/// disk has in front of it.
const MAX_READY: usize = 4 * GROUP;

/// An object that is staged.
pub(crate) struct Ready {
    pub(crate) staged: Staged,
    pub(crate) instance: NewInstance,
    pub(crate) rest: Rest,
}

/// What is left of an object once its files and its record are on their way.
pub(crate) struct Rest {
    /// What it asked of the lookups, but for the UIDs that its record has.
    pub(crate) wanted: Wanted,
    pub(crate) receipt: Receipt,
    /// Quarantine entries for the same bytes: they go when the object is stored.
    pub(crate) entries: Vec<EntryId>,
    pub(crate) claim: Claim,
    pub(crate) reply: Reply,
}

/// Where groups gather.
#[derive(Default)]
pub(crate) struct Commits {
    state: Mutex<State>,
    /// The committer waits for a group.
    wake: Condvar,
    /// Workers wait for room, and `stop` for the end.
    done: Condvar,
}

#[derive(Default)]
struct State {
    ready: VecDeque<(Ready, Instant)>,
    in_flight: usize,
    committing: bool,
    /// Bulk importers that have more to come.
    bulk: usize,
    end: bool,
}

/// An object on its way to a commit, until this is dropped.
pub(crate) struct InFlight(Arc<Commits>);

/// Somebody has more to come, until this is dropped: groups fill up.
pub(crate) struct Bulk(Arc<Commits>);

impl Commits {
    pub(crate) fn enter(self: &Arc<Self>) -> InFlight {
        self.state().in_flight += 1;
        InFlight(Arc::clone(self))
    }

    pub(crate) fn bulk(self: &Arc<Self>) -> Bulk {
        self.state().bulk += 1;
        Bulk(Arc::clone(self))
    }

    /// Takes a staged object. Waits while too many are there. Somebody who will call [`run_once`]
    /// need not wake the committer.
    pub(crate) fn push(&self, ready: Ready, flight: Option<InFlight>, leads: bool) {
        let mut state = self.state();
        while state.ready.len() >= MAX_READY {
            state = self
                .done
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.ready.push_back((ready, Instant::now()));
        // The committer looks when a group begins, if only for its time, and when it is full; what
        // comes while another group is dealt with, it finds afterwards.
        let begins = matches!(state.ready.len(), 1 | GROUP);
        let look = begins && !state.committing && (!leads || state.bulk > 0);
        drop(state);
        if look {
            self.wake.notify_one();
        }
        drop(flight);
    }

    /// Waits until nothing is on its way; false if the time was too short.
    pub(crate) fn wait_idle(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.state();
        while state.in_flight > 0 || state.committing || !state.ready.is_empty() {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return false;
            }
            let left = left.unwrap_or(Duration::from_hours(1));
            let woken = self.done.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Tells the committer to end when it has nothing left.
    pub(crate) fn end(&self) {
        self.state().end = true;
        self.wake.notify_all();
    }

    /// The next group, for the committer; none at the end.
    fn group(&self) -> Option<Vec<Ready>> {
        let mut state = self.state();
        loop {
            let oldest = state.ready.front().map(|(_, since)| *since);
            let Some(oldest) = oldest else {
                if state.end && state.in_flight == 0 && !state.committing {
                    return None;
                }
                state = self
                    .wake
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            if state.committing {
                state = self
                    .wake
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let left = PATIENCE.saturating_sub(oldest.elapsed());
            let all = state.end && state.in_flight == 0;
            if state.ready.len() >= GROUP || state.bulk == 0 || all || left.is_zero() {
                return Some(self.take(state));
            }
            let woken = self.wake.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A group for a thread that waits for one of its objects; none if another is at it.
    fn group_at_once(&self) -> Option<Vec<Ready>> {
        let state = self.state();
        if state.committing || state.ready.is_empty() {
            return None;
        }
        if state.bulk > 0 {
            // One came since the object was pushed: the committer has to know of it.
            self.wake.notify_one();
            return None;
        }
        Some(self.take(state))
    }

    fn take(&self, mut state: MutexGuard<'_, State>) -> Vec<Ready> {
        let size = state.ready.len().min(GROUP);
        let group = state.ready.drain(..size).map(|(ready, _)| ready).collect();
        state.committing = true;
        drop(state);
        self.done.notify_all();
        group
    }

    /// A group has been dealt with.
    fn free(&self) {
        let mut state = self.state();
        state.committing = false;
        let look = !state.ready.is_empty() || state.end;
        drop(state);
        if look {
            self.wake.notify_one();
        }
        self.done.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A queue and counters: no panic leaves them half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.in_flight -= 1;
        let last = state.in_flight == 0;
        let end = state.end;
        drop(state);
        if last && end {
            self.0.wake.notify_one();
        }
        if last {
            self.0.done.notify_all();
        }
    }
}

impl Drop for Bulk {
    fn drop(&mut self) {
        self.0.state().bulk -= 1;
        self.0.wake.notify_one();
    }
}

/// The committer's thread.
pub(crate) fn run(core: &Core) {
    while let Some(group) = core.commits.group() {
        guarded_commit(core, group);
    }
    if let Err(error) = core.lookups.flush() {
        core.warn(
            "what was settled is not saved; the next start looks at it again",
            &error,
        );
    }
}

/// Makes a group durable on this thread, if one waits and nobody is at it.
pub(crate) fn run_once(core: &Core) {
    if let Some(group) = core.commits.group_at_once() {
        guarded_commit(core, group);
    }
}

fn guarded_commit(core: &Core, group: Vec<Ready>) {
    if catch_unwind(AssertUnwindSafe(|| commit(core, group))).is_err() {
        // Behind one of the seams. Who waited has been told by dropping what they waited for.
        let error = BackendError::new(Remedy::Stop, "a commit panicked");
        core.poison_with(&Arc::new(error));
    }
    core.commits.free();
}

fn commit(core: &Core, group: Vec<Ready>) {
    let size = group.len();
    let mut instances = Vec::with_capacity(size);
    let mut staged = Vec::with_capacity(size);
    let mut rests = Vec::with_capacity(size);
    for ready in group {
        instances.push(ready.instance);
        staged.push(ready.staged);
        rests.push(ready.rest);
    }
    let committed = match core.poison() {
        Some(error) => Err(error),
        None => caught(|| core.lookups.commit(&instances)).map_err(|error| {
            let error = Arc::new(error);
            if error.remedy == Remedy::Stop {
                core.poison_with(&error);
            }
            error
        }),
    };
    match committed {
        Ok(id) => {
            drop(instances);
            publish(core, id, staged, rests);
        }
        Err(error) => give_up(core, &error, instances, staged, rests),
    }
}

/// Nothing of the group is in the index: nothing of it may stay in the store.
fn give_up(
    core: &Core,
    error: &Arc<BackendError>,
    instances: Vec<NewInstance>,
    staged: Vec<Staged>,
    rests: Vec<Rest>,
) {
    tracing::error!(instances = rests.len(), "a commit failed");
    for staged in staged {
        if let Err(error) = core.store.discard(staged) {
            core.warn("a temporary file is left behind", &error);
        }
    }
    for (rest, instance) in rests.into_iter().zip(instances) {
        core.lookups.abandon(&Wanted {
            study: instance.study_uid,
            series: instance.series_uid,
            instance: instance.instance_uid,
            ..rest.wanted
        });
        drop(rest.claim);
        rest.reply.send(Err(Error::Commit(Arc::clone(error))));
    }
}

fn publish(core: &Core, id: Group, staged: Vec<Staged>, rests: Vec<Rest>) {
    let size = rests.len();
    let results = catch_unwind(AssertUnwindSafe(|| core.store.publish(staged)));
    let results = match results {
        Ok(results) if results.len() == size => results,
        // What is visible is not known. The intent stays, and the next start looks.
        Ok(_) | Err(_) => {
            let message = "the store broke off while it published a group";
            let error = Arc::new(BackendError::new(Remedy::Stop, message));
            core.poison_with(&error);
            for rest in rests {
                rest.reply.send(Err(Error::Poisoned(Arc::clone(&error))));
            }
            return;
        }
    };
    let mut failures = Vec::new();
    for (position, (rest, result)) in rests.into_iter().zip(results).enumerate() {
        match result {
            Ok(()) => stored(core, rest),
            Err(error) => failures.push((position, rest, error)),
        }
    }
    settle(core, id, size, failures);
}

fn stored(core: &Core, rest: Rest) {
    core.clear_entries(&rest.entries);
    drop(rest.claim);
    rest.reply.send(Ok(rest.receipt));
}

/// Those that failed hear of it when they are out of the index again: before, a second try would be
/// called a duplicate of what is not there.
fn settle(core: &Core, id: Group, size: usize, failures: Vec<(usize, Rest, StoreError)>) {
    let unpublished: Vec<usize> = failures.iter().map(|(position, ..)| *position).collect();
    let settled = caught(|| core.lookups.settle(id, &unpublished)).map_err(Arc::new);
    match &settled {
        Ok(()) => {}
        Err(error) if unpublished.is_empty() => {
            core.warn(
                "a group is not settled; the next start looks at it again",
                &**error,
            );
        }
        Err(error) => core.poison_with(error),
    }
    core.tell(&Event::Committed {
        instances: size,
        unpublished: unpublished.len(),
    });
    tracing::debug!(
        instances = size,
        unpublished = unpublished.len(),
        "committed"
    );
    for (_, rest, error) in failures {
        drop(rest.claim);
        rest.reply.send(Err(Error::Store(error)));
    }
}

/// A panic behind the seam is a failure that nothing more is known of.
fn caught<T>(call: impl FnOnce() -> Result<T, BackendError>) -> Result<T, BackendError> {
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|_| Err(BackendError::new(Remedy::Stop, "the lookup store panicked")))
}

/// The receipt of an object that will be stored.
pub(crate) fn receipt_of(
    staged: &Staged,
    patient: String,
    bytes_in: u64,
    warnings: crate::Warnings,
) -> Receipt {
    Receipt {
        outcome: Outcome::Stored {
            path: staged.path().clone(),
            patient,
        },
        bytes_in,
        bytes_out: staged.bytes(),
        warnings,
    }
}
