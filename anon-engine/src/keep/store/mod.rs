//! [`Store`]: where de-identified objects are kept.
//!
//! ```text
//! apply ──► stage ──► (lookups committed) ──► publish ──► receipt
//!             │                                 │
//!             └── discard, if the commit fails  └── the group's directories synced once
//! ```
//!
//! Staging writes an object durably, but not visibly. Publishing makes a whole group visible and
//! durable; a crash cannot leave a partial object visible.

mod directory;
mod known_names;
mod memory;
mod temporary;

use std::any::Any;
use std::fmt;
use std::fs::File;

use crate::deid::deidentified::Deidentified;
use crate::deid::output_path::OutputPath;
use crate::read::source::Source;

pub use anon_model::settings::Durability;
pub use directory::{DirectoryStore, DirectoryStoreOptions};
pub use memory::MemoryStore;

pub use crate::error::StoreError;

/// A staged object. Its token holds what [`Store::publish`] needs; only the store that staged the
/// object can read it.
pub struct Staged {
    path: OutputPath,
    bytes: u64,
    token: Box<dyn Any + Send>,
}

impl Staged {
    /// Makes a staged object of this length for this path. Implementations of [`Store`] call it.
    pub fn new(path: OutputPath, bytes: u64, token: impl Any + Send) -> Self {
        Self {
            path,
            bytes,
            token: Box::new(token),
        }
    }

    /// Returns the path under which it will be visible.
    pub fn path(&self) -> &OutputPath {
        &self.path
    }

    /// Its length in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the path and the token. Implementations of [`Store`] call it.
    ///
    /// # Errors
    /// [`StoreError::Foreign`] if another store staged the object.
    pub fn into_parts<T: Any>(self) -> Result<(OutputPath, T), StoreError> {
        match self.token.downcast::<T>() {
            Ok(token) => Ok((self.path, *token)),
            Err(_) => Err(StoreError::Foreign),
        }
    }
}

/// The bytes of an object in a store.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum StoredObject {
    /// In memory.
    Bytes(Vec<u8>),
    /// In a file of this length.
    File(File, u64),
    /// The store cannot read its objects back, for instance because it uploads them.
    NotReadable,
}

impl StoredObject {
    /// Returns the object as a DICOM file (PS3.10 section 7), if it can be read back.
    pub fn source(&self) -> Option<Source<'_>> {
        match self {
            Self::Bytes(bytes) => Some(Source::part10(bytes)),
            Self::File(file, len) => Some(Source::file(file, *len)),
            Self::NotReadable => None,
        }
    }
}

impl fmt::Debug for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Staged({}, {} bytes)", self.path, self.bytes)
    }
}

/// Keeps de-identified objects. Only [`apply`](crate::Plan::apply) makes them, so nothing else can
/// be stored.
///
/// [`conformance::check_store`](crate::testing::conformance::check_store) (feature `testing`)
/// checks an implementation.
pub trait Store: Send + Sync + fmt::Debug {
    /// Writes an object without making it visible. On return it survives what [`Durability`] says.
    /// Several threads call this at once.
    ///
    /// # Errors
    /// [`StoreError::Occupied`] if its path holds another object; otherwise if reading the source
    /// or writing fails. A failure leaves nothing behind.
    fn stage(&self, object: &Deidentified<'_>) -> Result<Staged, StoreError>;

    /// Makes a group of staged objects visible at their paths, durably. Returns one result for each
    /// object, in order. An object whose result is an error is not visible, and its staged bytes
    /// are removed.
    ///
    /// A path that holds the same bytes already, for instance since a crash, is no error: the file
    /// is replaced atomically. Other bytes are never overwritten.
    fn publish(&self, group: Vec<Staged>) -> Vec<Result<(), StoreError>>;

    /// Writes an object that will replace the one at its path, as [`stage`](Store::stage) does. The bytes
    /// are durable, whatever the durability of other objects. A store that implements this reads its
    /// objects back with [`stored`](Store::stored).
    ///
    /// # Errors
    /// As [`stage`](Store::stage); [`StoreError::Occupied`] if the store replaces no objects, which is
    /// the default.
    fn stage_over(&self, _object: &Deidentified<'_>) -> Result<Staged, StoreError> {
        Err(StoreError::Occupied)
    }

    /// Puts an object of [`stage_over`](Store::stage_over) in the place of the one that is visible at
    /// its path, atomically and durably. If there is none, makes it visible.
    ///
    /// # Errors
    /// If it fails. The path then holds one of the two objects, complete, and which one is looked up
    /// with [`stored`](Store::stored).
    fn replace(&self, _staged: Staged) -> Result<(), StoreError> {
        Err(StoreError::Occupied)
    }

    /// Removes a staged object that will not be published.
    ///
    /// # Errors
    /// If it cannot be removed completely.
    fn discard(&self, staged: Staged) -> Result<(), StoreError>;

    /// Returns true if an object is visible at this path.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn contains(&self, path: &OutputPath) -> Result<bool, StoreError>;

    /// Returns the object that is visible at this path; `None` if there is none. A repeat of it is
    /// compared with it, and is refused if the object is missing.
    ///
    /// A store that cannot read its objects back returns [`StoredObject::NotReadable`] for each path.
    /// Then the fingerprint decides, in the version of the stored instance's record: a repeat that
    /// differs only in what [`DigestVersion`](anon_model::DigestVersion) leaves out is a duplicate.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn stored(&self, path: &OutputPath) -> Result<Option<StoredObject>, StoreError>;

    /// Returns for each path, in order, whether it holds a visible object, and makes those objects
    /// durable. Recovery calls it for unsettled groups, because a crash may have left objects that
    /// are visible but not durable.
    ///
    /// # Errors
    /// If the store cannot read its state or make it durable.
    fn confirm(&self, paths: &[OutputPath]) -> Result<Vec<bool>, StoreError>;

    /// Removes all objects of a study, durably, and its patient if no other study is left. A
    /// missing study is no error.
    ///
    /// # Errors
    /// If it cannot be removed completely.
    fn remove_study(&self, patient: &str, study: &str) -> Result<(), StoreError>;
}

const _: fn() = || {
    fn assert<T: Send + Sync + ?Sized>() {}
    assert::<dyn Store>();
};
