//! [`Disk`]: the few file-system operations that durable storing needs.
//!
//! A store or a quarantine never calls the file system directly. It goes through this trait, so
//! that a test can cut the power between any two operations and inspect what is left.
//!
//! ```text
//! DirectoryStore ──┐              ┌── OsDisk    the file system
//!                  ├── dyn Disk ──┤
//! DirectoryQuar. ──┘              └── SimDisk   in memory, loses unsynced data (testing)
//! ```
//!
//! After a power cut, POSIX guarantees the bytes of a file up to its last [`WriteFile::sync`] and
//! the names in a directory up to its last [`Disk::sync_dir`]. Anything newer may be lost.

mod os;

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

pub use os::OsDisk;

pub use crate::platform::CopyError;

/// Who may read a new file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "private/ and public/ need no third kind"
)]
pub enum Access {
    /// Only the owner: files have mode 0600, directories 0700, whatever the umask.
    Private,
    /// Everybody whom the umask admits.
    Shared,
}

/// The result of [`Disk::create_dir`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third outcome")]
pub enum DirCreation {
    /// The directory is new.
    Created,
    /// The directory existed before.
    AlreadyThere,
}

/// What [`Disk::rename`] does if a file has the new name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third choice")]
pub enum Existing {
    /// The existing file stays, and the rename fails with [`io::ErrorKind::AlreadyExists`].
    Keep,
    /// The existing file is replaced atomically.
    Replace,
}

/// What a path leads to. Links are followed, but for those of [`Disk::follow_no_links_below`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// A regular file of this length in bytes.
    File(u64),
    /// A directory.
    Directory,
    /// Something else: a device, a FIFO, a socket.
    Other,
}

/// A file that is being written.
pub trait WriteFile: Write + Send {
    /// Appends a range of another file: `len` bytes from `offset`.
    ///
    /// # Errors
    /// [`CopyError`] says whether reading or writing failed. A source that ends early fails with
    /// [`io::ErrorKind::UnexpectedEof`].
    fn append_range(&mut self, source: &File, offset: u64, len: u64) -> Result<(), CopyError>;

    /// Gives a file of [`Disk::create_unnamed`] a name on its file system, atomically.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if the name is taken; [`io::ErrorKind::NotFound`] if its
    /// directory is missing; [`io::ErrorKind::Unsupported`] if the file has a name, or by default.
    fn give_name(&mut self, path: &Path) -> io::Result<()> {
        let _ = path;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Makes the written bytes survive a power cut. The name of the file needs a
    /// [`Disk::sync_dir`] of its own.
    ///
    /// # Errors
    /// If the system reports a failure.
    fn sync(&mut self) -> io::Result<()>;
}

/// The names in a directory, in no particular order.
pub type Names = Box<dyn Iterator<Item = io::Result<OsString>> + Send>;

/// The file-system operations of a store and a quarantine.
///
/// Errors are plain [`io::Error`]s. Those that this crate makes hold no path.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Follows no symbolic link below a directory from now on, where the system has them: others may put
    /// links there, to have files written, read or removed elsewhere. A call that meets one fails.
    ///
    /// By default nothing changes.
    ///
    /// # Errors
    /// If the directory cannot be looked at.
    fn follow_no_links_below(&self, dir: &Path) -> io::Result<()> {
        let _ = dir;
        Ok(())
    }

    /// Makes a directory. Its parent must exist.
    ///
    /// # Errors
    /// If the name belongs to something that is not a directory, or the system refuses.
    fn create_dir(&self, path: &Path, access: Access) -> io::Result<DirCreation>;

    /// Makes a new file and opens it for writing.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if the name is taken.
    fn create(&self, path: &Path, access: Access) -> io::Result<Box<dyn WriteFile>>;

