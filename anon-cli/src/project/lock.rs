//! `private/lock`: locked by the process that holds the project. It contains the process id.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use anyhow::Context;

use crate::exit::Failure;
use crate::platform::files;

/// The right to write to a project. It ends when this is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// The result of [`Lock::try_take`].
#[derive(Debug)]
pub(crate) enum Held {
    /// This process holds the project now.
    ByUs(Lock),
    /// Another process holds the project. Its id, or `None` if it has not written it yet or a locked
    /// file cannot be read, as on Windows.
    ByOther(Option<u32>),
}

impl Lock {
    /// Takes the lock if it is free. Does not wait.
    pub(crate) fn try_take(path: &Path) -> anyhow::Result<Held> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = files::open_private(path, &mut options)
            .context(Failure::CannotRun("cannot open private/lock".into()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Held::ByOther(holder(&mut file))),
            Err(TryLockError::Error(error)) => {
                return Err(anyhow::Error::new(error)
                    .context(Failure::CannotRun("cannot lock private/lock".into())));
            }
        }
        let note = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        note(&mut file).context(Failure::CannotRun("cannot write private/lock".into()))?;
        Ok(Held::ByUs(Self { _file: file }))
    }

    /// Takes the lock.
    ///
    /// # Errors
    /// If another process holds it.
    pub(crate) fn take(path: &Path) -> anyhow::Result<Self> {
        match Self::try_take(path)? {
            Held::ByUs(lock) => Ok(lock),
            Held::ByOther(pid) => Err(in_use(pid)),
        }
    }
}

/// Returns the error of a command that cannot get the project.
pub(crate) fn in_use(pid: Option<u32>) -> anyhow::Error {
    Failure::cannot_run(match pid {
        Some(pid) => format!("the project is in use by process {pid}: wait for it, or end it"),
        None => "the project is in use by another process: wait for it".to_owned(),
    })
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_learns_who_is_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Lock::take(&path).unwrap();
        let error = Lock::take(&path).unwrap_err();
        assert!(error.to_string().contains(&std::process::id().to_string()));
        assert_eq!(crate::exit::code(&error), 4);
        drop(first);
        Lock::take(&path).unwrap();
    }
}
