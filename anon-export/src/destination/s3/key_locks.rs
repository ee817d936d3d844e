//! [`KeyLocks`]: serializes puts of the same key. Some servers fail concurrent puts of one key, or
//! then list the object twice.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::ObjectKey;

#[derive(Debug, Default)]
pub(super) struct KeyLocks {
    locked: Mutex<HashSet<ObjectKey>>,
    unlocked: Condvar,
}

/// The lock of a key. Dropping it unlocks the key.
#[derive(Debug)]
pub(super) struct KeyLock<'a> {
    key: &'a ObjectKey,
    key_locks: &'a KeyLocks,
}

impl KeyLocks {
    pub(super) fn lock<'a>(&'a self, key: &'a ObjectKey) -> KeyLock<'a> {
        let mut locked = self
            .unlocked
            .wait_while(self.locked(), |locked| locked.contains(key))
            .unwrap_or_else(PoisonError::into_inner);
        locked.insert(key.clone());
        KeyLock {
            key,
            key_locks: self,
        }
    }

    fn locked(&self) -> MutexGuard<'_, HashSet<ObjectKey>> {
        self.locked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for KeyLock<'_> {
    fn drop(&mut self) {
        self.key_locks.locked().remove(self.key);
        self.key_locks.unlocked.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn one_holder_at_a_time_for_each_key() {
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
                        let guard = key_locks.lock(key);
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two holders");
                        thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(guard);
                    }
                });
            }
        });
        // Different keys do not block each other.
        let first = key_locks.lock(&keys[0]);
        drop(key_locks.lock(&keys[1]));
        drop(first);
        assert!(key_locks.locked().is_empty(), "all locks were released");
    }
}
