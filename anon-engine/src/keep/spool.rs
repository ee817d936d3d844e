//! [`Spool`]: holds objects that are too large for memory or of unknown size.
//!
//! ```text
//! network, pipe ──► Spool::receive ──► up to the budget: memory
//!                                  └─► beyond: private/spool/<n> (0600), removed with its Spooled
//! ```

use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::keep::disk::{self, Access, OsDisk};
use crate::keep::received::Received;

pub use crate::keep::spooled::Spooled;

/// A directory for incoming objects. Clones share it.
///
/// No object in it has been acknowledged, so nothing is synced, and opening the spool empties it.
#[derive(Clone)]
pub struct Spool {
    dir: Arc<PathBuf>,
    next: Arc<AtomicU64>,
    memory_bytes: usize,
}

/// The memory that one object may use before it goes to disk, in bytes.
const MEMORY_BYTES: usize = 16 << 20;

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spool({} bytes in memory)", self.memory_bytes)
    }
}

impl Spool {
    /// Opens a spool in `dir`. Makes the directory with mode 0700 if it is missing, and empties it.
    ///
    /// # Errors
    /// If the directory cannot be made or emptied.
    pub fn open(dir: impl Into<PathBuf>) -> io::Result<Self> {
        let dir = dir.into();
        let system = OsDisk::new();
        disk::create_dirs(&system, &dir, Access::Private)?;
        disk::empty_dir(&system, &dir)?;
        Ok(Self {
            dir: Arc::new(dir),
            next: Arc::default(),
            memory_bytes: MEMORY_BYTES,
        })
    }

    /// Returns the spool with another bound on the memory of one object.
    #[must_use]
    pub fn with_memory_bytes(mut self, memory_bytes: usize) -> Self {
        self.memory_bytes = memory_bytes;
        self
    }

    /// Returns the directory of the spool.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads a whole object into memory, or into a file if it is longer than the memory bound. The
    /// result counts as a DICOM file (PS3.10 section 7), unless
    /// [`as_data_set`](Received::as_data_set) makes it a data set.
    ///
    /// # Errors
    /// If `reader` fails, the file cannot be written, or the object is longer than `max_bytes`
    /// ([`io::ErrorKind::FileTooLarge`]). A failure leaves nothing behind.
    pub fn receive(&self, reader: &mut dyn Read, max_bytes: u64) -> io::Result<Received> {
        let mut head = Vec::new();
        let bound = (self.memory_bytes as u64).min(max_bytes);
        let mut limited = reader.take(bound + 1);
        limited.read_to_end(&mut head)?;
        if head.len() as u64 <= bound {
            return Ok(Received::part10(head));
        }
        let mut spooled = self.create()?;
        spooled.write_all(&head)?;
        drop(head);
        let rest = max_bytes.saturating_sub(bound + 1);
        let mut limited = limited.into_inner().take(rest.saturating_add(1));
        let copied = io::copy(&mut limited, &mut spooled)?;
        if copied > rest {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        spooled.finish().map(Received::spooled)
    }

    /// Makes a file for an object that is written in parts.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn create(&self) -> io::Result<Spooled> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Spooled::create(self.dir.join(number.to_string()))
    }
}
