//! Baselines: copies of the same bytes, the cost of doing nothing.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// The number of files whose directories are synced together.
const GROUP_FILES: usize = 256;

/// Copies bytes into a reused buffer.
pub fn copy_bytes(from: &[u8], into: &mut Vec<u8>) {
    into.clear();
    into.extend_from_slice(from);
}

/// Runs `cp -r from to`.
///
/// # Errors
/// If `cp` cannot be run or fails.
pub fn cp_r(from: &Path, to: &Path) -> io::Result<()> {
    let status = Command::new("cp").arg("-r").arg(from).arg(to).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other("cp failed"))
    }
}

/// Copies a tree as durably as an import stores one, with `threads` threads.
///
/// Each file is written under a temporary name, synced with fdatasync and renamed. The directories of every 256
/// files are synced once.
///
/// # Errors
/// The first failure of any step.
pub fn copy_durable(from: &Path, to: &Path, threads: usize) -> io::Result<()> {
    let tmp = to.join("tmp");
    fs::create_dir_all(&tmp)?;
    let copy = Copy {
        files: files_below(from)?,
        from,
        to,
        tmp: &tmp,
        next: AtomicUsize::new(0),
        staged: Mutex::default(),
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| copy.copy_files()))
            .collect();
        workers.into_iter().try_for_each(|worker| {
            worker
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("a copying thread panicked")))
        })
    })?;
    let rest = std::mem::take(&mut *copy.staged());
    copy.publish(&rest)
}

struct Copy<'c> {
    files: Vec<PathBuf>,
    from: &'c Path,
    to: &'c Path,
    tmp: &'c Path,
    next: AtomicUsize,
    staged: Mutex<Vec<(PathBuf, PathBuf)>>,
}

impl Copy<'_> {
    fn staged(&self) -> std::sync::MutexGuard<'_, Vec<(PathBuf, PathBuf)>> {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn copy_files(&self) -> io::Result<()> {
        loop {
            let nth = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(source) = self.files.get(nth) else {
                return Ok(());
            };
            let temporary = self.tmp.join(nth.to_string());
            let mut output = File::create(&temporary)?;
            io::copy(&mut File::open(source)?, &mut output)?;
            output.sync_data()?;
            let below = source.strip_prefix(self.from).map_err(io::Error::other)?;
            let group = {
                let mut staged = self.staged();
                staged.push((temporary, self.to.join(below)));
                (staged.len() >= GROUP_FILES).then(|| std::mem::take(&mut *staged))
            };
            if let Some(group) = group {
                self.publish(&group)?;
            }
        }
    }

    fn publish(&self, group: &[(PathBuf, PathBuf)]) -> io::Result<()> {
        let mut touched = BTreeSet::new();
        for (temporary, target) in group {
            for directory in target
                .ancestors()
                .skip(1)
                .take_while(|above| above.starts_with(self.to))
            {
                if touched.insert(directory.to_owned()) {
                    fs::create_dir_all(directory)?;
                }
            }
            fs::rename(temporary, target)?;
        }
        touched
            .iter()
            .try_for_each(|directory| File::open(directory)?.sync_all())
    }
}

/// Returns every file below a directory, sorted.
///
/// # Errors
/// If a directory cannot be read.
pub fn files_below(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                directories.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_durable_copy_has_the_same_files() {
        let directory = tempfile::tempdir().expect("a directory");
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        crate::cases::small_tree(&from, 300).expect("a tree");
        copy_durable(&from, &to, 2).expect("a copy");
        let sources = files_below(&from).expect("sources");
        assert_eq!(sources.len(), 300);
        for source in sources {
            let copy = to.join(source.strip_prefix(&from).expect("below"));
            assert!(fs::read(&source).expect("source") == fs::read(copy).expect("copy"));
        }
        assert_eq!(fs::read_dir(to.join("tmp")).expect("tmp").count(), 0);
    }
}
