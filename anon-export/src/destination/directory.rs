//! [`DirectorySink`]: a directory of files.
//!
//! ```text
//! <root>/<patient>/<study>/<series>/<instance>.dcm
//! <root>/.anon-export/lock          locked while a sink is open
//! <root>/.anon-export/<number>      an object that is being written; removed when a sink is opened
//! ```

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::object::layout;
use crate::sink::copy_exact;
use crate::{Capabilities, Error, KeyPart, ListedObject, ObjectKey, Put, Sink, Stored, platform};

const TEMP_DIRECTORY: &str = ".anon-export";
const LOCK: &str = "lock";

/// A directory with the layout of a project's `public/`.
///
/// An object is written to a temporary file, synced and renamed; then its directory is synced. So
/// it is never partly visible, and survives a power cut once `put` has returned. Only one open sink
/// holds a directory at a time, which makes it safe to remove what a killed export left.
#[derive(Debug)]
pub struct DirectorySink {
    root: PathBuf,
    temp: PathBuf,
    next: AtomicU64,
    /// Directories that are known to be durable. An existing directory need not be durable: a
    /// killed export may have created it without syncing its parent. Locked while a directory is
    /// created, so that no put of the same series returns before the directory is durable.
    durable: Mutex<HashSet<PathBuf>>,
    /// Dropping the file releases the lock.
    _lock: File,
}

impl DirectorySink {
    /// Opens a directory. Creates it and its parents if they do not exist.
    ///
    /// # Errors
    /// [`Error::Busy`] while another sink of any process has it open; [`Error::Destination`] if it
    /// cannot be created, locked or cleared.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        let temp = root.join(TEMP_DIRECTORY);
        fs::create_dir_all(&temp).map_err(destination_error("create a directory"))?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(temp.join(LOCK))
            .map_err(destination_error("create a file"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Error::Busy,
            TryLockError::Error(source) => destination_error("lock the directory")(source),
        })?;
        let removed =
            clear(&temp).map_err(destination_error("remove files of an interrupted export"))?;
        if removed > 0 {
            tracing::debug!(removed, "removed files of an interrupted export");
        }
        platform::sync_directory(&root).map_err(destination_error("make a directory durable"))?;
        Ok(Self {
            root,
            temp,
            next: AtomicU64::new(0),
            durable: Mutex::default(),
            _lock: lock,
        })
    }

    fn write(path: &Path, len: u64, body: &mut dyn Read) -> Result<(), Error> {
        let mut file = File::create_new(path).map_err(destination_error("create a file"))?;
        copy_exact(body, len, &mut |piece| {
            file.write_all(piece)
                .map_err(destination_error("write a file"))
        })?;
        file.sync_all()
            .map_err(destination_error("make a file durable"))
    }

    /// Moves a temporary file to its final path, unless that has the same bytes.
    fn publish(&self, written: &Path, key: &ObjectKey) -> Result<Put, Error> {
        let directory = layout::series(&self.root, key);
        let path = layout::file(&self.root, key);
        self.create_directories(&directory)
            .map_err(destination_error("create a directory"))?;
        let existing = same_file(written, &path).map_err(destination_error("compare a file"))?;
        let put = if let Some(existing) = existing {
            // The process that wrote it may have been killed before it synced the file.
            existing
                .sync_all()
                .map_err(destination_error("make a file durable"))?;
            Put::AlreadyThere
        } else {
            fs::rename(written, &path).map_err(destination_error("rename a file"))?;
            Put::Created
        };
        platform::sync_directory(&directory)
            .map_err(destination_error("make a directory durable"))?;
        Ok(put)
    }

    /// Creates the missing directories from the root to `directory` and makes them durable.
    fn create_directories(&self, directory: &Path) -> io::Result<()> {
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if durable.contains(directory) {
            return Ok(());
        }
        fs::create_dir_all(directory)?;
        for parent in directory.ancestors().skip(1) {
            platform::sync_directory(parent)?;
            if parent == self.root {
                break;
            }
        }
        // An entry that is dropped costs only repeated syncs.
        if durable.len() >= MAX_DURABLE {
            durable.clear();
        }
        durable.insert(directory.to_owned());
        Ok(())
    }
}

impl Sink for DirectorySink {
    fn capabilities(&self) -> Capabilities {
        const PARALLEL: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);
        Capabilities::new().with_parallel(PARALLEL)
    }

    fn put(&self, key: &ObjectKey, len: u64, body: &mut dyn Read) -> Result<Stored, Error> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let written = self.temp.join(number.to_string());
        let put = Self::write(&written, len, body).and_then(|()| self.publish(&written, key));
        if !matches!(put, Ok(Put::Created)) {
            // A file that cannot be removed now is removed by the next `open`. The first error is
            // returned.
            if let Err(error) = fs::remove_file(&written)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::debug!(%error, "a temporary file stays until the next export");
            }
        }
        if let Ok(put) = &put {
            tracing::trace!(%key, len, ?put, "put");
        }
        put.map(Stored::new)
    }

    fn check(&self) -> Result<(), Error> {
        // The directory may be on a file system that was unmounted.
        self.root
            .metadata()
            .map_err(destination_error("find the directory"))?;
        Ok(())
    }

    fn list(
        &self,
        patient: &KeyPart,
        each: &mut dyn FnMut(ListedObject) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        layout::objects(&self.root, patient, &mut |key, metadata| {
            each(ListedObject::new(key, Some(metadata.len())))
        })
        .map_err(destination_error("list a directory"))
    }
}

/// Removes every file except the lock, and returns how many there were.
fn clear(temp: &Path) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(temp)? {
        let entry = entry?;
        if entry.file_name() != LOCK {
            fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Opens the file at `path` if its bytes are those of `written`. `None` for anything but a regular
/// file: opening a named pipe would block.
fn same_file(written: &Path, path: &Path) -> io::Result<Option<File>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    let existing = match platform::open_to_sync(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let written = File::open(written)?;
    let same = existing.metadata()?.len() == written.metadata()?.len()
        && same_bytes(
            BufReader::with_capacity(COMPARE_BYTES, written),
            BufReader::with_capacity(COMPARE_BYTES, &existing),
        )?;
    Ok(same.then_some(existing))
}

fn same_bytes(mut first: impl BufRead, mut second: impl BufRead) -> io::Result<bool> {
    loop {
        let (left, right) = (first.fill_buf()?, second.fill_buf()?);
        let n = left.len().min(right.len());
        if n == 0 {
            return Ok(left.len() == right.len());
        }
        if left.get(..n) != right.get(..n) {
            return Ok(false);
        }
        first.consume(n);
        second.consume(n);
    }
}

const COMPARE_BYTES: usize = 128 * 1024;

const MAX_DURABLE: usize = 4096;

fn destination_error(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Destination { what, source }
}
