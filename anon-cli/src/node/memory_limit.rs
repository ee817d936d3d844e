//! [`MemoryLimit`]: the memory that all objects in transit may use together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of bytes that can be reserved. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct MemoryLimit {
    available: Arc<AtomicUsize>,
}

/// Reserved bytes, released on drop.
#[derive(Debug)]
pub(crate) struct Reservation {
    limit: MemoryLimit,
    bytes: usize,
}

impl MemoryLimit {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            available: Arc::new(AtomicUsize::new(bytes)),
        }
    }

    /// Returns an empty reservation, which can grow.
    pub(crate) fn reserve(&self) -> Reservation {
        Reservation {
            limit: self.clone(),
            bytes: 0,
        }
    }

    fn try_take(&self, bytes: usize) -> bool {
        let take = |available: usize| available.checked_sub(bytes);
        self.available
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, take)
            .is_ok()
    }
}

impl Reservation {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Grows to `bytes`. Returns false and changes nothing if too few bytes are available.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        if !self.limit.try_take(more) {
            return false;
        }
        self.bytes += more;
        true
    }

    /// Releases all reserved bytes.
    pub(crate) fn release(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.limit.available.fetch_add(bytes, Ordering::AcqRel);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn released_bytes_can_be_reserved_again() {
        let limit = MemoryLimit::new(100);
        let (mut one, mut other) = (limit.reserve(), limit.reserve());
        assert!(one.grow_to(60) && one.grow_to(50));
        assert_eq!(one.bytes(), 60);
        assert!(!other.grow_to(41));
        assert_eq!(other.bytes(), 0);
        drop(one);
        assert!(other.grow_to(100));
        assert!(!other.grow_to(101));
    }
}
