//! Shared by threads that file objects concurrently: [`DigestTurns`] and [`SharedSync`].

use std::collections::HashSet;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Admits one thread at a time for each original. Threads with other originals never wait.
#[derive(Default)]
pub(super) struct DigestTurns {
    taken: Mutex<HashSet<[u8; 32]>>,
    given_back: Condvar,
}

/// The right to change the entries of one original, until this is dropped.
pub(super) struct DigestTurn<'t> {
    turns: &'t DigestTurns,
    digest: [u8; 32],
}

impl DigestTurns {
    /// Waits for the right to change the entries of an original.
    pub(super) fn wait(&self, digest: [u8; 32]) -> DigestTurn<'_> {
        let mut taken = self.taken();
        while !taken.insert(digest) {
            let woken = self.given_back.wait(taken);
            taken = woken.unwrap_or_else(PoisonError::into_inner);
        }
        DigestTurn {
            turns: self,
            digest,
        }
    }

    fn taken(&self) -> MutexGuard<'_, HashSet<[u8; 32]>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for DigestTurn<'_> {
    fn drop(&mut self) {
        self.turns.taken().remove(&self.digest);
        self.turns.given_back.notify_all();
    }
}

/// Syncs a directory once for all threads that wait for it.
///
/// A sync covers each thread that asked before it began. Threads that ask while one is running share
/// the next.
#[derive(Default)]
pub(super) struct SharedSync {
    state: Mutex<SyncState>,
    ended: Condvar,
}

#[derive(Default)]
struct SyncState {
    asked: u64,
    /// The last request that a successful sync covered.
    covered: u64,
    running: bool,
}

impl SharedSync {
    /// Returns after a sync that began after this call.
    ///
    /// # Errors
    /// If the sync that this thread ran failed. Threads that waited for it try again themselves.
    pub(super) fn run(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut state = self.state();
        state.asked += 1;
        let own = state.asked;
        while state.running {
            let woken = self.ended.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
            if state.covered >= own {
                return Ok(());
            }
        }
        state.running = true;
        let covers = state.asked;
        drop(state);
        let mut end = SyncEnd {
            shared: self,
            covered: 0,
        };
        sync()?;
        end.covered = covers;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, SyncState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a sync, also if it fails or panics.
struct SyncEnd<'s> {
    shared: &'s SharedSync,
    covered: u64,
}

impl Drop for SyncEnd<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.running = false;
        state.covered = state.covered.max(self.covered);
        drop(state);
        self.shared.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    /// A sync that runs while others ask covers none of them; the next one covers all.
    #[test]
    fn threads_that_wait_share_one_sync() {
        let shared = SharedSync::default();
        let syncs = AtomicU32::new(0);
        let (begun, begins) = mpsc::channel();
        let (go_on, goes_on) = mpsc::channel::<()>();
        thread::scope(|scope| {
            let first = scope.spawn(|| {
                shared.run(move || {
                    begun.send(()).unwrap();
                    goes_on.recv().unwrap();
                    Err(io::Error::other("a failure of the first is its own"))
                })
            });
            begins.recv().unwrap();
            let others: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        shared.run(|| {
                            syncs.fetch_add(1, Ordering::SeqCst);
                            Ok(())
                        })
                    })
                })
                .collect();
            while shared.state().asked < 5 {
                thread::yield_now();
            }
            go_on.send(()).unwrap();
            assert!(first.join().unwrap().is_err());
            for other in others {
                other.join().unwrap().unwrap();
            }
        });
        assert_eq!(syncs.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn one_thread_at_a_time_has_the_turn_of_an_original() {
        let turns = DigestTurns::default();
        let inside = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let _turn = turns.wait([1; 32]);
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        let _one = turns.wait([1; 32]);
        let _other = turns.wait([2; 32]);
    }
}
