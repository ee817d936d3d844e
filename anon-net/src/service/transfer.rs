//! What C-MOVE and C-GET have in common (PS3.4 sections C.4.2 and C.4.3).

mod association;

pub(crate) use association::{TransferAssociation, TransferObserver};

use super::ServiceError;
use crate::InstanceUid;
use crate::dimse::{Response, Status, SubOperations};
use crate::identifier::{Identifier, tag};

/// What is to be sent: a study, one of its series, or instances of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the information model has these levels"
)]
pub enum TransferTarget {
    /// All of a study.
    Study {
        /// Study Instance UID.
        study: InstanceUid,
    },
    /// All of a series.
    Series {
        /// Study Instance UID.
        study: InstanceUid,
        /// Series Instance UID.
        series: InstanceUid,
    },
    /// Some instances of a series, at least one. Most servers take a list; one at a time is understood
    /// by all.
    Instances {
        /// Study Instance UID.
        study: InstanceUid,
        /// Series Instance UID.
        series: InstanceUid,
        /// SOP Instance UIDs.
        instances: Vec<InstanceUid>,
    },
}

impl TransferTarget {
    /// The identifier that asks for it: unique keys only (PS3.4 section C.4.2.1.4).
    pub(crate) fn identifier(&self) -> Identifier {
        let mut identifier = Identifier::new();
        let mut set = |tag, uid: &InstanceUid| identifier.set(tag, uid.expose().as_bytes());
        let level: &[u8] = match self {
            Self::Study { study } => {
                set(tag::STUDY_UID, study);
                b"STUDY"
            }
            Self::Series { study, series } => {
                set(tag::STUDY_UID, study);
                set(tag::SERIES_UID, series);
                b"SERIES"
            }
            Self::Instances {
                study,
                series,
                instances,
            } => {
                set(tag::STUDY_UID, study);
                set(tag::SERIES_UID, series);
                let list: Vec<&str> = instances.iter().map(InstanceUid::expose).collect();
                identifier.set(tag::SOP_INSTANCE, list.join("\\").as_bytes());
                b"IMAGE"
            }
        };
        identifier.set(tag::LEVEL, level);
        identifier
    }
}

/// Why a peer does not send what it was asked for (PS3.4 Tables C.4-2 and C.4-3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransferFailure {
    /// It cannot count what matches. A701.
    #[error("it is out of resources: it cannot count what was asked for")]
    CannotCount,
    /// It has no resources to send. A702.
    #[error("it is out of resources: it cannot send")]
    CannotSend,
    /// It does not know the AE title that it is to send to. A801. Some servers say C000.
    #[error("it does not know the destination's AE title")]
    DestinationUnknown,
    /// What was asked for does not fit the SOP class. A900.
    #[error("what it was asked for does not fit the SOP class")]
    Mismatch,
    /// It does not do the SOP class. 0122.
    #[error("it does not do the SOP class")]
    ClassNotSupported,
    /// We may not ask for it. 0124.
    #[error("it does not let us")]
    NotAuthorized,
    /// It was not able to, and does not say why. Cxxx.
    #[error("it was not able to, and does not say why")]
    UnableToProcess,
    /// Another status that is no success.
    #[error("it gives a status without a meaning")]
    Other,
}

impl TransferFailure {
    /// What a status says; none if it is no failure.
    pub const fn of(status: Status) -> Option<Self> {
        Some(match status.code() {
            0x0000 | 0xB000..=0xBFFF | 0xFE00 | 0xFF00 | 0xFF01 => return None,
            0xA701 => Self::CannotCount,
            0xA702 | 0xA700 => Self::CannotSend,
            0xA801 => Self::DestinationUnknown,
            0xA900..=0xA9FF => Self::Mismatch,
            0x0122 => Self::ClassNotSupported,
            0x0124 => Self::NotAuthorized,
            0xC000..=0xCFFF => Self::UnableToProcess,
            _ => Self::Other,
        })
    }
}

/// How a C-MOVE or C-GET ended that was not refused. `Debug` shows no UID.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransferReport {
    /// Success (0000) or a warning (B000): some sub-operations failed.
    pub status: Status,
    /// What the peer counted, which is not always true.
    pub counts: SubOperations,
    /// The instances that it says it could not send.
    pub failed: Vec<InstanceUid>,
}

impl TransferReport {
    /// The end that a final response tells of.
    pub(crate) fn of(response: &Response, failed: Vec<InstanceUid>) -> Result<Self, ServiceError> {
        let (operation, status) = (response.operation, response.status);
        let is_done = TransferFailure::of(status).is_none() && status != Status::CANCELLED;
        if !is_done {
            return Err(ServiceError::Refused { operation, status });
        }
        let counts = response.counts;
        Ok(Self {
            status,
            counts,
            failed,
        })
    }
}
