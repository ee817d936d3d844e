//! The senders to a node, each with an association of its own, lent to one thread at a time.

use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use anon_net::service::Sender;

/// At most so many senders. Dropping it releases their associations.
#[derive(Debug)]
pub(super) struct Pool {
    most: NonZeroUsize,
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Sender>,
    lent: usize,
}

/// The right to have a sender, given back when it is dropped, whatever happens.
struct Turn<'p>(&'p Pool);

impl Pool {
    pub(super) fn new(most: NonZeroUsize) -> Self {
        Self {
            most,
            state: Mutex::default(),
            returned: Condvar::new(),
        }
    }

    pub(super) fn most(&self) -> NonZeroUsize {
        self.most
    }

    /// Lends a sender: one that is idle, else a new one. Waits while all are lent.
    pub(super) fn with<T>(
        &self,
        new: impl FnOnce() -> Sender,
        with: impl FnOnce(&mut Sender) -> T,
    ) -> T {
        let (_turn, idle) = self.turn();
        let mut sender = idle.unwrap_or_else(new);
        let done = with(&mut sender);
        self.lock().idle.push(sender);
        done
    }

    fn turn(&self) -> (Turn<'_>, Option<Sender>) {
        let is_full = |state: &mut State| state.lent >= self.most.get();
        let state = self.returned.wait_while(self.lock(), is_full);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.lent += 1;
        (Turn(self), state.idle.pop())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().lent -= 1;
        self.0.returned.notify_one();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let idle = std::mem::take(&mut self.lock().idle);
        for sender in idle {
            sender.release();
        }
    }
}
