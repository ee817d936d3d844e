//! [`Event`]: what long operations say about themselves. [`Observer`]: who listens.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anon_model::Phi;

use crate::error::Error;
use crate::keep::recover::Recovered;
use crate::run::receipt::Receipt;

/// Something that happened. Nothing in it identifies a person but what is [`Phi`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'e> {
    /// An import has dealt with an item. Events come in the order of completion.
    Instance {
        /// The item's place in the import, from 1, in the order of the source.
        number: u64,
        /// Where it came from.
        origin: Option<&'e Phi<String>>,
        /// What became of it.
        result: &'e Result<Receipt, Error>,
    },
    /// How far an import is.
    Progress(Progress),
    /// An engine has looked at what an earlier one left.
    Recovered(&'e Recovered),
    /// An engine has made a group durable.
    Committed {
        /// Instances in it.
        instances: usize,
        /// Of those, instances whose files could not be published. They left the index again.
        unpublished: usize,
    },
    /// Something failed that no receipt tells: an entry of the quarantine that could not be
    /// cleared, a temporary file that could not be removed.
    Warning {
        /// What, in words of ours.
        message: &'e str,
        /// Why.
        error: &'e (dyn std::error::Error + 'static),
    },
}

/// How far an import is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Items that the source has shown.
    pub found: u64,
    /// Items that are dealt with.
    pub done: u64,
    /// Bytes of those.
    pub bytes_in: u64,
}

/// Listens to events. Called from the engine's own threads: it must return soon, and must not call
/// a blocking method of the engine. A panic in it is logged and otherwise ignored.
pub trait Observer: Send + Sync + fmt::Debug {
    /// Handles one event.
    fn on_event(&self, event: &Event<'_>);
}

/// Passes an event to an observer. A panic in the observer is logged and otherwise ignored.
pub(crate) fn notify(observer: &dyn Observer, event: &Event<'_>) {
    if catch_unwind(AssertUnwindSafe(|| observer.on_event(event))).is_err() {
        tracing::error!("an observer panicked; it missed an event");
    }
}

/// Ignores all events.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn on_event(&self, _: &Event<'_>) {}
}

const _: fn() = || {
    fn assert<T: Send + Sync + ?Sized>() {}
    assert::<dyn Observer>();
};
