//! [`IdentifyingFile`]: a file that identifies patients, outside of `private/`.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

#[cfg(not(unix))]
use self::portable as system;
#[cfg(unix)]
use self::unix as system;

/// A file that identifies patients: readable by its owner only, and complete or absent.
///
/// It is written under another name in its directory and then renamed, relative to the open
/// directory. Neither a link nor a file of another user is followed, written or replaced. A directory
/// in which others can replace the file is refused: one that others may write to without the sticky
/// bit, and one that belongs to another user than root.
#[derive(Debug)]
pub(crate) struct IdentifyingFile {
    directory: system::Directory,
    file: File,
    /// The name before [`finish`](Self::finish).
    fresh: OsString,
    is_finished: bool,
}

impl IdentifyingFile {
    /// Creates an empty file in a directory. Its first name begins with `stem`.
    pub(crate) fn create(directory: &Path, stem: &OsStr) -> io::Result<Self> {
        let directory = system::Directory::open(directory_or_here(directory))?;
        let (fresh, file) = create_fresh(&directory, stem)?;
        let created = Self {
            directory,
            file,
            fresh,
            is_finished: false,
        };
        created.directory.check(&created.file)?;
        Ok(created)
    }

    /// Returns a handle to write with.
    pub(crate) fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Fails if something has the name that this file must not replace.
    pub(crate) fn check_name(&self, name: &OsStr) -> io::Result<()> {
        self.directory.check_name(name, &self.file)
    }

    /// Gives the file its name, durably. Replaces an earlier file of the same user.
    pub(crate) fn finish(mut self, name: &OsStr) -> io::Result<()> {
        self.check_name(name)?;
        self.file.sync_all()?;
        self.directory.rename(&self.fresh, name)?;
        self.is_finished = true;
        self.directory.sync()
    }
}

impl Drop for IdentifyingFile {
    fn drop(&mut self) {
        if !self.is_finished {
            // An error was reported already. A remaining file is readable by its owner only.
            let _ = self.directory.remove(&self.fresh);
        }
    }
}

/// Writes a whole [`IdentifyingFile`].
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let fresh = IdentifyingFile::create(directory, name)?;
    fresh.check_name(name)?;
    fresh.file()?.write_all(bytes)?;
    fresh.finish(name)
}

/// The parent of a bare name is the working directory.
fn directory_or_here(directory: &Path) -> &Path {
    if directory.as_os_str().is_empty() {
        Path::new(".")
    } else {
        directory
    }
}

/// Creates a file under a name that nothing has.
fn create_fresh(directory: &system::Directory, stem: &OsStr) -> io::Result<(OsString, File)> {
    const MOST_IN_USE: u32 = 100;
    let id = std::process::id();
    let mut number = 0;
    loop {
        let mut name = stem.to_os_string();
        name.push(format!(".{id}.{number}.new"));
        // A killed process with the same id left it; a file of another user stays.
        let _ = directory.remove(&name);
        match directory.create_new(&name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < MOST_IN_USE => {
                number += 1;
            }
            file => return Ok((name, file?)),
        }
    }
}

const NOT_A_FILE: &str = "it is not a regular file: name another one";

#[cfg(unix)]
mod unix {
    use std::ffi::OsStr;
    use std::fs::File;
    use std::io;
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;

    use rustix::fs::{
        AtFlags, CWD, FileType, Mode, OFlags, fstat, openat, renameat, statat, unlinkat,
    };
    use rustix::io::Errno;

    #[derive(Debug)]
    pub(super) struct Directory(OwnedFd);

    impl Directory {
        pub(super) fn open(path: &Path) -> io::Result<Self> {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            Ok(Self(openat(CWD, path, flags, Mode::empty())?))
        }

        pub(super) fn create_new(&self, name: &OsStr) -> io::Result<File> {
            let flags =
                OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            Ok(openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR)?.into())
        }

        /// Checks the directory of a new, empty file, and the file. The owner is compared with that
        /// of the file: some network file systems give all files to one user.
        pub(super) fn check(&self, file: &File) -> io::Result<()> {
            let (directory, file) = (fstat(&self.0)?, file.metadata()?);
            let mode = Mode::from_raw_mode(directory.st_mode);
            let problem = if directory.st_uid != file.uid() && directory.st_uid != 0 {
                "its directory belongs to another user: run as that user, or choose a directory of yours"
            } else if mode.intersects(Mode::WGRP | Mode::WOTH) && !mode.contains(Mode::SVTX) {
                "others may write to its directory: take that permission away (chmod go-w), or choose another directory"
            } else if file.mode() & 0o077 != 0 {
                "its file system lets others read every file: choose a directory on another one"
            } else {
                return Ok(());
            };
            Err(io::Error::other(problem))
        }

