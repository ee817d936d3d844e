//! Writes the index as a file: readable by its owner only, and complete or absent.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::exit::Failure;
use crate::platform::identifying::IdentifyingFile;

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
    /// Returns the directory.
    fn directory(&self) -> &Path {
        match self {
            Self::Given(path) => path.parent().unwrap_or(Path::new("")),
            Self::Counted { directory, .. } => directory,
        }
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
    write_fresh(target, fill).with_context(|| {
        Failure::CannotRun(match target {
            Target::Given(path) => format!("cannot write {}", path.display()),
            Target::Counted { directory, .. } => format!("cannot write to {}", directory.display()),
        })
    })
}

fn write_fresh(
    target: &Target<'_>,
    fill: impl FnOnce(File) -> anyhow::Result<u64>,
) -> anyhow::Result<(PathBuf, u64)> {
    let stem = target.path(0);
    let stem = stem.file_name().context("it has no name")?;
    let fresh = IdentifyingFile::create(target.directory(), stem)?;
    if let Target::Given(_) = target {
        fresh.check_name(stem)?;
    }
    let rows = fill(fresh.file()?)?;
    let path = target.path(rows);
    fresh.finish(path.file_name().context("it has no name")?)?;
    Ok((path, rows))
}

#[cfg(test)]
mod tests {
    use std::fs;

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

    #[test]
    fn a_missing_directory_is_exit_code_4() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("missing/index.csv");
        let error = write(&Target::Given(&path), |_| Ok(0)).unwrap_err();
        assert_eq!(crate::exit::code(&error), 4);
    }
}
