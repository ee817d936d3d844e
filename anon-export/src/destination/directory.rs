//! [`DirectorySink`]: a directory of files.
//!
//! ```text
//! <root>/<patient>/<study>/<series>/<instance>.dcm
//! <root>/.anon-export/              for the owner of the export alone
//! <root>/.anon-export/lock          locked while a sink is open
//! <root>/.anon-export/<number>      an object that is being written; removed when a sink is opened
//! ```

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek as _, Write};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::object::layout;
use crate::platform::{Access, Dir};
use crate::sink::copy_exact;
use crate::{
    Capabilities, Error, IfThere, KeyPart, ListedObject, ObjectKey, Put, PutOptions, Sink, Stored,
};

const TEMP_DIRECTORY: &str = ".anon-export";
const LOCK: &str = "lock";

/// A directory with the layout of a project's `public/`.
///
/// An object is written to a temporary file, synced and renamed; then its directory is synced. So
/// it is never partly visible, and survives a power cut once `put` has returned. Only one open sink
/// holds a directory at a time, which makes it safe to remove what a killed export left.
///
/// Others may have access to the directory. It is opened once, and everything below relative to it:
/// no symbolic link is followed, whenever it is made. `.anon-export` must belong to the user of the
/// export, and becomes accessible to that user alone. A link that has the name of a patient, study or
/// series fails its objects; one that has the name of an object is replaced.
#[derive(Debug)]
pub struct DirectorySink {
    root: Dir,
    temp: Dir,
    next: AtomicU64,
    /// The series whose directories are known to be durable. An existing directory need not be
    /// durable: a killed export may have created it without syncing its parent. Locked while a
    /// directory is created, so that no put of the same series returns before the directory is
    /// durable.
    durable: Mutex<HashSet<[KeyPart; 3]>>,
    /// Held from the look at a name to the rename. No other sink writes here.
    publishing: Mutex<()>,
    /// Dropping the file releases the lock.
    _lock: File,
}

impl DirectorySink {
    /// Opens a directory. Creates it and its parents if they do not exist.
    ///
    /// # Errors
    /// Those of [`open_where`](Self::open_where).
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::open_where(root, |_| true)
    }

    /// Opens a directory if `is_allowed` returns true for its real path, which has no links and no
    /// `..`. Creates it and its parents if they do not exist, and nothing in it before the call of
    /// `is_allowed`.
    ///
    /// # Errors
    /// [`Error::Busy`] while another sink of any process has it open; [`Error::Destination`] if it
    /// is not allowed, if it cannot be created, locked or cleared, or if its `.anon-export` is a link
    /// or belongs to another user.
    pub fn open_where(
        root: impl Into<PathBuf>,
        is_allowed: impl FnOnce(&Path) -> bool,
    ) -> Result<Self, Error> {
        let root = open_root(&root.into(), is_allowed)?;
        let temp = root
            .make_child(TEMP_DIRECTORY, Access::Private)
            .map_err(temp_error("create a directory"))?;
        let lock = temp
            .open_or_create(LOCK)
            .map_err(temp_error("create a file"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Error::Busy,
            TryLockError::Error(source) => destination_error("lock the directory")(source),
        })?;
        if !temp.claim().map_err(temp_error("create a file"))? {
            let foreign = io::Error::other("it belongs to another user");
            return Err(temp_error("create a file")(foreign));
        }
        let removed =
            clear(&temp).map_err(destination_error("remove files of an interrupted export"))?;
        if removed > 0 {
            tracing::debug!(removed, "removed files of an interrupted export");
        }
        root.sync()
            .map_err(destination_error("make a directory durable"))?;
        Ok(Self {
            root,
            temp,
            next: AtomicU64::new(0),
            durable: Mutex::default(),
            publishing: Mutex::default(),
            _lock: lock,
        })
    }

    /// Creates a temporary file. A name that is in use is passed over.
    fn create_temporary(&self) -> Result<(String, File), Error> {
        const MOST_IN_USE: u32 = 1000;
        let mut in_use = 0;
        loop {
            let name = self.next.fetch_add(1, Ordering::Relaxed).to_string();
            match self.temp.create_new(&name) {
                Ok(file) => return Ok((name, file)),
                Err(error)
                    if error.kind() == io::ErrorKind::AlreadyExists && in_use < MOST_IN_USE =>
                {
                    in_use += 1;
                }
                Err(error) => return Err(destination_error("create a file")(error)),
            }
        }
    }

    fn write(mut file: &File, len: u64, body: &mut dyn Read) -> Result<(), Error> {
        copy_exact(body, len, &mut |piece| {
            file.write_all(piece)
                .map_err(destination_error("write a file"))
        })?;
        file.sync_all()
            .map_err(destination_error("make a file durable"))
    }

    /// Moves a temporary file to its final path, unless that has the same bytes.
    fn publish(
        &self,
        name: &str,
        written: &File,
        key: &ObjectKey,
        if_there: IfThere<'_>,
    ) -> Result<Put, Error> {
        let series = self
            .series(key)
            .map_err(destination_error("create a directory"))?;
        let to = layout::file_name(key);
        let existing =
            same_file(written, &series, &to).map_err(destination_error("compare a file"))?;
        let put = if let Some(existing) = existing {
            // The process that wrote it may have been killed before it synced the file.
            existing
                .sync_all()
                .map_err(destination_error("make a file durable"))?;
            Put::AlreadyThere
        } else {
            self.rename(name, &series, &to, if_there)?;
            Put::Created
        };
        series
            .sync()
            .map_err(destination_error("make a directory durable"))?;
        Ok(put)
    }

    fn rename(
        &self,
        name: &str,
        series: &Dir,
        to: &str,
        if_there: IfThere<'_>,
    ) -> Result<(), Error> {
        let _publishing = self
            .publishing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // There are no tags.
        if if_there != IfThere::Replace {
            let there = series
                .state(to)
                .map_err(destination_error("look at a file"))?;
            if there.is_some() {
                return Err(Error::OtherObject);
            }
        }
        self.temp
            .rename(name, series, to)
            .map_err(destination_error("rename a file"))
    }

    /// Opens the directory of a series. Creates the missing directories and makes them durable.
    fn series(&self, key: &ObjectKey) -> io::Result<Dir> {
        let [patient, study, series, _] = key.parts();
        let id = [patient.clone(), study.clone(), series.clone()];
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if durable.contains(&id) {
            drop(durable);
            return layout::series(&self.root, key);
        }
        let of_patient = self.root.make_child(patient.as_str(), Access::Umask)?;
        let of_study = of_patient.make_child(study.as_str(), Access::Umask)?;
        let of_series = of_study.make_child(series.as_str(), Access::Umask)?;
        for parent in [&of_study, &of_patient, &self.root] {
            parent.sync()?;
        }
        // An entry that is dropped costs only repeated syncs.
        if durable.len() >= MAX_DURABLE {
            durable.clear();
        }
        durable.insert(id);
        Ok(of_series)
    }
}

