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

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anon_model::Phi;

use crate::keep::disk::{self, Access, CopyError, Disk, Existing, FileKind, OsDisk, WriteFile};
use crate::keep::received::Received;
use crate::refusal::{Category, digest_from_text};
use anon_model::settings::Durability;

use super::{
    Entries, Entry, EntryId, Kept, Original, Quarantine, QuarantineError, RefusedObject, format,
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
    totals: Mutex<Option<EntryTotals>>,
}

/// Totals over all entries. They are read from the disk when they are needed first.
#[derive(Default)]
struct EntryTotals {
    /// The number of entries by length of their original.
    lengths: HashMap<u64, u64>,
    /// The total length of the copied originals.
    bytes: u64,
}

/// What the disk holds under the name of an entry.
enum StoredEntry {
    Missing,
    Valid(Box<Entry>),
    /// Its `reason.json` is missing or invalid.
    Broken,
}

impl EntryTotals {
    fn add(&mut self, entry: &Entry) {
        *self.lengths.entry(entry.length).or_default() += 1;
        if entry.kept == Kept::Copied {
            self.bytes += entry.length;
        }
    }

    fn forget(&mut self, found: &StoredEntry) {
        let StoredEntry::Valid(entry) = found else {
            return;
        };
        if let Some(count) = self.lengths.get_mut(&entry.length) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.lengths.remove(&entry.length);
            }
        }
        if entry.kept == Kept::Copied {
            self.bytes = self.bytes.saturating_sub(entry.length);
        }
    }
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
            totals: Mutex::new(None),
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

    /// Locks the entries, so that only one is changed at a time.
    fn totals(&self) -> Result<MutexGuard<'_, Option<EntryTotals>>, QuarantineError> {
        // A thread panicked while it changed the totals, so they are read again.
        let mut totals = self
            .totals
            .lock()
            .unwrap_or_else(|poisoned: PoisonError<_>| {
                let mut totals = poisoned.into_inner();
                *totals = None;
                totals
            });
        if totals.is_none() {
            let mut found = EntryTotals::default();
            for entry in self.entries()? {
                match entry {
                    Ok(entry) => found.add(&entry),
                    // A person has to fix this entry. Until then it does not count.
                    Err(QuarantineError::Format { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            *totals = Some(found);
        }
        Ok(totals)
    }

    fn prepare(&self, category: Category) -> io::Result<PathBuf> {
        let dir = self.root.join(category.name());
        disk::create_dirs(self.disk(), &self.tmp, Access::Private)?;
        disk::create_dirs(self.disk(), &dir, Access::Private)?;
        Ok(dir)
    }

    /// Decides what to keep of this object. Returns the path too if only that is kept.
    fn retention(&self, case: &RefusedObject<'_>) -> (Kept, Option<String>) {
        if case.refusal.foreign {
            return (Kept::Recorded, None);
        }
        let absolute = || Some(std::path::absolute(case.path?).ok()?.to_str()?.to_owned());
        match (self.options.files, absolute()) {
            (Kept::Referenced, Some(path))
                if !case.path.is_some_and(|p| p.starts_with(&self.root)) =>
            {
                (Kept::Referenced, Some(path))
            }
            _ => (Kept::Copied, None),
        }
    }

    fn write_entry(
        &self,
        dir: &Path,
        entry: &Entry,
        case: &RefusedObject<'_>,
    ) -> Result<(), QuarantineError> {
        let disk = self.disk();
        let create = |path: &Path| {
            disk.create(path, Access::Private)
                .map_err(QuarantineError::Write)
        };
        disk.create_dir(dir, Access::Private)
            .map_err(QuarantineError::Write)?;
        if entry.kept == Kept::Copied {
            let mut file = create(&dir.join(ORIGINAL))?;
            copy(&case.original, &mut *file)?;
            self.finish(&mut *file)?;
        }
        let mut file = create(&dir.join(REASON))?;
        file.write_all(&format::write(entry))
            .map_err(QuarantineError::Write)?;
        self.finish(&mut *file)?;
        if self.is_durable() {
            disk.sync_dir(dir).map_err(QuarantineError::Write)?;
        }
        Ok(())
    }

    fn finish(&self, file: &mut dyn WriteFile) -> Result<(), QuarantineError> {
        if self.is_durable() {
            file.sync().map_err(QuarantineError::Write)
        } else {
            Ok(())
        }
    }

    /// Removes an entry: moves it away atomically, then deletes its files.
    fn remove_entry(&self, entry: &EntryId) -> io::Result<()> {
        let disk = self.disk();
        let (from, to) = (self.dir(entry), self.temporary());
        disk::create_dirs(disk, &self.tmp, Access::Private)?;
        disk.rename(&from, &to, Existing::Keep)?;
        if self.is_durable()
            && let Some(category) = from.parent()
        {
            disk.sync_dir(category)?;
        }
        // The entry is removed. Emptying `tmp` deletes files that cannot be deleted now.
        let _: io::Result<()> = disk::remove_all(disk, &to);
        Ok(())
    }

    /// Moves a written entry into place, and removes other entries for the same bytes.
    fn move_into_place(
        &self,
        written: &Path,
        entry: &Entry,
        totals: &mut EntryTotals,
    ) -> Result<(), QuarantineError> {
        let disk = self.disk();
        let target = self.dir(&entry.id);
        // A directory cannot replace another one, and removing the old entry first could lose it in
        // a crash. So the files are replaced one by one.
        match self.stored_entry(&entry.id)? {
            StoredEntry::Missing => disk
                .rename(written, &target, Existing::Keep)
                .map_err(QuarantineError::Write)?,
            old => {
                self.overwrite(written, &target, entry)?;
                totals.forget(&old);
            }
        }
        totals.add(entry);
        if self.is_durable() {
            self.sync_names(&target).map_err(QuarantineError::Write)?;
        }
        for other in Category::ALL {
            let id = EntryId::new(other, *entry.id.digest());
            if id == entry.id {
                continue;
            }
            match self.stored_entry(&id)? {
                StoredEntry::Missing => {}
                old => {
                    self.remove_entry(&id).map_err(QuarantineError::Write)?;
                    totals.forget(&old);
                }
            }
        }
        Ok(())
    }

    /// Replaces the files of an entry. The original comes first, so that `reason.json` never says
    /// `copied` without a copy.
    fn overwrite(
        &self,
        written: &Path,
        target: &Path,
        entry: &Entry,
    ) -> Result<(), QuarantineError> {
        let disk = self.disk();
        let mv =
            |name: &str| disk.rename(&written.join(name), &target.join(name), Existing::Replace);
        if entry.kept == Kept::Copied {
            mv(ORIGINAL).map_err(QuarantineError::Write)?;
        }
        mv(REASON).map_err(QuarantineError::Write)?;
        if self.is_durable() {
            disk.sync_dir(target).map_err(QuarantineError::Write)?;
        }
        let _: io::Result<()> = disk::remove_all(disk, written);
        Ok(())
    }

    /// Makes the names of an entry, its category and the quarantine durable.
    fn sync_names(&self, entry: &Path) -> io::Result<()> {
        let disk = self.disk();
        for dir in entry.ancestors().skip(1).take(3) {
            disk.sync_dir(dir)?;
        }
        Ok(())
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
    fn file(&self, case: &RefusedObject<'_>) -> Result<EntryId, QuarantineError> {
        let digest = case.original.digest().map_err(QuarantineError::Source)?;
        let id = EntryId::new(case.refusal.category, digest);
        let (kept, path) = self.retention(case);
        let mut entry = Entry::of(case, id, kept);
        if let Some(path) = path {
            entry.source = Some(Phi::new(path));
        }
        let mut totals = self.totals()?;
        let totals = totals.get_or_insert_with(EntryTotals::default);
        if let StoredEntry::Valid(before) = self.stored_entry(&id)? {
            // The same bytes again, perhaps from another source: the first source is kept.
            entry.source.clone_from(&before.source);
            // An existing copy is kept.
            if before.kept == Kept::Copied {
                entry.kept = Kept::Copied;
            }
            if *before == entry {
                if self.is_durable() {
                    self.sync_names(&self.dir(&id))
                        .map_err(QuarantineError::Write)?;
                }
                return Ok(id);
            }
        }
        let added = if entry.kept == Kept::Copied {
            entry.length
        } else {
            0
        };
        let freed = self.copied_bytes(&digest)?;
        if added > 0 && totals.bytes.saturating_sub(freed) + added > self.options.max_bytes {
            return Err(QuarantineError::Full);
        }
        self.prepare(id.category())
            .map_err(QuarantineError::Write)?;
        let written = self.temporary();
        let done = self
            .write_entry(&written, &entry, case)
            .and_then(|()| self.move_into_place(&written, &entry, totals));
        if done.is_err() {
            let _: io::Result<()> = disk::remove_all(self.disk(), &written);
        }
        done.map(|()| id)
    }

    fn find(&self, original: &Original<'_>) -> Result<Vec<EntryId>, QuarantineError> {
        let len = original.len();
        if self
            .totals()?
            .as_ref()
            .is_none_or(|totals| !totals.lengths.contains_key(&len))
        {
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
        let mut totals = self.totals()?;
        let found = self.stored_entry(id)?;
        if matches!(found, StoredEntry::Missing) {
            return Ok(false);
        }
        self.remove_entry(id).map_err(QuarantineError::Write)?;
        if let Some(totals) = totals.as_mut() {
            totals.forget(&found);
        }
        Ok(true)
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

    /// Returns the length of the copies that the entries for this digest hold.
    fn copied_bytes(&self, digest: &[u8; 32]) -> Result<u64, QuarantineError> {
        let mut bytes = 0;
        for id in self.entries_with_digest(digest)? {
            match self.stored_entry(&id)? {
                StoredEntry::Valid(entry) if entry.kept == Kept::Copied => bytes += entry.length,
                _ => {}
            }
        }
        Ok(bytes)
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

fn copy(original: &Original<'_>, file: &mut dyn WriteFile) -> Result<(), QuarantineError> {
    match *original {
        Original::Bytes(bytes) => file.write_all(bytes).map_err(QuarantineError::Write),
        Original::File { file: source, len } => {
            file.append_range(source, 0, len)
                .map_err(|error| match error {
                    CopyError::Read(error) => QuarantineError::Source(error),
                    CopyError::Write(error) => QuarantineError::Write(error),
                })
        }
    }
}
