//! Files and directories relative to an open directory, without following links. What differs
//! between operating systems is here. The portable implementation checks names instead of handles;
//! the tests run both.

use std::ffi::OsString;
use std::fs::Metadata;
use std::io::{self, Read as _};
use std::time::SystemTime;

#[cfg(any(test, not(unix)))]
mod portable;
#[cfg(test)]
mod tests;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
use self::portable as system;
#[cfg(unix)]
use self::unix as system;

/// An open directory.
///
/// Its methods take the name of an entry, and no path. They act on the entry itself: a link with
/// this name is neither followed nor opened, whoever made it and whenever.
pub(crate) use self::system::Dir;

/// An entry of a directory.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: OsString,
    pub(crate) kind: Kind,
}

/// What an entry is. A link is `Other`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Other,
}

/// Who may use a new directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Only its owner.
    Private,
    /// Everyone whom the umask allows.
    Umask,
}

/// The state of a regular file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileState {
    /// Its length in bytes.
    pub(crate) len: u64,
    /// When it last changed, if known.
    pub(crate) modified: Option<SystemTime>,
    /// The number of the file on its file system, where the system has one.
    pub(crate) number: Option<u64>,
}

impl FileState {
    /// Returns the state of an open file.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            len: metadata.len(),
            modified: metadata.modified().ok(),
            number: system::file_number(metadata),
        }
    }
}

/// Reads a file. `None` if there is no regular file of this name.
pub(crate) fn read(directory: &Dir, name: &str) -> io::Result<Option<Vec<u8>>> {
    let Some(mut file) = directory.open_file(name)? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

fn not_a_directory() -> io::Error {
    let words = "a link or a file has the name of a directory; links are not followed";
    io::Error::new(io::ErrorKind::NotADirectory, words)
}

fn not_a_file() -> io::Error {
    io::Error::other("a link or something else than a file has its name; links are not followed")
}
