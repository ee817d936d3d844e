//! [`DirectorySink`]: objects as files.
//!
//! ```text
//! <root>/<patient>/<study>/<series>/<instance>.dcm
//! <root>/.anon-export/lock          held while a sink is open
//! <root>/.anon-export/<number>      an object on its way; emptied when a sink is opened
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

const WORK: &str = ".anon-export";
const LOCK: &str = "lock";

/// A directory, laid out as a project's `public/`.
///
/// An object is written beside its place, made durable, and renamed, then its directory is made
/// durable: it is never visible in part, and what `put` has returned for survives a power cut. One
/// open sink holds a directory at a time, so that what a killed export left can be cleared away.
#[derive(Debug)]
pub struct DirectorySink {
    root: PathBuf,
    work: PathBuf,
    next: AtomicU64,
    /// Directories whose names are known to be durable. A killed export can leave ones that are
    /// there and are not, so being there proves nothing. Held while one is created: two puts of one
    /// series must not return before its names are durable.
    durable: Mutex<HashSet<PathBuf>>,
    /// Unlocked when it is dropped.
    _lock: File,
}

impl DirectorySink {
    /// Opens a directory, and creates it and its parents if need be.
    ///
    /// # Errors
    /// [`Error::Busy`] while another sink, of this process or another, has it open;
    /// [`Error::Destination`] if it cannot be created, locked or cleared.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        let work = root.join(WORK);
        fs::create_dir_all(&work).map_err(at("create a directory"))?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(work.join(LOCK))
            .map_err(at("create a file"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Error::Busy,
            TryLockError::Error(source) => at("lock the directory")(source),
        })?;
        let left = clear(&work).map_err(at("clear what was left"))?;
        if left > 0 {
            tracing::debug!(left, "cleared what an interrupted export left");
        }
        platform::sync_directory(&root).map_err(at("make a directory durable"))?;
        Ok(Self {
            root,
            work,
            next: AtomicU64::new(0),
            durable: Mutex::default(),
            _lock: lock,
        })
    }

    fn write(path: &Path, len: u64, body: &mut dyn Read) -> Result<(), Error> {
        let mut file = File::create_new(path).map_err(at("create a file"))?;
        copy_exact(body, len, &mut |piece| {
            file.write_all(piece).map_err(at("write a file"))
        })?;
        file.sync_all().map_err(at("make a file durable"))
    }

    /// Moves a written file to its place, unless the same bytes are there.
    fn place(&self, written: &Path, key: &ObjectKey) -> Result<Put, Error> {
        let directory = layout::series(&self.root, key);
        let path = layout::file(&self.root, key);
        self.create_directories(&directory)
            .map_err(at("create a directory"))?;
        let there = same_file(written, &path).map_err(at("compare a file"))?;
        let put = if let Some(there) = there {
            // Whoever put it there may not have lived to make it durable.
            there.sync_all().map_err(at("make a file durable"))?;
            Put::AlreadyThere
        } else {
            fs::rename(written, &path).map_err(at("rename a file"))?;
            Put::Created
        };
        platform::sync_directory(&directory).map_err(at("make a directory durable"))?;
        Ok(put)
    }

    /// Creates what is missing between the root and `directory`, and makes it durable.
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
        // Forgetting costs a few syncs more, not a promise.
        if durable.len() >= REMEMBERED {
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
        let written = self.work.join(number.to_string());
        let put = Self::write(&written, len, body).and_then(|()| self.place(&written, key));
        if !matches!(put, Ok(Put::Created)) {
            // If it cannot be removed now, the next open does it; the first error is the one to tell.
            if let Err(error) = fs::remove_file(&written)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::debug!(%error, "a partial file stays until the next export");
            }
        }
        if let Ok(put) = &put {
            tracing::trace!(%key, len, ?put, "put");
        }
        put.map(Stored::new)
    }

    fn check(&self) -> Result<(), Error> {
        // A directory that was mounted may be gone.
        self.root.metadata().map_err(at("find the directory"))?;
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
        .map_err(at("list a directory"))
    }
}

/// Removes every file but the lock, and says how many there were.
fn clear(work: &Path) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(work)? {
        let entry = entry?;
        if entry.file_name() != LOCK {
            fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// The file at `path`, if there is one and its bytes are those of `written`. A link is none, and opening
/// a pipe would wait for its writer.
fn same_file(written: &Path, path: &Path) -> io::Result<Option<File>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    let there = match platform::open_to_sync(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let written = File::open(written)?;
    let same = there.metadata()?.len() == written.metadata()?.len()
        && same_bytes(
            BufReader::with_capacity(COMPARE_BYTES, written),
            BufReader::with_capacity(COMPARE_BYTES, &there),
        )?;
    Ok(same.then_some(there))
}

fn same_bytes(mut one: impl BufRead, mut other: impl BufRead) -> io::Result<bool> {
    loop {
        let (left, right) = (one.fill_buf()?, other.fill_buf()?);
        let n = left.len().min(right.len());
        if n == 0 {
            return Ok(left.len() == right.len());
        }
        if left.get(..n) != right.get(..n) {
            return Ok(false);
        }
        one.consume(n);
        other.consume(n);
    }
}

const COMPARE_BYTES: usize = 128 * 1024;

const REMEMBERED: usize = 4096;

fn at(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Destination { what, source }
}
