//! Errors of associations, and what to do about them.

use std::io;
use std::time::Duration;

use crate::context_id::ContextId;

/// What to do about an [`Error`].
///
/// Each leaf crate has its own type, because the remedies differ and leaf crates do not depend on
/// each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Remedy {
    /// The same call may succeed later, on a new association.
    Retry,
    /// This message or instance cannot be processed. Others can.
    Skip,
    /// Nothing can continue until a person intervenes.
    Stop,
}

/// A text that has the wrong form. The error does not contain the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what} of {len} bytes: {problem}")]
#[non_exhaustive]
pub struct TextError {
    /// What the text was read as.
    pub what: &'static str,
    /// The length of the text in bytes.
    pub len: usize,
    /// What is wrong. A constant of this crate, never part of the text.
    pub problem: &'static str,
}

impl TextError {
    pub(crate) fn new(what: &'static str, text: &str, problem: &'static str) -> Self {
        let len = text.len();
        Self { what, len, problem }
    }
}

/// An error of the caller's implementation of a trait.
///
/// Each leaf crate has its own type, because it carries that crate's [`Remedy`].
#[derive(Debug, thiserror::Error)]
#[error("the program behind the network failed")]
#[non_exhaustive]
pub struct BackendError {
    /// What to do about it.
    pub remedy: Remedy,
    /// What happened. Must not contain an identifying value.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl BackendError {
    /// Creates an error with its remedy.
    pub fn new(
        remedy: Remedy,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            remedy,
            source: source.into(),
        }
    }
}

/// For how long an association is rejected: the Result field of A-ASSOCIATE-RJ (PS3.8 Table 9-21).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the standard has these two")]
pub enum RejectResult {
    /// Rejected-permanent: retrying does not help until a setting changes.
    Permanent,
    /// Rejected-transient: a later attempt may succeed.
    Transient,
}

/// Why an association is rejected: the Source and Reason fields of A-ASSOCIATE-RJ (PS3.8 Table
/// 9-21).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RejectReason {
    /// No reason given.
    #[error("no reason given")]
    NoReason,
    /// The application context name is not supported.
    #[error("the application context name is not supported")]
    ApplicationContext,
    /// The calling AE title is not recognized.
    #[error("the calling AE title is not recognized")]
    CallingTitle,
    /// The called AE title is not recognized.
    #[error("the called AE title is not recognized")]
    CalledTitle,
    /// The protocol version is not supported.
    #[error("the protocol version is not supported")]
    ProtocolVersion,
    /// Temporary congestion.
    #[error("temporary congestion")]
    Congestion,
    /// The local limit of associations is exceeded.
    #[error("the limit of associations is exceeded")]
    LocalLimit,
}

/// Who aborted the association: the Source field of A-ABORT (PS3.8 Table 9-26).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the standard has these two")]
pub enum AbortedBy {
    /// The service user: the peer's application.
    User,
    /// The service provider: the peer's upper layer, which found a protocol error.
    Provider,
}

/// What a call was waiting for when it timed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Waiting {
    /// The response to an association request.
    #[error("an association")]
    Association,
    /// The next fragment of a message.
    #[error("a message")]
    Message,
    /// The peer to read what was sent.
    #[error("the peer to read")]
    Room,
    /// The response to a release request.
    #[error("the response to a release")]
    Release,
}

