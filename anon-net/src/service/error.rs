//! [`ServiceError`]: why a service failed, and what to do about it.

use std::io;
use std::time::Duration;

use crate::dimse::{Operation, Status};
use crate::identifier::IdentifierError;
use crate::{Error, Remedy, Uid};

/// Why a service failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The association could not be opened, or ended early.
    #[error(transparent)]
    Association(Error),
    /// The peer did not accept the presentation context.
    #[error("the peer does not accept the presentation context {sop_class} with {}", .transfer_syntax.as_ref().map_or_else(|| "any transfer syntax".to_owned(), Uid::to_string))]
    ContextRefused {
        /// The SOP class.
        sop_class: Uid,
        /// The transfer syntax. `None` if several were proposed.
        transfer_syntax: Option<Uid>,
    },
    /// The peer answered with a failure status.
    #[error("the peer answered the {operation} with status {status}")]
    Refused {
        /// The operation.
        operation: Operation,
        /// The status of the response.
        status: Status,
    },
    /// The data to send could not be read. None of it was sent.
    #[error("the data to send cannot be read: {kind}")]
    Unreadable {
        /// The kind of the I/O error.
        kind: io::ErrorKind,
    },
    /// The data to send is not a DICOM file (PS3.10 section 7). None of it was sent.
    #[error("the data to send is not a DICOM file: {problem}")]
    NotDicom {
        /// What is wrong. A constant of this crate, never part of the file.
        problem: &'static str,
    },
    /// The peer answered none of several requests in a row, each on a new association. The cause of
    /// each failure was reported with its item.
    #[error("the peer answered no request on several associations in a row")]
    NoAnswer {
        /// What to do about the last failure.
        remedy: Remedy,
    },
    /// An identifier cannot be decoded or encoded. If the peer sent it, the association was
    /// aborted.
    #[error(transparent)]
    Identifier(#[from] IdentifierError),
    /// The peer sent more responses than the limit, and the operation was cancelled.
    #[error("the peer sent more than {limit} responses to the {operation}")]
    TooMany {
        /// The operation.
        operation: Operation,
        /// The limit.
        limit: u32,
    },
    /// The peer has no instance of the study.
    #[error("the peer has no instance of the study")]
    NotFound,
    /// The peer reports that all instances were sent, but some did not arrive.
    #[error("some instances did not arrive, and nothing arrived for {after:?}")]
    Stalled {
        /// The time without an arrival.
        after: Duration,
    },
    /// The peer ended a C-GET and has not sent some of the instances. A peer can send only what it
    /// has in a storage class and transfer syntax that both sides accepted for the association
    /// (PS3.4 section C.4.3).
    #[error("the peer ended the C-GET without sending some instances")]
    NotSent {
        /// The last failure status with which we answered one of its C-STORE requests. `None` if
        /// we took each instance that it sent.
        answered: Option<Status>,
    },
    /// The caller cancelled the operation.
    #[error("the operation was cancelled")]
    Cancelled,
}

impl From<Error> for ServiceError {
    fn from(error: Error) -> Self {
        match error {
            Error::Cancelled => Self::Cancelled,
            error => Self::Association(error),
        }
    }
}

impl ServiceError {
    /// Returns what to do about the error.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Association(error) => error.remedy(),
            Self::Refused { status, .. } => remedy(*status),
            Self::Stalled { .. } => Remedy::Retry,
            Self::NotSent { answered } => answered.map_or(Remedy::Skip, remedy),
            Self::NoAnswer { remedy } => *remedy,
            Self::ContextRefused { .. }
            | Self::Unreadable { .. }
            | Self::NotDicom { .. }
            | Self::Identifier(_)
            | Self::NotFound
            | Self::TooMany { .. } => Remedy::Skip,
            Self::Cancelled => Remedy::Stop,
        }
    }
}

/// A peer that is out of resources may succeed later: status A7xx (PS3.4 Tables B.2-1 and C.4-1)
/// and resource limitation (PS3.7 section C.5.25). Not authorized (PS3.7 section C.5.24) and
/// unrecognized operation (section C.5.23) are permanent.
fn remedy(status: Status) -> Remedy {
    match status.code() {
        0xA700..=0xA7FF | 0x0213 => Remedy::Retry,
        0x0124 | 0x0211 => Remedy::Stop,
        _ => Remedy::Skip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_the_documented_remedy() {
        let refused = |code| ServiceError::Refused {
            operation: Operation::Store,
            status: Status::new(code),
        };
        let sop_class = Uid::new("1.2").unwrap();
        let table = [
            (Error::Lost.into(), Remedy::Retry),
            (refused(0xA700), Remedy::Retry),
            (refused(0xA701), Remedy::Retry),
            (refused(0x0213), Remedy::Retry),
            (refused(0xA900), Remedy::Skip),
            (refused(0xC000), Remedy::Skip),
            (refused(0x0122), Remedy::Skip),
            (refused(0x0124), Remedy::Stop),
            (refused(0x0211), Remedy::Stop),
            (
                ServiceError::ContextRefused {
                    sop_class,
                    transfer_syntax: None,
                },
                Remedy::Skip,
            ),
            (
                ServiceError::Unreadable {
                    kind: io::ErrorKind::NotFound,
                },
                Remedy::Skip,
            ),
            (
                ServiceError::NotDicom {
                    problem: "it is empty",
                },
                Remedy::Skip,
            ),
            (
                ServiceError::NoAnswer {
                    remedy: Remedy::Retry,
                },
                Remedy::Retry,
            ),
            (IdentifierError::Truncated.into(), Remedy::Skip),
            (
                ServiceError::TooMany {
                    operation: Operation::Find,
                    limit: 1,
                },
                Remedy::Skip,
            ),
            (ServiceError::NotFound, Remedy::Skip),
            (
                ServiceError::Stalled {
                    after: Duration::ZERO,
                },
                Remedy::Retry,
            ),
            (ServiceError::NotSent { answered: None }, Remedy::Skip),
            (
                ServiceError::NotSent {
                    answered: Some(Status::OUT_OF_RESOURCES),
                },
                Remedy::Retry,
            ),
            (ServiceError::Cancelled, Remedy::Stop),
        ];
        for (error, remedy) in table {
            assert_eq!(error.remedy(), remedy, "{error:?}");
        }
    }
}
