//! [`Entry`]: a file or directory entry that a scan or a DICOMDIR finds.

use std::io;
use std::path::PathBuf;

use anon_model::RemarkReason;

/// A file or directory entry that a scan found.
#[derive(Debug)]
#[non_exhaustive]
pub struct Entry {
    /// The path that was given to the scan, with the relative path below it.
    pub path: PathBuf,
    /// What it is.
    pub kind: EntryKind,
    /// True if it was found in a directory: neither the caller nor a DICOMDIR named it.
    pub found: bool,
    /// What was tolerated to find it.
    pub remark: Option<RemarkReason>,
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
        Self::new(path, EntryKind::File)
    }

    /// Returns the entry of a directory.
    pub(super) fn found_in_directory(mut self) -> Self {
        self.found = true;
        self
    }

    fn new(path: PathBuf, kind: EntryKind) -> Self {
        Self {
            path,
            kind,
            found: false,
            remark: None,
        }
    }

    pub(super) fn ignored(path: PathBuf, reason: &'static str) -> Self {
        Self::new(path, EntryKind::Ignored(reason))
    }

    pub(super) fn failed(
        path: PathBuf,
        reason: &'static str,
        error: impl Into<Option<io::Error>>,
    ) -> Self {
        let error = error.into();
        Self::new(path, EntryKind::Failed { reason, error })
    }
}
