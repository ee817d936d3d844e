//! Opens and replaces the files of a project without following symbolic links. Owner and mode are checked
//! on the open file, because a name may mean another file a moment later.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

/// Opens a file that only this user may access, and creates it with mode 0600 if `options` say so.
///
/// # Errors
/// `NotFound`; `PermissionDenied` if it is a symbolic link or no regular file, belongs to another user, or
/// can be accessed by others.
pub(crate) fn open_private(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    super::private(options);
    super::system::no_links(options);
    let file = options.open(path).map_err(|error| {
        if path.is_symlink() {
            refused("it is a symbolic link")
        } else {
            error
        }
    })?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(refused("it is no regular file"));
    }
    if let Some(access) = super::system::access_of(&metadata) {
        if access.owner != super::user() {
            return Err(refused("it belongs to another user"));
        }
        if access.others != 0 {
            return Err(refused("others can access it: run chmod 600 on it"));
        }
    }
    Ok(file)
}

fn refused(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

/// Reads a file that only this user may access.
///
/// # Errors
/// As [`open_private`].
pub(crate) fn read_private(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_private(path, OpenOptions::new().read(true))?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Creates a file that is not there, accessible to this user only. What a crash left under its name is
/// removed first.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    super::private(options.write(true).create_new(true));
    create(path, &options)
}

fn create(path: &Path, options: &OpenOptions) -> io::Result<File> {
    match options.open(path) {
        // Removing a link leaves alone what it leads to.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            options.open(path)
        }
        file => file,
    }
}

/// Who may read a file. Only its owner may write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    Owner,
    /// Everyone whom the umask allows.
    All,
}

/// Replaces a file. After a crash it holds either the old or the new content. A link is replaced, not
/// followed.
pub(crate) fn replace(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.new", std::process::id()));
    let fresh = path.with_file_name(name);
    let write = || {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        match readers {
            Readers::Owner => super::private(&mut options),
            Readers::All => super::own(&mut options),
        };
        let mut file = create(&fresh, &options)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        match path.parent() {
            // The parent of a bare name is the working directory.
            Some(parent) if parent.as_os_str().is_empty() => super::sync_directory(Path::new(".")),
            Some(parent) => super::sync_directory(parent),
            None => Ok(()),
        }
    };
    let written = write();
    if written.is_err() {
        // The first error is reported. A leftover file is harmless.
        let _ = fs::remove_file(&fresh);
    }
    written
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn links_and_files_of_others_are_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        create_private(&file).unwrap().write_all(b"kept").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let opened = open_private(&link, OpenOptions::new().append(true));
        assert_eq!(opened.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(read_private(&file).unwrap(), b"kept");
        let access = crate::platform::access(&file).unwrap().unwrap();
        assert_eq!((access.others, access.owner), (0, crate::platform::user()));
        crate::platform::set_mode(&file, 0o640).unwrap();
        assert!(read_private(&file).is_err(), "others can read it");
        assert!(read_private(dir.path()).is_err(), "a directory");
        assert_eq!(
            read_private(&dir.path().join("none")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }

    #[test]
    fn a_link_in_the_place_of_a_file_is_replaced_and_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (other, path) = (dir.path().join("other"), dir.path().join("file"));
        create_private(&other).unwrap().write_all(b"kept").unwrap();
        let fresh = dir.path().join(format!("file.{}.new", std::process::id()));
        for link in [&path, &fresh] {
            std::os::unix::fs::symlink(&other, link).unwrap();
        }
        replace(&path, b"new", Readers::Owner).unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"kept");
        assert_eq!(read_private(&path).unwrap(), b"new");
        assert!(!fresh.exists());
    }
}
