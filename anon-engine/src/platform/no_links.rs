//! Paths below a directory that others may write in, so that no symbolic link there is followed.
//!
//! Whoever can put a link in the place of a directory would otherwise choose where files are written,
//! read and removed. On Linux the directory of a path is opened first, link by link refused, and the path
//! is rewritten to lead through the open directory: a link that is put there later changes nothing. Other
//! systems look at each directory on the path by name.

use std::borrow::Cow;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

/// An entry of a directory, which can be used as long as this lives.
#[derive(Debug)]
pub(crate) struct Pinned {
    /// The open directory. `None`: the path leads there by itself.
    #[cfg(target_os = "linux")]
    directory: Option<std::os::fd::OwnedFd>,
    /// The name in the directory, or the path.
    path: PathBuf,
}

impl Pinned {
    /// Returns a path as it is.
    pub(crate) fn as_is(path: &Path) -> Self {
        Self {
            #[cfg(target_os = "linux")]
            directory: None,
            path: path.to_owned(),
        }
    }

    /// Returns an entry of a directory. `root` has no links; `below` leads from there to the entry, which
    /// may be missing or be a link itself.
    ///
    /// # Errors
    /// If a directory on the path is a link, is missing, or cannot be opened.
    pub(crate) fn entry(root: &Path, below: &Path) -> io::Result<Self> {
        let Some(name) = below.file_name() else {
            return Ok(Self::as_is(root));
        };
        let parent = below.parent().unwrap_or(Path::new(""));
        let mut pinned = system::directory(root, parent)?;
        pinned.path.push(name);
        Ok(pinned)
    }

    /// As [`entry`](Self::entry), for a directory: it may not be a link either.
    ///
    /// # Errors
    /// As [`entry`](Self::entry).
    pub(crate) fn directory(root: &Path, below: &Path) -> io::Result<Self> {
        system::directory(root, below)
    }

    /// Returns a path that leads there.
    pub(crate) fn path(&self) -> Cow<'_, Path> {
        #[cfg(target_os = "linux")]
        if let Some(directory) = &self.directory {
            use std::os::fd::AsRawFd as _;
            let directory = format!("/proc/self/fd/{}", directory.as_raw_fd());
            return Cow::Owned(Path::new(&directory).join(&self.path));
        }
        Cow::Borrowed(&self.path)
    }

    /// Returns the open directory, and the name in it. Faster than [`path`](Self::path), which leads
    /// through /proc: publishing 5,000 small files took 1.1 times as long with it.
    #[cfg(target_os = "linux")]
    pub(crate) fn at(&self) -> (std::os::fd::BorrowedFd<'_>, &Path) {
        use std::os::fd::AsFd as _;
        let directory = self.directory.as_ref();
        let directory = directory.map_or(rustix::fs::CWD, |directory| directory.as_fd());
        (directory, &self.path)
    }
}

/// Returns what an entry is. It may be a link itself.
///
/// # Errors
/// As [`Pinned::entry`]; [`io::ErrorKind::NotFound`] if there is none.
pub(crate) fn metadata(root: &Path, below: &Path) -> io::Result<Metadata> {
    system::metadata(root, below)
}

/// The error of a link that is not followed.
pub(crate) fn is_a_link() -> io::Error {
    io::Error::new(
        io::ErrorKind::PermissionDenied,
        "a symbolic link is in the place of a directory or file; remove it",
    )
}