        pub(super) fn check_name(&self, name: &OsStr, ours: &File) -> io::Result<()> {
            let found = match statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => return Ok(()),
                found => found?,
            };
            if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
                Err(io::Error::other(super::NOT_A_FILE))
            } else if found.st_uid != ours.metadata()?.uid() {
                let problem = "it belongs to another user: name another file";
                Err(io::Error::other(problem))
            } else {
                Ok(())
            }
        }

        pub(super) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
            Ok(renameat(&self.0, from, &self.0, to)?)
        }

        pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
            Ok(unlinkat(&self.0, name, AtFlags::empty())?)
        }

        pub(super) fn sync(&self) -> io::Result<()> {
            Ok(rustix::fs::fsync(&self.0)?)
        }
    }
}

/// The fallback: no owners and no modes.
#[cfg(any(test, not(unix)))]
mod portable {
    use std::ffi::OsStr;
    use std::fs::{self, File};
    use std::io;
    use std::path::{Path, PathBuf};

    #[derive(Debug)]
    pub(super) struct Directory(PathBuf);

    impl Directory {
        pub(super) fn open(path: &Path) -> io::Result<Self> {
            fs::metadata(path)?;
            Ok(Self(path.to_owned()))
        }

        pub(super) fn create_new(&self, name: &OsStr) -> io::Result<File> {
            File::create_new(self.0.join(name))
        }

        pub(super) fn check(&self, _: &File) -> io::Result<()> {
            self.sync()
        }

        pub(super) fn check_name(&self, name: &OsStr, _: &File) -> io::Result<()> {
            match self.0.join(name).symlink_metadata() {
                Ok(found) if !found.is_file() => Err(io::Error::other(super::NOT_A_FILE)),
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        }

        pub(super) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
            fs::rename(self.0.join(from), self.0.join(to))
        }

        pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
            fs::remove_file(self.0.join(name))
        }

        pub(super) fn sync(&self) -> io::Result<()> {
            fs::metadata(&self.0).map(drop)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fallback_writes_and_refuses_as_the_system_does() {
        let dir = tempfile::tempdir().unwrap();
        let directory = portable::Directory::open(dir.path()).unwrap();
        let (first, last) = (OsStr::new("first"), OsStr::new("last"));
        let file = directory.create_new(first).unwrap();
        directory.check(&file).unwrap();
        directory.check_name(last, &file).unwrap();
        directory.rename(first, last).unwrap();
        directory.sync().unwrap();
        directory.check_name(last, &file).unwrap();
        directory.create_new(last).unwrap_err();
        std::fs::create_dir(dir.path().join("directory")).unwrap();
        let refused = directory.check_name(OsStr::new("directory"), &file);
        assert!(refused.unwrap_err().to_string().contains(NOT_A_FILE));
        directory.remove(last).unwrap();
        assert!(portable::Directory::open(&dir.path().join("missing")).is_err());
    }

    #[test]
    #[cfg(unix)]
    fn a_name_in_use_is_neither_opened_nor_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let fresh = format!("list.txt.{}.0.new", std::process::id());
        std::fs::create_dir(dir.path().join(fresh)).unwrap();
        let (path, other) = (dir.path().join("list.txt"), dir.path().join("other"));
        write(&path, b"first").unwrap();
        write(&path, b"second").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
        assert_eq!(crate::platform::access(&path).unwrap().unwrap().others, 0);
        std::fs::rename(&path, &other).unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        let refused = write(&path, b"third").unwrap_err();
        assert!(refused.to_string().contains(NOT_A_FILE), "{refused}");
        assert_eq!(std::fs::read(&other).unwrap(), b"second");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    #[cfg(unix)]
    fn a_directory_that_others_may_write_to_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.txt");
        for (mode, is_taken) in [
            (0o777, false),
            (0o770, false),
            (0o1777, true),
            (0o755, true),
        ] {
            crate::platform::set_mode(dir.path(), mode).unwrap();
            assert_eq!(write(&path, b"list").is_ok(), is_taken, "{mode:o}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
