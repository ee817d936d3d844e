//! [`ObjectSource`]: where an import's objects come from, one after the other.
//!
//! ```text
//! directories, DICOMDIR, bytes ──► ObjectSource::next ──► import ──► Engine::submit
//! ```
//!
//! A source streams: it holds no list of what it has not shown yet, or a bounded one.

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

/// What a source found next.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum SourceItem {
    /// An object to de-identify. Its origin is that of the [`Received`].
    Object(Received),
    /// Something that is no object by its place or kind: hidden, a device, an archive.
    Ignored {
        /// Where it stands.
        origin: Phi<String>,
        /// Why it is passed over. Words of ours.
        reason: &'static str,
    },
    /// Something that should be an object and cannot be reached.
    Failed {
        /// Where it should stand.
        origin: Phi<String>,
        /// Why not. Words of ours.
        reason: &'static str,
        /// What the system said, if it was asked.
        error: Option<io::Error>,
    },
}

/// Where an import's objects come from. The order of the items is the order in which new numbers
/// are given, so a source shows the same things in the same order when asked again.
pub trait ObjectSource: Send + fmt::Debug {
    /// The next item; none at the end. After the end it stays none.
    fn next(&mut self) -> Option<SourceItem>;
}

const _: fn() = || {
    fn assert<T: Send + ?Sized>() {}
    assert::<dyn ObjectSource>();
};
