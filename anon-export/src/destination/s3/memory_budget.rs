//! [`MemoryBudget`]: limits the bytes of objects that all puts together hold in memory.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

#[derive(Debug)]
pub(super) struct MemoryBudget {
    total: u64,
    /// The length of the buffers that are reused. Freed buffers would stay with an allocator that
    /// caches memory for each thread, and exceed the budget.
    buffer_bytes: u64,
    state: Mutex<BudgetState>,
    released: Condvar,
}

/// Invariant: `free` and the capacity of `spare` never exceed the total.
#[derive(Debug)]
struct BudgetState {
    free: u64,
    spare: Vec<Vec<u8>>,
}

/// Reserved memory with a buffer. It is released when the reservation, or the last of the [`Bytes`]
/// made from it, is dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    bytes: u64,
    buffer: Vec<u8>,
    budget: Arc<MemoryBudget>,
}

impl MemoryBudget {
    /// Creates a budget of `total` bytes that reuses buffers of `buffer_bytes` bytes.
    pub(super) fn new(total: u64, buffer_bytes: u64) -> Arc<Self> {
        let state = BudgetState {
            free: total,
            spare: Vec::new(),
        };
        Arc::new(Self {
            total,
            buffer_bytes,
            state: Mutex::new(state),
            released: Condvar::new(),
        })
    }

    /// Reserves memory, and waits until enough is free. A request for more than the total waits
    /// until nothing is reserved. The caller must hold no reservation, otherwise all callers could
    /// wait for each other.
    pub(super) fn reserve(self: &Arc<Self>, bytes: u64) -> Reservation {
        let reserved = bytes.min(self.total);
        let state = self.state();
        let mut state = self
            .released
            .wait_while(state, |state| state.free < reserved)
            .unwrap_or_else(PoisonError::into_inner);
        self.reservation(bytes, &mut state)
    }

    /// Reserves memory if enough is free now.
    pub(super) fn try_reserve(self: &Arc<Self>, bytes: u64) -> Option<Reservation> {
        let mut state = self.state();
        (state.free >= bytes.min(self.total)).then(|| self.reservation(bytes, &mut state))
    }

    fn reservation(self: &Arc<Self>, bytes: u64, state: &mut BudgetState) -> Reservation {
        let reserved = bytes.min(self.total);
        state.free -= reserved;
        let buffer = if bytes == self.buffer_bytes {
            state.spare.pop()
        } else {
            None
        };
        let max_spare = state.free / self.buffer_bytes.max(1);
        state
            .spare
            .truncate(usize::try_from(max_spare).unwrap_or(0));
        let buffer = buffer
            .unwrap_or_else(|| Vec::with_capacity(usize::try_from(bytes).unwrap_or_default()));
        Reservation {
            bytes: reserved,
            buffer,
            budget: Arc::clone(self),
        }
    }

    fn state(&self) -> MutexGuard<'_, BudgetState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation {
    /// Returns the number of bytes in the buffer.
    pub(super) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Appends bytes; never more than were reserved.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Converts the reservation into its bytes, which keep the memory reserved.
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
        if buffer.capacity() as u64 == self.budget.buffer_bytes {
            buffer.clear();
            state.spare.push(buffer);
        }
        drop(state);
        self.budget.released.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    use super::*;

    /// Returns the reserved memory plus the spare buffers.
    fn sum(budget: &MemoryBudget) -> u64 {
        let state = budget.state();
        let spare = state.spare.iter().map(|buffer| buffer.capacity() as u64);
        budget.total - state.free + spare.sum::<u64>()
    }

    #[test]
    fn never_exceeds_the_total() {
        let (budget, reserved) = (MemoryBudget::new(10, 3), AtomicU64::new(0));
        thread::scope(|scope| {
            for n in 1..=8 {
                let (budget, reserved) = (&budget, &reserved);
                scope.spawn(move || {
                    for _ in 0..200 {
                        let reservation = budget.reserve(n);
                        let now = reserved.fetch_add(n, Ordering::SeqCst) + n;
                        assert!(now <= 10, "{now} of 10 bytes are reserved");
                        assert!(sum(budget) <= 10, "{budget:?}");
                        reserved.fetch_sub(n, Ordering::SeqCst);
                        drop(reservation);
                    }
                });
            }
        });
        let total = budget.try_reserve(10);
        assert!(total.is_some(), "all memory was released");
        assert_eq!(sum(&budget), 10, "no spare buffer is kept in addition");
        assert!(budget.try_reserve(1).is_none(), "nothing is free");
        drop(total);
        let more = budget.reserve(99);
        assert!(
            budget.try_reserve(1).is_none(),
            "an oversized reservation excludes others"
        );
        drop(more);
    }

    #[test]
    fn released_buffers_are_reused_and_empty() {
        let budget = MemoryBudget::new(1 << 20, 1 << 18);
        let mut reservation = budget.reserve(1 << 18);
        reservation.extend(b"object");
        let address = reservation.as_ref().as_ptr();
        let bytes = reservation.into_bytes();
        assert_eq!(sum(&budget), 1 << 18);
        let piece = bytes.slice(1..3);
        drop(bytes);
        assert_eq!(
            budget.state().free,
            3 << 18,
            "a slice still holds the reservation"
        );
        drop(piece);
        assert_eq!(budget.state().free, 1 << 20);
        let again = budget.reserve(1 << 18);
        assert_eq!(again.as_ref().as_ptr(), address);
        assert_eq!(again.len(), 0);
    }
}
