//! What can go wrong on an association, and what to do about it.

use std::io;
use std::time::Duration;

use crate::context_id::ContextId;

/// What to do about an [`Error`].
///
/// Each leaf crate has its own: an association can be retried or an instance skipped, while another
/// crate has other remedies, and leaf crates do not depend on each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Remedy {
    /// The same may succeed later, on a new association.
    Retry,
    /// This message or instance cannot be dealt with; others can.
    Skip,
    /// Nothing can go on until a person has looked.
    Stop,
}

/// Text that is not what it should be. Does not hold the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a {what} of {len} bytes is refused: {problem}")]
#[non_exhaustive]
pub struct TextError {
    /// What it should be.
    pub what: &'static str,
    /// Its length in bytes.
    pub len: usize,
    /// What is wrong, in words of ours.
    pub problem: &'static str,
}

impl TextError {
    pub(crate) fn new(what: &'static str, text: &str, problem: &'static str) -> Self {
        let len = text.len();
        Self { what, len, problem }
    }
}

/// The error of an implementation of a trait, which only its author knows.
///
/// Each leaf crate has its own, since it carries that crate's [`Remedy`].
#[derive(Debug, thiserror::Error)]
#[error("what stands behind the network failed")]
#[non_exhaustive]
pub struct BackendError {
    /// What to do about it.
    pub remedy: Remedy,
    /// What happened. Must not hold an identifying value.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl BackendError {
    /// An error with its remedy.
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

/// For how long an association is rejected (PS3.8 Table 9-21).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the standard has these two")]
pub enum RejectResult {
    /// Until something is changed.
    Permanent,
    /// For now.
    Transient,
}

/// Why an association is rejected (PS3.8 Table 9-21).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RejectReason {
    /// The acceptor gives no reason.
    #[error("it gives no reason")]
    NoReason,
    /// The application context is not DICOM's.
    #[error("it does not know the application context")]
    ApplicationContext,
    /// The calling AE title is none that it admits.
    #[error("it does not know the calling AE title")]
    CallingTitle,
    /// The called AE title is not its own.
    #[error("the called AE title is not its own")]
    CalledTitle,
    /// The protocol version is none that it speaks.
    #[error("it does not speak the protocol version")]
    ProtocolVersion,
    /// It is busy for the moment.
    #[error("it is congested")]
    Congestion,
    /// It has as many associations as it takes.
    #[error("it has as many associations as it takes")]
    LocalLimit,
}

/// Who aborted (PS3.8 Table 9-26).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the standard has these two")]
pub enum AbortedBy {
    /// The peer's application.
    User,
    /// The peer's protocol machine: it did not understand us.
    Provider,
}

/// What was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Waiting {
    /// The answer to a proposal.
    #[error("an association")]
    Association,
    /// The next fragment.
    #[error("a message")]
    Message,
    /// Room to send.
    #[error("the peer to read")]
    Room,
    /// The answer to a release.
    #[error("the end of the association")]
    Release,
}

/// Why a call on the network failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody listens there, or the way is barred.
    #[error("cannot connect: {kind}")]
    Connect {
        /// What kind of error it was.
        kind: io::ErrorKind,
    },
    /// The peer rejected the association.
    #[error("the peer rejected the association: {reason}")]
    Rejected {
        /// For how long.
        result: RejectResult,
        /// Why.
        reason: RejectReason,
    },
    /// We rejected the peer's proposal.
    #[error("the proposal of the peer was rejected: {reason}")]
    Refused {
        /// What it was told, from its point of view.
        reason: RejectReason,
    },
    /// The peer aborted. The association is closed.
    #[error("the peer aborted the association")]
    Aborted {
        /// Who did.
        by: AbortedBy,
    },
    /// The connection broke without an abort. The association is closed.
    #[error("the connection was lost")]
    Lost,
    /// The association was closed before.
    #[error("the association is closed")]
    Closed,
    /// The caller no longer wanted it. The association was aborted.
    #[error("it was cancelled")]
    Cancelled,
    /// The time given is up.
    #[error("waited {after:?} for {waiting}")]
    TimedOut {
        /// What was waited for.
        waiting: Waiting,
        /// For how long.
        after: Duration,
    },
    /// A fragment is for a context that was not accepted. Nothing was sent.
    #[error("presentation context {id} was not accepted")]
    Context {
        /// The context.
        id: ContextId,
    },
    /// Something is longer, or there is more of it, than may be. Nothing was sent.
    #[error("{what}: {found}, at most {limit}")]
    Limit {
        /// What it is.
        what: &'static str,
        /// The most there may be.
        limit: u64,
        /// What there is.
        found: u64,
    },
    /// What was to be sent cannot be read. The association was aborted, since half of it was on its way.
    #[error("what is to be sent cannot be read: {kind}")]
    Unreadable {
        /// What kind of error it was.
        kind: io::ErrorKind,
    },
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {problem}")]
    Protocol {
        /// How, in words of ours.
        problem: &'static str,
    },
    /// TLS could not be agreed on, or broke.
    #[error("no TLS with the peer: {problem}")]
    Tls {
        /// Why, in words of ours.
        problem: &'static str,
    },
    /// An implementation of the caller's failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl Error {
    /// What to do about it.
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
    fn each_error_has_its_remedy() {
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
                    problem: "it shows no certificate",
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
