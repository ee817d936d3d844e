//! All calls that differ between operating systems. Each has a portable form; the tests run both.

pub(crate) mod no_links;

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::Path;

#[cfg(not(unix))]
use self::generic as system;
use self::no_links::Pinned;
#[cfg(unix)]
use self::unix as system;

/// Bytes of one read and write where the kernel cannot copy.
const BUFFER_BYTES: usize = 256 * 1024;

/// Bytes of a page of the page cache, on most systems.
const PAGE: u64 = 4096;

/// A failed [`append_range`](crate::disk::WriteFile::append_range).
#[derive(Debug, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "a copy has two ends")]
pub enum CopyError {
    /// The source could not be read.
    #[error("cannot read the source")]
    Read(#[source] io::Error),
    /// The copy could not be written.
    #[error("cannot write")]
    Write(#[source] io::Error),
}

/// Appends `len` bytes of `source` from `offset` to `target`. Uses the kernel's copy where that is
/// faster.
///
/// The kernel copies page by page. If source and target are not aligned to each other, its copy
/// takes 1.5 times as long as reading and writing whole pages.
pub(crate) fn append_range(
    source: &File,
    offset: u64,
    len: u64,
    target: &mut File,
) -> Result<(), CopyError> {
    let place = target.stream_position().map_err(CopyError::Write)?;
    #[cfg(target_os = "linux")]
    if place % PAGE == offset % PAGE {
        let (offset, len) = linux::append_range(source, offset, len, target)?;
        let place = target.stream_position().map_err(CopyError::Write)?;
        return portable::append_range(source, offset, len, target, place);
    }
    portable::append_range(source, offset, len, target, place)
}

/// Renames a file or directory, and never replaces an existing one.
pub(crate) fn rename_no_replace(from: &Pinned, to: &Pinned) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if let Some(done) = linux::rename_no_replace(from, to) {
        return done;
    }
    portable::rename_no_replace(&from.path(), &to.path())
}

/// Makes a file without a name on the file system of a directory, if the system supports it.
pub(crate) fn create_unnamed(dir: &Path) -> io::Result<File> {
    unnamed::create(dir)
}

/// Gives a file of [`create_unnamed`] a name, and never replaces an existing file.
pub(crate) fn give_name(file: &File, entry: &Pinned) -> io::Result<()> {
    unnamed::give_name(file, entry)
}

/// Reserves room for `more` open files. Fails if the process may not have that many.
pub(crate) fn reserve_descriptors(file: &File, more: usize) -> io::Result<()> {
    unnamed::reserve_descriptors(file, more)
}

/// Makes the names in a directory durable. On systems without such a call this only checks that the
/// directory exists.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    system::sync_dir(path)
}

/// Returns a number that is equal for paths on the same file system; 0 on systems without one.
pub(crate) fn device(path: &Path) -> io::Result<u64> {
    system::device(path)
}

/// Identifies a directory independently of the path that leads to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DirectoryIdentity(system::IdentityKey);

impl DirectoryIdentity {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        Self::known(path, &std::fs::metadata(path)?)
    }

    /// As [`of`](Self::of), with known metadata.
    pub(crate) fn known(path: &Path, metadata: &Metadata) -> io::Result<Self> {
        system::identity(path, metadata).map(Self)
    }
}

/// Opens a file for reading. Opening a FIFO does not block.
pub(crate) fn open_source(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(target_os = "linux")]
    linux::do_not_wait(&mut options);
    options.open(path)
}

/// Opens a file for reading, but not a symbolic link.
pub(crate) fn open_no_link(path: &Path) -> io::Result<File> {
    if path.is_symlink() {
        return Err(no_links::is_a_link());
    }
    let mut options = File::options();
    options.read(true);
    #[cfg(target_os = "linux")]
    linux::no_link(&mut options);
    options.open(path)
}

/// Reads at an offset. Unix keeps the position of the file; on other systems two threads must not
/// share a handle.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    system::read_at(file, buffer, offset)
}

/// Fills `buffer` from an offset, as [`read_at`] does.
pub(crate) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    fill(system::read_at, file, buffer, offset)
}

