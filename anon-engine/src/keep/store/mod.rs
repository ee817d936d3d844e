//! [`Store`]: keeps de-identified objects.
//!
//! ```text
//! apply ──► stage ──► (lookups committed) ──► publish ──► receipt
//!             │                                 │
//!             └── discard, if the commit fails  └── the group's directories synced once
//! ```
//!
//! Staging writes the object where nobody sees it, and durably. Publishing makes a whole group
//! visible, durably, and cannot leave half an object.

mod directory;
mod memory;
mod own;
mod temporary;

use std::any::Any;
use std::fmt;

use crate::deid::deidentified::Deidentified;
use crate::deid::output_path::OutputPath;

pub use anon_model::settings::Durability;
pub use directory::{DirectoryStore, DirectoryStoreOptions};
pub use memory::MemoryStore;

pub use crate::error::StoreError;

/// An object that is staged. What [`Store::publish`] needs is inside; only the store that made it
/// can read it.
pub struct Staged {
    path: OutputPath,
    bytes: u64,
    token: Box<dyn Any + Send>,
}

impl Staged {
    /// For implementations of [`Store`]: an object of this length, staged for this path.
    pub fn new(path: OutputPath, bytes: u64, token: impl Any + Send) -> Self {
        Self {
            path,
            bytes,
            token: Box::new(token),
        }
    }

    /// Where it is to be visible.
    pub fn path(&self) -> &OutputPath {
        &self.path
    }

    /// Its length in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// For implementations of [`Store`]: the path, and what was given as `token`.
    ///
    /// # Errors
    /// [`StoreError::Foreign`] if another store made it.
    pub fn into_parts<T: Any>(self) -> Result<(OutputPath, T), StoreError> {
        match self.token.downcast::<T>() {
            Ok(token) => Ok((self.path, *token)),
            Err(_) => Err(StoreError::Foreign),
        }
    }
}

impl fmt::Debug for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Staged({}, {} bytes)", self.path, self.bytes)
    }
}

/// Keeps de-identified objects. Only [`apply`](crate::Plan::apply) makes what it takes.
///
/// [`conformance::check_store`](crate::testing::conformance::check_store) (feature `testing`) runs
/// what every implementation must hold.
pub trait Store: Send + Sync + fmt::Debug {
    /// Writes an object where nobody sees it yet. On return it survives what
    /// [`Durability`] says. Called by many threads at once.
    ///
    /// # Errors
    /// [`StoreError::Occupied`] if another object stands at its path already; otherwise if reading
    /// the source or writing fails. Nothing is left behind then.
    fn stage(&self, object: &Deidentified<'_>) -> Result<Staged, StoreError>;

    /// Makes a group of staged objects visible, each at its path, and durably so. One result for
    /// each, in their order; an object whose result is an error is not visible, and its staged form
    /// is gone.
    ///
    /// The same bytes at the path already (published before a crash, and not known to be) are no
    /// error: they are replaced in one step. Other bytes are never touched.
    fn publish(&self, group: Vec<Staged>) -> Vec<Result<(), StoreError>>;

    /// Removes a staged object that will not be published.
    ///
    /// # Errors
    /// If something of it is left.
    fn discard(&self, staged: Staged) -> Result<(), StoreError>;

    /// True if an object is visible at this path.
    ///
    /// # Errors
    /// If the store cannot tell.
    fn contains(&self, path: &OutputPath) -> Result<bool, StoreError>;

    /// Which of these paths hold a visible object, in their order, made durable: recovery asks it
    /// of the groups it finds unsettled, of which a crash may have left objects that are visible
    /// and not durable.
    ///
    /// # Errors
    /// If the store cannot tell, or cannot make it so.
    fn confirm(&self, paths: &[OutputPath]) -> Result<Vec<bool>, StoreError>;

    /// Removes all objects of a study, durably, and its patient if that has no other. Nothing to
    /// remove is no error.
    ///
    /// # Errors
    /// If something of it is left.
    fn remove_study(&self, patient: &str, study: &str) -> Result<(), StoreError>;
}

const _: fn() = || {
    fn assert<T: Send + Sync + ?Sized>() {}
    assert::<dyn Store>();
};
