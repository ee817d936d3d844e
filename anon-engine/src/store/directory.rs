//! [`DirectoryStore`]: objects as files, `<patient>/<study>/<series>/<instance>.dcm`.
//!
//! ```text
//! stage    tmp/<n>            written, fdatasync                      (worker threads)
//! publish  rename ──► public/<patient>/<study>/<series>/<instance>.dcm
//!          fsync of each directory that got a name, once a group     (committer thread)
//! ```
//!
//! The names of a large group are given by two threads.
//!
//! With [`Durability::Relaxed`] nothing is synced, and a staged file has no name at all where the
//! disk has such files: publishing gives it one.
//!
//! A temporary file is its owner's alone until it is published. One of an object that is still
//! arriving has its pixels first, behind room for the header.
//!
//! A directory counts as made only when the name it has in its parent is synced by this process,
//! also if it was there before: a crash may have left a name that is visible and not durable.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::mem;
use std::ops::Range;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ScopedJoinHandle};

use crate::arriving::PixelsAhead;
use crate::deidentified::{Deidentified, OutputPath, Segment};
use crate::disk::{self, Access, CopyError, Disk, Existing, Kind, Made, OsDisk, WriteFile};

use super::own::Own;
use super::temporary::{Open, Temporaries, Temporary};
use super::{Begun, Durability, Staged, Store, StoreError};

/// Directories remembered as made and durable. Past this many all are forgotten: the next use of
/// each costs three calls.
const KNOWN_DIRECTORIES: usize = 16_384;

/// Objects that are worth a thread of their own when a group is published: a thread costs as much as a
/// few names.
const WORTH_A_THREAD: usize = 32;

/// How a [`DirectoryStore`] is opened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DirectoryStoreOptions {
    /// What a published object survives.
    pub durability: Durability,
    /// The file system.
    pub disk: Arc<dyn Disk>,
}

impl Default for DirectoryStoreOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Full,
            disk: Arc::new(OsDisk::new()),
        }
    }
}

impl DirectoryStoreOptions {
    /// The same with another durability.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The same on another disk.
    #[must_use]
    pub fn with_disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = disk;
        self
    }
}

/// Objects as files below one directory. Its directory for temporary files may be that of a
/// [`DirectoryQuarantine`](crate::DirectoryQuarantine), and nobody else's.
pub struct DirectoryStore {
    disk: Arc<dyn Disk>,
    public: PathBuf,
    temporaries: Temporaries,
    durability: Durability,
    known: Mutex<HashSet<PathBuf>>,
    own: Own,
    /// Buffers for the writing threads, used again and again.
    buffers: Mutex<Vec<Vec<u8>>>,
}

impl fmt::Debug for DirectoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryStore")
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}

/// A temporary file of an object that is still arriving.
struct Draft {
    open: Open,
    /// Where its next write begins.
    place: u64,
}

impl Draft {
    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        if self.place != at {
            self.open.file.seek_to(at)?;
        }
        self.open.file.write_all(bytes)?;
        self.place = at + bytes.len() as u64;
        Ok(())
    }
}

/// A file that is staged, and where it is to go.
struct Waiting {
    file: Temporary,
    target: PathBuf,
}

impl DirectoryStore {
    /// Opens a store with its outputs below `public` and its temporary files in `tmp`. Missing
    /// directories are made; `tmp` is emptied.
    ///
    /// # Errors
    /// [`StoreError::OtherFileSystem`] if a file in `tmp` cannot be renamed into `public`;
    /// otherwise if a directory cannot be made, read or emptied.
    pub fn open(
        public: impl Into<PathBuf>,
        tmp: impl Into<PathBuf>,
        options: DirectoryStoreOptions,
    ) -> Result<Self, StoreError> {
        let DirectoryStoreOptions { durability, disk } = options;
        let public = public.into();
        prepare(&*disk, &public, durability).map_err(StoreError::Write)?;
        let temporaries = Temporaries::open(Arc::clone(&disk), tmp.into(), durability)
            .map_err(StoreError::Write)?;
        match disk.same_file_system(&public, temporaries.dir()) {
            Ok(true) => Ok(Self {
                disk,
                public,
                temporaries,
                durability,
                known: Mutex::default(),
                own: Own::default(),
                buffers: Mutex::default(),
            }),
            Ok(false) => Err(StoreError::OtherFileSystem),
            Err(error) => Err(StoreError::Read(error)),
        }
    }

    /// The directory of all outputs.
    pub fn root(&self) -> &Path {
        &self.public
    }