fn fill(
    read_at: fn(&File, &mut [u8], u64) -> io::Result<usize>,
    file: &File,
    mut buffer: &mut [u8],
    mut offset: u64,
) -> io::Result<()> {
    while !buffer.is_empty() {
        match read_at(file, buffer, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(got) => {
                buffer = buffer.get_mut(got..).unwrap_or_default();
                offset += got as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes the builder create directories that only their owner can use. On systems other than Unix
/// the parent directory decides; the same is true for files.
pub(crate) fn private_dir(builder: &mut DirBuilder) {
    system::private_dir(builder);
}

/// Makes the options create files that only their owner can read.
pub(crate) fn private_file(options: &mut OpenOptions) {
    system::private_file(options);
}

/// Sets the mode of an existing file or directory.
pub(crate) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    system::set_mode(path, mode)
}

/// Returns the mode; 0 on systems without modes.
pub(crate) fn mode(metadata: &Metadata) -> u32 {
    system::mode(metadata)
}

#[cfg(unix)]
mod unix {
    use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
    use std::path::Path;

    pub(super) type IdentityKey = (u64, u64);

    #[expect(clippy::unnecessary_wraps, reason = "the other systems can fail")]
    pub(super) fn identity(_: &Path, metadata: &Metadata) -> io::Result<IdentityKey> {
        Ok((metadata.dev(), metadata.ino()))
    }

    pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    pub(super) fn device(path: &Path) -> io::Result<u64> {
        path.metadata().map(|found| found.dev())
    }

    pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        file.read_at(buffer, offset)
    }

    pub(super) fn private_dir(builder: &mut DirBuilder) {
        builder.mode(0o700);
    }

    pub(super) fn private_file(options: &mut OpenOptions) {
        options.mode(0o600);
    }

    pub(super) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
        std::fs::set_permissions(path, Permissions::from_mode(mode))
    }

    pub(super) fn mode(metadata: &Metadata) -> u32 {
        metadata.permissions().mode() & 0o777
    }
}

/// Portable forms, for systems without better calls.
#[cfg(any(test, not(unix)))]
mod generic {
    use std::fs::{DirBuilder, File, Metadata, OpenOptions};
    use std::io::{self, Read, Seek, SeekFrom};
    use std::path::{Path, PathBuf};

    pub(super) type IdentityKey = PathBuf;

    pub(super) fn identity(path: &Path, _: &Metadata) -> io::Result<IdentityKey> {
        path.canonicalize()
    }

    pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
        path.metadata().map(drop)
    }

    pub(super) fn device(path: &Path) -> io::Result<u64> {
        path.metadata().map(|_| 0)
    }

    pub(super) fn read_at(mut file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        file.seek(SeekFrom::Start(offset))?;
        file.read(buffer)
    }

    pub(super) fn private_dir(_: &mut DirBuilder) {}

    pub(super) fn private_file(_: &mut OpenOptions) {}

    pub(super) fn set_mode(path: &Path, _: u32) -> io::Result<()> {
        path.metadata().map(drop)
    }

    pub(super) fn mode(_: &Metadata) -> u32 {
        0
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::{OFlags, RenameFlags, copy_file_range, renameat_with};
    use rustix::io::Errno;

    use super::CopyError;
    use super::no_links::Pinned;

    /// Makes opening a FIFO not wait for a writer.
    pub(super) fn do_not_wait(options: &mut OpenOptions) {
        options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    }

    /// Makes opening a symbolic link fail, also one that is put there at this moment.
    pub(super) fn no_link(options: &mut OpenOptions) {
        let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
        options.custom_flags(flags.bits().cast_signed());
    }

    /// Copies as much as the kernel can. Returns the offset and length of the rest.
    pub(super) fn append_range(
        source: &File,
        mut offset: u64,
        mut len: u64,
        target: &File,
    ) -> Result<(u64, u64), CopyError> {
        while len > 0 {
            let step = usize::try_from(len).unwrap_or(usize::MAX);
            match copy_file_range(source, Some(&mut offset), target, None, step) {
                // Pseudo file systems such as /proc return 0 before the end: the portable copy
                // finds out whether the source has ended.
                Ok(0) => break,
                Ok(copied) => len -= copied as u64,
                Err(Errno::INTR) => {}
                Err(error) if cannot(error) => break,
                // The error does not say which side failed. A full disk is the target's. For other
                // errors the portable copy tries again and tells the side.
                Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => {
                    return Err(CopyError::Write(error.into()));
                }
                Err(_) => break,
            }
        }
        Ok((offset, len))
    }

    /// Returns `None` if the file system does not support the call.
    pub(super) fn rename_no_replace(from: &Pinned, to: &Pinned) -> Option<io::Result<()>> {
        let ((from_dir, from), (to_dir, to)) = (from.at(), to.at());
        match renameat_with(from_dir, from, to_dir, to, RenameFlags::NOREPLACE) {
            Err(error) if cannot(error) => None,
            result => Some(result.map_err(io::Error::from)),
        }
    }

    fn cannot(error: Errno) -> bool {
        matches!(
            error,
            Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM
        )
    }
}

/// Files without a name in any directory (`O_TMPFILE`, open(2)).
#[cfg(target_os = "linux")]
mod unnamed {
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::OpenOptionsExt;
    use std::path::Path;

    use rustix::fs::{AtFlags, CWD, OFlags, linkat};
    use rustix::io::{Errno, fcntl_dupfd_cloexec};

    use super::no_links::Pinned;

    pub(super) fn create(dir: &Path) -> io::Result<File> {
        let flags = OFlags::TMPFILE.bits().cast_signed();
        let mut options = OpenOptions::new();
        options.write(true).custom_flags(flags).open(dir)
    }

    /// Falls back to /proc: before Linux 6.10, `AT_EMPTY_PATH` needed a privilege.
    pub(super) fn give_name(file: &File, entry: &Pinned) -> io::Result<()> {
        let (dir, name) = entry.at();
        match linkat(file, "", dir, name, AtFlags::EMPTY_PATH) {
            // The directory is missing, or the privilege is.
            Err(Errno::NOENT) => give_name_by_proc(file, entry),
            result => Ok(result?),
        }
    }

    pub(super) fn give_name_by_proc(file: &File, entry: &Pinned) -> io::Result<()> {
        let at = format!("/proc/self/fd/{}", file.as_raw_fd());
        let (dir, name) = entry.at();
        Ok(linkat(CWD, at, dir, name, AtFlags::SYMLINK_FOLLOW)?)
    }

    /// Grows the table of open files once. Otherwise each thread that finds the table full waits
    /// for all processors to see the larger one, several times.
    pub(super) fn reserve_descriptors(file: &File, more: usize) -> io::Result<()> {
        let last = i32::try_from(more).map_err(io::Error::other)?;
        Ok(fcntl_dupfd_cloexec(file, last).map(drop)?)
    }
}

#[cfg(not(target_os = "linux"))]
mod unnamed {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    use super::no_links::Pinned;

    pub(super) fn create(_: &Path) -> io::Result<File> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn give_name(_: &File, _: &Pinned) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn reserve_descriptors(_: &File, _: usize) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

mod portable {
    use std::cell::Cell;

    use super::{BUFFER_BYTES, CopyError, File, PAGE, Path, Write, io, read_at};

    thread_local! {
        /// Kept by each thread: allocating it for each copy takes half as long as copying a CT
        /// slice.
        static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }

    /// `place` is the position of `target`. Writes end at its page boundaries.
    pub(super) fn append_range(
        source: &File,
        offset: u64,
        len: u64,
        target: &mut File,
        place: u64,
    ) -> Result<(), CopyError> {
        if len == 0 {
            return Ok(());
        }
        let mut buffer = BUFFER.take();
        buffer.resize(BUFFER_BYTES, 0);
        let done = append_by(&mut buffer, source, offset, len, target, place);
        BUFFER.set(buffer);
        done
    }

    fn append_by(
        buffer: &mut [u8],
        source: &File,
        mut offset: u64,
        mut len: u64,
        target: &mut File,
        mut place: u64,
    ) -> Result<(), CopyError> {
        while len > 0 {
            let whole = BUFFER_BYTES as u64 - place % PAGE;
            let want = usize::try_from(len.min(whole)).unwrap_or(BUFFER_BYTES);
            let window = buffer.get_mut(..want).unwrap_or_default();
            let got = match read_at(source, window, offset) {
                Ok(0) => return Err(CopyError::Read(io::ErrorKind::UnexpectedEof.into())),
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(CopyError::Read(error)),
            };
            let read = window.get(..got).unwrap_or_default();
            target.write_all(read).map_err(CopyError::Write)?;
            offset += got as u64;
            place += got as u64;
            len -= got as u64;
        }
        Ok(())
    }

    /// Links the new name, which fails if it is taken, then removes the old one. A crash in between
    /// leaves both; the old one is in a directory that is emptied at the next start.
    pub(super) fn rename_no_replace(from: &Path, to: &Path) -> io::Result<()> {
        match std::fs::hard_link(from, to) {
            Ok(()) => std::fs::remove_file(from),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => Err(error),
            // A directory, or a file system without links.
            Err(_) if to.symlink_metadata().is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => std::fs::rename(from, to),
        }
    }
}

#[cfg(test)]
mod tests;
