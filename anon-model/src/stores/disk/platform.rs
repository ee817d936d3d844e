//! The calls that differ between systems, and nowhere else in this crate. Each has a portable form;
//! the tests below run both.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use super::OpenError;

#[cfg(not(unix))]
use self::elsewhere as system;
#[cfg(unix)]
use self::unix as system;

/// Makes the name of a file durable. Systems without such a call make it durable when they like.
pub(super) fn sync_directory_of(path: &Path) -> io::Result<()> {
    system::sync_directory_of(path)
}

/// A file that these make is its owner's alone. Elsewhere than on Unix the directory decides.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    system::private(options)
}

/// Refuses a file that others may read or that another user may change under us; elsewhere than on
/// Unix there is nothing to look at.
pub(super) fn check_access(file: &File) -> Result<(), OpenError> {
    system::check_access(file)
}

/// Bytes of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// What this user may still write.
    pub(super) free: u64,
    /// What there is in all.
    pub(super) whole: u64,
}

/// The room on the file system that a path lies on; none where that cannot be told.
pub(super) fn room(path: &Path) -> io::Result<Option<Room>> {
    system::room(path)
}

#[cfg(unix)]
mod unix {
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    use std::path::Path;

    use super::{OpenError, Room};

    pub(super) fn room(path: &Path) -> io::Result<Option<Room>> {
        let found = rustix::fs::statvfs(path)?;
        Ok(Some(Room {
            free: found.f_bavail.saturating_mul(found.f_frsize),
            whole: found.f_blocks.saturating_mul(found.f_frsize),
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

/// What is done where the system has nothing better.
#[cfg(any(test, not(unix)))]
mod elsewhere {
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::path::Path;

    use super::{OpenError, Room};

    pub(super) fn room(path: &Path) -> io::Result<Option<Room>> {
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

    struct Form {
        name: &'static str,
        sync: fn(&Path) -> io::Result<()>,
        private: fn(&mut OpenOptions) -> &mut OpenOptions,
        check: fn(&File) -> Result<(), OpenError>,
        sees_modes: bool,
    }

    const FORMS: [Form; 2] = [
        Form {
            name: "system",
            sync: system::sync_directory_of,
            private: system::private,
            check: system::check_access,
            sees_modes: cfg!(unix),
        },
        Form {
            name: "elsewhere",
            sync: elsewhere::sync_directory_of,
            private: elsewhere::private,
            check: elsewhere::check_access,
            sees_modes: false,
        },
    ];

    #[test]
    fn both_make_a_private_file_and_its_name_durable() {
        let dir = tempfile::tempdir().unwrap();
        for form in FORMS {
            let path = dir.path().join(form.name);
            let mut options = File::options();
            let file = (form.private)(options.write(true).create_new(true))
                .open(&path)
                .unwrap();
            (form.check)(&file).unwrap();
            (form.sync)(&path).unwrap();
            let lost = dir.path().join("missing").join("file");
            let error = (form.sync)(&lost).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "{}", form.name);
        }
    }

    #[test]
    fn both_look_for_room_and_the_system_finds_some() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(elsewhere::room(dir.path()).unwrap(), None);
        if let Some(found) = system::room(dir.path()).unwrap() {
            assert!(0 < found.free && found.free <= found.whole, "{found:?}");
        }
        for room in [system::room, elsewhere::room] {
            let error = room(&dir.path().join("missing")).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        }
    }

    #[test]
    fn a_loose_mode_is_refused_where_there_are_modes() {
        for form in FORMS {
            let file = tempfile::NamedTempFile::new().unwrap();
            loosen(file.path());
            let refused = matches!(
                (form.check)(file.as_file()),
                Err(OpenError::Mode { mode: 0o640 })
            );
            assert_eq!(refused, form.sees_modes, "{}", form.name);
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
