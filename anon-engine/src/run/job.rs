//! [`Job`]: an object on its way. [`Reply`]: whoever waits for it, answered exactly once.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::Error;
use crate::run::commit::InFlight;
use crate::run::intake::Held;
use crate::run::receipt::{Receipt, Received};
use crate::run::turn::Turn;

type OnDone = Box<dyn FnOnce(Result<Receipt, Error>) + Send>;

/// Whoever waits for an object. Answered exactly once, whatever happens: one that is dropped says
/// [`Error::Stopped`].
pub(crate) struct Reply(Option<OnDone>);

impl Reply {
    pub(crate) fn new(on_done: impl FnOnce(Result<Receipt, Error>) + Send + 'static) -> Self {
        Self(Some(Box::new(on_done)))
    }

    pub(crate) fn send(mut self, result: Result<Receipt, Error>) {
        self.call(result);
    }

    fn call(&mut self, result: Result<Receipt, Error>) {
        let Some(on_done) = self.0.take() else {
            return;
        };
        // A caller's fault must not end the thread that serves everybody.
        if catch_unwind(AssertUnwindSafe(|| on_done(result))).is_err() {
            tracing::error!("a callback panicked");
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.call(Err(Error::Stopped));
    }
}

/// An object on its way. Dropping one gives back all that it holds, and says so to who waits.
pub(crate) struct Job {
    pub(crate) received: Received,
    pub(crate) reply: Reply,
    /// Its place in the order of assignment, until that has passed.
    pub(crate) turn: Option<Turn>,
    /// Its bytes, counted by the intake.
    pub(crate) held: Option<Held>,
    /// Counted as on its way to a commit; not while it is parked.
    pub(crate) flight: Option<InFlight>,
    /// What it does while another copy of its instance waits for a commit.
    pub(crate) patience: Patience,
}

/// What an object does while another copy of its instance waits for a commit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Its thread waits: it is the caller's.
    Wait,
    /// It is put aside, and the worker takes the next one.
    Park,
}
