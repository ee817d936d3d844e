//! Files and removes entries of a [`DirectoryQuarantine`].
//!
//! ```text
//! turn of this original ─► known already? ─► reserve bytes ─► write, sync ─► rename ─► sync names
//! ```

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anon_model::Phi;

use super::index::copied_bytes;
use super::{DirectoryQuarantine, ORIGINAL, REASON, StoredEntry};
use crate::keep::disk::{self, Access, CopyError, Existing, FileKind, WriteFile};
use crate::keep::quarantine::{
    Entry, EntryId, Filed, Kept, Original, QuarantineError, RefusedObject, format,
};
use crate::refusal::Category;

/// A copy is synced after each part of this many bytes. Some file systems make every other sync wait
/// for the bytes that a file has written and not synced.
const SYNCED_PART: u64 = 32 << 20;

impl DirectoryQuarantine {
    /// Implements [`Quarantine::file`](super::super::Quarantine::file).
    pub(super) fn file_object(&self, case: &RefusedObject<'_>) -> Result<Filed, QuarantineError> {
        let modified = modified(&case.original)?;
        let digest = case.original.digest().map_err(QuarantineError::Source)?;
        let id = EntryId::new(case.refusal.category, digest);
        let (kept, path) = self.retention(case);
        let mut entry = Entry::of(case, id, kept);
        if let Some(path) = path {
            entry.source = Some(Phi::new(path));
        }
        self.load()?;
        let _turn = self.turns.wait(digest);
        if let Some(before) = self.index.durable(&id)
            && follows(&mut entry, &before)
            && self.is_whole(&before)?
        {
            let is_new = false;
            return Ok(Filed { entry: id, is_new });
        }
        if let StoredEntry::Valid(before) = self.stored_entry(&id)?
            && follows(&mut entry, &before)
            && self.is_whole(&before)?
        {
            self.confirm(&entry).map_err(QuarantineError::Write)?;
            let is_new = false;
            return Ok(Filed { entry: id, is_new });
        }
        let known = self.entries_with_digest(&digest)?;
        let bytes = copied_bytes(&entry);
        let freed = if bytes > 0 {
            self.copied_bytes_of(&known)?
        } else {
            0
        };
        self.index.reserve(bytes, freed, self.options.max_bytes)?;
        let written = self.temporary();
        let mut in_place = false;
        let done = self
            .write_entry(&written, &entry, case)
            .and_then(|()| check_unchanged(&case.original, modified))
            .and_then(|()| self.move_into_place(&written, &entry, &mut in_place));
        if done.is_err() {
            let _: io::Result<()> = disk::remove_all(self.disk(), &written);
            if !in_place {
                self.index.release(bytes);
            }
        }
        let is_new = known.is_empty();
        done.map(|()| Filed { entry: id, is_new })
    }

    /// Returns true if the files of an entry are there. A person may have removed them.
    fn is_whole(&self, entry: &Entry) -> Result<bool, QuarantineError> {
        let dir = self.dir(&entry.id);
        let kind = |name: &str| {
            let kind = self.disk().kind(&dir.join(name));
            kind.map_err(QuarantineError::Read)
        };
        let has_reason = matches!(kind(REASON)?, Some(FileKind::File(_)));
        Ok(has_reason
            && (entry.kept != Kept::Copied
                || kind(ORIGINAL)? == Some(FileKind::File(entry.length))))
    }

