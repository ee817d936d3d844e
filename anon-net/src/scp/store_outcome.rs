//! [`StoreOutcome`]: the outcome of a received instance, and its status (PS3.4 section B.2.3).

use super::Outcome;
use crate::dimse::Status;

/// The outcome of a received instance, and the status of the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum StoreOutcome {
    /// Stored. 0000.
    Stored,
    /// Already stored before. 0000.
    AlreadyStored,
    /// Quarantined for review by a person. 0000.
    Quarantined,
    /// Refused because of the instance or the request.
    Refused(Status),
    /// Failed because of an error on our side.
    Failed(Status),
    /// The data set ended early. No response was sent.
    BrokenOff,
}

impl StoreOutcome {
    /// Returns the status of the response. `None` if no response was sent.
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
