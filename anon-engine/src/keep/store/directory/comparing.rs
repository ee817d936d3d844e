//! Compares a file with an object or with another file.

use std::io::{self, Read, Write};
use std::path::Path;

use super::DirectoryStore;
use crate::deid::deidentified::Deidentified;
use crate::keep::disk::FileKind;
use crate::keep::store::StoreError;

impl DirectoryStore {
    /// Returns whether the file at `path` has the bytes of `object`; `None` if there is no file.
    pub(super) fn has_bytes_of(
        &self,
        path: &Path,
        object: &Deidentified<'_>,
    ) -> Result<Option<bool>, StoreError> {
        match self.disk.kind(path).map_err(StoreError::Read)? {
            None => Ok(None),
            Some(FileKind::File(len)) if len == object.len() => {
                let known = self.disk.open(path).map_err(StoreError::Read)?;
                let mut compare = ComparingWriter {
                    known,
                    differs: false,
                };
                match object.write_to(&mut compare) {
                    Ok(()) => Ok(Some(true)),
                    Err(_) if compare.differs => Ok(Some(false)),
                    Err(error) => Err(StoreError::Source(error)),
                }
            }
            Some(_) => Ok(Some(false)),
        }
    }

    pub(super) fn have_equal_bytes(&self, one: &Path, other: &Path) -> io::Result<bool> {
        let lengths = (self.disk.kind(one)?, self.disk.kind(other)?);
        if !matches!(lengths, (Some(FileKind::File(a)), Some(FileKind::File(b))) if a == b) {
            return Ok(false);
        }
        let known = self.disk.open(other)?;
        let mut compare = ComparingWriter {
            known,
            differs: false,
        };
        match io::copy(&mut self.disk.open(one)?, &mut compare) {
            Ok(_) => Ok(true),
            Err(_) if compare.differs => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A writer that fails at the first byte that differs from a known file.
struct ComparingWriter {
    known: Box<dyn Read + Send>,
    differs: bool,
}

impl Write for ComparingWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut buffer = [0; 8192];
        let want = bytes.len().min(buffer.len());
        let (Some(known), Some(new)) = (buffer.get_mut(..want), bytes.get(..want)) else {
            return Ok(0);
        };
        self.known.read_exact(known)?;
        if known != new {
            self.differs = true;
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(want)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
