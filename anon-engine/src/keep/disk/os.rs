//! [`OsDisk`]: the file system of the operating system.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::{Access, CopyError, DirCreation, Disk, Existing, FileKind, Names, WriteFile};
use crate::platform;

/// The file system of the operating system.
#[derive(Debug, Default)]
pub struct OsDisk {
    /// Mode of a shared file under the umask of the process; read when it is needed first.
    shared_mode: OnceLock<u32>,
}

impl OsDisk {
    /// Returns the file system of the operating system.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Disk for OsDisk {
    fn create_dir(&self, path: &Path, access: Access) -> io::Result<DirCreation> {
        let mut builder = fs::DirBuilder::new();
        if access == Access::Private {
            platform::private_dir(&mut builder);
        }
        match builder.create(path) {
            Ok(()) => {
                if access == Access::Private {
                    platform::set_mode(path, 0o700)?;
                }
                Ok(DirCreation::Created)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match self.kind(path)? {
                Some(FileKind::Directory) => Ok(DirCreation::AlreadyThere),
                _ => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    fn create(&self, path: &Path, access: Access) -> io::Result<Box<dyn WriteFile>> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        if access == Access::Private {
            platform::private_file(&mut options);
        }
        Ok(Box::new(OsFile {
            file: options.open(path)?,
            is_named: true,
        }))
    }

    fn unnamed_files(&self, dir: &Path, wanted: usize) -> io::Result<usize> {
        let probe = dir.join("named");
        let is_possible = platform::create_unnamed(dir).is_ok_and(|file| {
            // The same number again is reserved for everything else that this process opens.
            platform::reserve_descriptors(&file, 2 * wanted).is_ok()
                && platform::give_name(&file, &probe).is_ok()
        });
        if !is_possible {
            return Ok(0);
        }
        fs::remove_file(&probe)?;
        Ok(wanted)
    }

    fn create_unnamed(&self, dir: &Path) -> io::Result<Box<dyn WriteFile>> {
        Ok(Box::new(OsFile {
            file: platform::create_unnamed(dir)?,
            is_named: false,
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(path)?))
    }

    fn kind(&self, path: &Path) -> io::Result<Option<FileKind>> {
        match fs::metadata(path) {
            Ok(found) if found.is_file() => Ok(Some(FileKind::File(found.len()))),
            Ok(found) if found.is_dir() => Ok(Some(FileKind::Directory)),
            Ok(_) => Ok(Some(FileKind::Other)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn rename(&self, from: &Path, to: &Path, existing: Existing) -> io::Result<()> {
        match existing {
            Existing::Keep => platform::rename_no_replace(from, to),
            Existing::Replace => fs::rename(from, to),
        }
    }

    fn share(&self, path: &Path) -> io::Result<()> {
        let mode = match self.shared_mode.get() {
            Some(mode) => *mode,
            None => *self.shared_mode.get_or_init(|| {
                // Reading the umask means setting it, for all threads. A new file shows it too.
                probe_shared_mode(path).unwrap_or(0o600)
            }),
        };
        platform::set_mode(path, mode)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        platform::sync_dir(path)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Names> {
        let entries = fs::read_dir(path)?;
        Ok(Box::new(entries.map(|entry| Ok(entry?.file_name()))))
    }

    fn same_file_system(&self, one: &Path, other: &Path) -> io::Result<bool> {
        Ok(platform::device(one)? == platform::device(other)?)
    }

    fn native(&self, path: &Path) -> Option<PathBuf> {
        Some(path.to_owned())
    }
}

struct OsFile {
    file: File,
    is_named: bool,
}

impl Write for OsFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.file.write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WriteFile for OsFile {
    fn append_range(&mut self, source: &File, offset: u64, len: u64) -> Result<(), CopyError> {
        platform::append_range(source, offset, len, &mut self.file)
    }

    fn give_name(&mut self, path: &Path) -> io::Result<()> {
        if self.is_named {
            return Err(io::ErrorKind::Unsupported.into());
        }
        platform::give_name(&self.file, path)?;
        self.is_named = true;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Returns the mode that the umask gives a new file beside `path`.
fn probe_shared_mode(path: &Path) -> io::Result<u32> {
    let probe = path.with_extension("mode");
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&probe)?;
    let found = file.metadata();
    fs::remove_file(&probe)?;
    found.map(|found| platform::mode(&found))
}
