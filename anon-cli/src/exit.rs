//! How a run ends: [`Failure`] marks an error, and [`code`] turns it into an exit code, once.

use std::process::ExitCode;

/// What kind of error ended a run. Attached to an error as context, or an error by itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Bad configuration, bad script, or no project: exit code 3.
    #[error("{0}")]
    Configuration(String),
    /// Locked, disk, permissions: exit code 4.
    #[error("{0}")]
    CannotRun(String),
    /// A peer refused, or cannot be reached: exit code 5.
    #[error("{0}")]
    Peer(String),
    /// The reader of standard output has gone: not worth a word.
    #[error("nobody reads standard output")]
    NoReader,
}

impl Failure {
    pub(crate) fn configuration(message: impl Into<String>) -> anyhow::Error {
        Self::Configuration(message.into()).into()
    }

    /// A failure that another process of ours had, by its exit code.
    pub(crate) fn from_exit_code(code: u8, message: String) -> anyhow::Error {
        match code {
            3 => Self::Configuration(message),
            5 => Self::Peer(message),
            _ => Self::CannotRun(message),
        }
        .into()
    }

    pub(crate) fn cannot_run(message: impl Into<String>) -> anyhow::Error {
        Self::CannotRun(message.into()).into()
    }
}

/// How a run that was not stopped by an error ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// Everything is done.
    Done,
    /// Done, but some instances failed or were quarantined.
    Partial,
    /// Faults were found in what was checked, or in what is set.
    BadConfiguration,
    /// Something failed that ends the work; what was done so far is told.
    CannotContinue,
    /// A peer refused, or went away; what was done so far is told.
    PeerFailed,
    /// A signal ended it, cleanly.
    Signalled(i32),
}

impl ExitStatus {
    /// Its exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Partial => 1,
            Self::BadConfiguration => 3,
            Self::CannotContinue => 4,
            Self::PeerFailed => 5,
            // As shells count: 130 for SIGINT, 143 for SIGTERM.
            Self::Signalled(signal) => 128_u8.saturating_add(u8::try_from(signal).unwrap_or(0)),
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}

/// The exit code of an error. What carries no [`Failure`] could not run.
pub(crate) fn code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<Failure>() {
        Some(Failure::Configuration(_)) => 3,
        Some(Failure::Peer(_)) => 5,
        Some(Failure::NoReader) => 0,
        Some(Failure::CannotRun(_)) | None => 4,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn context_marks_an_error() {
        let error = Err::<(), _>(anyhow!("inner"))
            .context(Failure::Configuration("no project".into()))
            .context("more words")
            .unwrap_err();
        assert_eq!(code(&error), 3);
        assert_eq!(format!("{error:#}"), "more words: no project: inner");
        assert_eq!(code(&anyhow!("disk")), 4);
        assert_eq!(code(&Failure::cannot_run("locked")), 4);
        assert_eq!(code(&Failure::Peer("away".into()).into()), 5);
    }

    #[test]
    fn signals_count_as_shells_do() {
        assert_eq!(ExitStatus::Signalled(2).code(), 130);
        assert_eq!(ExitStatus::Signalled(15).code(), 143);
    }
}
