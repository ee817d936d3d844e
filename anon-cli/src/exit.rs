//! Exit codes: [`ExitStatus`] of a command that ran, and [`Failure`], which marks an error.

use std::process::ExitCode;

/// The kind of an error that ended a command. It is context of an error, or an error by itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Bad configuration, bad script, or no project: exit code 3.
    #[error("{0}")]
    Configuration(String),
    /// Locked project, disk, permissions, port in use: exit code 4.
    #[error("{0}")]
    CannotRun(String),
    /// A peer refused or cannot be reached: exit code 5.
    #[error("{0}")]
    Peer(String),
    /// The reader of standard output has closed it. Not reported: exit code 0.
    #[error("standard output was closed")]
    OutputClosed,
}

impl Failure {
    pub(crate) fn configuration(message: impl Into<String>) -> anyhow::Error {
        Self::Configuration(message.into()).into()
    }

    /// Returns the failure of another `anon` process from its exit code.
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

/// How a command ended that was not stopped by an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// Everything is done.
    Done,
    /// Done, but some instances failed or were quarantined.
    Partial,
    /// The checked script or the settings have errors.
    BadConfiguration,
    /// An error ended the work; the summary reports what was done.
    CannotContinue,
    /// A peer refused or was lost; the summary reports what was done.
    PeerFailed,
    /// A signal ended the command cleanly.
    Signalled(i32),
}

impl ExitStatus {
    /// Returns the exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Partial => 1,
            Self::BadConfiguration => 3,
            Self::CannotContinue => 4,
            Self::PeerFailed => 5,
            // The convention of shells: 130 for SIGINT, 143 for SIGTERM.
            Self::Signalled(signal) => 128_u8.saturating_add(u8::try_from(signal).unwrap_or(0)),
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}

/// Returns the exit code of an error: 4 for one without a [`Failure`].
pub(crate) fn code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<Failure>() {
        Some(Failure::Configuration(_)) => 3,
        Some(Failure::Peer(_)) => 5,
        Some(Failure::OutputClosed) => 0,
        Some(Failure::CannotRun(_)) | None => 4,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn the_failure_of_an_error_gives_the_exit_code() {
        let error = Err::<(), _>(anyhow!("inner"))
            .context(Failure::Configuration("no project".into()))
            .context("starting")
            .unwrap_err();
        assert_eq!(code(&error), 3);
        assert_eq!(format!("{error:#}"), "starting: no project: inner");
        assert_eq!(code(&anyhow!("disk")), 4);
        assert_eq!(code(&Failure::cannot_run("locked")), 4);
        assert_eq!(code(&Failure::Peer("away".into()).into()), 5);
    }

    #[test]
    fn signals_exit_with_128_plus_their_number() {
        assert_eq!(ExitStatus::Signalled(2).code(), 130);
        assert_eq!(ExitStatus::Signalled(15).code(), 143);
    }
}
