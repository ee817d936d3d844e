//! Errors of an export and what to do about them.

#[cfg(feature = "cognito")]
pub(crate) mod cognito;
#[cfg(feature = "dicom")]
pub(crate) mod dicom;
#[cfg(feature = "s3")]
pub(crate) mod s3;

use std::io;
use std::time::Duration;

/// What to do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Remedy {
    /// Try again: the same call may succeed later.
    Retry,
    /// Skip this object; others can be put.
    Skip,
    /// Skip this patient. The destination denies access, which may concern one patient's directory
    /// only.
    SkipPatient,
    /// Stop: no object can be put until somebody fixes the cause.
    Stop,
}

/// Why a text cannot be part of an [`ObjectKey`](crate::ObjectKey). Does not hold the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name of {len} bytes cannot be part of a key: {problem}")]
#[non_exhaustive]
pub struct KeyError {
    /// Length of the text in bytes.
    pub len: usize,
    /// What is wrong: a fixed text, never the value.
    pub problem: &'static str,
}

/// An error of a sink that is implemented outside of this crate.
#[derive(Debug, thiserror::Error)]
#[error("the destination failed")]
#[non_exhaustive]
pub struct BackendError {
    /// What to do about it.
    pub remedy: Remedy,
    /// The shortest wait before the next attempt, if the destination asked for one.
    pub retry_after: Option<Duration>,
    /// What happened. Must not hold an identifying value or a secret.
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
            retry_after: None,
            source: source.into(),
        }
    }

    /// Sets the shortest wait before the next attempt.
    #[must_use]
    pub fn with_retry_after(self, wait: Duration) -> Self {
        let retry_after = Some(wait);
        Self {
            retry_after,
            ..self
        }
    }
}

