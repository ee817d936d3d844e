//! A restore that is prepared: `private/restore/`. It can be finished after a crash at any instruction.
//!
//! ```text
//! private/restore/new/…     the files to put in their places, with their names in the project
//! private/restore/ready     "anon restore 1" LF, the name of a directory in private/ LF: all files are
//!                           there; each file that one of them replaces goes to that directory
//! ```

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::exit::Failure;
use crate::platform;
use crate::project::lock::{Held, Lock};
use crate::project::{Privacy, Project, write_file};

/// The first line of `ready`.
const TITLE: &str = "anon restore 1";

/// The directory of a prepared restore.
pub(super) fn directory(project: &Project) -> PathBuf {
    project.private().join("restore")
}

/// The new file for a name in the project.
pub(super) fn staged(project: &Project, name: &str) -> PathBuf {
    directory(project).join("new").join(name)
}

/// Makes the directory of a new file.
pub(super) fn make_directory_of(project: &Project, staged: &Path) -> io::Result<()> {
    staged
        .parent()
        .map_or(Ok(()), |directory| make_directory(project, directory))
}

/// Removes what an earlier restore left, and makes an empty directory for the new files.
pub(super) fn begin(project: &Project) -> io::Result<()> {
    discard(project)?;
    platform::private_directory(&directory(project))?;
    platform::private_directory(&directory(project).join("new"))
}

/// Removes a restore that is not ready.
pub(super) fn discard(project: &Project) -> io::Result<()> {
    match fs::remove_dir_all(directory(project)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Decides the restore: from now on it will be finished. The names of the new files must be durable.
pub(super) fn decide(project: &Project, before: &str) -> io::Result<()> {
    let text = format!("{TITLE}\n{before}\n");
    let ready = directory(project).join("ready");
    write_file(&ready, text.as_bytes(), Privacy::Private)?;
    platform::sync_directory(&project.private())
}

/// Finishes a restore that a crash interrupted, and removes one that was not decided. Returns true if a
/// restore was finished.
///
/// # Errors
/// If the restore is under way in another process; if a file cannot be moved.
pub(crate) fn finish(project: &Project) -> anyhow::Result<bool> {
    let directory = directory(project);
    // An account that only exports cannot look: what it uses changes last, and at once.
    if fs::symlink_metadata(&directory).is_err() {
        return Ok(false);
    }
    project.check_access()?;
    let ready = directory.join("ready");
    if !ready.try_exists()? {
        // If another process has the lock, it is preparing the restore.
        if let Held::ByUs(_lock) = Lock::try_take(&project.lock_file())?
            && !ready.try_exists()?
        {
            discard(project).context("cannot remove an unfinished restore")?;
        }
        return Ok(false);
    }
    let lock = Lock::take(&project.lock_file())?;
    carry_out(project, &lock)?;
    Ok(true)
}

/// Puts the new files in their places. Begins anew where a crash ended it.
pub(super) fn carry_out(project: &Project, _lock: &Lock) -> anyhow::Result<()> {
    let unfinished = || {
        Failure::CannotRun(
            "cannot finish the restore: remove the cause, and any command finishes it".into(),
        )
    };
    let before = read_ready(project).with_context(unfinished)?;
    let steps = || {
        for name in names(project)? {
            place(project, &name, &before)?;
        }
        fs::remove_file(directory(project).join("ready"))?;
        platform::sync_directory(&directory(project))?;
        discard(project)
    };
    steps().with_context(unfinished)
}

/// Returns the directory for the files that are replaced.
fn read_ready(project: &Project) -> io::Result<PathBuf> {
    let mut text = String::new();
    File::open(directory(project).join("ready"))?
        .take(4096)
        .read_to_string(&mut text)?;
    let lines: Vec<&str> = text.lines().collect();
    match lines.as_slice() {
        [TITLE, name] if !name.is_empty() && !name.contains(['/', '\\']) => {
            Ok(project.private().join(name))
        }
        _ => Err(io::Error::other("private/restore/ready is not as written")),
    }
}

/// Returns the new files that are not in their places. `project.toml` is the last: without it, the
/// directory is not a project yet.
fn names(project: &Project) -> io::Result<Vec<PathBuf>> {
    let new = directory(project).join("new");
    let (mut names, mut waiting) = (Vec::new(), vec![new.clone()]);
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                waiting.push(entry.path());
            } else if let Ok(name) = entry.path().strip_prefix(&new) {
                names.push(name.to_owned());
            }
        }
    }
    let settings = project.settings_file();
    let is_last = |name: &PathBuf| settings.ends_with(name);
    names.sort_by_key(|name| (is_last(name), name.clone()));
    Ok(names)
}

/// Keeps the file of this name in `before`, and puts the new one in its place.
fn place(project: &Project, name: &Path, before: &Path) -> io::Result<()> {
    let new = directory(project).join("new").join(name);
    let target = project.root().join(name);
    let parent = target.parent().unwrap_or(project.root());
    make_directory(project, parent)?;
    let kept = before.join(name);
    if fs::symlink_metadata(&target).is_ok() && fs::symlink_metadata(&kept).is_err() {
        let directory = kept.parent().unwrap_or(before);
        make_directory(project, directory)?;
        if fs::hard_link(&target, &kept).is_err() {
            copy(&target, &kept)?;
        }
        platform::sync_directory(directory)?;
    }
    match fs::rename(&new, &target) {
        // `private/` may be on a file system of its own.
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            copy(&new, &target)?;
            fs::remove_file(&new)?;
        }
        renamed => renamed?,
    }
    platform::sync_directory(parent)
}

/// Makes a directory and those above it, as private as `private/` where they are in it.
fn make_directory(project: &Project, directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let Some(above) = directory.parent() else {
        return Ok(());
    };
    make_directory(project, above)?;
    if directory.starts_with(project.private()) {
        platform::private_directory(directory)?;
    } else {
        fs::create_dir(directory)?;
    }
    platform::sync_directory(above)
}

/// Copies a file. After a crash the target is as it was, or whole.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut name = to.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let fresh = to.with_file_name(name);
    // With its mode.
    fs::copy(from, &fresh)?;
    File::open(&fresh)?.sync_all()?;
    fs::rename(&fresh, to)
}
