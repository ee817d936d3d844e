//! [`Turns`]: pseudonym numbers are given in the order of admission, whichever object is ready first.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Lets objects pass one at a time, in the order of their tickets.
#[derive(Default)]
pub(crate) struct Turns {
    state: Mutex<TurnState>,
    changed: Condvar,
}

#[derive(Default)]
struct TurnState {
    /// The ticket whose turn it is.
    now: u64,
    /// Later tickets that have given up their turn.
    passed: BTreeSet<u64>,
    /// The next ticket to give.
    next: u64,
    /// Threads that wait for their turn. Notifying none is skipped: it is a system call.
    waiting: usize,
}

/// A place in the order. Dropping it lets the next one pass: after a refusal, a panic, or at the
/// end of its use.
pub(crate) struct Turn {
    ticket: u64,
    turns: Arc<Turns>,
}

impl Turns {
    /// The next place in the order. The caller makes sure that places are taken up in this order:
    /// a thread that waits for its turn waits for threads, never for a queue.
    pub(crate) fn take(self: &Arc<Self>) -> Turn {
        let mut state = self.state();
        let ticket = state.next;
        state.next += 1;
        Turn {
            ticket,
            turns: Arc::clone(self),
        }
    }

    fn state(&self) -> MutexGuard<'_, TurnState> {
        // Counters and a set: no panic leaves them half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Waits until all earlier places have passed.
    pub(crate) fn wait(&self) {
        let mut state = self.turns.state();
        while state.now != self.ticket {
            state.waiting += 1;
            let woken = self.turns.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.turns.state();
        if state.now != self.ticket {
            state.passed.insert(self.ticket);
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
            self.turns.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_that_is_dropped_early_holds_up_nobody() {
        let turns = Arc::new(Turns::default());
        let [first, second, third, fourth] = [(); 4].map(|()| turns.take());
        drop(third);
        drop(second);
        assert_eq!(turns.state().now, 0);
        drop(first);
        assert_eq!(turns.state().now, 3);
        fourth.wait();
        drop(fourth);
        assert!(turns.state().passed.is_empty());
    }

    #[test]
    fn turns_come_in_order() {
        let turns = Arc::new(Turns::default());
        let seen = Mutex::new(Vec::new());
        let places: Vec<Turn> = (0..8).map(|_| turns.take()).collect();
        std::thread::scope(|scope| {
            for turn in places.into_iter().rev() {
                scope.spawn(|| {
                    let turn = turn;
                    turn.wait();
                    seen.lock().unwrap().push(turn.ticket);
                });
            }
        });
        assert_eq!(*seen.lock().unwrap(), (0..8).collect::<Vec<_>>());
    }
}
