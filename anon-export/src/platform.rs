//! Operations that differ between operating systems. Each has a portable implementation; the tests
//! below run both.

use std::fs::File;
use std::io;
use std::path::Path;

#[cfg(not(unix))]
use self::portable as system;
#[cfg(unix)]
use self::unix as system;

/// Makes the entries of a directory durable. Where a directory cannot be opened as a file, the
/// system decides how durable a rename is.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    system::sync_directory(path)
}

/// Opens a file for reading and syncing. Windows requires write access to sync a file.
pub(crate) fn open_to_sync(path: &Path) -> io::Result<File> {
    system::open_to_sync(path)
}

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    pub(super) fn open_to_sync(path: &Path) -> io::Result<File> {
        File::open(path)
    }
}

/// The portable implementation.
#[cfg(any(test, not(unix)))]
mod portable {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
        path.metadata().map(drop)
    }

    pub(super) fn open_to_sync(path: &Path) -> io::Result<File> {
        File::options().read(true).write(true).open(path)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn both_implementations_sync_a_directory_and_a_file() {
        struct Implementation {
            name: &'static str,
            sync: fn(&Path) -> io::Result<()>,
            open: fn(&Path) -> io::Result<File>,
        }
        for implementation in [
            Implementation {
                name: "system",
                sync: system::sync_directory,
                open: system::open_to_sync,
            },
            Implementation {
                name: "portable",
                sync: portable::sync_directory,
                open: portable::open_to_sync,
            },
        ] {
            let dir = tempfile::tempdir().unwrap();
            let (file, missing) = (dir.path().join("file"), dir.path().join("missing"));
            File::create(&file).unwrap().write_all(b"bytes").unwrap();
            let mut opened = (implementation.open)(&file).unwrap();
            opened.sync_all().unwrap();
            let mut got = String::new();
            opened.read_to_string(&mut got).unwrap();
            assert_eq!(got, "bytes", "{}", implementation.name);
            (implementation.sync)(dir.path()).unwrap();
            for failed in [
                (implementation.open)(&missing).map(drop),
                (implementation.sync)(&missing),
            ] {
                let error = failed.unwrap_err();
                assert_eq!(
                    error.kind(),
                    io::ErrorKind::NotFound,
                    "{}",
                    implementation.name
                );
            }
        }
    }
}
