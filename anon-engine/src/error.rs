//! [`Error`]: why an object was not processed, and what to do about it.

use std::io;
use std::sync::Arc;

use anon_model::{BackendError, Remedy};

use crate::refusal::{EntryId, Refusal};

/// Why an object was not processed. It is not stored, and its source is unchanged. No variant holds an
/// identifying value or a path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The source could not be read.
    #[error("cannot read the source")]
    Source(#[source] io::Error),
    /// The source file grew, shrank or was written while it was read.
    #[error("the source changed while it was read")]
    SourceChanged,
    /// The object is refused and not in quarantine: there is none, or its sender is at fault.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The object is not the one that its C-STORE request announced (PS3.7 section 9.1.1).
    #[error("the object's {what} is not the one announced")]
    NotAsAnnounced {
        /// `SOP Class UID` or `SOP Instance UID`.
        what: &'static str,
    },
    /// The lookup store failed.
    #[error(transparent)]
    Lookup(#[from] BackendError),
    /// The lookup store could not commit the group of the object. All objects of the group fail with
    /// the same error.
    #[error("the commit failed")]
    Commit(#[source] Arc<BackendError>),
    /// The store of outputs failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The quarantine failed.
    #[error(transparent)]
    Quarantine(#[from] QuarantineError),
    /// The engine was stopped before the object was processed.
    #[error("the engine is stopped")]
    Stopped,
    /// After an earlier failure, the lookup store no longer knows what is stored. It must be opened
    /// again.
    #[error("an earlier failure stopped this engine; restart it")]
    Poisoned(#[source] Arc<BackendError>),
    /// A thread or a directory that the engine needs is unavailable.
    #[error("cannot start the engine")]
    Start(#[source] io::Error),
}

impl Error {
    /// Returns what to do about it.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Source(_) | Self::SourceChanged => Remedy::Retry,
            Self::Refused(_) | Self::NotAsAnnounced { .. } => Remedy::Quarantine,
            Self::Lookup(error) => error.remedy,
            Self::Commit(error) => error.remedy,
            Self::Store(error) => error.remedy(),
            Self::Quarantine(error) => error.remedy(),
            Self::Stopped | Self::Poisoned(_) | Self::Start(_) => Remedy::Stop,
        }
    }

    /// Returns true if the source is at fault, not the project: the next object may succeed.
    pub fn is_of_source(&self) -> bool {
        matches!(
            self,
            Self::Source(_) | Self::SourceChanged | Self::Refused(_) | Self::NotAsAnnounced { .. }
        )
    }

    /// Returns true if the project is at fault, and the same object may succeed later.
    pub(crate) fn can_pass(&self) -> bool {
        self.remedy() == Remedy::Retry && !self.is_of_source()
    }
}

/// Why a store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The source of a kept range could not be read.
    #[error("cannot read the source")]
    Source(#[source] io::Error),
    /// The object could not be written.
    #[error("cannot write to the store")]
    Write(#[source] io::Error),
    /// The store could not be read.
    #[error("cannot read the store")]
    Read(#[source] io::Error),
    /// There is another object at the path of this object. It was not changed.
    #[error("the store has another object at the path of this one")]
    Occupied,
    /// Temporary files cannot be renamed into the store.
    #[error("the directory for temporary files is not on the file system of the store")]
    OtherFileSystem,
    /// The [`Staged`](crate::Staged) object belongs to another store.
    #[error("this object was staged by another store")]
    Foreign,
    /// A store outside this crate failed.
    #[error("the store failed")]
    Backend(#[source] BackendError),
}

impl StoreError {
    /// Returns what to do about it.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Source(_) => Remedy::Retry,
            Self::Write(error) | Self::Read(error) => remedy_of_io(error),
            Self::Occupied => Remedy::Quarantine,
            Self::OtherFileSystem | Self::Foreign => Remedy::Stop,
            Self::Backend(error) => error.remedy,
        }
    }
}

/// Why a quarantine failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuarantineError {
    /// It holds as many bytes as the settings allow.
    #[error("the quarantine is full")]
    Full,
    /// The original could not be read.
    #[error("cannot read the source")]
    Source(#[source] io::Error),
    /// An entry could not be written or removed.
    #[error("cannot write to the quarantine")]
    Write(#[source] io::Error),
    /// The quarantine could not be read.
    #[error("cannot read the quarantine")]
    Read(#[source] io::Error),
    /// A `reason.json` is damaged, or of a newer version.
    #[error("quarantine entry {entry}: reason.json {problem}")]
    Format {
        /// The entry.
        entry: EntryId,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A quarantine outside this crate failed.
    #[error("the quarantine failed")]
    Backend(#[source] BackendError),
}

impl QuarantineError {
    /// Returns what to do about it.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Full | Self::Source(_) => Remedy::Retry,
            Self::Write(error) | Self::Read(error) => remedy_of_io(error),
            Self::Format { .. } => Remedy::Quarantine,
            Self::Backend(error) => error.remedy,
        }
    }
}

/// Returns what to do about a failed call to the file system of the project.
pub(crate) fn remedy_of_io(error: &io::Error) -> Remedy {
    match error.kind() {
        // Space can be freed, and an interrupted call can be repeated.
        io::ErrorKind::StorageFull
        | io::ErrorKind::QuotaExceeded
        | io::ErrorKind::Interrupted
        | io::ErrorKind::WouldBlock
        | io::ErrorKind::TimedOut => Remedy::Retry,
        _ => Remedy::Stop,
    }
}

/// Returns the message of an error and of its sources, in one line. A message that repeats the one
/// before it is left out.
pub fn with_sources(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let text = error.to_string();
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_remedy() {
        let io = |kind: io::ErrorKind| io::Error::from(kind);
        let backend = |remedy| BackendError::new(remedy, "no");
        let commit = |remedy| Error::Commit(Arc::new(backend(remedy)));
        let poisoned = Error::Poisoned(Arc::new(backend(Remedy::Retry)));
        let table = [
            (Error::Source(io(io::ErrorKind::NotFound)), Remedy::Retry),
            (Error::SourceChanged, Remedy::Retry),
            (
                Refusal::new(crate::Category::BurnedIn, "no").into(),
                Remedy::Quarantine,
            ),
            (
                Error::NotAsAnnounced {
                    what: "SOP Class UID",
                },
                Remedy::Quarantine,
            ),
            (backend(Remedy::Stop).into(), Remedy::Stop),
            (backend(Remedy::Retry).into(), Remedy::Retry),
            (commit(Remedy::Retry), Remedy::Retry),
            (commit(Remedy::Stop), Remedy::Stop),
            (
                StoreError::Write(io(io::ErrorKind::StorageFull)).into(),
                Remedy::Retry,
            ),
            (
                StoreError::Write(io(io::ErrorKind::PermissionDenied)).into(),
                Remedy::Stop,
            ),
            (StoreError::Occupied.into(), Remedy::Quarantine),
            (QuarantineError::Full.into(), Remedy::Retry),
            (Error::Stopped, Remedy::Stop),
            (poisoned, Remedy::Stop),
            (Error::Start(io(io::ErrorKind::OutOfMemory)), Remedy::Stop),
        ];
        for (error, remedy) in table {
            assert_eq!(error.remedy(), remedy, "{error:?}");
        }
    }

    #[test]
    fn a_message_with_sources_names_each_source_once() {
        let error = Error::Store(StoreError::Write(io::ErrorKind::StorageFull.into()));
        assert_eq!(
            with_sources(&error),
            "cannot write to the store: no storage space"
        );
    }
}
