//! [`StoreOutcome`]: the outcome of a received instance, and its status (PS3.4 section B.2.3).

use super::Outcome;
use crate::dimse::Status;

/// What became of an instance, and what its sender was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum StoreOutcome {
    /// It is stored. 0000.
    Stored,
    /// It was stored before. 0000.
    AlreadyStored,
    /// It is set aside for a person to look at. 0000.
    Quarantined,
    /// It was refused because of what it is, or how it was sent.
    Refused(Status),
    /// It could not be taken because something failed here.
    Failed(Status),
    /// It broke off.
    BrokenOff,
}

impl StoreOutcome {
    /// What the sender is told; nothing if it is gone.
    pub fn status(self) -> Option<Status> {
        match self {
            Self::Stored | Self::AlreadyStored | Self::Quarantined => Some(Status::SUCCESS),
            Self::Refused(status) | Self::Failed(status) => Some(status),
            Self::BrokenOff => None,
        }
    }
}

impl From<Outcome> for StoreOutcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Stored => Self::Stored,
            Outcome::AlreadyStored => Self::AlreadyStored,
            Outcome::Quarantined => Self::Quarantined,
            Outcome::OutOfResources => Self::Failed(Status::OUT_OF_RESOURCES),
            Outcome::Mismatch => Self::Refused(Status::DATA_SET_DOES_NOT_MATCH),
            Outcome::CannotUnderstand => Self::Refused(Status::CANNOT_UNDERSTAND),
            Outcome::ClassNotSupported => Self::Refused(Status::SOP_CLASS_NOT_SUPPORTED),
            Outcome::BrokenOff => Self::BrokenOff,
        }
    }
}
