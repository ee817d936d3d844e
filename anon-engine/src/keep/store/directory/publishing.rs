//! Publishes a group of staged objects: makes their directories and gives the files their names.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::{DirectoryStore, KNOWN_DIRECTORIES, StagedFile};
use crate::deid::output_path::OutputPath;
use crate::keep::disk::{Access, DirCreation, Existing};
use crate::keep::store::{Staged, StoreError};

/// The directories that a group of objects changes.
#[derive(Default)]
struct TouchedDirectories {
    /// Directories that have a new entry and need a sync.
    directories: BTreeSet<PathBuf>,
    /// Directories whose own names are durable once `directories` are synced.
    made: BTreeSet<PathBuf>,
    /// Patient, study and series of the previous object. Most objects share them with it.
    last: [String; 3],
}

impl TouchedDirectories {
    fn is_last(&self, parts: [&str; 3]) -> bool {
        // Backwards, because the series differs most often.
        self.last.iter().rev().eq(parts.iter().rev())
    }
}

impl DirectoryStore {
    /// Implements [`Store::publish`](super::Store::publish).
    pub(super) fn publish_group(&self, group: Vec<Staged>) -> Vec<Result<(), StoreError>> {
        let (placed, touched) = self.publish_each(group);
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

    fn publish_each(
        &self,
        group: Vec<Staged>,
    ) -> (Vec<Result<PathBuf, StoreError>>, TouchedDirectories) {
        let mut touched = TouchedDirectories::default();
        let place = |staged: Staged| {
            let (path, mut waiting) = staged.into_parts::<StagedFile>()?;
            match self.publish_one(&path, &mut waiting, &mut touched) {
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

    /// Gives one object its final name.
    fn publish_one(
        &self,
        path: &OutputPath,
        waiting: &mut StagedFile,
        group: &mut TouchedDirectories,
    ) -> Result<(), StoreError> {
        let StagedFile { file, target } = waiting;
        let mut retried = false;
        loop {
            self.make_directories(path, group)
                .map_err(StoreError::Write)?;
            let placed = self.temporaries.publish(file, target);
            self.names.add_file(target);
            match placed {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let file = self
                        .temporaries
                        .ensure_named(file)
                        .map_err(StoreError::Write)?;
                    if !self
                        .have_equal_bytes(&file, target)
                        .map_err(StoreError::Read)?
                    {
                        return Err(StoreError::Occupied);
                    }
                    return self
                        .disk
                        .rename(&file, target, Existing::Replace)
                        .map_err(StoreError::Write);
                }
                // Another process removed a directory that we made: make it again, once.
                Err(error) if error.kind() == io::ErrorKind::NotFound && !retried => {
                    self.forget_made(target, group);
                    retried = true;
                }
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                    return Err(StoreError::OtherFileSystem);
                }
                Err(error) => return Err(StoreError::Write(error)),
            }
        }
    }

    /// Implements [`Store::replace`](super::Store::replace).
    pub(super) fn replace_file(&self, staged: Staged) -> Result<(), StoreError> {
        let (path, mut waiting) = staged.into_parts::<StagedFile>()?;
        let mut touched = TouchedDirectories::default();
        if let Err(error) = self.rename_over(&path, &mut waiting, &mut touched) {
            let _: Result<(), StoreError> = self.remove(waiting.file);
            return Err(StoreError::Write(error));
        }
        if let Some((_, error)) = self.sync(&touched.directories).into_iter().next() {
            return Err(StoreError::Write(error));
        }
        self.note_known(touched.made);
        Ok(())
    }

    /// Gives an object its final name, whether or not another has it.
    fn rename_over(
        &self,
        path: &OutputPath,
        waiting: &mut StagedFile,
        group: &mut TouchedDirectories,
    ) -> io::Result<()> {
        let file = self.temporaries.ensure_named(&mut waiting.file)?;
        self.disk.share(&file)?;
        let target = &waiting.target;
        let rename = |group: &mut TouchedDirectories| {
            self.make_directories(path, group)?;
            self.disk.rename(&file, target, Existing::Replace)
        };
        match rename(group) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.forget_made(target, group);
                rename(group)?;
            }
            renamed => renamed?,
        }
        self.names.add_file(target);
        Ok(())
    }

    /// Forgets the directories of a path, because another process removed one that we made.
    fn forget_made(&self, target: &Path, group: &mut TouchedDirectories) {
        self.forget(target);
        group.made.clear();
        group.last = Default::default();
    }

    /// Makes the directories of a path. Records in `group` which directories must be synced.
    fn make_directories(
        &self,
        path: &OutputPath,
        group: &mut TouchedDirectories,
    ) -> io::Result<()> {
        let [patient, study, series, _] = path.parts();
        if group.is_last([patient, study, series]) {
            return Ok(());
        }
        let mut dir = self.public.clone();
        for part in [patient, study, series] {
            let child = dir.join(part);
            if !self.is_known(&child) && !group.made.contains(&child) {
                if self.disk.create_dir(&child, Access::Shared)? == DirCreation::Created {
                    self.names.add_directory(&child);
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

    /// Removes an object whose name could not be made durable.
    fn withdraw(&self, target: &Path, error: &io::Error) -> StoreError {
        // If removing fails too, the file stays visible. That is safe: its pseudonyms are durable,
        // the index does not list it, and the same bytes may replace it later.
        let _: io::Result<()> = self.disk.remove_file(target);
        StoreError::Write(io::Error::new(error.kind(), error.to_string()))
    }
}
