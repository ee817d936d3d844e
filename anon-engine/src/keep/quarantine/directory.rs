//! [`DirectoryQuarantine`]: entries as directories.
//!
//! ```text
//! private/quarantine/<category>/<sha256>/original      the bytes, untouched
//!                                        reason.json   why (see VERSION for the version)
//! ```
//!
//! An entry is written in the directory for temporary files, synced, and renamed into place
//! atomically. It is removed the same way. A visible entry is therefore complete, even after a
//! crash.
//!
//! No lock is held while the disk works, except that threads with the same bytes come one after the
//! other. Storing an object waits for none of them.

mod filing;
mod index;
mod turns;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anon_model::settings::Durability;

use self::index::EntryIndex;
use self::turns::{DigestTurns, SharedSync};
use crate::keep::disk::{Disk, FileKind, OsDisk};
use crate::keep::received::Received;
use crate::refusal::{Category, digest_from_text};

use super::{
    Entries, Entry, EntryId, Filed, Kept, Original, Quarantine, QuarantineError, RefusedObject,
    format,
};

const ORIGINAL: &str = "original";
const REASON: &str = "reason.json";

/// How a [`DirectoryQuarantine`] is opened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct QuarantineOptions {
    /// Which failures an entry survives.
    pub durability: Durability,
    /// What is kept of a refused file: [`Kept::Copied`] or [`Kept::Referenced`]. Objects that did
    /// not come as a file are always copied.
    pub files: Kept,
    /// The most bytes of originals that are kept.
    pub max_bytes: u64,
    /// The file system.
    pub disk: Arc<dyn Disk>,
}

impl Default for QuarantineOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Full,
            files: Kept::Copied,
            max_bytes: u64::MAX,
            disk: Arc::new(OsDisk::new()),
        }
    }
}

impl QuarantineOptions {
    /// Returns the options with another durability.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Returns the options with another choice for refused files.
    #[must_use]
    pub fn with_files(mut self, files: Kept) -> Self {
        self.files = files;
        self
    }

    /// Returns the options with another bound.
    #[must_use]
    pub fn with_max_bytes(mut self, max_bytes: u64) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// Returns the options with another disk.
    #[must_use]
    pub fn with_disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = disk;
        self
    }
}

/// Keeps entries as directories. Opening it changes nothing on the disk, so another process can
/// read the quarantine while one writes it.
pub struct DirectoryQuarantine {
    root: PathBuf,
    tmp: PathBuf,
    options: QuarantineOptions,
    next: AtomicU64,
    index: EntryIndex,
    turns: DigestTurns,
    /// One for each category.
    syncs: [SharedSync; Category::ALL.len()],
}

/// What the disk holds under the name of an entry.
enum StoredEntry {
    Missing,
    Valid(Box<Entry>),
    /// Its `reason.json` is missing or invalid.
    Broken,
}

impl fmt::Debug for DirectoryQuarantine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryQuarantine")
            .field("durability", &self.options.durability)
            .field("files", &self.options.files)
            .field("max_bytes", &self.options.max_bytes)
            .finish_non_exhaustive()
    }
}

impl DirectoryQuarantine {
    /// Returns the quarantine in `root`, with temporary files in `tmp` on the same file system.
    /// Filing the first object makes both directories.
    pub fn new(
        root: impl Into<PathBuf>,
        tmp: impl Into<PathBuf>,
        options: QuarantineOptions,
    ) -> Self {
        Self {
            root: root.into(),
            tmp: tmp.into(),
            options,
            next: AtomicU64::new(0),
            index: EntryIndex::default(),
            turns: DigestTurns::default(),
            syncs: Default::default(),
        }
    }

    fn disk(&self) -> &dyn Disk {
        &*self.options.disk
    }

    fn is_durable(&self) -> bool {
        self.options.durability == Durability::Full
    }

    fn dir(&self, id: &EntryId) -> PathBuf {
        self.root.join(id.category().name()).join(id.digest_text())
    }

    fn temporary(&self) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.tmp.join(format!("{number}.entry"))
    }

    /// Reads the entries, the first time that they are needed.
    fn load(&self) -> Result<(), QuarantineError> {
        self.index.load(|| self.entries())
    }

    fn stored_entry(&self, id: &EntryId) -> Result<StoredEntry, QuarantineError> {
        let kind = self
            .disk()
            .kind(&self.dir(id))
            .map_err(QuarantineError::Read)?;
        if kind.is_none() {
            return Ok(StoredEntry::Missing);
        }
        match self.entry(id) {
            Ok(Some(entry)) => Ok(StoredEntry::Valid(Box::new(entry))),
            Ok(None) | Err(QuarantineError::Format { .. }) => Ok(StoredEntry::Broken),
            Err(error) => Err(error),
        }
    }

    fn digests(
        &self,
        category: Category,
    ) -> io::Result<impl Iterator<Item = io::Result<EntryId>> + Send> {
        let names = match self.disk().list(&self.root.join(category.name())) {
            Ok(names) => Some(names),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let id = move |name: io::Result<std::ffi::OsString>| match name {
            // A name that is not a digest is not one of our entries.
            Ok(name) => Some(Ok(EntryId::new(
                category,
                digest_from_text(name.to_str()?)?,
            ))),
            Err(error) => Some(Err(error)),
        };
        Ok(names.into_iter().flatten().filter_map(id))
    }
}

