//! [`Schedule`]: decides when the staged objects are committed as one group.
//!
//! Without an import, a group is committed as soon as the one before it is done: a sender without
//! pipelining waits for every C-STORE response (PS3.7 section 9.1.1). During an import, a group waits
//! until it is full in number or memory, or nothing else is in flight, or its oldest object has waited
//! long enough.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Number of objects in a full group.
pub(crate) const GROUP: usize = 256;

/// Memory of the objects of a full group, in bytes. A group with more is one object.
const GROUP_BYTES: u64 = 16 << 20;

/// How long the first object of a group waits for others during an import.
const PATIENCE: Duration = Duration::from_millis(50);

/// The most staged objects that wait for a commit. Bounds the temporary files if the disk is slow.
const MAX_READY: usize = 4 * GROUP;

/// Counts objects in flight and staged objects, and decides when a group is committed. Does not hold
/// the objects themselves.
#[derive(Default)]
pub(crate) struct Schedule {
    state: Mutex<ScheduleState>,
    /// Wakes the committer.
    wake: Condvar,
    /// Wakes workers that wait for room, and `stop`, which waits until the engine is idle.
    done: Condvar,
}

#[derive(Default)]
struct ScheduleState {
    /// When each staged object arrived, and the bytes of memory it takes; oldest first.
    ready: VecDeque<(Instant, u64)>,
    /// The sum of their bytes.
    bytes: u64,
    in_flight: usize,
    committing: bool,
    /// Imports that have more objects to come.
    bulk: usize,
    /// Threads that wait for `done`. If there are none, the system call that wakes them is skipped.
    waiting: usize,
    end: bool,
}

impl ScheduleState {
    /// Returns true if the staged objects fill a group.
    fn is_full(&self) -> bool {
        self.ready.len() >= GROUP || self.bytes >= GROUP_BYTES
    }

    /// Returns how many of the staged objects make a group.
    fn group_size(&self) -> usize {
        let mut left = GROUP_BYTES;
        let fitting = self.ready.iter().take(GROUP).take_while(|(_, bytes)| {
            let fits = *bytes <= left;
            left = left.saturating_sub(*bytes);
            fits
        });
        fitting.count().max(1).min(self.ready.len())
    }
}

/// An object that has been admitted, and is neither staged nor refused yet.
pub(crate) struct InFlight(Arc<Schedule>);

/// An import that has more objects to come. Groups fill up until this is dropped.
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

    /// Counts a staged object with so many bytes of memory, which `push` queues. Waits while too many
    /// are queued. A caller that `leads` commits the group itself, so the committer is not woken.
    pub(crate) fn add(&self, bytes: u64, leads: bool, push: impl FnOnce()) {
        let mut state = self.state();
        while state.ready.len() >= MAX_READY {
            state.waiting += 1;
            let woken = self.done.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
        push();
        let was_full = state.is_full();
        state.ready.push_back((Instant::now(), bytes));
        state.bytes += bytes;
        // Wakes the committer when a group begins, to start its clock, and when it is full. After a
        // commit, the committer finds the objects that were staged meanwhile.
        let begins = state.ready.len() == 1 || (state.is_full() && !was_full);
        let wake = begins && !state.committing && (!leads || state.bulk > 0);
        drop(state);
        if wake {
            self.wake.notify_one();
        }
    }

    /// Waits until nothing is in flight, staged or being committed. Returns false if the deadline
    /// passes first.
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

    /// Makes the committer end when nothing is left.
    pub(crate) fn end(&self) {
        self.state().end = true;
        self.wake.notify_all();
    }

    /// Waits for the next group, for the committer. Returns its size, or `None` at the end.
    pub(crate) fn next_group(&self) -> Option<usize> {
        let mut state = self.state();
        loop {
            let all = state.end && state.in_flight == 0;
            let Some((oldest, _)) = state.ready.front().filter(|_| !state.committing) else {
                if all && !state.committing && state.ready.is_empty() {
                    return None;
                }
                let woken = self.wake.wait(state);
                state = woken.unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = PATIENCE.saturating_sub(oldest.elapsed());
            if state.is_full() || state.bulk == 0 || all || left.is_zero() {
                return Some(self.take(state));
            }
            let woken = self.wake.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Returns the size of the group that a thread may commit for its own object; `None` if another
    /// thread is committing, or if an import fills the group.
    pub(crate) fn group_at_once(&self) -> Option<usize> {
        let state = self.state();
        if state.committing || state.ready.is_empty() {
            return None;
        }
        if state.bulk > 0 {
            // An import may have begun after the object was staged without waking the committer.
            self.wake.notify_one();
            return None;
        }
        Some(self.take(state))
    }

    fn take(&self, mut state: MutexGuard<'_, ScheduleState>) -> usize {
        let size = state.group_size();
        let taken: u64 = state.ready.drain(..size).map(|(_, bytes)| bytes).sum();
        state.bytes -= taken;
        state.committing = true;
        self.notify_done(state);
        size
    }

    /// Records that the group that was taken is committed or discarded.
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
        // A panic cannot leave a queue and counters half changed.
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

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: u64 = GROUP_BYTES / 2;

    #[test]
    fn a_group_ends_before_its_objects_take_too_much_memory() {
        let schedule = Arc::new(Schedule::default());
        let _more_to_come = schedule.bulk();
        for bytes in [1, HALF, HALF, HALF, 3 * GROUP_BYTES, 1] {
            schedule.add(bytes, false, || {});
        }
        for expect in [2, 2, 1, 1] {
            assert_eq!(schedule.next_group(), Some(expect));
            schedule.group_done();
        }
        assert_eq!(schedule.state().bytes, 0);
    }
}
