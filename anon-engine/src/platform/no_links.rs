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

    /// Returns an entry of a directory. The first `root` bytes of the path name a directory without links;
    /// the entry is below it, and may be missing or be a link itself.
    ///
    /// # Errors
    /// If a directory on the path is a link, is missing, or cannot be opened.
    pub(crate) fn entry(path: &Path, root: usize) -> io::Result<Self> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(Self::as_is(path));
        };
        let mut pinned = system::directory(parent, root)?;
        pinned.path.push(name);
        Ok(pinned)
    }

    /// As [`entry`](Self::entry), for a directory: it may not be a link either.
    ///
    /// # Errors
    /// As [`entry`](Self::entry).
    pub(crate) fn directory(path: &Path, root: usize) -> io::Result<Self> {
        system::directory(path, root)
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
pub(crate) fn metadata(path: &Path, root: usize) -> io::Result<Metadata> {
    system::metadata(path, root)
}

/// Returns the path and those above it that are longer than `root` bytes, the longest first.
fn below(path: &Path, root: usize) -> Vec<&Path> {
    let all = path.ancestors();
    all.take_while(|path| path.as_os_str().len() > root)
        .collect()
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
    use std::path::{Path, PathBuf};

    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, open, openat, openat2};
    use rustix::io::Errno;

    use super::{Pinned, below, is_a_link};

    const ENTRY: OFlags = OFlags::PATH.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

    const FLAGS: OFlags = ENTRY.union(OFlags::DIRECTORY);

    pub(super) fn directory(path: &Path, root: usize) -> io::Result<Pinned> {
        let opened = match openat2(CWD, path, FLAGS, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
            // Before Linux 5.6, or forbidden in a container.
            Err(Errno::NOSYS | Errno::PERM) => step_by_step(path, root),
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
    pub(super) fn metadata(path: &Path, root: usize) -> io::Result<Metadata> {
        match openat2(CWD, path, ENTRY, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
            Ok(opened) => File::from(opened).metadata(),
            Err(Errno::NOENT) => Err(io::ErrorKind::NotFound.into()),
            Err(_) => Pinned::entry(path, root)?.path().symlink_metadata(),
        }
    }

    /// Opens each directory in the one before.
    pub(super) fn step_by_step(path: &Path, root: usize) -> io::Result<OwnedFd> {
        let parts = below(path, root);
        let above = path.ancestors().nth(parts.len()).unwrap_or(path);
        let mut directory = open(above, FLAGS, Mode::empty())?;
        for part in parts.iter().rev() {
            let name = part.file_name().ok_or(io::ErrorKind::InvalidInput)?;
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

    use super::{Pinned, below, is_a_link};

    #[cfg_attr(
        target_os = "linux",
        expect(dead_code, reason = "Linux has a better call")
    )]
    pub(super) fn metadata(path: &Path, root: usize) -> io::Result<Metadata> {
        Pinned::entry(path, root)?.path().symlink_metadata()
    }

    pub(super) fn directory(path: &Path, root: usize) -> io::Result<Pinned> {
        for part in below(path, root).iter().rev() {
            if part.symlink_metadata()?.is_symlink() {
                return Err(is_a_link());
            }
        }
        Ok(Pinned::as_is(path))
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
            system::directory as fn(&Path, usize) -> io::Result<Pinned>,
            by_name::directory,
        ] {
            let root = dir.path().as_os_str().len();
            let found = directory(&dir.path().join("a/b"), root).unwrap();
            assert!(found.path().join("file").is_file());
            let missing = directory(&dir.path().join("a/c"), root).unwrap_err();
            assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        }
        let root = dir.path().as_os_str().len();
        let entry = Pinned::entry(&dir.path().join("a/b/new"), root).unwrap();
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
            let (path, len) = (root.join(below), root.as_os_str().len());
            for directory in [
                system::directory as fn(&Path, usize) -> io::Result<Pinned>,
                by_name::directory,
            ] {
                let error = directory(&path, len).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{below:?}");
            }
            #[cfg(target_os = "linux")]
            assert!(system::step_by_step(&path, len).is_err(), "{below:?}");
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
        let root = dir.path().as_os_str().len();
        let entry = Pinned::entry(&dir.path().join("a/file"), root).unwrap();
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
