//! What can go wrong at a destination, and what to do about it.

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
    /// The same call may succeed later.
    Retry,
    /// This object cannot be put there; others can.
    Skip,
    /// What this patient has may not be put there; what others have may be. A right that is wanting can
    /// be that of one patient's place.
    SkipPatient,
    /// No object can be put there until a person has looked.
    Stop,
}

/// Why text is no part of an [`ObjectKey`](crate::ObjectKey). Does not hold the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name of {len} bytes cannot be part of a key: {problem}")]
#[non_exhaustive]
pub struct KeyError {
    /// Length of the text in bytes.
    pub len: usize,
    /// What is wrong, in words of ours.
    pub problem: &'static str,
}

/// An error of a sink that this crate does not know.
#[derive(Debug, thiserror::Error)]
#[error("the destination failed")]
#[non_exhaustive]
pub struct BackendError {
    /// What to do about it.
    pub remedy: Remedy,
    /// How long to wait at least before a further try, if the destination said so.
    pub retry_after: Option<Duration>,
    /// What happened. Must not hold an identifying value or a secret.
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
            retry_after: None,
            source: source.into(),
        }
    }

    /// Sets how long to wait at least before a further try.
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
    /// The body ended before the length that was said: the object changed since it was listed.
    #[error("the object has {found} bytes, {expected} were said")]
    Short {
        /// The length said, in bytes.
        expected: u64,
        /// The bytes there were.
        found: u64,
    },
    /// The body goes on after the length that was said.
    #[error("the object has more than the {expected} bytes that were said")]
    Long {
        /// The length said, in bytes.
        expected: u64,
    },
    /// The destination takes no object of this length.
    #[error("the object has {len} bytes, the destination takes {max}")]
    TooLarge {
        /// The length said, in bytes.
        len: u64,
        /// The most it takes, in bytes.
        max: u64,
    },
    /// The body could not be read. What the reader says of itself may name a file of the caller's,
    /// so only its kind is kept.
    #[error("cannot read the object: {kind}")]
    Read {
        /// What kind of error it was.
        kind: io::ErrorKind,
    },
    /// The object is no longer where it was listed.
    #[error("the object has gone since it was listed")]
    Vanished,
    /// The object is not what was listed any more: its length or its time changed before all of it was
    /// read.
    #[error("the object changed while it was read: export again when nothing writes to it")]
    Changed,
    /// What there is to export could not be listed. What the system says may name a file of the
    /// caller's, so only its kind is kept.
    #[error("cannot list what is to be exported: {kind}")]
    Source {
        /// What kind of error it was.
        kind: io::ErrorKind,
    },
    /// The journal could not be read or written. What was sent is at the destination all the same.
    #[error("cannot {what} of the export journal")]
    Journal {
        /// What was being done.
        what: &'static str,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// The journal is none that this version reads.
    #[error(
        "the export journal is {problem}: move its directory away, and what was sent is found out from the destination"
    )]
    JournalFormat {
        /// What is wrong, in words of ours.
        problem: &'static str,
    },
    /// The end was wished.
    #[error("it was cancelled")]
    Cancelled,
    /// The destination could not be read or written.
    #[error("cannot {what} at the destination")]
    Destination {
        /// What was being done.
        what: &'static str,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// Another export holds the destination.
    #[error("another export is writing to this destination: wait for it, or end it")]
    Busy,
    /// The destination has no means to say what it has.
    #[error("the destination cannot say what it has")]
    NoListing,
    /// A DICOM node does not have the object, or cannot be asked.
    #[cfg(feature = "dicom")]
    #[error(transparent)]
    Dicom(dicom::DicomError),
    /// An S3 service failed, or cannot be used.
    #[cfg(feature = "s3")]
    #[error(transparent)]
    S3(#[from] s3::S3Error),
    /// A Cognito user cannot be logged in.
    #[cfg(feature = "cognito")]
    #[error(transparent)]
    Cognito(#[from] cognito::CognitoError),
    /// A sink of the caller's failed.
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
                // A full or read-only destination is so for every object.
                _ => Remedy::Stop,
            },
            Self::Busy
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

    /// What it says and what its sources say, in one line.
    pub fn text(&self) -> String {
        let mut text = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(source) = next {
            let words = source.to_string();
            // What is passed on as it is says nothing new.
            if !text.ends_with(&words) {
                text.push_str(": ");
                text.push_str(&words);
            }
            next = source.source();
        }
        text
    }

    /// How long to wait at least before a further try, if the destination said so.
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
    fn each_error_has_its_remedy() {
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
    fn a_text_tells_every_source_once() {
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
