//! [`Scratch`]: a temporary file for a data set that is too large to inflate in memory.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::platform;

/// A file that only its owner can open. Removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    file: File,
    path: Option<PathBuf>,
    len: u64,
}

impl Scratch {
    pub(crate) fn create(dir: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        platform::private_file(&mut options);
        let process = std::process::id();
        for n in 0_u32.. {
            let path = dir.join(format!("inflate-{process}-{n}"));
            match options.open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(file) => {
                    // Removed at once where the system allows it, so that a crash leaves no file.
                    let path = std::fs::remove_file(&path).is_err().then_some(path);
                    return Ok(Self { file, path, len: 0 });
                }
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }
}

impl Write for Scratch {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(path) = &self.path
            && let Err(error) = std::fs::remove_file(path)
        {
            // Opening the spool removes what is in its directory.
            tracing::warn!(kind = ?error.kind(), "cannot remove a scratch file; the next start does");
        }
    }
}
