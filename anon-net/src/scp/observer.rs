//! [`ScpObserver`]: receives the events of an SCP.

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
    /// Released by the peer.
    Released,
    /// Aborted by the peer.
    Aborted(AbortedBy),
    /// The connection was lost.
    Lost,
    /// We aborted: no message arrived within the idle timeout.
    Idle,
    /// We aborted: the peer stopped inside a message, or did not read our response.
    Stalled(Waiting),
    /// We aborted: the peer violated the protocol. Holds a constant text.
    Broken(&'static str),
    /// We aborted: no message had arrived since the association was opened, and another peer needed
    /// its place.
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
            Error::Limit { .. } => {
                Self::Broken("it accepts only PDUs that are too short for a response")
            }
            _ => Self::Lost,
        }
    }
}

/// The result of an association that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AssociationSummary {
    /// The outcomes of its instances.
    pub counts: InstanceCounts,
    /// How long it was open.
    pub lasted: Duration,
    /// How it ended.
    pub ending: AssociationEnd,
}

/// Why a connection ended without an association.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionRefusal {
    /// It was rejected with an A-ASSOCIATE-RJ (PS3.8 Table 9-21).
    Rejected(RejectReason),
    /// Its address is not admitted. Nothing was read.
    Address,
    /// Too many connections had no association, and this one had waited longest.
    Crowded,
    /// It did not request an association in time.
    Silent,
    /// The connection was lost.
    Lost,
    /// The peer violated the DICOM or TLS protocol. Holds a constant text.
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

/// An event of an SCP. Contains nothing that identifies a person.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum ScpEvent<'a> {
    /// The SCP listens.
    #[non_exhaustive]
    Listening {
        /// The local address.
        address: SocketAddr,
    },
    /// A connection ended without an association.
    #[non_exhaustive]
    Refused {
        /// The peer's address.
        peer: SocketAddr,
        /// The reason.
        refusal: ConnectionRefusal,
    },
    /// An association was opened.
    #[non_exhaustive]
    Opened {
        /// The calling AE title.
        calling: &'a AeTitle,
        /// The peer's address. `None` without a network.
        peer: Option<SocketAddr>,
    },
    /// An instance was handled. The response is sent after this event.
    #[non_exhaustive]
    Instance {
        /// The calling AE title.
        calling: &'a AeTitle,
        /// The SOP class of the request.
        sop_class: &'a Uid,
        /// The outcome.
        outcome: StoreOutcome,
        /// The number of bytes of the data set that were received.
        bytes: u64,
        /// The time since the command set was received.
        took: Duration,
        /// The error of the handler, if it failed.
        error: Option<&'a BackendError>,
    },
    /// An association ended.
    #[non_exhaustive]
    Ended {
        /// The calling AE title.
        calling: &'a AeTitle,
        /// The peer's address. `None` without a network.
        peer: Option<SocketAddr>,
        /// Its result.
        summary: &'a AssociationSummary,
    },
}

/// Receives the events of an SCP. It is called on the threads of the associations, so it must not
/// block. A panic is logged and otherwise ignored.
pub trait ScpObserver: fmt::Debug + Send + Sync {
    /// Is called for each event.
    fn on(&self, event: &ScpEvent<'_>);
}

/// An observer that ignores all events.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct NoObserver;

impl ScpObserver for NoObserver {
    fn on(&self, _: &ScpEvent<'_>) {}
}

/// Notifies an observer. Its panic must end neither the association nor the listener.
pub(super) fn notify(observer: &dyn ScpObserver, event: &ScpEvent<'_>) {
    if catch_unwind(AssertUnwindSafe(|| observer.on(event))).is_err() {
        tracing::error!("the observer panicked");
    }
}

const _: () = {
    const fn shared<T: Send + Sync + ?Sized>() {}
    shared::<dyn ScpObserver>();
};
