//! Reads and writes `store.mark`.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use anon_model::disk::{MarkError, StoreMark};
use anyhow::Context as _;

use crate::exit::Failure;
use crate::platform::{self, files};
use crate::project::Project;

/// Bytes that are read at most. A mark has about 150.
const MAX_BYTES: u64 = 4096;

/// The result of reading `store.mark`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Mark(StoreMark),
    /// Not a valid mark.
    Damaged,
}

/// Returns the mark of a project. `None` if there is none, or a damaged one.
///
/// # Errors
/// As [`find`].
pub(crate) fn known(project: &Project) -> anyhow::Result<Option<StoreMark>> {
    Ok(match find(project)? {
        Found::Mark(mark) => Some(mark),
        Found::Nothing | Found::Damaged => None,
    })
}

/// Reads the mark of a project.
///
/// # Errors
/// If it cannot be read, or a newer version of this program wrote it.
pub(super) fn find(project: &Project) -> anyhow::Result<Found> {
    let path = project.mark_file();
    let text = match read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(Found::Damaged),
        Err(error) => {
            let failure = Failure::CannotRun("cannot read store.mark".into());
            return Err(anyhow::Error::new(error).context(failure));
        }
    };
    match StoreMark::parse(&text) {
        Ok(mark) => Ok(Found::Mark(mark)),
        Err(error @ MarkError::Newer { .. }) => {
            Err(error).context(Failure::CannotRun("cannot use store.mark".into()))
        }
        Err(_) => Ok(Found::Damaged),
    }
}

fn read(path: &Path) -> io::Result<String> {
    // Opening a pipe would wait for ever.
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut text = String::new();
    File::open(path)?
        .take(MAX_BYTES)
        .read_to_string(&mut text)?;
    Ok(text)
}

/// Replaces the mark. After a crash, the file holds either the old or the new one. Only the holder of
/// the project may call this, one thread at a time.
pub(crate) fn write(path: &Path, mark: &StoreMark) -> io::Result<()> {
    // Always the same name, so that crashes leave one file at most. The next write replaces it.
    let fresh = path.with_extension("mark.new");
    let mut file = files::create_private(&fresh)?;
    file.write_all(mark.to_text().as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    match path.parent() {
        Some(directory) => platform::sync_directory(directory),
        None => Ok(()),
    }
}
