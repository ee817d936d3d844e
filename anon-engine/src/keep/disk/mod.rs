//! [`Disk`]: the few file-system operations that durable storing needs.
//!
//! A store or a quarantine never calls the file system itself. It goes through this trait, so that a
//! test can cut the power between any two operations and look at what is left.
//!
//! ```text
//! DirectoryStore ──┐              ┌── OsDisk    the file system
//!                  ├── dyn Disk ──┤
//! DirectoryQuar. ──┘              └── SimDisk   in memory, forgets what was not synced (testing)
//! ```
//!
//! What a power cut leaves, by POSIX: the bytes of a file up to its last [`WriteFile::sync`], and
//! the names in a directory up to its last [`Disk::sync_dir`]. Everything else may be there or not.

mod os;

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

pub use os::OsDisk;

pub use crate::platform::CopyError;

/// Who may read what is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "there is inside private/ and outside"
)]
pub enum Access {
    /// Only the owner: files 0600, directories 0700, whatever the umask.
    Private,
    /// As the umask says.
    Shared,
}

/// What [`Disk::create_dir`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it is there, or it was made")]
pub enum Made {
    /// The directory is new.
    Created,
    /// It was there.
    AlreadyThere,
}

/// What [`Disk::rename`] does with a file that has the new name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it stays or it goes")]
pub enum Existing {
    /// It stays, and the rename fails with [`io::ErrorKind::AlreadyExists`].
    Keep,
    /// It is replaced in one step.
    Replace,
}

/// What stands at a path. Links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A regular file of this length in bytes.
    File(u64),
    /// A directory.
    Directory,
    /// Something else: a device, a FIFO, a socket.
    Other,
}

/// A file being written.
pub trait WriteFile: Write + Send {
    /// Appends a range of another file: `len` bytes from `offset`.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the source is shorter; any other failure of reading or
    /// writing. Read failures and write failures are told apart by [`CopyError`].
    fn append_range(&mut self, source: &File, offset: u64, len: u64) -> Result<(), CopyError>;

    /// Gives a file of [`Disk::create_unnamed`] a name on its file system, in one step.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if the name is taken; [`io::ErrorKind::NotFound`] if its
    /// directory is missing; [`io::ErrorKind::Unsupported`], as by default, if the file has a name.
    fn give_name(&mut self, path: &Path) -> io::Result<()> {
        let _ = path;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Makes what was written survive a power cut. The name of the file is not covered: see
    /// [`Disk::sync_dir`].
    ///
    /// # Errors
    /// If the system cannot promise that.
    fn sync(&mut self) -> io::Result<()>;
}

/// Names in a directory, in no order.
pub type Names = Box<dyn Iterator<Item = io::Result<OsString>> + Send>;

/// The file-system operations of a store and a quarantine.
///
/// Errors are plain [`io::Error`]s; none of ours holds a path.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Makes a directory whose parent exists.
    ///
    /// # Errors
    /// If something else has its name, or the system refuses.
    fn create_dir(&self, path: &Path, access: Access) -> io::Result<Made>;

    /// Makes a new file and opens it for writing.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if the name is taken.
    fn create(&self, path: &Path, access: Access) -> io::Result<Box<dyn WriteFile>>;

    /// How many files without a name, of so many, can be held open on the file system of a directory,
    /// beside all else that is open. A file may come and go in the directory to find that out.
    ///
    /// 0, as by default, if they cannot be made here or not be given a name later.
    ///
    /// # Errors
    /// If what came to find that out cannot go.
    fn unnamed_files(&self, dir: &Path, wanted: usize) -> io::Result<usize> {
        let _ = (dir, wanted);
        Ok(0)
    }

    /// Makes a file without a name on the file system of a directory, and opens it for writing.
    /// Nobody else can open it, and it is gone when it is dropped, unless
    /// [`WriteFile::give_name`] names it: then others may read it as the umask says.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`], as by default, if this file system has no such files.
    fn create_unnamed(&self, dir: &Path) -> io::Result<Box<dyn WriteFile>> {
        let _ = dir;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is none.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>>;

    /// What stands at a path; none if nothing does.
    ///
    /// # Errors
    /// If the system cannot tell.
    fn kind(&self, path: &Path) -> io::Result<Option<Kind>>;

    /// Gives a file or a directory another name on the same file system, in one step.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if the name is taken and `existing` says keep;
    /// [`io::ErrorKind::CrossesDevices`] if it lies on another file system.
    fn rename(&self, from: &Path, to: &Path, existing: Existing) -> io::Result<()>;

    /// Lets others read a private file, as the umask says.
    ///
    /// # Errors
    /// If the system refuses.
    fn share(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory survive a power cut.
    ///
    /// # Errors
    /// If the system cannot promise that.
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

    /// The names in a directory.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is none.
    fn list(&self, path: &Path) -> io::Result<Names>;

    /// True if a file made in one directory can be renamed into the other.
    ///
    /// # Errors
    /// If one of them is not there.
    fn same_file_system(&self, one: &Path, other: &Path) -> io::Result<bool>;

    /// The path by which the operating system knows a file, if it knows it at all.
    fn native(&self, path: &Path) -> Option<PathBuf>;
}

/// Makes a directory and those above it that are missing. The ones made get `access`.
///
/// # Errors
/// If one cannot be made.
pub(crate) fn create_dirs(disk: &dyn Disk, path: &Path, access: Access) -> io::Result<()> {
    if disk.kind(path)? == Some(Kind::Directory) {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        create_dirs(disk, parent, access)?;
    }
    disk.create_dir(path, access).map(drop)
}

/// Makes the name of a directory survive a power cut, and those of the directories above it as far
/// as this process may open them.
pub(crate) fn sync_ancestors(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let mut below = path.parent();
    while let Some(dir) = below.filter(|dir| !dir.as_os_str().is_empty()) {
        match disk.sync_dir(dir) {
            // Not ours and not made by us: a directory we may not read was there before.
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

/// Removes a file, or a directory with all that is in it.
///
/// # Errors
/// If something cannot be removed.
pub(crate) fn remove_all(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    // A file first: so that a link to a directory goes and the directory stays.
    match disk.remove_file(path) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if disk.kind(path)? != Some(Kind::Directory) => return Err(error),
        Err(_) => {}
    }
    empty_dir(disk, path)?;
    disk.remove_dir(path)
}

const _: fn() = || {
    fn assert<T: Send + Sync + ?Sized>() {}
    assert::<dyn Disk>();
};
