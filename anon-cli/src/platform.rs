//! What systems do differently: modes and owners, kinds of file systems, the local socket.
//!
//! Everything has a portable fallback: where a system has no modes there is nothing to check.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::path::Path;

/// Makes a directory that its owner alone may enter, whatever the umask.
pub(crate) fn private_directory(path: &Path) -> io::Result<()> {
    private_builder().create(path)?;
    set_mode(path, 0o700)
}

#[cfg(unix)]
fn private_builder() -> DirBuilder {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

#[cfg(not(unix))]
fn private_builder() -> DirBuilder {
    DirBuilder::new()
}

/// The same options for a file that its owner alone may read, if this makes it.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600)
    }
    #[cfg(not(unix))]
    options
}

/// Makes a file that its owner alone may read, or empties one, and then makes it so.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    let file = private(OpenOptions::new().write(true).create(true).truncate(true)).open(path)?;
    set_mode(path, 0o600)?;
    Ok(file)
}

#[cfg(unix)]
pub(crate) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
pub(crate) fn set_mode(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}

/// Who owns something, and what the mode allows to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Access {
    /// The owner's number.
    pub(crate) owner: u32,
    /// The bits of the mode that let anybody else in.
    pub(crate) others: u32,
    /// True for a directory.
    pub(crate) is_directory: bool,
}

/// None where the system has no owners and modes.
#[cfg(unix)]
pub(crate) fn access(path: &Path) -> io::Result<Option<Access>> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::symlink_metadata(path)?;
    Ok(Some(Access {
        owner: metadata.uid(),
        others: metadata.mode() & 0o077,
        is_directory: metadata.is_dir(),
    }))
}

#[cfg(not(unix))]
pub(crate) fn access(path: &Path) -> io::Result<Option<Access>> {
    std::fs::symlink_metadata(path).map(|_| None)
}

/// The number of the user this runs as; 0 where there are none.
pub(crate) fn user() -> u32 {
    #[cfg(unix)]
    {
        rustix::process::geteuid().as_raw()
    }
    #[cfg(not(unix))]
    0
}

/// True if the path lies on NFS or SMB.
#[cfg(target_os = "linux")]
pub(crate) fn is_network(path: &Path) -> io::Result<bool> {
    let kind = rustix::fs::statfs(path)?.f_type;
    #[expect(
        clippy::cast_sign_loss,
        clippy::cast_possible_truncation,
        reason = "the magic numbers are 32 bits wide, in a field whose type differs"
    )]
    let kind = kind as u32;
    Ok(NETWORK.contains(&kind))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn is_network(path: &Path) -> io::Result<bool> {
    std::fs::metadata(path).map(|_| false)
}

/// NFS, SMB, CIFS, SMB2, as statfs(2) lists them.
#[cfg(target_os = "linux")]
const NETWORK: [u32; 4] = [0x6969, 0x517B, 0xFF53_4D42, 0xFE53_4D42];

/// True if both lie on one file system, so that a rename moves no bytes.
#[cfg(unix)]
pub(crate) fn same_file_system(a: &Path, b: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(std::fs::metadata(a)?.dev() == std::fs::metadata(b)?.dev())
}

#[cfg(not(unix))]
pub(crate) fn same_file_system(_: &Path, _: &Path) -> io::Result<bool> {
    Ok(true)
}

/// Makes the entries of a directory durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        File::open(path)?.sync_all()
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        Ok(())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn modes_are_set_whatever_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        File::create(&path).unwrap();
        set_mode(&path, 0o644).unwrap();
        assert_eq!(access(&path).unwrap().unwrap().others, 0o044);
        private_file(&path).unwrap();
        let access = access(&path).unwrap().unwrap();
        assert_eq!((access.others, access.owner), (0, user()));
    }

    #[test]
    fn file_systems() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_network(dir.path()).unwrap());
        assert!(same_file_system(dir.path(), dir.path()).unwrap());
        assert!(!same_file_system(dir.path(), Path::new("/proc")).unwrap());
    }
}