    /// Returns how many files without a name can be open at once on the file system of `dir`, at
    /// most `wanted`. The check may create a file in `dir` and remove it.
    ///
    /// Returns 0, also by default, if the file system has no such files or cannot name them later.
    ///
    /// # Errors
    /// If the file of the check cannot be removed.
    fn unnamed_files(&self, dir: &Path, wanted: usize) -> io::Result<usize> {
        let _ = (dir, wanted);
        Ok(0)
    }

    /// Makes a file without a name on the file system of a directory, and opens it for writing.
    /// No other process can open it, and dropping it removes it. After
    /// [`WriteFile::give_name`], others may read it as the umask says.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] if the file system has no such files, and by default.
    fn create_unnamed(&self, dir: &Path) -> io::Result<Box<dyn WriteFile>> {
        let _ = dir;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is none.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>>;

    /// Opens a file of the operating system for reading. `None`, also by default, if the disk has none.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    fn open_native(&self, path: &Path) -> io::Result<Option<File>> {
        self.native(path).map(File::open).transpose()
    }

    /// Returns what a path leads to; `None` if it leads to nothing.
    ///
    /// # Errors
    /// If the system cannot tell.
    fn kind(&self, path: &Path) -> io::Result<Option<FileKind>>;

    /// Renames a file or a directory on the same file system, atomically.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if the name is taken and `existing` says keep;
    /// [`io::ErrorKind::CrossesDevices`] if `to` is on another file system.
    fn rename(&self, from: &Path, to: &Path, existing: Existing) -> io::Result<()>;

    /// Gives a private file the permissions of the umask.
    ///
    /// # Errors
    /// If the system refuses.
    fn share(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory survive a power cut.
    ///
    /// # Errors
    /// If the system reports a failure.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is none.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// If it is not empty or not there.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Lists the names in a directory.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is no directory.
    fn list(&self, path: &Path) -> io::Result<Names>;

    /// Returns true if a file in one directory can be renamed into the other.
    ///
    /// # Errors
    /// If one of the directories is missing.
    fn same_file_system(&self, one: &Path, other: &Path) -> io::Result<bool>;

    /// Returns the path of a file in the operating system; `None` if the disk is simulated.
    fn native(&self, path: &Path) -> Option<PathBuf>;
}

/// Makes a directory and its missing parents, each with `access`.
///
/// # Errors
/// If one cannot be made.
pub(crate) fn create_dirs(disk: &dyn Disk, path: &Path, access: Access) -> io::Result<()> {
    if disk.kind(path)? == Some(FileKind::Directory) {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        create_dirs(disk, parent, access)?;
    }
    disk.create_dir(path, access).map(drop)
}

/// Makes the name of a directory survive a power cut, and the names of its parents, up to the first
/// parent that this process may not open.
pub(crate) fn sync_ancestors(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let mut below = path.parent();
    while let Some(dir) = below.filter(|dir| !dir.as_os_str().is_empty()) {
        match disk.sync_dir(dir) {
            // A directory that we may not read was not made by us, so its name is durable.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => break,
            result => result?,
        }
        below = dir.parent();
    }
    Ok(())
}

/// Removes everything in a directory. Links are removed, not followed.
///
/// # Errors
/// If something cannot be removed.
pub(crate) fn empty_dir(disk: &dyn Disk, path: &Path) -> io::Result<u64> {
    let mut removed = 0;
    for name in disk.list(path)? {
        remove_all(disk, &path.join(name?))?;
        removed += 1;
    }
    Ok(removed)
}

/// Removes a file, or a directory with its contents. A missing path is no error.
///
/// # Errors
/// If something cannot be removed.
pub(crate) fn remove_all(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    // Tried as a file first: this removes a link to a directory and leaves its target alone.
    match disk.remove_file(path) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if disk.kind(path)? != Some(FileKind::Directory) => return Err(error),
        Err(_) => {}
    }
    empty_dir(disk, path)?;
    disk.remove_dir(path)
}

const _: fn() = || {
    fn assert<T: Send + Sync + ?Sized>() {}
    assert::<dyn Disk>();
};
