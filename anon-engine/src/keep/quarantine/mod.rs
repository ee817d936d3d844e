//! [`Quarantine`]: keeps refused objects and the reason until a person has reviewed them.
//!
//! One entry holds the bytes of one original. Equal bytes are one entry; the last reason replaces
//! earlier ones. Storing the instance removes its entry.
//!
//! | input | kept |
//! |---|---|
//! | a refused object | a copy, or (by setting) its path |
//! | bytes that do not look like DICOM | a record of them, not the bytes |

mod digest;
mod directory;
mod format;
mod memory;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anon_model::Phi;
use dicom_core::Tag;

use crate::keep::received::Received;
use crate::refusal::{Category, Refusal};

pub use directory::{DirectoryQuarantine, QuarantineOptions};
pub use format::VERSION;
pub use memory::MemoryQuarantine;

pub use crate::error::QuarantineError;
pub use crate::refusal::{EntryId, EntryIdError};

/// The bytes of an incoming object.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Original<'o> {
    /// In memory.
    Bytes(&'o [u8]),
    /// In a file of this length.
    File {
        /// The file.
        file: &'o File,
        /// Its length in bytes.
        len: u64,
    },
}

impl Original<'_> {
    /// Returns the length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }

    /// Returns true if it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the SHA-256 of its bytes.
    ///
    /// # Errors
    /// If the file cannot be read to the end.
    pub fn digest(&self) -> io::Result<[u8; 32]> {
        digest::of(self)
    }
}

/// A refused object.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::exhaustive_structs,
    reason = "made by the engine, read by implementations"
)]
pub struct RefusedObject<'c> {
    /// Its bytes.
    pub original: Original<'c>,
    /// UID of the transfer syntax, if the bytes are a data set alone.
    pub transfer_syntax: Option<&'c str>,
    /// Why it was refused.
    pub refusal: &'c Refusal,
    /// Where it came from.
    pub origin: Option<&'c Phi<String>>,
    /// The path of its file, unless the file is temporary.
    pub path: Option<&'c Path>,
}

/// What the quarantine keeps of an original.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Kept {
    /// A copy of its bytes.
    Copied,
    /// The path of its file.
    Referenced,
    /// Only a record of it.
    Recorded,
}

/// An entry, as its `reason.json` describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its identifier.
    pub id: EntryId,
    /// Why the object was refused.
    pub reason: String,
    /// The element that caused the refusal.
    pub tag: Option<Tag>,
    /// The offset of that element, in bytes.
    pub offset: Option<u64>,
    /// The SOP class, for [`Category::InvalidStorageClass`].
    pub sop_class: Option<String>,
    /// Length of the original, in bytes.
    pub length: u64,
    /// UID of the transfer syntax, if the original is a data set alone.
    pub transfer_syntax: Option<String>,
    /// What the quarantine keeps of it.
    pub kept: Kept,
    /// Where it came from.
    pub source: Option<Phi<String>>,
}

impl Entry {
    fn of(case: &RefusedObject<'_>, id: EntryId, kept: Kept) -> Self {
        let refusal = case.refusal;
        Self {
            id,
            reason: refusal.reason.clone(),
            tag: refusal.tag,
            offset: refusal.offset,
            sop_class: refusal.sop_class.clone(),
            length: case.original.len(),
            transfer_syntax: case.transfer_syntax.map(str::to_owned),
            kept,
            source: case.origin.cloned(),
        }
    }
}

/// The result of [`Quarantine::file`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "made by implementations, read by the engine"
)]
pub struct Filed {
    /// The entry.
    pub entry: EntryId,
    /// True if no entry had these bytes before.
    pub is_new: bool,
}

/// An iterator over entries, in no particular order.
pub type Entries<'q> = Box<dyn Iterator<Item = Result<Entry, QuarantineError>> + Send + 'q>;

/// Keeps refused objects.
///
/// [`conformance::check_quarantine`](crate::testing::conformance::check_quarantine) (feature
/// `testing`) checks an implementation.
pub trait Quarantine: Send + Sync + fmt::Debug {
    /// Files a refused object. The entry is durable on return. The same bytes again update the same
    /// entry with the last reason. The original bytes are kept unchanged.
    ///
    /// # Errors
    /// [`QuarantineError::Full`] if the original does not fit; otherwise if reading or writing
    /// fails, or if the original changes meanwhile. A failure makes no entry and keeps an earlier one.
    fn file(&self, case: &RefusedObject<'_>) -> Result<Filed, QuarantineError>;

    /// Returns the entries for these bytes: at most one, except after a crash. Cheap if no entry
    /// has an original of this length.
    ///
    /// # Errors
    /// If reading fails.
    fn find(&self, original: &Original<'_>) -> Result<Vec<EntryId>, QuarantineError>;

    /// Returns all entries, reading one at a time.
    ///
    /// # Errors
    /// If the quarantine cannot be read. A failure of one entry is an item of the iterator.
    fn entries(&self) -> Result<Entries<'_>, QuarantineError>;

    /// Returns one entry; `None` if it does not exist.
    ///
    /// # Errors
    /// If it cannot be read.
    fn entry(&self, id: &EntryId) -> Result<Option<Entry>, QuarantineError>;

    /// Returns the number of entries in each category that has any.
    ///
    /// # Errors
    /// If reading fails.
    fn counts(&self) -> Result<BTreeMap<Category, u64>, QuarantineError>;

    /// Opens the original bytes; `None` if they are not kept.
    ///
    /// # Errors
    /// If reading fails.
    fn open_original(&self, id: &EntryId) -> Result<Option<Box<dyn Read + Send>>, QuarantineError>;

    /// Returns the original for another attempt by [`Engine`](crate::Engine); `None` if it is not
    /// kept. When the engine has stored it, it clears the entry.
    ///
    /// # Errors
    /// If reading fails.
    fn received(&self, id: &EntryId) -> Result<Option<Received>, QuarantineError>;

    /// Removes an entry, durably. Returns false if there is none.
    ///
    /// # Errors
    /// If it cannot be removed completely.
    fn clear(&self, id: &EntryId) -> Result<bool, QuarantineError>;
}

const _: fn() = || {
    fn assert<T: Send + Sync + ?Sized>() {}
    assert::<dyn Quarantine>();
};
