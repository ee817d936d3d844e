//! The calls that differ between systems. Each has a portable form; the tests below run both.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::CopyError;

/// Bytes moved at once where the kernel cannot copy by itself.
const BUFFER_BYTES: usize = 256 * 1024;

/// Appends `len` bytes of `source` from `offset` to `target`, in the kernel where it can.
pub(super) fn append_range(
    source: &File,
    offset: u64,
    len: u64,
    target: &mut File,
) -> Result<(), CopyError> {
    #[cfg(target_os = "linux")]
    let (offset, len) = linux::append_range(source, offset, len, target)?;
    portable::append_range(source, offset, len, target)
}

/// Renames, but never over something that is there.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if let Some(done) = linux::rename_new(from, to) {
        return done;
    }
    portable::rename_new(from, to)
}

/// Makes the names in a directory durable. Systems without such a call make them durable when they
/// like.
pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    return File::open(path)?.sync_all();
    #[cfg(not(unix))]
    return path.metadata().map(drop);
}

/// A number that is equal for two paths on one file system.
pub(super) fn device(path: &Path) -> io::Result<u64> {
    #[cfg(unix)]
    return path
        .metadata()
        .map(|found| std::os::unix::fs::MetadataExt::dev(&found));
    #[cfg(not(unix))]
    return path.metadata().map(|_| 0);
}

/// Opens a file to read. What is no regular file, such as a FIFO, does not make the caller wait.
pub(crate) fn open_source(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(target_os = "linux")]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, linux::NONBLOCK);
    options.open(path)
}

/// Reads at an offset without moving the file's own position.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_at(file, buffer, offset);
    #[cfg(windows)]
    return std::os::windows::fs::FileExt::seek_read(file, buffer, offset);
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    use rustix::fs::{CWD, RenameFlags, copy_file_range, renameat_with};
    use rustix::io::Errno;

    use super::CopyError;

    /// Of `open`: do not wait for a writer.
    pub(super) const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

    /// What is left to copy when the kernel can do no more of it: nothing, or the rest.
    pub(super) fn append_range(
        source: &File,
        mut offset: u64,
        mut len: u64,
        target: &File,
    ) -> Result<(u64, u64), CopyError> {
        while len > 0 {
            let step = usize::try_from(len).unwrap_or(usize::MAX);
            match copy_file_range(source, Some(&mut offset), target, None, step) {
                // Some file systems of the kernel itself say 0 although there is more: the
                // portable copy finds out whether the source has ended.
                Ok(0) => break,
                Ok(copied) => len -= copied as u64,
                Err(Errno::INTR) => {}
                Err(error) if cannot(error) => break,
                // Which end failed is not said. A full disk is the target's; the rest is tried
                // again in the open, where it shows.
                Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => {
                    return Err(CopyError::Write(error.into()));
                }
                Err(_) => break,
            }
        }
        Ok((offset, len))
    }

    /// None if this file system cannot do it.
    pub(super) fn rename_new(from: &Path, to: &Path) -> Option<io::Result<()>> {
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
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

mod portable {
    use super::{BUFFER_BYTES, CopyError, File, Path, Write, io, read_at};

    pub(super) fn append_range(
        source: &File,
        mut offset: u64,
        mut len: u64,
        target: &mut File,
    ) -> Result<(), CopyError> {
        if len == 0 {
            return Ok(());
        }
        let size = usize::try_from(len).map_or(BUFFER_BYTES, |len| len.min(BUFFER_BYTES));
        let mut buffer = vec![0; size];
        while len > 0 {
            let want = usize::try_from(len).map_or(size, |len| len.min(size));
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
            len -= got as u64;
        }
        Ok(())
    }

    /// A second name fails if the name is taken; then the first one goes. A crash in between
    /// leaves both, and the first one lies in a directory that is emptied at the next start.
    pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
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
mod tests {
    use std::io::Read;

    use super::*;

    type Copy = fn(&File, u64, u64, &mut File) -> Result<(), CopyError>;

    #[test]
    fn both_copies_append_the_same_range() {
        let dir = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..700_000_u32).map(|n| (n % 251) as u8).collect();
        let path = dir.path().join("source");
        File::create(&path).unwrap().write_all(&bytes).unwrap();
        let source = File::open(&path).unwrap();
        for (name, copy) in [
            ("system", append_range as Copy),
            ("portable", portable::append_range),
        ] {
            let target = dir.path().join(name);
            let mut file = File::create_new(&target).unwrap();
            file.write_all(b"head").unwrap();
            copy(&source, 11, 600_000, &mut file).unwrap();
            file.write_all(b"tail").unwrap();
            let mut got = Vec::new();
            File::open(&target).unwrap().read_to_end(&mut got).unwrap();
            let want = [b"head", &bytes[11..600_011], b"tail"].concat();
            assert!(got == want, "{name}: {} bytes", got.len());
            let error = copy(&source, 699_000, 2_000, &mut file).unwrap_err();
            let CopyError::Read(error) = error else {
                panic!("{name}: {error}");
            };
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{name}");
        }
    }

    #[test]
    fn neither_rename_replaces() {
        let dir = tempfile::tempdir().unwrap();
        for (name, rename) in [
            ("system", rename_new as fn(&Path, &Path) -> io::Result<()>),
            ("portable", portable::rename_new),
        ] {
            let (from, to) = (dir.path().join(format!("{name}-1")), dir.path().join(name));
            File::create(&from).unwrap().write_all(b"one").unwrap();
            rename(&from, &to).unwrap();
            assert!(!from.exists(), "{name}");
            File::create(&from).unwrap().write_all(b"two").unwrap();
            let error = rename(&from, &to).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{name}");
            assert_eq!(std::fs::read(&to).unwrap(), b"one", "{name}");
            assert!(from.exists(), "{name}");
            let (from, to) = (
                dir.path().join(format!("{name}-d")),
                dir.path().join(format!("{name}-e")),
            );
            std::fs::create_dir(&from).unwrap();
            rename(&from, &to).unwrap();
            assert!(to.is_dir(), "{name}");
        }
    }
}
