//! The calls that differ between operating systems. Each has a portable version; the tests run both.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use super::OpenError;

#[cfg(not(unix))]
use self::portable as system;
#[cfg(unix)]
use self::unix as system;

/// Makes the name of a file durable. Does nothing on systems without such a call.
pub(super) fn sync_directory_of(path: &Path) -> io::Result<()> {
    system::sync_directory_of(path)
}

/// Makes files that these options create readable for their owner only. Outside Unix the access
/// rights of the directory apply.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    system::private(options)
}

/// Refuses a file that other users can read, or that another user owns. Accepts every file outside
/// Unix.
pub(super) fn check_access(file: &File) -> Result<(), OpenError> {
    system::check_access(file)
}

/// The space of a file system in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DiskSpace {
    /// What this user can still write.
    pub(super) free: u64,
    /// The size of the file system.
    pub(super) total: u64,
}

/// Returns the space of the file system that holds a path. `None` on systems that do not report it.
pub(super) fn disk_space(path: &Path) -> io::Result<Option<DiskSpace>> {
    system::disk_space(path)
}

#[cfg(unix)]
mod unix {
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    use std::path::Path;

    use super::{DiskSpace, OpenError};

    pub(super) fn disk_space(path: &Path) -> io::Result<Option<DiskSpace>> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(Some(DiskSpace {
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
        }))
    }

    pub(super) fn sync_directory_of(path: &Path) -> io::Result<()> {
        let directory = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }

    pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
        options.mode(0o600)
    }

    pub(super) fn check_access(file: &File) -> Result<(), OpenError> {
        let metadata = file.metadata().map_err(OpenError::Io)?;
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(OpenError::Mode { mode });
        }
        let owner = metadata.uid();
        if owner != rustix::process::geteuid().as_raw() {
            return Err(OpenError::Owner { owner });
        }
        Ok(())
    }
}

/// The portable versions.
#[cfg(any(test, not(unix)))]
mod portable {
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::path::Path;

    use super::{DiskSpace, OpenError};

    pub(super) fn disk_space(path: &Path) -> io::Result<Option<DiskSpace>> {
        path.metadata().map(|_| None)
    }

    pub(super) fn sync_directory_of(path: &Path) -> io::Result<()> {
        path.metadata().map(drop)
    }

    pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
        options
    }

    pub(super) fn check_access(file: &File) -> Result<(), OpenError> {
        file.metadata().map(drop).map_err(OpenError::Io)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Version {
        name: &'static str,
        sync: fn(&Path) -> io::Result<()>,
        private: fn(&mut OpenOptions) -> &mut OpenOptions,
        check: fn(&File) -> Result<(), OpenError>,
        checks_modes: bool,
    }

    const VERSIONS: [Version; 2] = [
        Version {
            name: "system",
            sync: system::sync_directory_of,
            private: system::private,
            check: system::check_access,
            checks_modes: cfg!(unix),
        },
        Version {
            name: "portable",
            sync: portable::sync_directory_of,
            private: portable::private,
            check: portable::check_access,
            checks_modes: false,
        },
    ];

    #[test]
    fn both_versions_create_a_private_file_and_sync_its_directory() {
        let dir = tempfile::tempdir().unwrap();
        for version in VERSIONS {
            let path = dir.path().join(version.name);
            let mut options = File::options();
            let file = (version.private)(options.write(true).create_new(true))
                .open(&path)
                .unwrap();
            (version.check)(&file).unwrap();
            (version.sync)(&path).unwrap();
            let lost = dir.path().join("missing").join("file");
            let error = (version.sync)(&lost).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "{}", version.name);
        }
    }

    #[test]
    fn both_versions_read_disk_space() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(portable::disk_space(dir.path()).unwrap(), None);
        if let Some(space) = system::disk_space(dir.path()).unwrap() {
            assert!(0 < space.free && space.free <= space.total, "{space:?}");
        }
        for disk_space in [system::disk_space, portable::disk_space] {
            let error = disk_space(&dir.path().join("missing")).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_on_unix() {
        for version in VERSIONS {
            let file = tempfile::NamedTempFile::new().unwrap();
            loosen(file.path());
            let refused = matches!(
                (version.check)(file.as_file()),
                Err(OpenError::Mode { mode: 0o640 })
            );
            assert_eq!(refused, version.checks_modes, "{}", version.name);
        }
    }

    #[cfg(unix)]
    fn loosen(path: &Path) {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o640);
        std::fs::set_permissions(path, mode).unwrap();
    }

    #[cfg(not(unix))]
    fn loosen(_: &Path) {}
}
