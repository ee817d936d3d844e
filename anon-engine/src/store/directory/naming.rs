//! The names of staged objects: their directories, and a group at a time.

use std::collections::BTreeSet;
use std::io;
use std::mem;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ScopedJoinHandle};

use super::{DirectoryStore, KNOWN_DIRECTORIES, Waiting};
use crate::deidentified::OutputPath;
use crate::disk::{Access, Existing, Made};
use crate::store::{Staged, StoreError};

/// Objects that are worth a thread of their own when a group is published: a thread costs as much as a
/// few names.
const WORTH_A_THREAD: usize = 32;

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