/// Why a call of a [`Sink`](crate::Sink) failed. Nothing was put.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The body is shorter than the length passed to `put`.
    #[error("the object has {found} bytes instead of {expected}")]
    Short {
        /// The length passed to `put`, in bytes.
        expected: u64,
        /// The bytes read.
        found: u64,
    },
    /// The body is longer than the length passed to `put`.
    #[error("the object has more than the expected {expected} bytes")]
    Long {
        /// The length passed to `put`, in bytes.
        expected: u64,
    },
    /// The object is longer than the destination accepts.
    #[error("the object has {len} bytes, the destination accepts at most {max}")]
    TooLarge {
        /// The length passed to `put`, in bytes.
        len: u64,
        /// The longest accepted object, in bytes.
        max: u64,
    },
    /// The body could not be read. Only the kind is kept, because the reader's message may name a
    /// file of the caller.
    #[error("cannot read the object: {kind}")]
    Read {
        /// The kind of the I/O error.
        kind: io::ErrorKind,
    },
    /// The object was removed after it was listed.
    #[error("the object was removed after it was listed: export again")]
    Vanished,
    /// The length or modification time of the object changed after it was listed.
    #[error(
        "the object changed during the export: export again when no other program writes to it"
    )]
    Changed,
    /// The destination has an object of another original under this name.
    #[error(
        "the destination has an object of another original under this name, and keeps it: find out which project or which copy of the lookups exported it; export to another destination, or overwrite it with --replace"
    )]
    OtherOriginal,
    /// The destination has other bytes under this name, and it is not known that they are of the same
    /// original.
    #[error(
        "the destination has another object under this name, and keeps it: it is not known that both are of one original; export from an account that can read the lookups, or overwrite it with --replace"
    )]
    OtherObject,
    /// It could not be read which originals the objects were made from.
    #[error("cannot read which originals the objects were made from")]
    Origins(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The objects to export could not be listed. Only the kind is kept, because the system's
    /// message may name a file of the caller.
    #[error("cannot list the objects to export: {kind}")]
    Source {
        /// The kind of the I/O error.
        kind: io::ErrorKind,
    },
    /// The journal could not be read or written. Objects that were sent stay at the destination.
    #[error("cannot {what} of the export journal")]
    Journal {
        /// The operation that failed.
        what: &'static str,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The journal has a format that this version cannot read, or belongs to another destination.
    #[error(
        "the export journal is {problem}: move its directory away; the next export then asks the destination what it has"
    )]
    JournalFormat {
        /// What is wrong: a fixed text, never the value.
        problem: &'static str,
    },
    /// The export was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The destination could not be read or written.
    #[error("cannot {what} at the destination")]
    Destination {
        /// The operation that failed.
        what: &'static str,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// Another export has the destination open.
    #[error("another export is writing to this destination: wait until it ends, or cancel it")]
    Busy,
    /// The destination cannot list its objects.
    #[error("the destination cannot list its objects")]
    NoListing,
    /// A DICOM node did not store the object, or could not be queried.
    #[cfg(feature = "dicom")]
    #[error(transparent)]
    Dicom(dicom::DicomError),
    /// An S3 service failed or cannot be used.
    #[cfg(feature = "s3")]
    #[error(transparent)]
    S3(#[from] s3::S3Error),
    /// A Cognito user cannot be logged in.
    #[cfg(feature = "cognito")]
    #[error(transparent)]
    Cognito(#[from] cognito::CognitoError),
    /// A sink implemented by the caller failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl Error {
    /// What to do about it.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Short { .. }
            | Self::Long { .. }
            | Self::TooLarge { .. }
            | Self::Vanished
            | Self::Changed
            | Self::OtherOriginal
            | Self::OtherObject
            | Self::Source { .. } => Remedy::Skip,
            Self::Read { kind } => match kind {
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => Remedy::Skip,
                _ => Remedy::Retry,
            },
            Self::Destination { source, .. } => match source.kind() {
                io::ErrorKind::Interrupted
                | io::ErrorKind::TimedOut
                | io::ErrorKind::ResourceBusy
                | io::ErrorKind::WouldBlock => Remedy::Retry,
                io::ErrorKind::InvalidFilename
                | io::ErrorKind::FileTooLarge
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::IsADirectory => Remedy::Skip,
                io::ErrorKind::PermissionDenied => Remedy::SkipPatient,
                // A full or read-only destination fails for every object.
                _ => Remedy::Stop,
            },
            Self::Busy
            | Self::Origins(_)
            | Self::NoListing
            | Self::Journal { .. }
            | Self::JournalFormat { .. }
            | Self::Cancelled => Remedy::Stop,
            #[cfg(feature = "dicom")]
            Self::Dicom(error) => error.remedy(),
            #[cfg(feature = "s3")]
            Self::S3(error) => error.remedy(),
            #[cfg(feature = "cognito")]
            Self::Cognito(error) => error.remedy(),
            Self::Backend(error) => error.remedy,
        }
    }

    /// Returns the error and its sources in one line.
    pub fn text(&self) -> String {
        let mut text = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(source) = next {
            let words = source.to_string();
            // A transparent error repeats its source.
            if !text.ends_with(&words) {
                text.push_str(": ");
                text.push_str(&words);
            }
            next = source.source();
        }
        text
    }

    /// Returns the shortest wait before the next attempt, if the destination asked for one.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Backend(error) => error.retry_after,
            #[cfg(feature = "s3")]
            Self::S3(error) => error.retry_after(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_a_remedy() {
        let destination = |kind: io::ErrorKind| Error::Destination {
            what: "write",
            source: kind.into(),
        };
        let read = |kind| Error::Read { kind };
        let table = [
            (
                Error::Short {
                    expected: 2,
                    found: 1,
                },
                Remedy::Skip,
            ),
            (Error::Long { expected: 2 }, Remedy::Skip),
            (Error::TooLarge { len: 2, max: 1 }, Remedy::Skip),
            (read(io::ErrorKind::NotFound), Remedy::Skip),
            (read(io::ErrorKind::Other), Remedy::Retry),
            (destination(io::ErrorKind::TimedOut), Remedy::Retry),
            (destination(io::ErrorKind::InvalidFilename), Remedy::Skip),
            (destination(io::ErrorKind::StorageFull), Remedy::Stop),
            (
                destination(io::ErrorKind::PermissionDenied),
                Remedy::SkipPatient,
            ),
            (destination(io::ErrorKind::ReadOnlyFilesystem), Remedy::Stop),
            (Error::Busy, Remedy::Stop),
            (Error::NoListing, Remedy::Stop),
            (Error::Vanished, Remedy::Skip),
            (Error::Changed, Remedy::Skip),
            (Error::OtherOriginal, Remedy::Skip),
            (Error::OtherObject, Remedy::Skip),
            (Error::Origins("no".into()), Remedy::Stop),
            (
                Error::Source {
                    kind: io::ErrorKind::Other,
                },
                Remedy::Skip,
            ),
            (
                Error::Journal {
                    what: "write a file",
                    source: io::ErrorKind::StorageFull.into(),
                },
                Remedy::Stop,
            ),
            (
                Error::JournalFormat {
                    problem: "of a newer version",
                },
                Remedy::Stop,
            ),
            (Error::Cancelled, Remedy::Stop),
            (
                BackendError::new(Remedy::Retry, "throttled").into(),
                Remedy::Retry,
            ),
            (
                BackendError::new(Remedy::Stop, "no bucket").into(),
                Remedy::Stop,
            ),
        ];
        for (error, remedy) in table {
            assert_eq!(error.remedy(), remedy, "{error:?}");
        }
    }

    #[test]
    fn text_contains_each_source_once() {
        let error = Error::from(BackendError::new(Remedy::Stop, "no bucket"));
        assert_eq!(error.text(), "the destination failed: no bucket");
        let kind = io::ErrorKind::StorageFull;
        let full = Error::Destination {
            what: "write a file",
            source: kind.into(),
        };
        let text = format!("cannot write a file at the destination: {kind}");
        assert_eq!(full.text(), text);
    }
}
