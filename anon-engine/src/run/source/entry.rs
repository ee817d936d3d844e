//! [`Entry`]: what a scan or a DICOMDIR finds.

use std::io;
use std::path::PathBuf;

/// A file or a directory entry that a scan found.
#[derive(Debug)]
#[non_exhaustive]
pub struct Entry {
    /// Where it is: the path as given, with the relative part.
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
    /// Something that is no DICOM object by design.
    Ignored(&'static str),
    /// Something that should be there and cannot be read.
    Failed {
        /// Why not. Words of ours.
        reason: &'static str,
        /// What the system said, if it was asked.
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
