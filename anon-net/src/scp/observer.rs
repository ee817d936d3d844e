//! [`ScpObserver`]: hears what an SCP does.

use std::fmt;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::{InstanceCounts, StoreOutcome};
use crate::error::{AbortedBy, RejectReason, Waiting};
use crate::{AeTitle, BackendError, Error, Uid};

/// How an association ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AssociationEnd {
    /// In order: the peer asked for it.
    Released,
    /// The peer aborted.
    Aborted(AbortedBy),
    /// The connection broke.
    Lost,
    /// We aborted: nothing came for as long as an association may be idle.
    Idle,
    /// We aborted: the peer stopped inside a message, or did not read our answer.
    Stalled(Waiting),
    /// We aborted: the peer broke the protocol, in words of ours.
    Broken(&'static str),
    /// We aborted: it had said nothing since it was opened, and another peer wanted its place.
    Crowded,
    /// We aborted: the SCP was stopped.
    Stopped,
}

impl From<Error> for AssociationEnd {
    fn from(error: Error) -> Self {
        match error {
            Error::Aborted { by } => Self::Aborted(by),
            Error::TimedOut { waiting, .. } => Self::Stalled(waiting),
            Error::Protocol { problem } => Self::Broken(problem),
            Error::Limit { .. } => Self::Broken("it takes PDUs that no answer fits in"),
            _ => Self::Lost,
        }
    }
}

/// An association that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AssociationSummary {
    /// What became of its instances.
    pub counts: InstanceCounts,
    /// How long it was open.
    pub lasted: Duration,
    /// How it ended.
    pub ending: AssociationEnd,
}

/// Why a connection came to no association.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionRefusal {
    /// It was rejected, and told so (PS3.8 Table 9-21).
    Rejected(RejectReason),
    /// Its address is none that is admitted. Nothing was read.
    Address,
    /// There were too many connections without an association, and this one had waited longest.
    Crowded,
    /// It did not ask for an association in time.
    Silent,
    /// It ended before it had one.
    Lost,
    /// It broke the protocol, or that of TLS, in words of ours.
    Broken(&'static str),
    /// The SCP was being stopped.
    Stopped,
}

impl From<Error> for ConnectionRefusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused { reason } => Self::Rejected(reason),
            Error::TimedOut { .. } => Self::Silent,
            Error::Protocol { problem } | Error::Tls { problem } => Self::Broken(problem),
            _ => Self::Lost,
        }
    }
}

/// What an SCP did. Holds nothing that can name a person.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum ScpEvent<'a> {
    /// It listens.
    #[non_exhaustive]
    Listening {
        /// Where.
        address: SocketAddr,
    },
    /// A connection came to no association.
    #[non_exhaustive]
    Refused {
        /// From where.
        peer: SocketAddr,
        /// Why.
        refusal: ConnectionRefusal,
    },
    /// An association was opened.
    #[non_exhaustive]
    Opened {
        /// Who opened it.
        calling: &'a AeTitle,
        /// From where, if over a network.
        peer: Option<SocketAddr>,
    },
    /// An instance was dealt with; its sender is told next.
    #[non_exhaustive]
    Instance {
        /// Who sent it.
        calling: &'a AeTitle,
        /// Its SOP class, as its command says.
        sop_class: &'a Uid,
        /// What became of it.
        outcome: StoreOutcome,
        /// The bytes of its data set that came.
        bytes: u64,
        /// How long that took, from its command on.
        took: Duration,
        /// How the handler failed, if it did.
        error: Option<&'a BackendError>,
    },
    /// An association ended.
    #[non_exhaustive]
    Ended {
        /// Who had opened it.
        calling: &'a AeTitle,
        /// From where, if over a network.
        peer: Option<SocketAddr>,
        /// How it went.
        summary: &'a AssociationSummary,
    },
}

/// Hears what an SCP does, on the threads that do it: it must not wait. What it panics with is dropped.
pub trait ScpObserver: fmt::Debug + Send + Sync {
    /// Something happened.
    fn on(&self, event: &ScpEvent<'_>);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct NoObserver;

impl ScpObserver for NoObserver {
    fn on(&self, _: &ScpEvent<'_>) {}
}

/// Tells an observer. A fault of it must neither end an association nor the listener.
pub(super) fn notify(observer: &dyn ScpObserver, event: &ScpEvent<'_>) {
    if catch_unwind(AssertUnwindSafe(|| observer.on(event))).is_err() {
        tracing::error!("the observer panicked");
    }
}

const _: () = {
    const fn shared<T: Send + Sync + ?Sized>() {}
    shared::<dyn ScpObserver>();
};