    fn target(&self, path: &OutputPath) -> PathBuf {
        path.below(&self.public)
    }

    fn write(&self, object: &Deidentified<'_>, file: &mut dyn WriteFile) -> Result<(), StoreError> {
        let mut buffer = self.buffers().pop().unwrap_or_default();
        let written = write_segments(object, &mut buffer, file);
        self.buffers().push(buffer);
        written?;
        self.sync_file(file)
    }

    fn sync_file(&self, file: &mut dyn WriteFile) -> Result<(), StoreError> {
        match self.durability {
            Durability::Full => file.sync().map_err(StoreError::Write),
            Durability::Relaxed => Ok(()),
        }
    }

    /// Writes what is missing before and behind what was laid.
    fn complete(
        &self,
        object: &Deidentified<'_>,
        laid: Range<u64>,
        draft: &mut Draft,
    ) -> Result<(), StoreError> {
        let mut header = self.buffers().pop().unwrap_or_default();
        header.clear();
        let mut behind = Vec::new();
        let mut at = 0;
        for segment in object.segments() {
            let bytes = match segment {
                Segment::Bytes(bytes) => bytes,
                Segment::File { .. } => return Err(StoreError::Foreign),
            };
            let cut = |place: u64| usize::try_from(place.saturating_sub(at)).unwrap_or(usize::MAX);
            header.extend_from_slice(bytes.get(..cut(laid.start)).unwrap_or(bytes));
            behind.push(bytes.get(cut(laid.end)..).unwrap_or_default());
            at += bytes.len() as u64;
        }
        // What comes behind first: the file stands there.
        let mut place = laid.end;
        for bytes in behind.into_iter().filter(|bytes| !bytes.is_empty()) {
            draft.write(place, bytes).map_err(StoreError::Write)?;
            place += bytes.len() as u64;
        }
        draft.write(0, &header).map_err(StoreError::Write)?;
        self.buffers().push(header);
        self.sync_file(&mut *draft.open.file)
    }

    /// As many as threads have written at once.
    fn buffers(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        // Whatever is in a buffer, it is emptied before it is used.
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether another object stands at `path`.
    fn is_occupied(&self, path: &Path, object: &Deidentified<'_>) -> Result<bool, StoreError> {
        Ok(!self.own.is_free(path) && self.holds(path, object)? == Some(false))
    }

    /// True if the file at `path` has the bytes of `object`; none if there is no file.
    fn holds(&self, path: &Path, object: &Deidentified<'_>) -> Result<Option<bool>, StoreError> {
        match self.disk.kind(path).map_err(StoreError::Read)? {
            None => Ok(None),
            Some(Kind::File(len)) if len == object.len() => {
                let known = self.disk.open(path).map_err(StoreError::Read)?;
                let mut compare = Compare {
                    known,
                    differs: false,
                };
                match object.write_to(&mut compare) {
                    Ok(()) => Ok(Some(true)),
                    Err(_) if compare.differs => Ok(Some(false)),
                    Err(error) => Err(StoreError::Source(error)),
                }
            }
            Some(_) => Ok(Some(false)),
        }
    }

    /// Makes the directories of a path, and notes the last as one that gets a name. Those whose
    /// names are not durable yet, and their parents, are noted too.
    fn make_directories(&self, path: &OutputPath, group: &mut Touched) -> io::Result<()> {
        let [patient, study, series, _] = path.parts();
        if group.is_last([patient, study, series]) {
            return Ok(());
        }
        let mut dir = self.public.clone();
        for part in [patient, study, series] {
            let child = dir.join(part);
            if !self.is_known(&child) && !group.made.contains(&child) {
                if self.disk.create_dir(&child, Access::Shared)? == Made::Created {
                    self.own.made(&child);
                }
                group.directories.insert(dir);
                group.made.insert(child.clone());
            }
            dir = child;
        }
        group.directories.insert(dir);
        group.last = [patient, study, series].map(str::to_owned);
        Ok(())
    }

    fn is_known(&self, dir: &Path) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(dir)
    }

    fn note_known(&self, made: BTreeSet<PathBuf>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() + made.len() > KNOWN_DIRECTORIES {
            known.clear();
        }
        known.extend(made);
    }

