//! [`Event`]: what long operations report. [`Observer`]: receives it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anon_model::Phi;

use crate::error::Error;
use crate::keep::recover::Recovered;
use crate::run::receipt::Receipt;

/// Something that happened. Only a [`Phi`] in it can identify a person.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'e> {
    /// An import has finished an item. Items come in the order in which they finish.
    Instance {
        /// The number of the item in the order of the source, from 1.
        number: u64,
        /// The file or sender that it came from.
        origin: Option<&'e Phi<String>>,
        /// Its receipt, or why it failed.
        result: &'e Result<Receipt, Error>,
    },
    /// The progress of an import.
    Progress(Progress),
    /// An engine has repaired what an interrupted one left behind.
    Recovered(&'e Recovered),
    /// An engine has made a group durable.
    Committed {
        /// Number of instances in the group.
        instances: usize,
        /// How many of them could not be published. They have been removed from the index.
        unpublished: usize,
    },
    /// A failure that no receipt reports, such as a temporary file that could not be removed.
    Warning {
        /// What failed. Holds no value of an object.
        message: &'e str,
        /// Why it failed.
        error: &'e (dyn std::error::Error + 'static),
    },
}

/// The progress of an import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Items that the source has returned.
    pub found: u64,
    /// Items that are finished.
    pub done: u64,
    /// Bytes of the finished items.
    pub bytes_in: u64,
}

/// Receives events. It is called on threads of the engine, so it must return soon, and must not call
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
