//! [`MemoryBudget`]: bytes of objects that all puts together may hold.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

#[derive(Debug)]
pub(super) struct MemoryBudget {
    all: u64,
    /// The length of the rooms whose memory is used again. Given back, it would stay with an allocator
    /// that keeps some for each thread, and come to more than is held.
    usual: u64,
    state: Mutex<BudgetState>,
    freed: Condvar,
}

/// `free`, and what `spare` takes, never come to more than all.
#[derive(Debug)]
struct BudgetState {
    free: u64,
    spare: Vec<Vec<u8>>,
}

/// Room for bytes, which is free again when it, or the last of the [`Bytes`] made of it, is dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    bytes: u64,
    buffer: Vec<u8>,
    budget: Arc<MemoryBudget>,
}

impl MemoryBudget {
    /// So many bytes, most of them for rooms of a usual length.
    pub(super) fn new(all: u64, usual: u64) -> Arc<Self> {
        let state = BudgetState {
            free: all,
            spare: Vec::new(),
        };
        Arc::new(Self {
            all,
            usual,
            state: Mutex::new(state),
            freed: Condvar::new(),
        })
    }

    /// Waits until there are so many; what is longer than all waits until nobody else holds any.
    /// Whoever waits must hold no room, or all may wait for each other.
    pub(super) fn take(self: &Arc<Self>, bytes: u64) -> Reservation {
        let held = bytes.min(self.all);
        let state = self.state();
        let mut state = self
            .freed
            .wait_while(state, |state| state.free < held)
            .unwrap_or_else(PoisonError::into_inner);
        self.room(bytes, &mut state)
    }

    /// None if there are not so many now.
    pub(super) fn try_take(self: &Arc<Self>, bytes: u64) -> Option<Reservation> {
        let mut state = self.state();
        (state.free >= bytes.min(self.all)).then(|| self.room(bytes, &mut state))
    }

    fn room(self: &Arc<Self>, bytes: u64, state: &mut BudgetState) -> Reservation {
        let held = bytes.min(self.all);
        state.free -= held;
        let used = if bytes == self.usual {
            state.spare.pop()
        } else {
            None
        };
        let kept = state.free / self.usual.max(1);
        state.spare.truncate(usize::try_from(kept).unwrap_or(0));
        let buffer =
            used.unwrap_or_else(|| Vec::with_capacity(usize::try_from(bytes).unwrap_or_default()));
        Reservation {
            bytes: held,
            buffer,
            budget: Arc::clone(self),
        }
    }

    fn state(&self) -> MutexGuard<'_, BudgetState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation {
    /// How many bytes lie in it.
    pub(super) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Puts bytes behind those that are there; never more than were asked for.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// What lies in it, and holds it.
    pub(super) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Reservation {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut state = self.budget.state();
        state.free += self.bytes;
        if buffer.capacity() as u64 == self.budget.usual {
            buffer.clear();
            state.spare.push(buffer);
        }
        drop(state);
        self.budget.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    use super::*;

    /// What is held, and what is kept to be used again.
    fn sum(budget: &MemoryBudget) -> u64 {
        let state = budget.state();
        let spare = state.spare.iter().map(|buffer| buffer.capacity() as u64);
        budget.all - state.free + spare.sum::<u64>()
    }

    #[test]
    fn never_more_than_all() {
        let (budget, held) = (MemoryBudget::new(10, 3), AtomicU64::new(0));
        thread::scope(|scope| {
            for n in 1..=8 {
                let (budget, held) = (&budget, &held);
                scope.spawn(move || {
                    for _ in 0..200 {
                        let room = budget.take(n);
                        let now = held.fetch_add(n, Ordering::SeqCst) + n;
                        assert!(now <= 10, "{now} of 10 bytes are held");
                        assert!(sum(budget) <= 10, "{budget:?}");
                        held.fetch_sub(n, Ordering::SeqCst);
                        drop(room);
                    }
                });
            }
        });
        let all = budget.try_take(10);
        assert!(all.is_some(), "all came back");
        assert_eq!(sum(&budget), 10, "nothing is kept beside it");
        assert!(budget.try_take(1).is_none(), "none is left");
        drop(all);
        let more = budget.take(99);
        assert!(budget.try_take(1).is_none(), "alone");
        drop(more);
    }

    #[test]
    fn usual_rooms_are_used_again_and_empty() {
        let budget = MemoryBudget::new(1 << 20, 1 << 18);
        let mut room = budget.take(1 << 18);
        room.extend(b"object");
        let address = room.as_ref().as_ptr();
        let bytes = room.into_bytes();
        assert_eq!(sum(&budget), 1 << 18);
        let piece = bytes.slice(1..3);
        drop(bytes);
        assert_eq!(budget.state().free, 3 << 18, "a piece of it still travels");
        drop(piece);
        assert_eq!(budget.state().free, 1 << 20);
        let again = budget.take(1 << 18);
        assert_eq!(again.as_ref().as_ptr(), address);
        assert_eq!(again.len(), 0);
    }
}
