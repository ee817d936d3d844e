//! [`DirectoryStore`]: objects as files, `<patient>/<study>/<series>/<instance>.dcm`.
//!
//! ```text
//! stage    tmp/<n>            written, fdatasync                      (worker threads)
//! publish  rename ──► public/<patient>/<study>/<series>/<instance>.dcm
//!          fsync of each directory that got a name, once a group     (committer thread)
//! ```
//!
//! With [`Durability::Relaxed`] nothing is synced, and a staged file has no name at all where the
//! disk has such files: publishing gives it one.
//!
//! A temporary file is its owner's alone until it is published.
//!
//! A directory counts as made only when the name it has in its parent is synced by this process,
//! also if it was there before: a crash may have left a name that is visible and not durable.

mod comparing;
mod naming;
mod writing;

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::deid::deidentified::Deidentified;
use crate::deid::output_path::OutputPath;
use crate::keep::disk::{self, Access, Disk, Kind, OsDisk};

use super::own::Own;
use super::temporary::{Temporaries, Temporary};
use super::{Durability, Staged, Store, StoreError};

/// Directories remembered as made and durable. Past this many all are forgotten: the next use of
/// each costs three calls.
const KNOWN_DIRECTORIES: usize = 16_384;

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

    /// Whether another object stands at `path`.
    fn is_occupied(&self, path: &Path, object: &Deidentified<'_>) -> Result<bool, StoreError> {
        Ok(!self.own.is_free(path) && self.holds(path, object)? == Some(false))
    }

    fn forget(&self, dir: &Path) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // The directories above may be gone as well.
        known.retain(|path| !path.starts_with(dir) && !dir.starts_with(path));
        self.own.forget(dir);
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

    fn publish(&self, group: Vec<Staged>) -> Vec<Result<(), StoreError>> {
        self.name_all(group)
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

fn prepare(disk: &dyn Disk, public: &Path, durability: Durability) -> io::Result<()> {
    disk::create_dirs(disk, public, Access::Shared)?;
    match durability {
        Durability::Full => disk::sync_ancestors(disk, public),
        Durability::Relaxed => Ok(()),
    }
}
