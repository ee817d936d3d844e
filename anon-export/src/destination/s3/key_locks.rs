//! [`KeyLocks`]: puts of one key, one after the other. Not every server bears two at once: some then fail
//! one of them, or list the object twice.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::ObjectKey;

#[derive(Debug, Default)]
pub(super) struct KeyLocks {
    taken: Mutex<HashSet<ObjectKey>>,
    freed: Condvar,
}

/// Nobody else puts this key until it is dropped.
#[derive(Debug)]
pub(super) struct KeyLock<'a> {
    key: &'a ObjectKey,
    key_locks: &'a KeyLocks,
}

impl KeyLocks {
    pub(super) fn take<'a>(&'a self, key: &'a ObjectKey) -> KeyLock<'a> {
        let mut taken = self
            .freed
            .wait_while(self.taken(), |taken| taken.contains(key))
            .unwrap_or_else(PoisonError::into_inner);
        taken.insert(key.clone());
        KeyLock {
            key,
            key_locks: self,
        }
    }

    fn taken(&self) -> MutexGuard<'_, HashSet<ObjectKey>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for KeyLock<'_> {
    fn drop(&mut self) {
        self.key_locks.taken().remove(self.key);
        self.key_locks.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn one_at_a_time_for_each_key() {
        let keys: [_; 2] = std::array::from_fn(|n| {
            let study = format!("1.2.{n}");
            ObjectKey::new(["P-1", &study, "1.3", "1.4"]).expect("a key")
        });
        let key_locks = KeyLocks::default();
        let inside: BTreeMap<_, _> = keys.iter().map(|key| (key, AtomicU32::new(0))).collect();
        thread::scope(|scope| {
            for n in 0..6 {
                let (key, key_locks) = (&keys[n % 2], &key_locks);
                let inside = &inside[key];
                scope.spawn(move || {
                    for _ in 0..500 {
                        let turn = key_locks.take(key);
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two at once");
                        thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(turn);
                    }
                });
            }
        });
        // One key never waits for another.
        let first = key_locks.take(&keys[0]);
        drop(key_locks.take(&keys[1]));
        drop(first);
        assert!(key_locks.taken().is_empty(), "all came back");
    }
}
