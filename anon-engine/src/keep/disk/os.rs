//! [`OsDisk`]: the file system of the operating system.

use std::borrow::Cow;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf, is_separator};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use super::{Access, CopyError, DirCreation, Disk, Existing, FileKind, Names, WriteFile};
use crate::platform;
use crate::platform::no_links::{self, Pinned};

/// The file system of the operating system.
#[derive(Debug, Default)]
pub struct OsDisk {
    /// Mode of a shared file under the umask of the process; read when it is needed first.
    shared_mode: OnceLock<u32>,
    guarded: Arc<Guarded>,
}

/// The directories below which no link is followed: as they were given, and without links.
#[derive(Debug, Default)]
struct Guarded(RwLock<Vec<(PathBuf, PathBuf)>>);

impl Guarded {
    fn add(&self, dir: &Path) -> io::Result<()> {
        let real = no_links::real_path(dir)?;
        let mut guarded = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !guarded.iter().any(|(given, _)| given == dir) {
            guarded.push((dir.to_owned(), real));
        }
        Ok(())
    }

    /// Returns a path below a guarded directory, by the name of that directory that has no links, and the
    /// length of that name.
    ///
    /// Compares bytes: taking paths apart took a tenth of the time of publishing small files.
    fn find<'p>(&self, path: &'p Path) -> Option<(Cow<'p, Path>, usize)> {
        let bytes = path.as_os_str().as_encoded_bytes();
        let guarded = self.0.read().unwrap_or_else(PoisonError::into_inner);
        guarded.iter().find_map(|(given, real)| {
            let below = bytes.strip_prefix(given.as_os_str().as_encoded_bytes())?;
            if !matches!(below, [first, _, ..] if is_separator(char::from(*first))) {
                return None;
            }
            let root = real.as_os_str().len();
            if given == real {
                return Some((Cow::Borrowed(path), root));
            }
            let below = path.strip_prefix(given).ok()?;
            Some((Cow::Owned(real.join(below)), root))
        })
    }

    /// Returns a path to a file, or to a directory that is made, renamed or removed.
    fn entry(&self, path: &Path) -> io::Result<Pinned> {
        match self.find(path) {
            Some((path, root)) => Pinned::entry(&path, root),
            None => Ok(Pinned::as_is(path)),
        }
    }

    /// Returns a path to a directory whose names are read or synced.
    fn directory(&self, path: &Path) -> io::Result<Pinned> {
        match self.find(path) {
            Some((path, root)) => Pinned::directory(&path, root),
            None => Ok(Pinned::as_is(path)),
        }
    }

    /// Opens a file for reading.
    fn open(&self, path: &Path) -> io::Result<File> {
        match self.find(path) {
            Some((path, root)) => platform::open_no_link(&Pinned::entry(&path, root)?.path()),
            None => File::open(path),
        }
    }
}

impl OsDisk {
    /// Returns the file system of the operating system.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Disk for OsDisk {
    fn follow_no_links_below(&self, dir: &Path) -> io::Result<()> {
        self.guarded.add(dir)
    }

    fn create_dir(&self, path: &Path, access: Access) -> io::Result<DirCreation> {
        let mut builder = fs::DirBuilder::new();
        if access == Access::Private {
            platform::private_dir(&mut builder);
        }
        let pinned = self.guarded.entry(path)?;
        match builder.create(pinned.path()) {
            Ok(()) => {
                if access == Access::Private {
                    platform::set_mode(&pinned.path(), 0o700)?;
                }
                Ok(DirCreation::Created)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match self.kind(path)? {
                Some(FileKind::Directory) => Ok(DirCreation::AlreadyThere),
                _ if pinned.path().is_symlink() => Err(no_links::is_a_link()),
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
            file: options.open(self.guarded.entry(path)?.path())?,
            is_named: true,
            guarded: Arc::clone(&self.guarded),
        }))
    }

    fn unnamed_files(&self, dir: &Path, wanted: usize) -> io::Result<usize> {
        let probe = dir.join("named");
        let is_possible = platform::create_unnamed(dir).is_ok_and(|file| {
            // The same number again is reserved for everything else that this process opens.
            platform::reserve_descriptors(&file, 2 * wanted).is_ok()
                && platform::give_name(&file, &Pinned::as_is(&probe)).is_ok()
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
            guarded: Arc::clone(&self.guarded),
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.guarded.open(path)?))
    }

    fn open_native(&self, path: &Path) -> io::Result<Option<File>> {
        self.guarded.open(path).map(Some)
    }

    fn kind(&self, path: &Path) -> io::Result<Option<FileKind>> {
        let found = match self.guarded.find(path) {
            Some((path, root)) => no_links::metadata(&path, root),
            None => fs::metadata(path),
        };
        match found {
            Ok(found) if found.is_file() => Ok(Some(FileKind::File(found.len()))),
            Ok(found) if found.is_dir() => Ok(Some(FileKind::Directory)),
            Ok(_) => Ok(Some(FileKind::Other)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn rename(&self, from: &Path, to: &Path, existing: Existing) -> io::Result<()> {
        let (from, to) = (self.guarded.entry(from)?, self.guarded.entry(to)?);
        match existing {
            Existing::Keep => platform::rename_no_replace(&from, &to),
            Existing::Replace => fs::rename(from.path(), to.path()),
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
        platform::sync_dir(&self.guarded.directory(path)?.path())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(self.guarded.entry(path)?.path())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(self.guarded.entry(path)?.path())
    }

    fn list(&self, path: &Path) -> io::Result<Names> {
        // The directory stays open without the path that led to it.
        let entries = fs::read_dir(self.guarded.directory(path)?.path())?;
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
    guarded: Arc<Guarded>,
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
        platform::give_name(&self.file, &self.guarded.entry(path)?)?;
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
