//! [`KnownNames`]: the names that a [`DirectoryStore`](super::DirectoryStore) has made itself.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most names of each kind that are remembered. At this limit all are forgotten, and the file
/// system is asked again.
const NAMES: usize = 1 << 16;

/// Directories that this store made, and the files it has published in them since.
///
/// A failed lookup takes the lock of its directory and blocks concurrent creates there, so the
/// store skips the lookup before staging if it knows that the name is free. A foreign file in such
/// a directory is found when an object is published.
#[derive(Default)]
pub(super) struct KnownNames {
    inner: Mutex<Inner>,
    hasher: RandomState,
}

#[derive(Default)]
struct Inner {
    made: HashSet<PathBuf>,
    /// Hashes of paths. A collision only costs a lookup.
    published: HashSet<u64>,
}

impl KnownNames {
    /// Adds a directory that was just made. Every file in it is published by this store.
    pub(super) fn add_directory(&self, dir: &Path) {
        let mut inner = self.inner();
        if inner.made.len() >= NAMES {
            *inner = Inner::default();
        }
        inner.made.insert(dir.to_owned());
    }

    /// Adds a file that exists.
    pub(super) fn add_file(&self, file: &Path) {
        let hash = self.hasher.hash_one(file);
        let mut inner = self.inner();
        if inner.published.len() >= NAMES {
            *inner = Inner::default();
        }
        inner.published.insert(hash);
    }

    /// Returns true if the store knows that there is no such file; false if it does not know.
    pub(super) fn is_free(&self, file: &Path) -> bool {
        let Some(dir) = file.parent() else {
            return false;
        };
        let hash = self.hasher.hash_one(file);
        let inner = self.inner();
        inner.made.contains(dir) && !inner.published.contains(&hash)
    }

    /// Forgets a directory, its parents and everything below it.
    pub(super) fn forget(&self, dir: &Path) {
        let mut inner = self.inner();
        inner
            .made
            .retain(|made| !made.starts_with(dir) && !dir.starts_with(made));
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_free_only_in_a_directory_of_ours_without_it() {
        let names = KnownNames::default();
        let [dir, file, other] = ["p/s", "p/s/1.dcm", "p/t/1.dcm"].map(Path::new);
        assert!(!names.is_free(file));
        names.add_directory(dir);
        assert!(names.is_free(file) && !names.is_free(other));
        names.add_file(file);
        assert!(!names.is_free(file) && names.is_free(Path::new("p/s/2.dcm")));
        for gone in ["p", "p/s", "p/s/1.dcm"] {
            names.add_directory(dir);
            names.forget(Path::new(gone));
            assert!(!names.is_free(Path::new("p/s/2.dcm")), "{gone}");
        }
    }

    #[test]
    fn forgotten_names_are_not_free() {
        for forget in [KnownNames::add_file, KnownNames::add_directory] {
            let names = KnownNames::default();
            let [dir, file] = ["p/s", "p/s/1.dcm"].map(Path::new);
            names.add_directory(dir);
            names.add_file(file);
            for n in 0..2 * NAMES {
                forget(&names, Path::new(&n.to_string()));
                assert!(!names.is_free(file), "after {n}");
            }
            let inner = names.inner();
            assert!(inner.made.len() <= NAMES && inner.published.len() <= NAMES);
        }
    }
}
