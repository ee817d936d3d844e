//! [`Quarantine`]: keeps what is refused, with the reason, until somebody has looked.
//!
//! One entry holds the bytes of one original. Equal bytes are one entry, however often they come and
//! whatever they are refused for: the last reason counts. An entry goes when its instance is stored.
//!
//! | what came | what is kept |
//! |---|---|
//! | an object that is refused | a copy, or (by setting) where it stands |
//! | bytes without any sign of DICOM | that they came, not the bytes |

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

/// The bytes of an object that came in.
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
    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }

    /// True if it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// SHA-256 of its bytes.
    ///
    /// # Errors
    /// If the file cannot be read to its end.
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
pub struct Case<'c> {
    /// Its bytes.
    pub original: Original<'c>,
    /// UID of the transfer syntax, if the bytes are a data set alone.
    pub transfer_syntax: Option<&'c str>,
    /// Why it is refused.
    pub refusal: &'c Refusal,
    /// Where it came from.
    pub origin: Option<&'c Phi<String>>,
    /// The file it stands in, if that stays when the engine is done with it.
    pub path: Option<&'c Path>,
}

/// What of an original is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Kept {
    /// A copy of its bytes.
    Copied,
    /// Where it stands.
    Referenced,
    /// That it came.
    Recorded,
}

/// An entry, as its `reason.json` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its name.
    pub id: EntryId,
    /// Why the object is refused.
    pub reason: String,
    /// The element at fault.
    pub tag: Option<Tag>,
    /// The offset of the fault, in bytes.
    pub offset: Option<u64>,
    /// The SOP class, for [`Category::InvalidStorageClass`].
    pub sop_class: Option<String>,
    /// Length of the original, in bytes.
    pub length: u64,
    /// UID of the transfer syntax, if the original is a data set alone.
    pub transfer_syntax: Option<String>,
    /// What of it is kept.
    pub kept: Kept,
    /// Where it came from.
    pub source: Option<Phi<String>>,
}

impl Entry {
    fn of(case: &Case<'_>, id: EntryId, kept: Kept) -> Self {
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

/// Entries, one after the other, in no order.
pub type Entries<'q> = Box<dyn Iterator<Item = Result<Entry, QuarantineError>> + Send + 'q>;

/// Keeps what is refused.
///
/// [`conformance::check_quarantine`](crate::testing::conformance::check_quarantine) (feature
/// `testing`) runs what every implementation must hold.
pub trait Quarantine: Send + Sync + fmt::Debug {
    /// Files a refused object; durable on return. The same bytes again are the same entry, under
    /// their last reason. The original's bytes are kept as they are.
    ///
    /// # Errors
    /// [`QuarantineError::Full`] if the original does not fit; otherwise if reading or writing
    /// fails. No entry is made then, and one that was there stays.
    fn file(&self, case: &Case<'_>) -> Result<EntryId, QuarantineError>;

    /// The entries for these bytes: none or one, and more only after a crash. Cheap for bytes whose
    /// length no entry has.
    ///
    /// # Errors
    /// If reading fails.
    fn find(&self, original: &Original<'_>) -> Result<Vec<EntryId>, QuarantineError>;

    /// All entries. Nothing is held in memory but the one shown.
    ///
    /// # Errors
    /// If the quarantine cannot be read at all; one entry's failure is in its place.
    fn entries(&self) -> Result<Entries<'_>, QuarantineError>;

    /// One entry; none if there is no such.
    ///
    /// # Errors
    /// If it cannot be read.
    fn entry(&self, id: &EntryId) -> Result<Option<Entry>, QuarantineError>;

    /// How many entries each category has. Categories without are left out.
    ///
    /// # Errors
    /// If reading fails.
    fn counts(&self) -> Result<BTreeMap<Category, u64>, QuarantineError>;

    /// The original's bytes; none if they are not kept.
    ///
    /// # Errors
    /// If reading fails.
    fn open_original(&self, id: &EntryId) -> Result<Option<Box<dyn Read + Send>>, QuarantineError>;

    /// The original, for another try by [`Engine`](crate::Engine); none if it is not kept. If it is
    /// stored then, the engine clears the entry.
    ///
    /// # Errors
    /// If reading fails.
    fn received(&self, id: &EntryId) -> Result<Option<Received>, QuarantineError>;

    /// Removes an entry, durably; false if there is none.
    ///
    /// # Errors
    /// If something of it is left.
    fn clear(&self, id: &EntryId) -> Result<bool, QuarantineError>;
}

const _: fn() = || {
    fn assert<T: Send + Sync + ?Sized>() {}
    assert::<dyn Quarantine>();
};
