//! [`AssignmentOrder`]: pseudonym numbers are given in the order of admission, whichever object is ready first.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Lets objects pass one at a time, in the order of their tickets.
#[derive(Default)]
pub(crate) struct AssignmentOrder {
    state: Mutex<AssignmentOrderState>,
    changed: Condvar,
}

#[derive(Default)]
struct AssignmentOrderState {
    /// The number whose turn it is.
    now: u64,
    /// Later tickets that have given up their turn.
    passed: BTreeSet<u64>,
    /// The next number to give.
    next: u64,
    /// Threads that wait for their turn. Notifying none is skipped: it is a system call.
    waiting: usize,
}

/// A place in the order. Dropping it lets the next one pass: after a refusal, a panic, or at the
/// end of its use.
pub(crate) struct AssignmentTicket {
    number: u64,
    order: Arc<AssignmentOrder>,
}

impl AssignmentOrder {
    /// The next place in the order. The caller makes sure that places are taken up in this order:
    /// a thread that waits for its turn waits for threads, never for a queue.
    pub(crate) fn issue(self: &Arc<Self>) -> AssignmentTicket {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        AssignmentTicket {
            number,
            order: Arc::clone(self),
        }
    }

    fn state(&self) -> MutexGuard<'_, AssignmentOrderState> {
        // Counters and a set: no panic leaves them half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AssignmentTicket {
    /// Waits until all earlier places have passed.
    pub(crate) fn wait(&self) {
        let mut state = self.order.state();
        while state.now != self.number {
            state.waiting += 1;
            let woken = self.order.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
    }
}

impl Drop for AssignmentTicket {
    fn drop(&mut self) {
        let mut state = self.order.state();
        if state.now != self.number {
            state.passed.insert(self.number);
            return;
        }
        state.now += 1;
        while !state.passed.is_empty() && {
            let now = state.now;
            state.passed.remove(&now)
        } {
            state.now += 1;
        }
        let somebody_waits = state.waiting > 0;
        drop(state);
        if somebody_waits {
            self.order.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_that_is_dropped_early_holds_up_nobody() {
        let order = Arc::new(AssignmentOrder::default());
        let [first, second, third, fourth] = [(); 4].map(|()| order.issue());
        drop(third);
        drop(second);
        assert_eq!(order.state().now, 0);
        drop(first);
        assert_eq!(order.state().now, 3);
        fourth.wait();
        drop(fourth);
        assert!(order.state().passed.is_empty());
    }

    #[test]
    fn turns_come_in_order() {
        let order = Arc::new(AssignmentOrder::default());
        let seen = Mutex::new(Vec::new());
        let places: Vec<AssignmentTicket> = (0..8).map(|_| order.issue()).collect();
        std::thread::scope(|scope| {
            for ticket in places.into_iter().rev() {
                scope.spawn(|| {
                    let ticket = ticket;
                    ticket.wait();
                    seen.lock().unwrap().push(ticket.number);
                });
            }
        });
        assert_eq!(*seen.lock().unwrap(), (0..8).collect::<Vec<_>>());
    }
}
