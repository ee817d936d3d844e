//! The names of staged objects: their directories, and a group at a time.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::{DirectoryStore, KNOWN_DIRECTORIES, Waiting};
use crate::deid::output_path::OutputPath;
use crate::keep::disk::{Access, Existing, Made};
use crate::keep::store::{Staged, StoreError};

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

impl DirectoryStore {
    /// Gives a group its names, as [`Store::publish`](super::Store::publish) has to.
    pub(super) fn name_all(&self, group: Vec<Staged>) -> Vec<Result<(), StoreError>> {
        let (placed, touched) = self.place_each(group);
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

    /// Takes an object back whose name could not be made durable.
    fn withdraw(&self, target: &Path, error: &io::Error) -> StoreError {
        // If it cannot be removed either it stays visible: its pseudonyms are durable, it is no
        // part of the index, and the same bytes may take its place later.
        let _: io::Result<()> = self.disk.remove_file(target);
        StoreError::Write(io::Error::new(error.kind(), error.to_string()))
    }
}
