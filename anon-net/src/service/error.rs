//! [`ServiceError`]: why a service was not done, and what to do about it.

use std::io;
use std::time::Duration;

use crate::dimse::{Operation, Status};
use crate::identifier::IdentifierError;
use crate::{Error, Remedy, Uid};

/// Why a service was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The association could not be opened, or did not carry the service to its end.
    #[error(transparent)]
    Association(Error),
    /// The peer does not take this: it refused the presentation context.
    #[error("the peer refused the presentation context {sop_class} in {}", .transfer_syntax.as_ref().map_or("every transfer syntax", Uid::as_str))]
    ContextRefused {
        /// What was to be done.
        sop_class: Uid,
        /// In which encoding; none if any was offered.
        transfer_syntax: Option<Uid>,
    },
    /// The peer did not do it, and says so.
    #[error("the peer answers the {operation} with status {status}")]
    Refused {
        /// What was asked for.
        operation: Operation,
        /// What it says.
        status: Status,
    },
    /// What was to be sent cannot be read. Nothing of it was sent.
    #[error("what is to be sent cannot be read: {kind}")]
    Unreadable {
        /// What kind of error it was.
        kind: io::ErrorKind,
    },
    /// What was to be sent is no DICOM file (PS3.10 section 7). Nothing of it was sent.
    #[error("what is to be sent is no DICOM file: {problem}")]
    NotDicom {
        /// What is wrong, in words of ours.
        problem: &'static str,
    },
    /// The peer answered none of several requests in a row, each on an association of its own. Why
    /// each failed was told with it.
    #[error("the peer answers nothing, on one association after the other")]
    NoAnswer {
        /// What to do about the last of them.
        remedy: Remedy,
    },
    /// An identifier cannot be read, or one of ours not be written. If it is the peer's, the
    /// association was aborted.
    #[error(transparent)]
    Identifier(#[from] IdentifierError),
    /// The peer answers more than can be: it was told to stop.
    #[error("the peer has more than {limit} answers to the {operation}")]
    TooMany {
        /// What was asked for.
        operation: Operation,
        /// The most that are taken.
        limit: u32,
    },
    /// The peer has nothing of what was asked for.
    #[error("the peer has nothing of it")]
    NotFound,
    /// The peer says that all was sent, and not all arrived.
    #[error("not all arrived, and nothing more came for {after:?}")]
    Stalled {
        /// For how long nothing came.
        after: Duration,
    },
    /// The caller wished the end.
    #[error("it was cancelled")]
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
    /// What to do about it.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Association(error) => error.remedy(),
            Self::Refused { status, .. } => remedy(*status),
            Self::Stalled { .. } => Remedy::Retry,
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

/// A peer that is out of resources may have some later: A7xx of the services (PS3.4 Tables B.2-1 and
/// C.4-1), and resource limitation (PS3.7 section C.5.25). What it is not allowed (PS3.7 section
/// C.5.24) or cannot do (section C.5.23) stays so.
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
    fn each_error_has_its_remedy() {
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
            (ServiceError::Cancelled, Remedy::Stop),
        ];
        for (error, remedy) in table {
            assert_eq!(error.remedy(), remedy, "{error:?}");
        }
    }
}
