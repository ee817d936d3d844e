//! What the operating systems do differently.

use std::fs::File;
use std::io;
use std::path::Path;

/// Makes the names in a directory durable.
#[cfg(unix)]
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Elsewhere a directory cannot be opened as a file; the rename is as durable as the system makes it.
#[cfg(not(unix))]
pub(crate) fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Opens a file to read it and to make it durable. Windows wants the right to write for the latter.
pub(crate) fn open_to_sync(path: &Path) -> io::Result<File> {
    File::options().read(true).write(cfg!(windows)).open(path)
}
