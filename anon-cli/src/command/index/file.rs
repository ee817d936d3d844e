//! Writes a file that identifies patients: readable by its owner only, and complete or absent.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::exit::Failure;
use crate::platform;

/// Where a file is written.
#[derive(Debug)]
pub(super) enum Target<'p> {
    /// At this path.
    Given(&'p Path),
    /// As `<stem>_<rows>.<extension>`, where the number of rows is known at the end.
    Counted {
        directory: PathBuf,
        stem: String,
        extension: &'static str,
    },
}

impl Target<'_> {
    /// Returns the path that is written before the rename.
    fn temporary(&self) -> Option<PathBuf> {
        let (directory, mut name) = match self {
            Self::Given(path) => (
                path.parent()?.to_path_buf(),
                path.file_name()?.to_os_string(),
            ),
            Self::Counted {
                directory,
                stem,
                extension,
            } => (directory.clone(), format!("{stem}.{extension}").into()),
        };
        name.push(format!(".{}.new", std::process::id()));
        Some(directory.join(name))
    }

    /// Returns the final path.
    fn path(&self, rows: u64) -> PathBuf {
        match self {
            Self::Given(path) => path.to_path_buf(),
            Self::Counted {
                directory,
                stem,
                extension,
            } => directory.join(format!("{stem}_{rows}.{extension}")),
        }
    }
}

/// Writes a file with `fill`, completely or not at all. Returns its path and its number of rows.
pub(super) fn write(
    target: &Target<'_>,
    fill: impl FnOnce(File) -> anyhow::Result<u64>,
) -> anyhow::Result<(PathBuf, u64)> {
    let failed = || {
        Failure::CannotRun(match target {
            Target::Given(path) => format!("cannot write {}", path.display()),
            Target::Counted { directory, .. } => format!("cannot write to {}", directory.display()),
        })
    };
    let temporary = target.temporary().with_context(failed)?;
    if let Target::Given(path) = target {
        check(path).with_context(failed)?;
    }
    let written = create(&temporary)
        .map_err(anyhow::Error::new)
        .and_then(fill)
        .and_then(|rows| {
            let path = target.path(rows);
            fs::rename(&temporary, &path)?;
            Ok((path, rows))
        });
    if written.is_err() {
        // The first error is reported. A remaining file is readable by its owner only.
        let _ = fs::remove_file(&temporary);
    }
    written.with_context(failed)
}

/// Refuses a device or a pipe, which the rename would replace.
fn check(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err(io::Error::other("it is not a regular file")),
        _ => Ok(()),
    }
}

/// Creates a new file. Removes an existing one first, and never writes through a link.
fn create(temporary: &Path) -> io::Result<File> {
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    platform::private(options.write(true).create_new(true)).open(temporary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.csv");
        let counted = Target::Counted {
            directory: dir.path().to_path_buf(),
            stem: "5_A_PHI".into(),
            extension: "csv",
        };
        for target in [Target::Given(&path), counted] {
            assert!(write(&target, |_| anyhow::bail!("no")).is_err());
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
            let (path, rows) = write(&target, |_| Ok(3)).unwrap();
            assert_eq!((path.is_file(), rows), (true, 3));
            fs::remove_file(path).unwrap();
        }
    }

    /// Another user of the directory cannot read the file or redirect the write.
    #[test]
    #[cfg(unix)]
    fn a_link_at_the_temporary_path_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.csv");
        let target = Target::Given(&path);
        let other = dir.path().join("other");
        fs::copy("Cargo.toml", &other).unwrap();
        std::os::unix::fs::symlink(&other, target.temporary().unwrap()).unwrap();
        write(&target, |_| Ok(0)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
        assert!(fs::metadata(other).unwrap().len() > 0);
    }

    #[test]
    fn a_missing_directory_is_exit_code_4() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("missing/index.csv");
        let error = write(&Target::Given(&path), |_| Ok(0)).unwrap_err();
        assert_eq!(crate::exit::code(&error), 4);
    }
}
