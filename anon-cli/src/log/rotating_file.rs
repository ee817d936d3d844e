//! [`RotatingFile`]: a log file with a maximum size, and nine older files.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::platform::files;

/// The maximum size of a file, in bytes.
const MAX_BYTES: u64 = 100_000_000;
/// The number of files, including the current one.
const FILES: u32 = 10;

/// Writes `anon.log`, and renames full files to `anon.log.1` (the newest) … `anon.log.9`.
///
/// Only the process that holds the project writes the log, so no other process rotates it.
#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    file: File,
    length: u64,
    max_bytes: u64,
}

impl RotatingFile {
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        Self::with_limit(path, MAX_BYTES)
    }

    fn with_limit(path: PathBuf, max_bytes: u64) -> io::Result<Self> {
        let file = append(&path)?;
        let length = file.metadata()?.len();
        Ok(Self {
            path,
            file,
            length,
            max_bytes,
        })
    }

    fn rotate(&mut self) -> io::Result<()> {
        for n in (1..FILES).rev() {
            let from = if n == 1 {
                self.path.clone()
            } else {
                numbered(&self.path, n - 1)
            };
            match fs::rename(from, numbered(&self.path, n)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.file = append(&self.path)?;
        self.length = 0;
        Ok(())
    }
}

impl Write for RotatingFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // The logging layer writes whole lines, so no line is split over two files.
        if self.length > 0 && self.length + line.len() as u64 > self.max_bytes {
            self.rotate()?;
        }
        let written = self.file.write(line)?;
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn append(path: &Path) -> io::Result<File> {
    files::open_private(path, OpenOptions::new().append(true).create(true))
}

fn numbered(path: &Path, n: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{n}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eleventh_file_replaces_the_oldest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("anon.log");
        let mut log = RotatingFile::with_limit(path.clone(), 10).unwrap();
        for n in 0..30 {
            log.write_all(format!("line {n:03}\n").as_bytes()).unwrap();
        }
        let read = |path: PathBuf| fs::read_to_string(path).unwrap();
        assert_eq!(read(path.clone()), "line 029\n");
        assert_eq!(read(numbered(&path, 1)), "line 028\n");
        assert_eq!(read(numbered(&path, 9)), "line 020\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 10);
    }

    #[test]
    fn reopening_appends_to_the_current_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("anon.log");
        for n in 0..3 {
            let mut log = RotatingFile::with_limit(path.clone(), 12).unwrap();
            log.write_all(format!("{n:04}\n").as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "0002\n");
        assert_eq!(
            fs::read_to_string(numbered(&path, 1)).unwrap(),
            "0000\n0001\n"
        );
        let access = crate::platform::access(&path).unwrap();
        assert!(access.is_none_or(|access| access.others == 0));
    }
}
