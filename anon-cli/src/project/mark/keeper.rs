//! [`Keeper`]: keeps the mark up to date while a lookup store is open for writing.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anon_model::disk::{NumberGuard, Numbers, Position, StoreMark};
use anon_model::{BackendError, DiskStore, Remedy};
use anyhow::Context as _;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::exit::Failure;
use crate::project::Project;
use crate::project::mark::file;

/// How far the ceilings are raised above the counters. A project that is not closed, and then gets an
/// older store back, has a gap of at most this length.
pub(crate) const BLOCK: Numbers = Numbers {
    patients: 1 << 10,
    uids: 1 << 16,
    accessions: 1 << 12,
};

/// The ceilings are raised when the counters are this close to them.
const HALF: Numbers = Numbers {
    patients: BLOCK.patients / 2,
    uids: BLOCK.uids / 2,
    accessions: BLOCK.accessions / 2,
};

/// How often the group of the store is written to the mark, so that copies made in a run that crashes
/// are known.
const INTERVAL: Duration = Duration::from_mins(1);

/// Keeps the mark of a lookup store that is open for writing. Dropping it leaves the mark as after a
/// crash.
#[derive(Debug)]
pub(crate) struct Keeper {
    store: Arc<DiskStore>,
    guard: Arc<Guard>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Writes a mark that makes every copy of the store an older one, and starts the thread. The store
    /// was compared with `before`.
    ///
    /// # Errors
    /// If the store or the mark cannot be written. If there is a mark and no space for a new one, the
    /// old one stays: its ceilings hold.
    pub(crate) fn start(
        project: &Project,
        store: &Arc<DiskStore>,
        before: Option<&StoreMark>,
    ) -> anyhow::Result<Self> {
        let position = store.checkpoint()?;
        let path = project.mark_file();
        let mark = begin(&path, &position, before)?;
        let (wake, woken) = crossbeam_channel::bounded(1);
        let state = State {
            mark,
            numbers: position.numbers,
        };
        let guard = Arc::new(Guard {
            path,
            state: Mutex::new(state),
            writing: Mutex::new(()),
            wake,
        });
        store.set_guard(Arc::clone(&guard) as _);
        let (of_thread, weak) = (Arc::clone(&guard), Arc::downgrade(store));
        let thread = thread::Builder::new()
            .name("mark".into())
            .spawn(move || of_thread.run(&weak, &woken))
            .context("cannot start a thread")?;
        Ok(Self {
            store: Arc::clone(store),
            guard,
            thread: Some(thread),
        })
    }

    /// Commits what waits, and lowers the ceilings to the counters. The mark stays as it is if it cannot
    /// be written: then its ceilings are higher than they need be.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub(crate) fn close(mut self) -> anyhow::Result<()> {
        self.stop();
        let position = self
            .store
            .checkpoint()
            .context("cannot close the lookup store")?;
        // A commit that the engine did not wait for may have come after.
        let highest = self.guard.state().numbers;
        let written = self.guard.update(|mark| {
            mark.group = position.group;
            mark.ceilings = position.numbers.max(highest);
        });
        if let Err(error) = written {
            tracing::warn!(%error, "{CANNOT_WRITE}");
        }
        Ok(())
    }

    fn stop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // Both fail only if the thread has ended.
            let _ = self.guard.wake.send(Wake::Stop);
            let _ = thread.join();
        }
    }
}

/// Writes the mark of a store that was just opened, and returns the one that the file holds.
fn begin(
    path: &Path,
    position: &Position,
    before: Option<&StoreMark>,
) -> anyhow::Result<StoreMark> {
    let ceilings = position.numbers.plus(BLOCK);
    let mark = StoreMark {
        store: position.store,
        group: position.group,
        ceilings: before.map_or(ceilings, |before| before.ceilings.max(ceilings)),
    };
    match (file::write(path, &mark), before) {
        (Ok(()), _) => Ok(mark),
        (Err(error), Some(before)) if is_full(&error) => {
            tracing::warn!("there is no space to write store.mark");
            Ok(*before)
        }
        (Err(error), _) => Err(error).with_context(|| Failure::CannotRun(CANNOT_WRITE.into())),
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Returns true if there is no space, or none that the user may have.
fn is_full(error: &io::Error) -> bool {
    let kinds = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    kinds.contains(&error.kind())
}

const CANNOT_WRITE: &str = "cannot write store.mark";

/// Why the thread is woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wake {
    Raise,
    Stop,
}

/// Lets no number above the ceilings be committed.
#[derive(Debug)]
struct Guard {
    path: PathBuf,
    state: Mutex<State>,
    /// Held while the file is written. Commits do not wait for it, unless they reach a ceiling.
    writing: Mutex<()>,
    wake: Sender<Wake>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    /// The mark that the file holds.
    mark: StoreMark,
    /// The numbers of the last commit.
    numbers: Numbers,
}

impl Guard {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a changed mark. The new one counts once it is durable.
    fn update(&self, change: impl FnOnce(&mut StoreMark)) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.state().mark;
        let mut mark = before;
        change(&mut mark);
        if mark != before {
            file::write(&self.path, &mark)?;
            self.state().mark = mark;
        }
        Ok(())
    }

    fn raise(&self, numbers: Numbers) -> io::Result<()> {
        self.update(|mark| {
            if !numbers.plus(HALF).is_within(mark.ceilings) {
                mark.ceilings = mark.ceilings.max(numbers.plus(BLOCK));
            }
        })
    }

    /// Raises the ceilings when woken, and notes the group of the store at intervals.
    fn run(&self, store: &Weak<DiskStore>, woken: &Receiver<Wake>) {
        let mut due = Instant::now() + INTERVAL;
        loop {
            let done = match woken.recv_deadline(due) {
                Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Wake::Raise) => {
                    let numbers = self.state().numbers;
                    self.raise(numbers).map_err(anyhow::Error::new)
                }
                Err(RecvTimeoutError::Timeout) => {
                    due = Instant::now() + INTERVAL;
                    self.note_group(store)
                }
            };
            if let Err(error) = done {
                // A commit that reaches a ceiling tries again, and reports it.
                tracing::warn!("{CANNOT_WRITE}: {error:#}");
            }
        }
    }

    fn note_group(&self, store: &Weak<DiskStore>) -> anyhow::Result<()> {
        let Some(store) = store.upgrade() else {
            return Ok(());
        };
        let position = store.position()?;
        self.update(|mark| mark.group = mark.group.max(position.group))?;
        Ok(())
    }
}

