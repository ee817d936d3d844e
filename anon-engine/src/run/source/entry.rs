//! [`Entry`]: a file or directory entry that a scan or a DICOMDIR finds.

use std::io;
use std::path::PathBuf;

/// A file or directory entry that a scan found.
#[derive(Debug)]
#[non_exhaustive]
pub struct Entry {
    /// The path that was given to the scan, with the relative path below it.
    pub path: PathBuf,
    /// What it is.
    pub kind: EntryKind,
}

/// What an [`Entry`] is.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum EntryKind {
    /// A regular file, or a link to one.
    File,
    /// Not a DICOM object by design, for this reason.
    Ignored(&'static str),
    /// A file or directory that cannot be read.
    Failed {
        /// Why it cannot be read.
        reason: &'static str,
        /// The error of the system, if there was one.
        error: Option<io::Error>,
    },
}

impl Entry {
    pub(super) fn file(path: PathBuf) -> Self {
        let kind = EntryKind::File;
        Self { path, kind }
    }

    pub(super) fn ignored(path: PathBuf, reason: &'static str) -> Self {
        let kind = EntryKind::Ignored(reason);
        Self { path, kind }
    }

    pub(super) fn failed(
        path: PathBuf,
        reason: &'static str,
        error: impl Into<Option<io::Error>>,
    ) -> Self {
        let error = error.into();
        let kind = EntryKind::Failed { reason, error };
        Self { path, kind }
    }
}
