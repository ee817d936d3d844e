//! [`AssignmentOrder`]: pseudonyms are assigned in the order of admission, whichever object is ready
//! first.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Lets one object at a time assign its pseudonyms, in the order of the tickets.
#[derive(Default)]
pub(crate) struct AssignmentOrder {
    state: Mutex<AssignmentOrderState>,
    changed: Condvar,
}

#[derive(Default)]
struct AssignmentOrderState {
    /// The ticket whose turn it is.
    now: u64,
    /// Later tickets that have been dropped.
    dropped: BTreeSet<u64>,
    /// The next ticket to issue.
    next: u64,
    /// Threads that wait for their turn. If there are none, the system call that wakes them is
    /// skipped.
    waiting: usize,
}

/// The place of an object in the order. Dropping it, even in a panic, lets the next object go on.
pub(crate) struct AssignmentTicket {
    number: u64,
    order: Arc<AssignmentOrder>,
}

impl AssignmentOrder {
    /// Issues the next ticket. Worker threads must take up tickets in this order. A thread then waits
    /// only for other threads, never for an object that is still queued.
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
        // A panic cannot leave counters and a set half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AssignmentTicket {
    /// Waits until all earlier tickets have been dropped.
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
            state.dropped.insert(self.number);
            return;
        }
        state.now += 1;
        while !state.dropped.is_empty() && {
            let now = state.now;
            state.dropped.remove(&now)
        } {
            state.now += 1;
        }
        let has_waiter = state.waiting > 0;
        drop(state);
        if has_waiter {
            self.order.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_that_is_dropped_early_does_not_block_later_ones() {
        let order = Arc::new(AssignmentOrder::default());
        let [first, second, third, fourth] = [(); 4].map(|()| order.issue());
        drop(third);
        drop(second);
        assert_eq!(order.state().now, 0);
        drop(first);
        assert_eq!(order.state().now, 3);
        fourth.wait();
        drop(fourth);
        assert!(order.state().dropped.is_empty());
    }

    #[test]
    fn tickets_are_served_in_the_order_of_their_issue() {
        let order = Arc::new(AssignmentOrder::default());
        let seen = Mutex::new(Vec::new());
        let tickets: Vec<AssignmentTicket> = (0..8).map(|_| order.issue()).collect();
        std::thread::scope(|scope| {
            for ticket in tickets.into_iter().rev() {
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
