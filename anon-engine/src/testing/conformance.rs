//! Checks for every implementation of [`Store`], [`Quarantine`], [`Disk`] and [`ObjectSource`],
//! ours or a caller's.
//!
//! Each check makes its own instances through a closure. A [`Breach`] says in one line which
//! promise is broken.
//!
//! ```
//! use std::sync::Arc;
//! use anon_engine::{MemoryQuarantine, MemoryStore};
//! use anon_engine::testing::conformance::{check_quarantine, check_store};
//!
//! check_store(&|| Arc::new(MemoryStore::new()))?;
//! check_quarantine(&|max_bytes| Arc::new(MemoryQuarantine::with_max_bytes(max_bytes)))?;
//! # Ok::<(), anon_engine::testing::conformance::Breach>(())
//! ```

mod disks;
mod quarantines;
mod sources;
mod stores;

use std::error::Error;
use std::fmt;

pub use disks::check_disk;
pub use quarantines::check_quarantine;
pub use sources::{ExpectedItem, check_source};
pub use stores::check_store;

#[expect(unused_imports, reason = "for the links of this page")]
use crate::{ObjectSource, Quarantine, Store, disk::Disk};

/// A promise that an implementation breaks.
#[derive(Debug)]
pub struct Breach {
    what: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for Breach {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

fn ensure(holds: bool, what: &str) -> Result<(), Breach> {
    if holds {
        Ok(())
    } else {
        Err(Breach {
            what: what.to_owned(),
            source: None,
        })
    }
}

trait OrBreach<T> {
    fn or_breach(self, what: &str) -> Result<T, Breach>;
}

impl<T, E: Error + Send + Sync + 'static> OrBreach<T> for Result<T, E> {
    fn or_breach(self, what: &str) -> Result<T, Breach> {
        self.map_err(|error| Breach {
            what: what.to_owned(),
            source: Some(Box::new(error)),
        })
    }
}