impl Quarantine for DirectoryQuarantine {
    fn file(&self, case: &RefusedObject<'_>) -> Result<Filed, QuarantineError> {
        self.file_object(case)
    }

    fn find(&self, original: &Original<'_>) -> Result<Vec<EntryId>, QuarantineError> {
        self.load()?;
        if !self.index.has_length(original.len()) {
            return Ok(Vec::new());
        }
        let digest = original.digest().map_err(QuarantineError::Source)?;
        self.entries_with_digest(&digest)
    }

    fn entries(&self) -> Result<Entries<'_>, QuarantineError> {
        let categories = Category::ALL.into_iter().flat_map(move |category| {
            let (found, failed) = match self.digests(category) {
                Ok(digests) => (Some(digests), None),
                Err(error) => (None, Some(Err(error))),
            };
            failed.into_iter().chain(found.into_iter().flatten())
        });
        Ok(Box::new(categories.filter_map(move |id| match id {
            // An entry that was cleared since its name was read is skipped.
            Ok(id) => self.entry(&id).transpose(),
            Err(error) => Some(Err(QuarantineError::Read(error))),
        })))
    }

    fn entry(&self, id: &EntryId) -> Result<Option<Entry>, QuarantineError> {
        let file = match self.disk().open(&self.dir(id).join(REASON)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(QuarantineError::Read(error)),
        };
        let mut bytes = Vec::new();
        file.take(format::MAX_BYTES)
            .read_to_end(&mut bytes)
            .map_err(QuarantineError::Read)?;
        format::read(&bytes, *id).map(Some)
    }

    fn counts(&self) -> Result<BTreeMap<Category, u64>, QuarantineError> {
        let mut counts = BTreeMap::new();
        for category in Category::ALL {
            for id in self.digests(category).map_err(QuarantineError::Read)? {
                id.map_err(QuarantineError::Read)?;
                *counts.entry(category).or_default() += 1;
            }
        }
        Ok(counts)
    }

    fn open_original(&self, id: &EntryId) -> Result<Option<Box<dyn Read + Send>>, QuarantineError> {
        let Some(entry) = self.entry(id)? else {
            return Ok(None);
        };
        match (entry.kept, entry.source) {
            (Kept::Copied, _) => {
                let opened = self.disk().open(&self.dir(id).join(ORIGINAL));
                opened.map(Some).map_err(QuarantineError::Read)
            }
            (Kept::Referenced, Some(source)) => match File::open(source.expose()) {
                Ok(file) => Ok(Some(Box::new(file))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(QuarantineError::Source(error)),
            },
            (Kept::Referenced | Kept::Recorded, _) => Ok(None),
        }
    }

    fn received(&self, id: &EntryId) -> Result<Option<Received>, QuarantineError> {
        let Some(entry) = self.entry(id)? else {
            return Ok(None);
        };
        let path = match (entry.kept, &entry.source) {
            (Kept::Copied, _) => self.disk().native(&self.dir(id).join(ORIGINAL)),
            (Kept::Referenced, Some(source)) => Some(PathBuf::from(source.expose())),
            (Kept::Referenced | Kept::Recorded, _) => return Ok(None),
        };
        if let Some(path) = path {
            return Ok(Some(entry.restore(Received::file(path))));
        }
        let Some(mut original) = self.open_original(id)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        original
            .read_to_end(&mut bytes)
            .map_err(QuarantineError::Read)?;
        Ok(Some(entry.restore(Received::part10(bytes))))
    }

    fn clear(&self, id: &EntryId) -> Result<bool, QuarantineError> {
        self.clear_entry(id)
    }
}

impl DirectoryQuarantine {
    fn entries_with_digest(&self, digest: &[u8; 32]) -> Result<Vec<EntryId>, QuarantineError> {
        let mut found = Vec::new();
        for category in Category::ALL {
            let id = EntryId::new(category, *digest);
            if self
                .disk()
                .kind(&self.dir(&id))
                .map_err(QuarantineError::Read)?
                == Some(FileKind::Directory)
            {
                found.push(id);
            }
        }
        Ok(found)
    }
}

impl Entry {
    /// Restores the transfer syntax and the origin of an original.
    pub(super) fn restore(&self, mut received: Received) -> Received {
        if let Some(syntax) = &self.transfer_syntax {
            received = received.as_data_set(syntax.as_str());
        }
        if let Some(source) = &self.source {
            received = received.with_origin(source.expose().as_str());
        }
        received
    }
}