/// Returns the path without symbolic links, also of one of which the last parts are missing.
///
/// # Errors
/// If a directory cannot be read.
pub(crate) fn real_path(path: &Path) -> io::Result<PathBuf> {
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Err(error), Some(parent), Some(name)) if error.kind() == io::ErrorKind::NotFound => {
            let parent = if parent.as_os_str().is_empty() {
                Path::new(".")
            } else {
                parent
            };
            Ok(real_path(parent)?.join(name))
        }
        (real, ..) => real,
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs::{File, Metadata};
    use std::io;
    use std::os::fd::OwnedFd;
    use std::path::{Component, Path, PathBuf};

    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, open, openat, openat2};
    use rustix::io::Errno;

    use super::{Pinned, is_a_link};

    const ENTRY: OFlags = OFlags::PATH.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

    const FLAGS: OFlags = ENTRY.union(OFlags::DIRECTORY);

    pub(super) fn directory(root: &Path, below: &Path) -> io::Result<Pinned> {
        let path = root.join(below);
        let opened = match openat2(CWD, &path, FLAGS, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
            // Before Linux 5.6, or forbidden in a container.
            Err(Errno::NOSYS | Errno::PERM) => step_by_step(root, below),
            Err(Errno::LOOP) => Err(is_a_link()),
            opened => opened.map_err(io::Error::from),
        };
        // A link in the place of the last directory is no directory.
        let directory = opened.map_err(|error| {
            if error.kind() != io::ErrorKind::NotFound && path.is_symlink() {
                is_a_link()
            } else {
                error
            }
        })?;
        Ok(Pinned {
            path: PathBuf::new(),
            directory: Some(directory),
        })
    }

    /// In one call, which also finds that the directory is missing.
    pub(super) fn metadata(root: &Path, below: &Path) -> io::Result<Metadata> {
        let path = root.join(below);
        match openat2(CWD, &path, ENTRY, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
            Ok(opened) => File::from(opened).metadata(),
            Err(Errno::NOENT) => Err(io::ErrorKind::NotFound.into()),
            Err(_) => Pinned::entry(root, below)?.path().symlink_metadata(),
        }
    }

    /// Opens each directory in the one before.
    pub(super) fn step_by_step(root: &Path, below: &Path) -> io::Result<OwnedFd> {
        let mut directory = open(root, FLAGS, Mode::empty())?;
        for part in below.components() {
            let Component::Normal(name) = part else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            directory = openat(&directory, name, FLAGS, Mode::empty())?;
        }
        Ok(directory)
    }
}

#[cfg(not(target_os = "linux"))]
use by_name as system;

/// The fallback: looks at each directory below the root by name.
#[cfg(any(test, not(target_os = "linux")))]
mod by_name {
    use std::fs::Metadata;
    use std::io;
    use std::path::Path;

    use super::{Pinned, is_a_link};

    #[cfg_attr(
        target_os = "linux",
        expect(dead_code, reason = "Linux has a better call")
    )]
    pub(super) fn metadata(root: &Path, below: &Path) -> io::Result<Metadata> {
        Pinned::entry(root, below)?.path().symlink_metadata()
    }

    pub(super) fn directory(root: &Path, below: &Path) -> io::Result<Pinned> {
        let mut path = root.to_owned();
        for part in below {
            path.push(part);
            if path.symlink_metadata()?.is_symlink() {
                return Err(is_a_link());
            }
        }
        Ok(Pinned::as_is(&path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_found_and_missing_ones_are_reported() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::File::create(dir.path().join("a/b/file")).unwrap();
        for directory in [
            system::directory as fn(&Path, &Path) -> io::Result<Pinned>,
            by_name::directory,
        ] {
            let found = directory(dir.path(), Path::new("a/b")).unwrap();
            assert!(found.path().join("file").is_file());
            let missing = directory(dir.path(), Path::new("a/c")).unwrap_err();
            assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        }
        let entry = Pinned::entry(dir.path(), Path::new("a/b/new")).unwrap();
        std::fs::File::create(entry.path()).unwrap();
        assert!(dir.path().join("a/b/new").is_file());
    }

    #[test]
    #[cfg(unix)]
    fn no_way_follows_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(dir.path().join("other/b")).unwrap();
        std::fs::create_dir(&root).unwrap();
        std::os::unix::fs::symlink(dir.path().join("other"), root.join("a")).unwrap();
        for below in ["a", "a/b"] {
            let below = Path::new(below);
            for directory in [
                system::directory as fn(&Path, &Path) -> io::Result<Pinned>,
                by_name::directory,
            ] {
                let error = directory(&root, below).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{below:?}");
            }
            #[cfg(target_os = "linux")]
            assert!(system::step_by_step(&root, below).is_err(), "{below:?}");
        }
    }

    /// The directory stays the one that was opened.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_link_that_comes_later_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (a, other) = (dir.path().join("a"), dir.path().join("other"));
        std::fs::create_dir(&a).unwrap();
        std::fs::create_dir(&other).unwrap();
        let entry = Pinned::entry(dir.path(), Path::new("a/file")).unwrap();
        std::fs::rename(&a, dir.path().join("aside")).unwrap();
        std::os::unix::fs::symlink(&other, &a).unwrap();
        std::fs::File::create(entry.path()).unwrap();
        assert!(dir.path().join("aside/file").is_file());
        assert_eq!(std::fs::read_dir(&other).unwrap().count(), 0);
    }

    #[test]
    fn missing_parts_of_a_path_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        assert_eq!(
            real_path(&dir.path().join("a/b")).unwrap(),
            real.join("a/b")
        );
        assert_eq!(real_path(dir.path()).unwrap(), real);
    }
}
