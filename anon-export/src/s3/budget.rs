//! [`Budget`]: bytes of objects that all puts together may hold.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
pub(super) struct Budget {
    all: u64,
    free: Mutex<u64>,
    freed: Condvar,
}

/// Bytes that may be held until it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    bytes: u64,
    budget: Arc<Budget>,
}

impl Budget {
    pub(super) fn new(all: u64) -> Arc<Self> {
        Arc::new(Self {
            all,
            free: Mutex::new(all),
            freed: Condvar::new(),
        })
    }

    /// Waits until there are so many. Whoever waits must hold no permit, or all may wait for each other.
    pub(super) fn take(self: &Arc<Self>, bytes: u64) -> Permit {
        let bytes = bytes.min(self.all);
        let free = self.free();
        let mut free = self
            .freed
            .wait_while(free, |free| *free < bytes)
            .unwrap_or_else(PoisonError::into_inner);
        self.permit(bytes, &mut free)
    }

    /// None if there are not so many now.
    pub(super) fn try_take(self: &Arc<Self>, bytes: u64) -> Option<Permit> {
        let bytes = bytes.min(self.all);
        let mut free = self.free();
        (*free >= bytes).then(|| self.permit(bytes, &mut free))
    }

    fn permit(self: &Arc<Self>, bytes: u64, free: &mut u64) -> Permit {
        *free -= bytes;
        let budget = Arc::clone(self);
        Permit { bytes, budget }
    }

    fn free(&self) -> MutexGuard<'_, u64> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *self.budget.free() += self.bytes;
        self.budget.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn never_more_than_all() {
        let (budget, held) = (Budget::new(10), AtomicU64::new(0));
        thread::scope(|scope| {
            for n in 1..=8 {
                let (budget, held) = (&budget, &held);
                scope.spawn(move || {
                    for _ in 0..200 {
                        let permit = budget.take(n);
                        let now = held.fetch_add(n, Ordering::SeqCst) + n;
                        assert!(now <= 10, "{now} of 10 bytes are held");
                        held.fetch_sub(n, Ordering::SeqCst);
                        drop(permit);
                    }
                });
            }
        });
        let all = budget.try_take(10);
        assert!(all.is_some(), "all came back");
        assert!(budget.try_take(1).is_none(), "none is left");
        drop(all);
        drop(budget.take(99));
    }
}
