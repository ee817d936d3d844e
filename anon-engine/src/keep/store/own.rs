//! [`Own`]: what a [`DirectoryStore`](super::DirectoryStore) need not ask the file system.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Names remembered, of directories and of files. Past this many all are forgotten, and the file
/// system is asked again.
const NAMES: usize = 1 << 16;

/// Directories that this store made, and the names it has published in them since.
///
/// To look for a name that is not there keeps others from giving one in that directory: looking
/// before each object is staged costs more than the look itself. Somebody else's file in such a
/// directory is found when an object is published.
#[derive(Default)]
pub(super) struct Own {
    state: Mutex<State>,
    hasher: RandomState,
}

#[derive(Default)]
struct State {
    made: HashSet<PathBuf>,
    /// Hashes of paths: two with the same one cost a look.
    published: HashSet<u64>,
}

impl Own {
    /// Notes a directory that was just made. Whatever is in it by now, this store has published.
    pub(super) fn made(&self, dir: &Path) {
        let mut state = self.state();
        if state.made.len() >= NAMES {
            *state = State::default();
        }
        state.made.insert(dir.to_owned());
    }

    /// Notes that a file stands there.
    pub(super) fn taken(&self, file: &Path) {
        let hash = self.hasher.hash_one(file);
        let mut state = self.state();
        if state.published.len() >= NAMES {
            *state = State::default();
        }
        state.published.insert(hash);
    }

    /// True if no file stands there, as far as this store knows. False if it does not know.
    pub(super) fn is_free(&self, file: &Path) -> bool {
        let Some(dir) = file.parent() else {
            return false;
        };
        let hash = self.hasher.hash_one(file);
        let state = self.state();
        state.made.contains(dir) && !state.published.contains(&hash)
    }

    /// Forgets a directory and all below and above it.
    pub(super) fn forget(&self, dir: &Path) {
        let mut state = self.state();
        state
            .made
            .retain(|made| !made.starts_with(dir) && !dir.starts_with(made));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_surely_free_is_free() {
        let own = Own::default();
        let [dir, file, other] = ["p/s", "p/s/1.dcm", "p/t/1.dcm"].map(Path::new);
        assert!(!own.is_free(file));
        own.made(dir);
        assert!(own.is_free(file) && !own.is_free(other));
        own.taken(file);
        assert!(!own.is_free(file) && own.is_free(Path::new("p/s/2.dcm")));
        for gone in ["p", "p/s", "p/s/1.dcm"] {
            own.made(dir);
            own.forget(Path::new(gone));
            assert!(!own.is_free(Path::new("p/s/2.dcm")), "{gone}");
        }
    }

    #[test]
    fn what_is_forgotten_is_not_free() {
        for forget in [Own::taken, Own::made] {
            let own = Own::default();
            let [dir, file] = ["p/s", "p/s/1.dcm"].map(Path::new);
            own.made(dir);
            own.taken(file);
            for n in 0..2 * NAMES {
                forget(&own, Path::new(&n.to_string()));
                assert!(!own.is_free(file), "after {n}");
            }
            let state = own.state();
            assert!(state.made.len() <= NAMES && state.published.len() <= NAMES);
        }
    }
}