    fn forget(&self, dir: &Path) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // The directories above may be gone as well.
        known.retain(|path| !path.starts_with(dir) && !dir.starts_with(path));
        self.own.forget(dir);
    }

    /// Brings one object into its place.
    fn place(
        &self,
        path: &OutputPath,
        waiting: &mut Waiting,
        group: &mut Touched,
    ) -> Result<(), StoreError> {
        let Waiting { file, target } = waiting;
        let mut retried = false;
        loop {
            self.make_directories(path, group)
                .map_err(StoreError::Write)?;
            let placed = self.temporaries.place(file, target);
            self.own.taken(target);
            match placed {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let file = self.temporaries.named(file).map_err(StoreError::Write)?;
                    if !self.same(&file, target).map_err(StoreError::Read)? {
                        return Err(StoreError::Occupied);
                    }
                    return self
                        .disk
                        .rename(&file, target, Existing::Replace)
                        .map_err(StoreError::Write);
                }
                // Somebody removed a directory that we made: make it again, once.
                Err(error) if error.kind() == io::ErrorKind::NotFound && !retried => {
                    self.forget(target);
                    group.made.clear();
                    group.last = Default::default();
                    retried = true;
                }
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                    return Err(StoreError::OtherFileSystem);
                }
                Err(error) => return Err(StoreError::Write(error)),
            }
        }
    }

    /// Brings a group into its places. A large one by two threads: whoever stages more has to wait for
    /// this sooner or later.
    fn place_all(&self, mut group: Vec<Staged>) -> (Vec<Result<PathBuf, StoreError>>, Touched) {
        if group.len() < 2 * WORTH_A_THREAD {
            return self.place_each(group);
        }
        let rest = Mutex::new(group.split_off(cut(&group)));
        let place_rest = || {
            let mut rest = rest.lock().unwrap_or_else(PoisonError::into_inner);
            self.place_each(mem::take(&mut *rest))
        };
        let ((mut placed, mut touched), (others, theirs)) = thread::scope(|scope| {
            let helper = thread::Builder::new().spawn_scoped(scope, place_rest);
            let first = self.place_each(group);
            match helper.map(ScopedJoinHandle::join) {
                Ok(Ok(second)) => (first, second),
                Ok(Err(panic)) => resume_unwind(panic),
                // There may be no more threads: then the rest is done here.
                Err(_) => (first, place_rest()),
            }
        });
        placed.extend(others);
        touched.directories.extend(theirs.directories);
        touched.made.extend(theirs.made);
        (placed, touched)
    }

    fn place_each(&self, group: Vec<Staged>) -> (Vec<Result<PathBuf, StoreError>>, Touched) {
        let mut touched = Touched::default();
        let place = |staged: Staged| {
            let (path, mut waiting) = staged.into_parts::<Waiting>()?;
            match self.place(&path, &mut waiting, &mut touched) {
                Ok(()) => Ok(waiting.target),
                Err(error) => {
                    let _: Result<(), StoreError> = self.remove(waiting.file);
                    Err(error)
                }
            }
        };
        let placed = group.into_iter().map(place).collect();
        (placed, touched)
    }

    fn same(&self, one: &Path, other: &Path) -> io::Result<bool> {
        let lengths = (self.disk.kind(one)?, self.disk.kind(other)?);
        if !matches!(lengths, (Some(Kind::File(a)), Some(Kind::File(b))) if a == b) {
            return Ok(false);
        }
        let known = self.disk.open(other)?;
        let mut compare = Compare {
            known,
            differs: false,
        };
        match io::copy(&mut self.disk.open(one)?, &mut compare) {
            Ok(_) => Ok(true),
            Err(_) if compare.differs => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Syncs what a group touched. Says which directories failed.
    fn sync(&self, directories: &BTreeSet<PathBuf>) -> Vec<(PathBuf, io::Error)> {
        if self.durability == Durability::Relaxed {
            return Vec::new();
        }
        directories
            .iter()
            .filter_map(|dir| Some((dir.clone(), self.disk.sync_dir(dir).err()?)))
            .collect()
    }

    fn remove(&self, temporary: Temporary) -> Result<(), StoreError> {
        self.temporaries
            .remove(temporary)
            .map_err(StoreError::Write)
    }
}

/// What a group touched.
#[derive(Default)]
struct Touched {
    /// Directories that got a name.
    directories: BTreeSet<PathBuf>,
    /// Directories whose own names become durable when those are synced.
    made: BTreeSet<PathBuf>,
    /// Patient, study and series of the object before: most have the same.
    last: [String; 3],
}

impl Touched {
    fn is_last(&self, parts: [&str; 3]) -> bool {
        // The series differs first.
        self.last.iter().rev().eq(parts.iter().rev())
    }
}

impl Store for DirectoryStore {
    fn stage(&self, object: &Deidentified<'_>) -> Result<Staged, StoreError> {
        let target = self.target(object.path());
        if self.is_occupied(&target, object)? {
            return Err(StoreError::Occupied);
        }
        let mut open = self.temporaries.create().map_err(StoreError::Write)?;
        let written = self.write(object, &mut *open.file);
        let file = open.close();
        if let Err(error) = written {
            // What cannot be removed now is removed when the store is opened again; the failure to
            // write says more than the failure to clear up.
            let _: Result<(), StoreError> = self.remove(file);
            return Err(error);
        }
        let waiting = Waiting { file, target };
        Ok(Staged::new(object.path().clone(), object.len(), waiting))
    }

    fn begin(&self) -> Result<Option<Begun>, StoreError> {
        let open = self.temporaries.create().map_err(StoreError::Write)?;
        Ok(Some(Begun::new(Draft { open, place: 0 })))
    }

    fn lay(&self, begun: &mut Begun, pixels: &PixelsAhead<'_>) -> Result<(), StoreError> {
        let draft = begun.token::<Draft>()?;
        draft
            .write(pixels.at(), pixels.bytes())
            .map_err(StoreError::Write)
    }

    fn stage_begun(&self, object: &Deidentified<'_>, begun: Begun) -> Result<Staged, StoreError> {
        let laid = begun.laid();
        let mut draft = begun.into_token::<Draft>()?;
        let target = self.target(object.path());
        let staged = match self.is_occupied(&target, object) {
            Ok(true) => Err(StoreError::Occupied),
            Ok(false) => self.complete(object, laid, &mut draft),
            Err(error) => Err(error),
        };
        let file = draft.open.close();
        if let Err(error) = staged {
            // As in `stage`.
            let _: Result<(), StoreError> = self.remove(file);
            return Err(error);
        }
        let waiting = Waiting { file, target };
        Ok(Staged::new(object.path().clone(), object.len(), waiting))
    }

    fn discard_begun(&self, begun: Begun) -> Result<(), StoreError> {
        let draft = begun.into_token::<Draft>()?;
        self.remove(draft.open.close())
    }

    fn publish(&self, group: Vec<Staged>) -> Vec<Result<(), StoreError>> {
        let (placed, touched) = self.place_all(group);
        let failed = self.sync(&touched.directories);
        if failed.is_empty() {
            self.note_known(touched.made);
        }
        let result = |placed: Result<PathBuf, StoreError>| {
            let target = placed?;
            match failed.iter().find(|(failed, _)| target.starts_with(failed)) {
                None => Ok(()),
                Some((_, error)) => Err(self.withdraw(&target, error)),
            }
        };
        placed.into_iter().map(result).collect()
    }

    fn discard(&self, staged: Staged) -> Result<(), StoreError> {
        let (_, waiting) = staged.into_parts::<Waiting>()?;
        self.remove(waiting.file)
    }

    fn contains(&self, path: &OutputPath) -> Result<bool, StoreError> {
        let kind = self.disk.kind(&self.target(path));
        Ok(matches!(
            kind.map_err(StoreError::Read)?,
            Some(Kind::File(_))
        ))
    }

    fn confirm(&self, paths: &[OutputPath]) -> Result<Vec<bool>, StoreError> {
        let mut directories = BTreeSet::new();
        let mut found = Vec::with_capacity(paths.len());
        for path in paths {
            let there = self.contains(path)?;
            if there {
                let file = self.target(path);
                let above = file.ancestors().skip(1);
                directories.extend(above.take(4).map(Path::to_owned));
            }
            found.push(there);
        }
        match self.sync(&directories).into_iter().next() {
            None => Ok(found),
            Some((_, error)) => Err(StoreError::Write(error)),
        }
    }

    fn remove_study(&self, patient: &str, study: &str) -> Result<(), StoreError> {
        // The form of a path is checked where a path is made.
        let path = OutputPath::new([patient, study, "0", "0"]).map_err(|_| StoreError::Foreign)?;
        let [patient, study, ..] = path.parts();
        let patient = self.public.join(patient);
        let dir = patient.join(study);
        self.forget(&dir);
        self.remove_dirs(&patient, &dir).map_err(StoreError::Write)
    }
}

impl DirectoryStore {
    /// Takes an object back whose name could not be made durable.
    fn withdraw(&self, target: &Path, error: &io::Error) -> StoreError {
        // If it cannot be removed either it stays visible: its pseudonyms are durable, it is no
        // part of the index, and the same bytes may take its place later.
        let _: io::Result<()> = self.disk.remove_file(target);
        StoreError::Write(io::Error::new(error.kind(), error.to_string()))
    }

    fn remove_dirs(&self, patient: &Path, study: &Path) -> io::Result<()> {
        let disk = &*self.disk;
        let full = self.durability == Durability::Full;
        if disk.kind(study)?.is_some() {
            disk::remove_all(disk, study)?;
        }
        if disk.kind(patient)?.is_none() {
            return if full {
                disk.sync_dir(&self.public)
            } else {
                Ok(())
            };
        }
        if disk.list(patient)?.next().is_none() {
            disk.remove_dir(patient)?;
            return if full {
                disk.sync_dir(&self.public)
            } else {
                Ok(())
            };
        }
        if full { disk.sync_dir(patient) } else { Ok(()) }
    }
}

/// Where a group is cut in two: between two series if it can be, for the names in one directory are
/// given one after the other.
fn cut(group: &[Staged]) -> usize {
    let (middle, most) = (group.len() / 2, group.len() / 4);
    let is_between = |at: &usize| match group.get(at - 1..=*at) {
        Some([before, here]) => {
            let [before, here] = [before, here].map(|staged| staged.path().parts());
            before.iter().zip(here).take(3).any(|(a, b)| *a != b)
        }
        _ => false,
    };
    let places = (middle - most + 1..middle + most).filter(is_between);
    let nearest = places.min_by_key(|at| at.abs_diff(middle));
    nearest.unwrap_or(middle)
}

fn prepare(disk: &dyn Disk, public: &Path, durability: Durability) -> io::Result<()> {
    disk::create_dirs(disk, public, Access::Shared)?;
    match durability {
        Durability::Full => disk::sync_ancestors(disk, public),
        Durability::Relaxed => Ok(()),
    }
}

/// Bytes put together before a write, so that the many short parts of a header cost one call.
const GATHER_BYTES: usize = 64 * 1024;

fn write_segments(
    object: &Deidentified<'_>,
    gathered: &mut Vec<u8>,
    file: &mut dyn WriteFile,
) -> Result<(), StoreError> {
    gathered.clear();
    for segment in object.segments() {
        match segment {
            Segment::Bytes(bytes) if gathered.len() + bytes.len() <= GATHER_BYTES => {
                gathered.extend_from_slice(bytes);
            }
            Segment::Bytes(bytes) => {
                write_two(file, gathered, bytes).map_err(StoreError::Write)?;
                gathered.clear();
            }
            Segment::File {
                file: source,
                offset,
                len,
            } => {
                file.write_all(gathered).map_err(StoreError::Write)?;
                gathered.clear();
                file.append_range(source, offset, len)
                    .map_err(|error| match error {
                        CopyError::Read(error) => StoreError::Source(error),
                        CopyError::Write(error) => StoreError::Write(error),
                    })?;
            }
        }
    }
    file.write_all(gathered).map_err(StoreError::Write)
}

fn write_two(file: &mut dyn WriteFile, first: &[u8], second: &[u8]) -> io::Result<()> {
    let written = file.write_vectored(&[IoSlice::new(first), IoSlice::new(second)])?;
    match first.get(written..) {
        Some(rest) => {
            file.write_all(rest)?;
            file.write_all(second)
        }
        None => file.write_all(second.get(written - first.len()..).unwrap_or_default()),
    }
}

/// Fails at the first byte that differs from a known file.
struct Compare {
    known: Box<dyn Read + Send>,
    differs: bool,
}

impl Write for Compare {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut buffer = [0; 8192];
        let want = bytes.len().min(buffer.len());
        let (Some(known), Some(new)) = (buffer.get_mut(..want), bytes.get(..want)) else {
            return Ok(0);
        };
        self.known.read_exact(known)?;
        if known != new {
            self.differs = true;
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(want)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_cut_between_two_series_near_its_middle() {
        let group = |series: &[usize]| -> Vec<Staged> {
            let of = |(n, count): (usize, &usize)| {
                let series = format!("1.{n}");
                (0..*count).map(move |_| {
                    let path = OutputPath::new(["1-1", "1.9", &series, "1.8"]).unwrap();
                    Staged::new(path, 1, ())
                })
            };
            series.iter().enumerate().flat_map(of).collect()
        };
        for (series, at) in [
            (&[64][..], 32),
            (&[31, 33], 31),
            (&[34, 30], 34),
            (&[40, 2, 22], 40),
            (&[3, 61], 32),
            (&[61, 3], 32),
            (&[20, 20, 24], 40),
            (&[1; 65], 32),
        ] {
            assert_eq!(cut(&group(series)), at, "{series:?}");
        }
    }
}
