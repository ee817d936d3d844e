//! [`ObjectSource`]: the objects of an import, one after the other.
//!
//! ```text
//! directories, DICOMDIR, bytes ──► ObjectSource::next ──► import ──► Engine::submit
//! ```
//!
//! A source streams: it holds at most a bounded list of the items that it has not returned yet.

mod bytes;
mod dicomdir;
mod entry;
mod file_scan;

use std::fmt;
use std::io;

use anon_model::Phi;

use crate::keep::received::Received;

pub use bytes::BytesSource;
pub use dicomdir::{Dicomdir, DicomdirError};
pub use entry::{Entry, EntryKind};
pub use file_scan::{FileScan, SkippedDirectories};

/// An item of a source.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum SourceItem {
    /// An object to de-identify. The [`Received`] has its origin.
    Object(Received),
    /// Not a DICOM object by design: a hidden file, a device, a DICOMDIR.
    Ignored {
        /// Its path.
        origin: Phi<String>,
        /// Why it is ignored.
        reason: &'static str,
    },
    /// An object that cannot be read.
    Failed {
        /// Its path.
        origin: Phi<String>,
        /// Why it cannot be read.
        reason: &'static str,
        /// The error of the system, if there was one.
        error: Option<io::Error>,
    },
}

/// The objects of an import. New pseudonyms are numbered in the order of the items, so a second run
/// over the same source must return the same items in the same order.
pub trait ObjectSource: Send + fmt::Debug {
    /// Returns the next item, or `None` at the end and ever after.
    fn next(&mut self) -> Option<SourceItem>;
}

const _: fn() = || {
    fn assert<T: Send + ?Sized>() {}
    assert::<dyn ObjectSource>();
};