impl NumberGuard for Guard {
    fn admit(&self, numbers: Numbers) -> Result<(), BackendError> {
        let ceilings = {
            let mut state = self.state();
            state.numbers = numbers;
            state.mark.ceilings
        };
        if !numbers.is_within(ceilings) {
            return self.raise(numbers).map_err(|error| {
                let remedy = if is_full(&error) {
                    Remedy::Retry
                } else {
                    Remedy::Stop
                };
                BackendError::new(remedy, error)
            });
        }
        if !numbers.plus(HALF).is_within(ceilings) {
            // If the channel is full, the thread is woken already.
            let _ = self.wake.try_send(Wake::Raise);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use anon_model::{
        Assigned, DiskOptions, Identity, Phi, Pseudonyms as _, Transactions as _, Wanted,
    };

    use super::*;
    use crate::project::mark::file::{Found, find};

    fn mark_of(project: &Project) -> StoreMark {
        match find(project).unwrap() {
            Found::Mark(mark) => mark,
            other => panic!("{other:?}"),
        }
    }

    fn opened(directory: &Path) -> Arc<DiskStore> {
        let identity = Identity::new("9".parse().unwrap(), "1.2.3".parse().unwrap()).unwrap();
        let path = directory.join("lookup.redb");
        Arc::new(DiskStore::open(&path, identity, &DiskOptions::default()).unwrap())
    }

    fn assign(store: &DiskStore, number: u64) {
        let wanted = Wanted {
            patient: Phi::new(format!("P{number}")),
            study: Phi::new(format!("1.{number}")),
            series: Phi::new(format!("2.{number}")),
            instance: Phi::new(format!("3.{number}")),
            ..Wanted::default()
        };
        assert!(matches!(store.assign(&wanted), Ok(Assigned::New(_))));
    }

    #[test]
    fn no_number_above_the_mark_on_disk_is_committed() {
        let directory = tempfile::tempdir().unwrap();
        let project = Project::at(directory.path()).unwrap();
        let store = opened(directory.path());
        let keeper = Keeper::start(&project, &store, None).unwrap();
        assert_eq!(mark_of(&project).ceilings, BLOCK);
        let mut number = 0;
        // In steps of less than a block, the thread raises the ceilings; in one of more, the commit does.
        for step in [100, 100, 100, 200, 200, 200, 200, 200, 3000] {
            for _ in 0..step {
                number += 1;
                assign(&store, number);
            }
            store.flush().unwrap();
            let given = store.position().unwrap().numbers;
            assert_eq!(given.patients, number);
            assert!(given.is_within(mark_of(&project).ceilings), "{given:?}");
        }
        let before = store.position().unwrap();
        keeper.close().unwrap();
        let closed = mark_of(&project);
        assert_eq!(closed.ceilings, before.numbers, "no gap");
        assert!(closed.group > before.group);
        // What is committed afterwards raises them again.
        assign(&store, number + 1);
        store.flush().unwrap();
        let given = store.position().unwrap().numbers;
        assert!(given.is_within(mark_of(&project).ceilings));
    }

    #[test]
    fn the_group_is_noted_while_the_store_is_open() {
        let directory = tempfile::tempdir().unwrap();
        let project = Project::at(directory.path()).unwrap();
        let store = opened(directory.path());
        let keeper = Keeper::start(&project, &store, None).unwrap();
        let copied = store.position().unwrap();
        assert_eq!(mark_of(&project).check(&copied), Ok(()));
        store.commit(&[]).unwrap();
        keeper.guard.note_group(&Arc::downgrade(&store)).unwrap();
        assert!(
            mark_of(&project).check(&copied).is_err(),
            "a copy made before"
        );
        assert_eq!(mark_of(&project).check(&store.position().unwrap()), Ok(()));
    }

    #[test]
    fn a_mark_that_cannot_be_written_holds_the_numbers_back() {
        let directory = tempfile::tempdir().unwrap();
        let project = Project::at(&directory.path().join("project")).unwrap();
        std::fs::create_dir(project.root()).unwrap();
        let store = opened(directory.path());
        let _keeper = Keeper::start(&project, &store, None).unwrap();
        std::fs::remove_dir_all(project.root()).unwrap();
        for number in 0..=BLOCK.patients {
            assign(&store, number);
        }
        assert!(store.flush().is_err());
        assert_eq!(store.position().unwrap().numbers, Numbers::default());
    }
}
