//! [`PlanMemory`]: bounds the memory of the objects between their plan and their commit.
//!
//! ```text
//! plan ─► wait for its ticket ─► reserve ─► claim ─► assign ─► apply ─► stage ─► commit ─► release
//!   └ larger than a small one: wait for its ticket ─► reserve all ─► plan again
//! ```
//!
//! What an object needs is known when it is planned. So each worker makes small plans without asking,
//! and a large one alone. A thread reserves once, in the order of the tickets, and holds no claim then:
//! whoever holds memory does not wait for a thread that wants some.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::deid::plan::{Plan, plan};
use crate::deid::policy::Policy;
use crate::read::source::Source;
use crate::refusal::Refusal;
use crate::run::assignment_order::AssignmentTicket;

/// Memory for the plans and uncommitted objects of an engine, in bytes. A plan that needs more is made
/// when no other object has any.
const MAX_BYTES: u64 = 64 << 20;

/// The most memory of a small plan, in bytes. Nearly all plans take less than a tenth of it.
const SMALL_PLAN: u64 = 2 << 20;

/// The memory of plans and uncommitted objects.
#[derive(Debug)]
pub(crate) struct PlanMemory {
    state: Mutex<PlanMemoryState>,
    changed: Condvar,
    max: u64,
}

#[derive(Debug, Default)]
struct PlanMemoryState {
    used: u64,
    /// The next place in the line.
    next: u64,
    /// The place whose turn it is.
    now: u64,
}

/// Memory of one object. Released when this is dropped.
#[derive(Debug)]
pub(crate) struct ReservedMemory {
    bytes: u64,
    memory: Arc<PlanMemory>,
}

/// A plan, and its memory if that is reserved already.
pub(crate) type Planned<'a> = (Plan<'a>, Option<ReservedMemory>);

impl Default for PlanMemory {
    fn default() -> Self {
        Self::new(MAX_BYTES)
    }
}

impl PlanMemory {
    fn new(max: u64) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            max,
        }
    }

    /// Plans an object. A large one waits for its ticket, and for all memory.
    pub(crate) fn plan<'a>(
        self: &Arc<Self>,
        policy: &'a Policy,
        source: Source<'a>,
        ticket: Option<&AssignmentTicket>,
    ) -> Result<Planned<'a>, Refusal> {
        match plan(policy, source.with_max_plan_bytes(SMALL_PLAN)) {
            Err(refusal) if refusal.needs_memory => {}
            planned => return Ok((planned?, None)),
        }
        if let Some(ticket) = ticket {
            ticket.wait();
        }
        let reserved = self.reserve(self.max);
        Ok((plan(policy, source)?, Some(reserved)))
    }

    /// Reserves the memory of a planned object until it is stored. `reserved` is what its plan took.
    pub(crate) fn reserve_for(
        self: &Arc<Self>,
        plan: &Plan<'_>,
        reserved: Option<ReservedMemory>,
    ) -> ReservedMemory {
        let bytes = plan.memory().planned;
        let Some(mut reserved) = reserved else {
            return self.reserve(bytes);
        };
        reserved.resize(bytes);
        reserved
    }

    /// Waits until there is room for so many bytes. More than there can be are there when nothing is
    /// used. Threads are served in the order in which they ask.
    fn reserve(self: &Arc<Self>, bytes: u64) -> ReservedMemory {
        let mut state = self.state();
        let place = state.next;
        state.next += 1;
        while state.now != place || !state.has_room(bytes, self.max) {
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        state.now += 1;
        state.used += bytes;
        self.wake(state);
        ReservedMemory {
            bytes,
            memory: Arc::clone(self),
        }
    }

    /// Wakes the threads that wait, if there are any.
    fn wake(&self, state: MutexGuard<'_, PlanMemoryState>) {
        let has_waiter = state.now != state.next;
        drop(state);
        if has_waiter {
            self.changed.notify_all();
        }
    }

    fn state(&self) -> MutexGuard<'_, PlanMemoryState> {
        // A panic cannot leave counters half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PlanMemoryState {
    fn has_room(&self, bytes: u64, max: u64) -> bool {
        self.used == 0 || self.used.saturating_add(bytes) <= max
    }
}

impl ReservedMemory {
    /// Changes the number of bytes without waiting.
    pub(crate) fn resize(&mut self, bytes: u64) {
        let mut state = self.memory.state();
        state.used = state.used - self.bytes + bytes;
        self.bytes = bytes;
        self.memory.wake(state);
    }

    /// Returns the number of bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for ReservedMemory {
    fn drop(&mut self) {
        let mut state = self.memory.state();
        state.used -= self.bytes;
        self.memory.wake(state);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    #[test]
    fn memory_is_given_in_order_and_never_more_than_there_is() {
        let memory = Arc::new(PlanMemory::new(100));
        let mut first = memory.reserve(60);
        let (sender, served) = channel();
        thread::scope(|scope| {
            for (place, bytes) in [(0, 50), (1, 10), (2, 1_000)] {
                while memory.state().next != place + 1 {
                    thread::yield_now();
                }
                let (memory, sender) = (Arc::clone(&memory), sender.clone());
                scope.spawn(move || {
                    let reserved = memory.reserve(bytes);
                    let used = memory.state().used;
                    sender
                        .send((reserved.bytes(), used))
                        .expect("a test that waits");
                });
            }
            while memory.state().next != 4 {
                thread::yield_now();
            }
            assert!(
                served.try_recv().is_err(),
                "the first in the line does not fit"
            );
            first.resize(40);
            let order: Vec<(u64, u64)> = served.iter().take(2).collect();
            assert_eq!(order[0].0, 50);
            assert_eq!(order[1].0, 10);
            assert!(order.iter().all(|(_, used)| *used <= 100), "{order:?}");
            drop(first);
            assert_eq!(served.recv().expect("all is free"), (1_000, 1_000));
        });
        assert_eq!(memory.state().used, 0);
    }
}
