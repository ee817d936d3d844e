//! Calls relative to a descriptor.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, Stat, fchmod, fstat, mkdirat, openat, renameat, statat,
    unlinkat,
};
use rustix::io::Errno;

use super::{Access, Entry, FileState, Kind, not_a_directory, not_a_file};

/// Opens a directory only to reach its entries: needs no permission to list it, and no request to
/// the server of a network file system.
#[cfg(target_os = "linux")]
const REACH: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const REACH: OFlags = OFlags::RDONLY;

/// The permissions that the umask reduces.
const FILE_MODE: Mode = Mode::from_raw_mode(0o666);
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o777);

/// Never follows a link. Never waits: opening a pipe would. (No effect on regular files.)
const FILE: OFlags = OFlags::NOFOLLOW
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// An open directory. See the documentation where it is exported.
#[derive(Debug)]
pub(crate) struct Dir(OwnedFd);

impl Dir {
    /// Opens a directory. Links in its path are followed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        // Not `REACH`, which would not mount an automounted file system.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(openat(CWD, path, flags, Mode::empty())?))
    }

    /// Opens a directory by its canonical path. Refuses a link that took a place in it.
    pub(crate) fn open_canonical(path: &Path) -> io::Result<Self> {
        if cfg!(not(target_os = "linux")) {
            // There, reaching an entry needs permission to list each directory of the path.
            return Self::open(path);
        }
        let mut directory = Self::open(Path::new("/"))?;
        for component in path.components() {
            match component {
                Component::RootDir => {}
                Component::Normal(name) => directory = directory.child(name)?,
                _ => return Err(io::ErrorKind::InvalidInput.into()),
            }
        }
        Ok(directory)
    }

    /// Opens a directory in this one.
    pub(crate) fn child(&self, name: impl AsRef<Path>) -> io::Result<Self> {
        let flags = REACH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(&self.0, name.as_ref(), flags, Mode::empty()) {
            Ok(child) => Ok(Self(child)),
            Err(Errno::NOTDIR | Errno::LOOP) => Err(not_a_directory()),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a directory in this one, and creates it if it is missing.
    pub(crate) fn make_child(&self, name: impl AsRef<Path>, access: Access) -> io::Result<Self> {
        match self.child(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            child => return child,
        }
        let mode = match access {
            Access::Private => Mode::RWXU,
            Access::Umask => DIRECTORY_MODE,
        };
        match mkdirat(&self.0, name.as_ref(), mode) {
            Ok(()) | Err(Errno::EXIST) => self.child(name),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the state of a file. `None` if there is no regular file of this name.
    pub(crate) fn state(&self, name: impl AsRef<Path>) -> io::Result<Option<FileState>> {
        match statat(&self.0, name.as_ref(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if kind(FileType::from_raw_mode(stat.st_mode)) == Kind::File => {
                Ok(Some(state(&stat)))
            }
            Ok(_) | Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a file for reading. `None` if there is no regular file of this name.
    pub(crate) fn open_file(&self, name: impl AsRef<Path>) -> io::Result<Option<File>> {
        match openat(&self.0, name.as_ref(), FILE | OFlags::RDONLY, Mode::empty()) {
            Ok(file) => {
                let file = File::from(file);
                Ok(file.metadata()?.is_file().then_some(file))
            }
            // ELOOP: a link. ENXIO: a socket.
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a file for reading and syncing, as [`open_file`](Self::open_file) does.
    pub(crate) fn open_to_sync(&self, name: impl AsRef<Path>) -> io::Result<Option<File>> {
        self.open_file(name)
    }

    /// Opens a file for appending, and creates it if it is missing. Fails if something else than a
    /// regular file has this name.
    pub(crate) fn open_or_create(&self, name: impl AsRef<Path>) -> io::Result<File> {
        let flags = FILE | OFlags::RDWR | OFlags::APPEND | OFlags::CREATE;
        let file = match openat(&self.0, name.as_ref(), flags, FILE_MODE) {
            Ok(file) => File::from(file),
            Err(Errno::LOOP | Errno::NXIO | Errno::ISDIR) => return Err(not_a_file()),
            Err(error) => return Err(error.into()),
        };
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(not_a_file())
        }
    }

    /// Creates a file for writing and reading. Fails if anything has this name.
    pub(crate) fn create_new(&self, name: impl AsRef<Path>) -> io::Result<File> {
        let flags = FILE | OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        Ok(openat(&self.0, name.as_ref(), flags, FILE_MODE)?.into())
    }

    /// Moves a file into another directory on this file system. Replaces a file or a link that has
    /// the name there.
    pub(crate) fn rename(
        &self,
        from: impl AsRef<Path>,
        directory: &Self,
        to: impl AsRef<Path>,
    ) -> io::Result<()> {
        Ok(renameat(&self.0, from.as_ref(), &directory.0, to.as_ref())?)
    }

    /// Removes a file or a link.
    pub(crate) fn remove_file(&self, name: impl AsRef<Path>) -> io::Result<()> {
        Ok(unlinkat(&self.0, name.as_ref(), AtFlags::empty())?)
    }

    /// Makes the entries durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        File::from(self.to_list()?).sync_all()
    }

    /// Fails if the file system of the directory does not answer.
    pub(crate) fn check(&self) -> io::Result<()> {
        fstat(&self.0)?;
        Ok(())
    }

    /// Iterates over the entries.
    pub(crate) fn entries(&self) -> io::Result<impl Iterator<Item = io::Result<Entry>>> {
        let entries = rustix::fs::Dir::new(self.to_list()?)?;
        Ok(entries.filter_map(|entry| self.entry(entry).transpose()))
    }

    fn entry(&self, entry: rustix::io::Result<rustix::fs::DirEntry>) -> io::Result<Option<Entry>> {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            return Ok(None);
        }
        let kind = match entry.file_type() {
            // Some file systems do not tell in a listing.
            FileType::Unknown => match statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => kind(FileType::from_raw_mode(stat.st_mode)),
                Err(Errno::NOENT) => return Ok(None),
                Err(error) => return Err(error.into()),
            },
            known => kind(known),
        };
        let name = name.to_owned();
        Ok(Some(Entry { name, kind }))
    }

    /// Makes the directory accessible to its owner only. False if it belongs to another user.
    ///
    /// The owner is compared with that of a new file: some network file systems give all files to
    /// one user, and some know no modes.
    pub(crate) fn claim(&self) -> io::Result<bool> {
        const PROBE: &str = "owner";
        match self.remove_file(PROBE) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let ours = self.create_new(PROBE)?.metadata()?.uid();
        self.remove_file(PROBE)?;
        let is_ours = fstat(&self.0)?.st_uid == ours;
        if is_ours {
            // Fails where the file system knows no modes.
            let _ = fchmod(self.to_list()?, Mode::RWXU);
        }
        Ok(is_ours)
    }

    /// Returns true if everyone may write to the directory.
    pub(crate) fn is_open_to_all(&self) -> io::Result<bool> {
        let mode = Mode::from_raw_mode(fstat(&self.0)?.st_mode);
        Ok(mode.contains(Mode::WOTH))
    }

    fn to_list(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(openat(&self.0, ".", flags, Mode::empty())?)
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the other systems have none")]
pub(super) fn file_number(metadata: &Metadata) -> Option<u64> {
    Some(metadata.ino())
}

fn kind(file_type: FileType) -> Kind {
    match file_type {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        _ => Kind::Other,
    }
}

fn state(stat: &Stat) -> FileState {
    FileState {
        len: unsigned(stat.st_size),
        modified: time(stat),
        number: Some(unsigned(stat.st_ino)),
    }
}

fn time(stat: &Stat) -> Option<SystemTime> {
    let seconds = signed(stat.st_mtime)?;
    let since = Duration::from_secs(seconds.unsigned_abs());
    let whole_seconds = if seconds < 0 {
        UNIX_EPOCH.checked_sub(since)
    } else {
        UNIX_EPOCH.checked_add(since)
    };
    whole_seconds?.checked_add(Duration::from_nanos(unsigned(stat.st_mtime_nsec)))
}

// The fields of `Stat` differ in width and sign between systems.

/// Converts a field that is never negative.
fn unsigned(field: impl TryInto<u64>) -> u64 {
    field.try_into().unwrap_or_default()
}

fn signed(field: impl TryInto<i64>) -> Option<i64> {
    field.try_into().ok()
}