    /// Makes an entry durable that is visible. It may be from a process that ended before it synced.
    fn confirm(&self, entry: &Entry) -> io::Result<()> {
        let (dir, category) = (self.dir(&entry.id), entry.id.category());
        if self.is_durable() {
            self.disk().sync_dir(&dir)?;
            if !self.index.is_synced(category) {
                self.sync_names(&dir, category)?;
            }
        }
        self.index.note_durable(entry);
        Ok(())
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

    /// Writes an entry to a temporary directory. All files are written before the first is synced, so
    /// that one commit of the file system's journal can hold them all.
    fn write_entry(
        &self,
        dir: &Path,
        entry: &Entry,
        case: &RefusedObject<'_>,
    ) -> Result<(), QuarantineError> {
        let category = self.root.join(entry.id.category().name());
        let disk = self.disk();
        let create = |path: PathBuf| disk.create(&path, Access::Private);
        disk::create_dirs(disk, &self.tmp, Access::Private).map_err(QuarantineError::Write)?;
        disk.follow_no_links_below(&self.root)
            .map_err(QuarantineError::Write)?;
        disk::create_dirs(disk, &category, Access::Private).map_err(QuarantineError::Write)?;
        disk.create_dir(dir, Access::Private)
            .map_err(QuarantineError::Write)?;
        let mut reason = create(dir.join(REASON)).map_err(QuarantineError::Write)?;
        reason
            .write_all(&format::write(entry))
            .map_err(QuarantineError::Write)?;
        if entry.kept == Kept::Copied {
            let mut copied = create(dir.join(ORIGINAL)).map_err(QuarantineError::Write)?;
            copy(&case.original, &mut *copied, self.is_durable())?;
            self.finish(&mut *copied).map_err(QuarantineError::Write)?;
        }
        self.finish(&mut *reason).map_err(QuarantineError::Write)?;
        if self.is_durable() {
            disk.sync_dir(dir).map_err(QuarantineError::Write)?;
        }
        Ok(())
    }

    fn finish(&self, file: &mut dyn WriteFile) -> io::Result<()> {
        if self.is_durable() {
            file.sync()
        } else {
            Ok(())
        }
    }

    /// Moves a written entry into place, and removes other entries for the same bytes. Sets `in_place`
    /// once the entry is visible.
    fn move_into_place(
        &self,
        written: &Path,
        entry: &Entry,
        in_place: &mut bool,
    ) -> Result<(), QuarantineError> {
        let disk = self.disk();
        let (id, category) = (entry.id, entry.id.category());
        let target = self.dir(&id);
        // A directory cannot replace another one, and removing the old entry first could lose it in
        // a crash. So the files are replaced one by one.
        match self.stored_entry(&id)? {
            StoredEntry::Missing => disk
                .rename(written, &target, Existing::Keep)
                .map_err(QuarantineError::Write)?,
            old => {
                self.index.doubt(&id);
                self.overwrite(written, &target, entry)?;
                self.index.forget(&id, &old);
            }
        }
        *in_place = true;
        self.index.add(entry);
        if self.is_durable() {
            self.sync_names(&target, category)
                .map_err(QuarantineError::Write)?;
        }
        for other in Category::ALL.into_iter().filter(|other| *other != category) {
            let id = EntryId::new(other, *entry.id.digest());
            match self.stored_entry(&id)? {
                StoredEntry::Missing => {}
                old => {
                    self.remove_entry(&id).map_err(QuarantineError::Write)?;
                    self.index.forget(&id, &old);
                }
            }
        }
        self.index.note_durable(entry);
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

    /// Syncs the directory of a category, and the two above it until that has succeeded once. Threads
    /// that file concurrently share a sync.
    fn sync_names(&self, entry: &Path, category: Category) -> io::Result<()> {
        let disk = self.disk();
        let shared = Category::ALL.iter().position(|other| *other == category);
        let shared = shared.and_then(|number| self.syncs.get(number));
        let sync = || {
            let levels = if self.index.is_synced(category) { 1 } else { 3 };
            let mut dirs = entry.ancestors().skip(1).take(levels);
            let synced = dirs.try_for_each(|dir| disk.sync_dir(dir));
            self.index.set_synced(category, synced.is_ok());
            synced
        };
        shared.map_or_else(sync, |shared| shared.run(sync))
    }

    /// Implements [`Quarantine::clear`](super::super::Quarantine::clear).
    pub(super) fn clear_entry(&self, id: &EntryId) -> Result<bool, QuarantineError> {
        self.load()?;
        let _turn = self.turns.wait(*id.digest());
        let found = self.stored_entry(id)?;
        if matches!(found, StoredEntry::Missing) {
            return Ok(false);
        }
        self.remove_entry(id).map_err(QuarantineError::Write)?;
        self.index.forget(id, &found);
        Ok(true)
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

    /// Returns the length of the copies that these entries hold.
    fn copied_bytes_of(&self, ids: &[EntryId]) -> Result<u64, QuarantineError> {
        let mut bytes = 0;
        for id in ids {
            if let StoredEntry::Valid(entry) = self.stored_entry(id)? {
                bytes += copied_bytes(&entry);
            }
        }
        Ok(bytes)
    }
}

/// Makes an entry for the same bytes follow the one before: its copy is kept, and its source unless
/// that is a path that leads nowhere any more. Returns true if nothing is left to change.
fn follows(entry: &mut Entry, before: &Entry) -> bool {
    let keeps_source = entry.kept != Kept::Referenced
        || before.kept != Kept::Referenced
        || entry.source == before.source
        || is_there(before);
    if keeps_source {
        entry.source.clone_from(&before.source);
    }
    if before.kept == Kept::Copied {
        entry.kept = Kept::Copied;
    }
    entry == before
}

/// Returns true if the file of a referenced entry exists and has its length.
fn is_there(entry: &Entry) -> bool {
    let path = entry.source.as_ref().map(Phi::expose);
    path.and_then(|path| fs::metadata(path).ok())
        .is_some_and(|found| found.is_file() && found.len() == entry.length)
}

/// Returns when the file of an original was last changed.
fn modified(original: &Original<'_>) -> Result<Option<SystemTime>, QuarantineError> {
    match original {
        Original::Bytes(_) => Ok(None),
        Original::File { file, .. } => {
            let found = file.metadata().map_err(QuarantineError::Source)?;
            Ok(found.modified().ok())
        }
    }
}

/// Returns an error if the file of an original has changed: the copy may not have the bytes of its
/// digest.
fn check_unchanged(
    original: &Original<'_>,
    before: Option<SystemTime>,
) -> Result<(), QuarantineError> {
    if modified(original)? == before {
        return Ok(());
    }
    let message = "the file changed while it was copied";
    let error = io::Error::new(io::ErrorKind::UnexpectedEof, message);
    Err(QuarantineError::Source(error))
}

/// Copies an original. A long one is synced part by part.
fn copy(
    original: &Original<'_>,
    file: &mut dyn WriteFile,
    is_durable: bool,
) -> Result<(), QuarantineError> {
    let (source, len) = match *original {
        Original::Bytes(bytes) => return file.write_all(bytes).map_err(QuarantineError::Write),
        Original::File { file, len } => (file, len),
    };
    let mut at = 0;
    while at < len {
        let part = (len - at).min(SYNCED_PART);
        file.append_range(source, at, part)
            .map_err(|error| match error {
                CopyError::Read(error) => QuarantineError::Source(error),
                CopyError::Write(error) => QuarantineError::Write(error),
            })?;
        at += part;
        if is_durable && at < len {
            file.sync().map_err(QuarantineError::Write)?;
        }
    }
    Ok(())
}
