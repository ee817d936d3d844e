//! [`InstanceHandler`]: processes the instances received by C-STORE, in an SCP or during a C-GET
//! (PS3.7 section 9.1.1).

use std::fmt;
use std::io::BufRead;
use std::net::SocketAddr;

use super::{Originator, Status};
use crate::{AeTitle, BackendError, InstanceUid, Remedy, Uid};

/// What the C-STORE request says of an instance. `Debug` shows no SOP instance UID.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Instance {
    /// Affected SOP Class UID (0000,0002).
    pub sop_class: Uid,
    /// Affected SOP Instance UID (0000,1000).
    pub sop_instance: InstanceUid,
    /// The transfer syntax of the presentation context.
    pub transfer_syntax: Uid,
    /// The AE title of the sender.
    pub calling: AeTitle,
    /// The network address of the sender. `None` without a network.
    pub peer: Option<SocketAddr>,
    /// The C-MOVE that caused this C-STORE, if the sender names it.
    pub originator: Option<Originator>,
}

impl Instance {
    /// Creates an instance sent by `calling`.
    pub fn new(
        sop_class: Uid,
        sop_instance: InstanceUid,
        transfer_syntax: Uid,
        calling: AeTitle,
    ) -> Self {
        Self {
            sop_class,
            sop_instance,
            transfer_syntax,
            calling,
            peer: None,
            originator: None,
        }
    }

    /// Sets the network address of the sender.
    #[must_use]
    pub fn with_peer(self, peer: SocketAddr) -> Self {
        Self {
            peer: Some(peer),
            ..self
        }
    }

    /// Sets the C-MOVE that caused this C-STORE.
    #[must_use]
    pub fn with_originator(self, originator: Originator) -> Self {
        Self {
            originator: Some(originator),
            ..self
        }
    }
}

/// The result of handling an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Stored, durable across a power cut.
    Stored,
    /// Already stored before.
    AlreadyStored,
    /// Quarantined for review by a person, durable across a power cut.
    Quarantined,
    /// No storage space or time for it now. Nothing was kept.
    OutOfResources,
    /// The data set does not match the SOP class or instance of the request. Nothing was kept.
    Mismatch,
    /// The data set cannot be understood. Nothing was kept.
    CannotUnderstand,
    /// The SOP class is not accepted. Nothing was kept.
    ClassNotSupported,
    /// The body ended early. Nothing was kept, and no response can be sent.
    BrokenOff,
}

impl Outcome {
    /// Returns the status of the response. `None` if no response can be sent.
    pub const fn status(self) -> Option<Status> {
        match self {
            // Success also for quarantine: sending the instance again would give the same result.
            Self::Stored | Self::AlreadyStored | Self::Quarantined => Some(Status::SUCCESS),
            Self::OutOfResources => Some(Status::OUT_OF_RESOURCES),
            Self::Mismatch => Some(Status::DATA_SET_DOES_NOT_MATCH),
            Self::CannotUnderstand => Some(Status::CANNOT_UNDERSTAND),
            Self::ClassNotSupported => Some(Status::SOP_CLASS_NOT_SUPPORTED),
            Self::BrokenOff => None,
        }
    }

    /// Adds why the instance was not stored.
    pub fn because(self, reason: impl Into<String>) -> HandlerResponse {
        HandlerResponse {
            outcome: self,
            reason: Some(reason.into()),
        }
    }
}

/// What a handler did with an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandlerResponse {
    /// The outcome.
    pub outcome: Outcome,
    /// Why the instance was not stored. It is logged, and its first words are sent to the peer as
    /// the Error Comment of a failure, so it must not contain an identifying value.
    pub reason: Option<String>,
}

impl From<Outcome> for HandlerResponse {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            reason: None,
        }
    }
}

/// Returns the status of the response after a handler error. The sender may try again, unless the
/// error concerns only this instance.
pub const fn failure_status(error: &BackendError) -> Status {
    match error.remedy {
        Remedy::Retry | Remedy::Stop => Status::OUT_OF_RESOURCES,
        Remedy::Skip => Status::CANNOT_UNDERSTAND,
    }
}

/// Processes the instances that an SCP or a C-GET receives.
///
/// # Contract
/// * It returns [`Outcome::Stored`], [`AlreadyStored`](Outcome::AlreadyStored) or
///   [`Quarantined`](Outcome::Quarantined) only once the result is durable across a power cut. The
///   sender may delete its copy then.
/// * If reading `body` fails, it keeps nothing and returns [`Outcome::BrokenOff`].
/// * It accepts an instance that is sent again, and keeps it once, also if both copies arrive at
///   the same time.
/// * It may be called from any number of threads. A call that blocks delays only its own sender. It
///   need not read `body` to the end: the SCP drops the rest.
/// * `testing::conformance::handler` (feature `testing`) passes.
pub trait InstanceHandler: fmt::Debug + Send + Sync {
    /// Processes one instance. `body` is its data set, without preamble and file meta information,
    /// and ends where the data set ends.
    ///
    /// An [`Outcome`] converts into a response without a reason;
    /// [`because`](Outcome::because) adds one.
    ///
    /// # Errors
    /// [`BackendError`] if the handler failed and kept nothing. The response gets the status of
    /// [`failure_status`].
    fn handle(
        &self,
        instance: &Instance,
        body: &mut dyn BufRead,
    ) -> Result<HandlerResponse, BackendError>;
}

const _: () = {
    const fn shared<T: Send + Sync + ?Sized>() {}
    shared::<dyn InstanceHandler>();
};
