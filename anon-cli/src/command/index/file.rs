//! A file of originals: for its owner alone, and whole or not there.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::exit::Failure;
use crate::platform;

/// Where a file is to stand.
#[derive(Debug)]
pub(super) enum Place<'p> {
    /// Here.
    Given(&'p Path),
    /// As `<stem>_<rows>.<extension>`, which is known at the end.
    Counted {
        directory: PathBuf,
        stem: String,
        extension: &'static str,
    },
}

impl Place<'_> {
    /// What it is called while it is written.
    fn fresh(&self) -> Option<PathBuf> {
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

    fn named(&self, rows: u64) -> PathBuf {
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

/// Writes what `fill` writes, all of it or no file; where it stands, and how many rows it has.
pub(super) fn write(
    place: &Place<'_>,
    fill: impl FnOnce(File) -> anyhow::Result<u64>,
) -> anyhow::Result<(PathBuf, u64)> {
    let failed = || {
        Failure::CannotRun(match place {
            Place::Given(path) => format!("cannot write {}", path.display()),
            Place::Counted { directory, .. } => format!("cannot write to {}", directory.display()),
        })
    };
    let fresh = place.fresh().with_context(failed)?;
    if let Place::Given(path) = place {
        check(path).with_context(failed)?;
    }
    let written = create(&fresh)
        .map_err(anyhow::Error::new)
        .and_then(fill)
        .and_then(|rows| {
            let path = place.named(rows);
            fs::rename(&fresh, &path)?;
            Ok((path, rows))
        });
    if written.is_err() {
        // The first error is the one to tell. What is left holds originals, and is private.
        let _ = fs::remove_file(&fresh);
    }
    written.with_context(failed)
}

/// A device or a pipe would be replaced by the file.
fn check(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err(io::Error::other("it is no file")),
        _ => Ok(()),
    }
}

/// A new file: what somebody put there under its name, such as a link, is not written to.
fn create(fresh: &Path) -> io::Result<File> {
    match fs::remove_file(fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    platform::private(options.write(true).create_new(true)).open(fresh)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_row_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.csv");
        let counted = Place::Counted {
            directory: dir.path().to_path_buf(),
            stem: "5_A_PHI".into(),
            extension: "csv",
        };
        for place in [Place::Given(&path), counted] {
            assert!(write(&place, |_| anyhow::bail!("no")).is_err());
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
            let (path, rows) = write(&place, |_| Ok(3)).unwrap();
            assert_eq!((path.is_file(), rows), (true, 3));
            fs::remove_file(path).unwrap();
        }
    }

    /// Who may write to the directory cannot read what is written, nor have something else overwritten.
    #[test]
    #[cfg(unix)]
    fn what_lies_there_is_not_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.csv");
        let place = Place::Given(&path);
        let other = dir.path().join("other");
        fs::copy("Cargo.toml", &other).unwrap();
        std::os::unix::fs::symlink(&other, place.fresh().unwrap()).unwrap();
        write(&place, |_| Ok(0)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
        assert!(fs::metadata(other).unwrap().len() > 0);
    }

    #[test]
    fn a_missing_directory_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("missing/index.csv");
        let error = write(&Place::Given(&path), |_| Ok(0)).unwrap_err();
        assert_eq!(crate::exit::code(&error), 4);
    }
}
