//! [`InstanceHandler`]: takes the instances that a C-STORE request sends, in an SCP or a C-GET (PS3.7
//! section 9.1.1).

use std::fmt;
use std::io::BufRead;
use std::net::SocketAddr;

use super::{Originator, Status};
use crate::{AeTitle, BackendError, InstanceUid, Remedy, Uid};

/// What is known of an instance before its data set is read. `Debug` shows no SOP instance UID.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Instance {
    /// Affected SOP Class UID (0000,0002).
    pub sop_class: Uid,
    /// Affected SOP Instance UID (0000,1000).
    pub sop_instance: InstanceUid,
    /// How the data set is encoded, as its presentation context says.
    pub transfer_syntax: Uid,
    /// Who sends it.
    pub calling: AeTitle,
    /// From where, if it came over a network.
    pub peer: Option<SocketAddr>,
    /// Who asked for it, if it is sent for a C-MOVE and the sender says so.
    pub originator: Option<Originator>,
}

impl Instance {
    /// An instance that came from `calling`.
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

    /// Sets from where it came.
    #[must_use]
    pub fn with_peer(self, peer: SocketAddr) -> Self {
        Self {
            peer: Some(peer),
            ..self
        }
    }

    /// Sets who asked for it.
    #[must_use]
    pub fn with_originator(self, originator: Originator) -> Self {
        Self {
            originator: Some(originator),
            ..self
        }
    }
}

/// What became of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is stored, and survives a power cut.
    Stored,
    /// It was stored before.
    AlreadyStored,
    /// It was well sent, but is set aside for a person to look at; that survives a power cut.
    Quarantined,
    /// There is no room, or no time, for it now. Nothing was kept.
    OutOfResources,
    /// Its data set and its command disagree. Nothing was kept.
    Mismatch,
    /// Its data set cannot be understood. Nothing was kept.
    CannotUnderstand,
    /// Its SOP class is not one that is taken. Nothing was kept.
    ClassNotSupported,
    /// Its body broke off. Nothing was kept, and there is nobody left to answer.
    BrokenOff,
}

impl Outcome {
    /// The status that answers the sender; none if it is gone.
    pub const fn status(self) -> Option<Status> {
        match self {
            // The sender is done with it: sending again would end no other way.
            Self::Stored | Self::AlreadyStored | Self::Quarantined => Some(Status::SUCCESS),
            Self::OutOfResources => Some(Status::OUT_OF_RESOURCES),
            Self::Mismatch => Some(Status::DATA_SET_DOES_NOT_MATCH),
            Self::CannotUnderstand => Some(Status::CANNOT_UNDERSTAND),
            Self::ClassNotSupported => Some(Status::SOP_CLASS_NOT_SUPPORTED),
            Self::BrokenOff => None,
        }
    }
}

/// The status that answers the sender when a handler failed: it may try again, unless it is this
/// instance that cannot be dealt with.
pub const fn failure_status(error: &BackendError) -> Status {
    match error.remedy {
        Remedy::Retry | Remedy::Stop => Status::OUT_OF_RESOURCES,
        Remedy::Skip => Status::CANNOT_UNDERSTAND,
    }
}

/// Takes the instances that an SCP receives.
///
/// # Contract
/// * It returns [`Outcome::Stored`], [`AlreadyStored`](Outcome::AlreadyStored) or
///   [`Quarantined`](Outcome::Quarantined) only when that survives a power cut: the sender may forget
///   the instance then.
/// * When `body` fails, nothing is kept and the outcome is [`Outcome::BrokenOff`].
/// * An instance sent again is taken again, and kept once, also when both come at the same time.
/// * Any number of threads call it; one that waits holds up its own sender only. `body` need not be
///   read to its end: the SCP drops the rest.
/// * `testing::conformance::handler` (feature `testing`) passes.
pub trait InstanceHandler: fmt::Debug + Send + Sync {
    /// Takes one instance. `body` is its data set, without preamble and file meta information, and
    /// ends where the data set ends.
    ///
    /// # Errors
    /// [`BackendError`] if the handler failed and nothing was kept. [`failure_status`] answers it.
    fn handle(&self, instance: &Instance, body: &mut dyn BufRead) -> Result<Outcome, BackendError>;
}

const _: () = {
    const fn shared<T: Send + Sync + ?Sized>() {}
    shared::<dyn InstanceHandler>();
};
