//! [`DirectoryStore`]: objects as files, `<patient>/<study>/<series>/<instance>.dcm`.
//!
//! ```text
//! stage    tmp/<n>            written, fdatasync                      (worker threads)
//! publish  rename ──► public/<patient>/<study>/<series>/<instance>.dcm     replace: over the old file
//!          fsync of each directory that got a name, once a group     (committing thread)
//! ```
//!
//! With [`Durability::Relaxed`] nothing is synced. Where the disk supports it, a staged file then
//! has no name until it is published.
//!
//! A temporary file is readable by its owner only, until it is published.
//!
//! A directory counts as durable only after this process has synced its parent, even if the
//! directory existed before: a crash may have left a name that is visible but not durable.
//!
//! The components of a path are UIDs and pseudonyms of our own, so no name of a file comes from the
//! input. Symbolic links below `public/` are not followed. PS3.10 section 8.2 limits File IDs to 8 characters a component; these names are longer,
//! so an output directory is not a DICOM file-set and has no DICOMDIR.

mod comparing;
mod publishing;
mod writing;

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::deid::deidentified::Deidentified;
use crate::deid::output_path::OutputPath;
use crate::keep::disk::{self, Access, Disk, FileKind, OsDisk};

use super::known_names::KnownNames;
use super::temporary::{Temporaries, Temporary};
use super::{Durability, Staged, Store, StoreError, StoredObject};

/// The most directories that are remembered as durable. At this limit all are forgotten; the next
/// use of each then costs three system calls.
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
    /// Returns the options with another durability.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Returns the options with another disk.
    #[must_use]
    pub fn with_disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = disk;
        self
    }
}

/// Stores objects as files below one directory. It may share its directory for temporary files with
/// a [`DirectoryQuarantine`](crate::DirectoryQuarantine), and with nothing else.
pub struct DirectoryStore {
    disk: Arc<dyn Disk>,
    public: PathBuf,
    temporaries: Temporaries,
    durability: Durability,
    known: Mutex<HashSet<PathBuf>>,
    names: KnownNames,
    /// Buffers that the writing threads reuse.
    buffers: Mutex<Vec<Vec<u8>>>,
}

impl fmt::Debug for DirectoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryStore")
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}

/// A staged file and its target path.
struct StagedFile {
    file: Temporary,
    target: PathBuf,
}

impl DirectoryStore {
    /// Opens a store with outputs below `public` and temporary files in `tmp`. Makes missing
    /// directories and empties `tmp`.
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
                names: KnownNames::default(),
                buffers: Mutex::default(),
            }),
            Ok(false) => Err(StoreError::OtherFileSystem),
            Err(error) => Err(StoreError::Read(error)),
        }
    }

    /// Returns the directory of all outputs.
    pub fn root(&self) -> &Path {
        &self.public
    }

    fn target(&self, path: &OutputPath) -> PathBuf {
        path.below(&self.public)
    }

    /// Returns true if another object is stored at `path`.
    fn is_occupied(&self, path: &Path, object: &Deidentified<'_>) -> Result<bool, StoreError> {
        Ok(!self.names.is_free(path) && self.has_bytes_of(path, object)? == Some(false))
    }

    /// Writes an object to a temporary file.
    fn stage_file(
        &self,
        object: &Deidentified<'_>,
        target: PathBuf,
        durability: Durability,
    ) -> Result<Staged, StoreError> {
        let mut open = self.temporaries.create().map_err(StoreError::Write)?;
        let written = self.write(object, &mut *open.file, durability);
        let file = open.close();
        if let Err(error) = written {
            // Opening the store again removes what cannot be removed now. The write error says more
            // than the cleanup error.
            let _: Result<(), StoreError> = self.remove(file);
            return Err(error);
        }
        let waiting = StagedFile { file, target };
        Ok(Staged::new(object.path().clone(), object.len(), waiting))
    }

    fn forget(&self, dir: &Path) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // The parents may be removed as well.
        known.retain(|path| !path.starts_with(dir) && !dir.starts_with(path));
        self.names.forget(dir);
    }

    /// Syncs the directories of a group. Returns those that failed.
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
        self.stage_file(object, target, self.durability)
    }

    fn publish(&self, group: Vec<Staged>) -> Vec<Result<(), StoreError>> {
        self.publish_group(group)
    }

    fn stage_over(&self, object: &Deidentified<'_>) -> Result<Staged, StoreError> {
        // After a power cut, the path must not hold less than the durable object that was there.
        self.stage_file(object, self.target(object.path()), Durability::Full)
    }

    fn replace(&self, staged: Staged) -> Result<(), StoreError> {
        self.replace_file(staged)
    }

    fn discard(&self, staged: Staged) -> Result<(), StoreError> {
        let (_, waiting) = staged.into_parts::<StagedFile>()?;
        self.remove(waiting.file)
    }

    fn contains(&self, path: &OutputPath) -> Result<bool, StoreError> {
        let kind = self.disk.kind(&self.target(path));
        Ok(matches!(
            kind.map_err(StoreError::Read)?,
            Some(FileKind::File(_))
        ))
    }

    fn stored(&self, path: &OutputPath) -> Result<Option<StoredObject>, StoreError> {
        let target = self.target(path);
        let opened = || -> io::Result<_> {
            if let Some(file) = self.disk.open_native(&target)? {
                let len = file.metadata()?.len();
                return Ok(StoredObject::File(file, len));
            }
            let mut bytes = Vec::new();
            self.disk.open(&target)?.read_to_end(&mut bytes)?;
            Ok(StoredObject::Bytes(bytes))
        };
        match opened() {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::Read(error)),
        }
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
        // `OutputPath::new` checks the names.
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
    disk.follow_no_links_below(public)?;
    match durability {
        Durability::Full => disk::sync_ancestors(disk, public),
        Durability::Relaxed => Ok(()),
    }
}