/// Why a network call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No connection could be established.
    #[error("cannot connect: {kind}")]
    Connect {
        /// The kind of the I/O error.
        kind: io::ErrorKind,
    },
    /// The peer rejected the association (A-ASSOCIATE-RJ).
    #[error("the peer rejected the association: {reason}")]
    Rejected {
        /// For how long.
        result: RejectResult,
        /// Why.
        reason: RejectReason,
    },
    /// We rejected the peer's association request.
    #[error("the association request of the peer was rejected: {reason}")]
    Refused {
        /// The reason that the peer was given.
        reason: RejectReason,
    },
    /// The peer aborted the association (A-ABORT), which is now closed.
    #[error("the peer aborted the association")]
    Aborted {
        /// Who aborted.
        by: AbortedBy,
    },
    /// The connection was lost without an A-ABORT. The association is closed.
    #[error("the connection was lost")]
    Lost,
    /// The association was already closed.
    #[error("the association is closed")]
    Closed,
    /// The caller cancelled the call. The association was aborted.
    #[error("the call was cancelled")]
    Cancelled,
    /// The timeout expired.
    #[error("timed out after {after:?} waiting for {waiting}")]
    TimedOut {
        /// What the call was waiting for.
        waiting: Waiting,
        /// The timeout.
        after: Duration,
    },
    /// A fragment names a presentation context that was not accepted. Nothing was sent.
    #[error("presentation context {id} was not accepted")]
    Context {
        /// The id of the context.
        id: ContextId,
    },
    /// A limit was exceeded. Nothing was sent.
    #[error("{what}: {found}, the limit is {limit}")]
    Limit {
        /// What was counted or measured.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// The value found.
        found: u64,
    },
    /// The data to send could not be read. The association was aborted, because part of the message
    /// was already sent.
    #[error("the data to send cannot be read: {kind}")]
    Unreadable {
        /// The kind of the I/O error.
        kind: io::ErrorKind,
    },
    /// The peer violated the protocol.
    #[error("the peer violated the protocol: {problem}")]
    Protocol {
        /// What it did. A constant of this crate, never bytes of the peer.
        problem: &'static str,
    },
    /// The TLS handshake or the TLS connection failed.
    #[error("TLS with the peer failed: {problem}")]
    Tls {
        /// Why. A constant of this crate, never text of a certificate.
        problem: &'static str,
    },
    /// An implementation that the caller supplied failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl Error {
    /// Returns what to do about the error.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Rejected { result, .. } => match result {
                RejectResult::Permanent => Remedy::Stop,
                RejectResult::Transient => Remedy::Retry,
            },
            Self::Connect { .. }
            | Self::Aborted { .. }
            | Self::Lost
            | Self::Closed
            | Self::TimedOut { .. } => Remedy::Retry,
            Self::Context { .. }
            | Self::Limit { .. }
            | Self::Unreadable { .. }
            | Self::Refused { .. } => Remedy::Skip,
            Self::Protocol { .. } | Self::Tls { .. } | Self::Cancelled => Remedy::Stop,
            Self::Backend(error) => error.remedy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_the_documented_remedy() {
        let rejected = |result| Error::Rejected {
            result,
            reason: RejectReason::CallingTitle,
        };
        let table = [
            (
                Error::Connect {
                    kind: io::ErrorKind::ConnectionRefused,
                },
                Remedy::Retry,
            ),
            (rejected(RejectResult::Permanent), Remedy::Stop),
            (rejected(RejectResult::Transient), Remedy::Retry),
            (
                Error::Aborted {
                    by: AbortedBy::User,
                },
                Remedy::Retry,
            ),
            (
                Error::Refused {
                    reason: RejectReason::CalledTitle,
                },
                Remedy::Skip,
            ),
            (Error::Lost, Remedy::Retry),
            (Error::Closed, Remedy::Retry),
            (Error::Cancelled, Remedy::Stop),
            (
                Error::TimedOut {
                    waiting: Waiting::Room,
                    after: Duration::ZERO,
                },
                Remedy::Retry,
            ),
            (
                Error::Context {
                    id: ContextId::FIRST,
                },
                Remedy::Skip,
            ),
            (
                Error::Limit {
                    what: "bytes",
                    limit: 1,
                    found: 2,
                },
                Remedy::Skip,
            ),
            (
                Error::Unreadable {
                    kind: io::ErrorKind::NotFound,
                },
                Remedy::Skip,
            ),
            (
                Error::Protocol {
                    problem: "it speaks HTTP",
                },
                Remedy::Stop,
            ),
            (
                Error::Tls {
                    problem: "it presents no certificate",
                },
                Remedy::Stop,
            ),
            (BackendError::new(Remedy::Skip, "no").into(), Remedy::Skip),
        ];
        for (error, remedy) in table {
            assert_eq!(error.remedy(), remedy, "{error:?}");
        }
    }
}
