//! Writes objects to their temporary files.

use std::io::{self, IoSlice};
use std::sync::{MutexGuard, PoisonError};

use super::DirectoryStore;
use crate::deid::deidentified::{Deidentified, Segment};
use crate::keep::disk::{CopyError, WriteFile};
use crate::keep::store::{Durability, StoreError};

/// Bytes gathered before a write, so that the many short parts of a header cost one system call.
const GATHER_BYTES: usize = 64 * 1024;

impl DirectoryStore {
    pub(super) fn write(
        &self,
        object: &Deidentified<'_>,
        file: &mut dyn WriteFile,
        durability: Durability,
    ) -> Result<(), StoreError> {
        let mut buffer = self.buffers().pop().unwrap_or_default();
        let written = write_segments(object, &mut buffer, file);
        self.buffers().push(buffer);
        written?;
        match durability {
            Durability::Full => file.sync().map_err(StoreError::Write),
            Durability::Relaxed => Ok(()),
        }
    }

    /// The pool of buffers. It grows to the number of threads that write at once.
    fn buffers(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        // A poisoned pool is safe to use: each buffer is cleared before use.
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_segments(
    object: &Deidentified<'_>,
    gathered: &mut Vec<u8>,
    file: &mut dyn WriteFile,
) -> Result<(), StoreError> {
    gathered.clear();
    for segment in object.segments() {
        match segment {
            Segment::Bytes(bytes) if gathered.len() + bytes.len() <= GATHER_BYTES => {
                gathered.extend_from_slice(bytes);
            }
            Segment::Bytes(bytes) => {
                write_two(file, gathered, bytes).map_err(StoreError::Write)?;
                gathered.clear();
            }
            Segment::File {
                file: source,
                offset,
                len,
            } => {
                file.write_all(gathered).map_err(StoreError::Write)?;
                gathered.clear();
                file.append_range(source, offset, len)
                    .map_err(|error| match error {
                        CopyError::Read(error) => StoreError::Source(error),
                        CopyError::Write(error) => StoreError::Write(error),
                    })?;
            }
        }
    }
    file.write_all(gathered).map_err(StoreError::Write)
}

fn write_two(file: &mut dyn WriteFile, first: &[u8], second: &[u8]) -> io::Result<()> {
    let written = file.write_vectored(&[IoSlice::new(first), IoSlice::new(second)])?;
    match first.get(written..) {
        Some(rest) => {
            file.write_all(rest)?;
            file.write_all(second)
        }
        None => file.write_all(second.get(written - first.len()..).unwrap_or_default()),
    }
}
