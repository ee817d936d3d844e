//! [`Schedule`]: when the staged objects that gather are made durable as one group.
//!
//! A group goes as soon as the one before it is done: a sender without pipelining waits for every
//! C-STORE response (PS3.7 section 9.1.1). While a bulk importer has more to come, a group waits
//! until it is full, or nothing else is in flight, or its oldest object has waited long enough.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Objects of a full group.
pub(crate) const GROUP: usize = 256;

/// How long the first object of a group waits for the others of a busy engine.
const PATIENCE: Duration = Duration::from_millis(50);

/// The most staged objects that wait for a commit. Their temporary files are on disk; this bounds
/// the backlog of a slow disk.
const MAX_READY: usize = 4 * GROUP;

/// Counts objects in flight and objects that are staged, and says when a group goes. It does not
/// know the objects themselves.
#[derive(Default)]
pub(crate) struct Schedule {
    state: Mutex<ScheduleState>,
    /// The committer waits for a group.
    wake: Condvar,
    /// Workers wait for room, and `stop` waits until the engine is idle.
    done: Condvar,
}

#[derive(Default)]
struct ScheduleState {
    /// When each staged object arrived, oldest first.
    ready: VecDeque<Instant>,
    in_flight: usize,
    committing: bool,
    /// Bulk importers that have more to come.
    bulk: usize,
    /// Threads that wait for `done`. Notifying none of them is skipped: it is a system call.
    waiting: usize,
    end: bool,
}

/// An object that was admitted and is neither staged nor refused yet.
pub(crate) struct InFlight(Arc<Schedule>);

/// A bulk importer that has more to come: groups fill up until this is dropped.
pub(crate) struct BulkGuard(Arc<Schedule>);

impl Schedule {
    /// Counts an object as in flight until the result is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> InFlight {
        self.state().in_flight += 1;
        InFlight(Arc::clone(self))
    }

    /// Lets groups fill up until the result is dropped.
    pub(crate) fn bulk(self: &Arc<Self>) -> BulkGuard {
        self.state().bulk += 1;
        BulkGuard(Arc::clone(self))
    }

    /// Counts a staged object, which `push` queues; waits while too many are queued. A caller that
    /// `leads` asks for a group itself, so the committer sleeps on.
    pub(crate) fn add(&self, leads: bool, push: impl FnOnce()) {
        let mut state = self.state();
        while state.ready.len() >= MAX_READY {
            state.waiting += 1;
            let woken = self.done.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
        push();
        state.ready.push_back(Instant::now());
        // The committer is woken when a group begins, to start its clock, and when it is full. What
        // is staged while a group is committed is found after that commit.
        let begins = matches!(state.ready.len(), 1 | GROUP);
        let wake = begins && !state.committing && (!leads || state.bulk > 0);
        drop(state);
        if wake {
            self.wake.notify_one();
        }
    }

    /// Waits until nothing is in flight, staged or committed; false if the deadline passed first.
    pub(crate) fn wait_idle(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.state();
        while state.in_flight > 0 || state.committing || !state.ready.is_empty() {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return false;
            }
            let left = left.unwrap_or(Duration::from_hours(1));
            state.waiting += 1;
            let woken = self.done.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
            state.waiting -= 1;
        }
        true
    }

    /// Tells the committer to end when nothing is left.
    pub(crate) fn end(&self) {
        self.state().end = true;
        self.wake.notify_all();
    }

    /// Waits for the next group and returns its size, for the committer; `None` at the end.
    pub(crate) fn next_group(&self) -> Option<usize> {
        let mut state = self.state();
        loop {
            let all = state.end && state.in_flight == 0;
            let Some(oldest) = state.ready.front().filter(|_| !state.committing) else {
                if all && !state.committing && state.ready.is_empty() {
                    return None;
                }
                let woken = self.wake.wait(state);
                state = woken.unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = PATIENCE.saturating_sub(oldest.elapsed());
            if state.ready.len() >= GROUP || state.bulk == 0 || all || left.is_zero() {
                return Some(self.take(state));
            }
            let woken = self.wake.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The size of a group for a thread that waits for one of its objects; `None` if another
    /// thread commits already, or if bulk importers fill the groups.
    pub(crate) fn group_at_once(&self) -> Option<usize> {
        let state = self.state();
        if state.committing || state.ready.is_empty() {
            return None;
        }
        if state.bulk > 0 {
            // An importer may have come since the object was staged, when nobody was woken.
            self.wake.notify_one();
            return None;
        }
        Some(self.take(state))
    }

    fn take(&self, mut state: MutexGuard<'_, ScheduleState>) -> usize {
        let size = state.ready.len().min(GROUP);
        state.ready.drain(..size);
        state.committing = true;
        self.notify_done(state);
        size
    }

    /// Says that the group which was taken has been committed or given up.
    pub(crate) fn group_done(&self) {
        let mut state = self.state();
        state.committing = false;
        let wake = !state.ready.is_empty() || state.end;
        self.notify_done(state);
        if wake {
            self.wake.notify_one();
        }
    }

    fn notify_done(&self, state: MutexGuard<'_, ScheduleState>) {
        let waiting = state.waiting > 0;
        drop(state);
        if waiting {
            self.done.notify_all();
        }
    }

    fn state(&self) -> MutexGuard<'_, ScheduleState> {
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
        if last {
            self.0.notify_done(state);
        } else {
            drop(state);
        }
        if last && end {
            self.0.wake.notify_one();
        }
    }
}

impl Drop for BulkGuard {
    fn drop(&mut self) {
        self.0.state().bulk -= 1;
        self.0.wake.notify_one();
    }
}
