//! [`Spooled`]: an object in a file of the spool.

use std::fmt;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::PathBuf;

use crate::platform;

/// An object in a file of the spool. Dropping it removes the file.
pub struct Spooled {
    file: File,
    path: PathBuf,
    len: u64,
}

impl Spooled {
    /// Makes a new file at `path` that only its owner can read.
    pub(crate) fn create(path: PathBuf) -> io::Result<Self> {
        let mut options = File::options();
        options.read(true).write(true).create_new(true);
        platform::private_file(&mut options);
        Ok(Self {
            file: options.open(&path)?,
            path,
            len: 0,
        })
    }

    /// Ends the writing and records the length.
    ///
    /// # Errors
    /// If the length of the file cannot be read.
    pub fn finish(mut self) -> io::Result<Self> {
        self.len = self.file.stream_position()?;
        Ok(self)
    }

    /// Its length in bytes, known since [`finish`](Spooled::finish).
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Returns true if nothing was written before [`finish`](Spooled::finish).
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

impl Write for Spooled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Spooled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spooled({} bytes)", self.len)
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        // Opening the spool again removes what cannot be removed now.
        if std::fs::remove_file(&self.path).is_err() {
            tracing::warn!("cannot remove a spooled object; it is removed at the next start");
        }
    }
}
