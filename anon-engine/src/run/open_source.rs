//! [`OpenSource`]: the bytes of a received object, while it is processed.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;
use std::time::SystemTime;

use crate::error::Error;
use crate::keep::quarantine::Original;
use crate::keep::received::{Payload, Received};
use crate::platform::open_source;
use crate::read::source::Source;

/// A smaller file is read whole. Of a larger one, only headers are read.
const WHOLE_BYTES: usize = 64 * 1024;

/// The bytes of a received object, opened for reading.
pub(crate) enum OpenSource<'r> {
    Bytes(&'r [u8]),
    /// A small file, read whole.
    Whole {
        bytes: &'r [u8],
        file: File,
        stamp: FileStamp,
    },
    /// A large file, of which only headers are read.
    File {
        file: File,
        stamp: FileStamp,
    },
    /// A file in the spool, which nobody else changes.
    Spooled {
        file: &'r File,
        len: u64,
    },
}

/// The length and time of a file, which show whether it has changed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct FileStamp {
    len: u64,
    modified: Option<SystemTime>,
}

impl FileStamp {
    fn of(found: &Metadata) -> Self {
        Self {
            len: found.len(),
            modified: found.modified().ok(),
        }
    }
}

impl<'r> OpenSource<'r> {
    /// Opens the bytes of a received object. Reads a small file into `buffer`.
    pub(crate) fn open(received: &'r Received, buffer: &'r mut Vec<u8>) -> Result<Self, Error> {
        match &received.payload {
            Payload::Bytes(bytes) => Ok(Self::Bytes(bytes)),
            Payload::Spooled(spooled) => Ok(Self::Spooled {
                file: spooled.file(),
                len: spooled.len(),
            }),
            Payload::File(path) => Self::open_file(path, buffer).map_err(Error::Source),
        }
    }

    fn open_file(path: &Path, buffer: &'r mut Vec<u8>) -> io::Result<Self> {
        let mut file = open_source(path)?;
        let found = file.metadata()?;
        if !found.is_file() {
            let message = "is not a regular file";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let stamp = FileStamp::of(&found);
        match usize::try_from(stamp.len) {
            Ok(len) if len < WHOLE_BYTES => Ok(Self::Whole {
                bytes: read_whole(&mut file, len, buffer)?,
                file,
                stamp,
            }),
            _ => Ok(Self::File { file, stamp }),
        }
    }

    /// Returns the length and modification time of the file. `None` for bytes in memory or in our
    /// spool, which cannot change.
    pub(crate) fn stamp(&self) -> Option<&FileStamp> {
        match self {
            Self::Bytes(_) | Self::Spooled { .. } => None,
            Self::Whole { stamp, .. } | Self::File { stamp, .. } => Some(stamp),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Whole { stamp, .. } | Self::File { stamp, .. } => stamp.len,
            Self::Spooled { len, .. } => *len,
        }
    }

    pub(crate) fn source(&self) -> Source<'_> {
        match self {
            Self::Bytes(bytes) | Self::Whole { bytes, .. } => Source::part10(bytes),
            Self::File { file, stamp } => Source::file(file, stamp.len),
            Self::Spooled { file, len } => Source::file(file, *len),
        }
    }

    /// Returns the bytes for the quarantine.
    pub(crate) fn original(&self) -> Original<'_> {
        match self {
            Self::Bytes(bytes) | Self::Whole { bytes, .. } => Original::Bytes(bytes),
            Self::File { file, stamp } => Original::File {
                file,
                len: stamp.len,
            },
            Self::Spooled { file, len } => Original::File { file, len: *len },
        }
    }

    /// Returns an error if the file has changed since it was opened.
    pub(crate) fn check_unchanged(&self) -> Result<(), Error> {
        let (file, stamp) = match self {
            Self::Bytes(_) | Self::Spooled { .. } => return Ok(()),
            Self::Whole { bytes, stamp, .. } if bytes.len() as u64 != stamp.len => {
                return Err(Error::SourceChanged);
            }
            Self::Whole { file, stamp, .. } | Self::File { file, stamp } => (file, stamp),
        };
        let found = file.metadata().map_err(Error::Source)?;
        if FileStamp::of(&found) == *stamp {
            Ok(())
        } else {
            Err(Error::SourceChanged)
        }
    }
}

/// Reads a file of length `len`. Returns fewer bytes if it is shorter by now.
fn read_whole<'b>(file: &mut File, len: usize, buffer: &'b mut Vec<u8>) -> io::Result<&'b [u8]> {
    if buffer.is_empty() {
        // Once a thread. A buffer that is cleared for each file would be zeroed each time.
        buffer.resize(WHOLE_BYTES, 0);
    }
    let room = buffer.get_mut(..=len).unwrap_or_default();
    let mut got = 0;
    // Reading stops at the expected length: no call is spent on seeing the end of the file.
    while got < len {
        match file.read(room.get_mut(got..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(read) => got += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(room.get(..got).unwrap_or_default())
}