/// Opens the directory of a destination where it really lies.
fn open_root(root: &Path, is_allowed: impl FnOnce(&Path) -> bool) -> Result<Dir, Error> {
    let real = fs::create_dir_all(root).and_then(|()| root.canonicalize());
    let real = real.map_err(destination_error("create a directory"))?;
    if !is_allowed(&real) {
        let refused = io::Error::other("no export may go to this place");
        return Err(destination_error("use the directory")(refused));
    }
    Dir::open_canonical(&real).map_err(destination_error("open the directory"))
}

impl Sink for DirectorySink {
    fn capabilities(&self) -> Capabilities {
        const PARALLEL: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);
        Capabilities::new().keeping().with_parallel(PARALLEL)
    }

    fn put(&self, key: &ObjectKey, len: u64, body: &mut dyn Read) -> Result<Stored, Error> {
        self.put_with(key, len, body, &PutOptions::default())
    }

    fn put_with(
        &self,
        key: &ObjectKey,
        len: u64,
        body: &mut dyn Read,
        options: &PutOptions<'_>,
    ) -> Result<Stored, Error> {
        let (name, written) = self.create_temporary()?;
        let put = Self::write(&written, len, body)
            .and_then(|()| self.publish(&name, &written, key, options.if_there));
        if !matches!(put, Ok(Put::Created)) {
            // A file that cannot be removed now is removed by the next `open`. The first error is
            // returned.
            if let Err(error) = self.temp.remove_file(&name)
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
            .check()
            .map_err(destination_error("find the directory"))
    }

    fn list(
        &self,
        patient: &KeyPart,
        each: &mut dyn FnMut(ListedObject) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        layout::objects(&self.root, patient, &mut |key, file| {
            each(ListedObject::new(key, Some(file.len)))
        })
        .map_err(destination_error("list a directory"))
    }
}

/// Removes every file except the lock, and returns how many there were.
fn clear(temp: &Dir) -> io::Result<usize> {
    let mut removed = 0;
    for entry in temp.entries()? {
        let entry = entry?;
        if entry.name != LOCK {
            temp.remove_file(&entry.name)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Opens the file `name` of a series if its bytes are those of `written`.
fn same_file(mut written: &File, series: &Dir, name: &str) -> io::Result<Option<File>> {
    let Some(existing) = series.open_to_sync(name)? else {
        return Ok(None);
    };
    if existing.metadata()?.len() != written.metadata()?.len() {
        return Ok(None);
    }
    written.rewind()?;
    let same = same_bytes(
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

/// Says what to do about a `.anon-export` that is a link, or of another user.
fn temp_error(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| {
        let what = match source.kind() {
            io::ErrorKind::NotADirectory | io::ErrorKind::Other => {
                "use .anon-export (if no export runs, remove it and export again)"
            }
            _ => what,
        };
        Error::Destination { what, source }
    }
}
