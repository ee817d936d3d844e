//! [`MemoryLimit`]: bytes that all objects on their way may take of memory together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Clones are one and the same.
#[derive(Debug, Clone)]
pub(crate) struct MemoryLimit {
    left: Arc<AtomicUsize>,
}

/// A part of a limit. It is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    limit: MemoryLimit,
    bytes: usize,
}

impl MemoryLimit {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            left: Arc::new(AtomicUsize::new(bytes)),
        }
    }

    /// An empty share.
    pub(crate) fn reserve(&self) -> Reservation {
        Reservation {
            limit: self.clone(),
            bytes: 0,
        }
    }

    fn try_take(&self, bytes: usize) -> bool {
        let take = |left: usize| left.checked_sub(bytes);
        self.left
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, take)
            .is_ok()
    }
}

impl Reservation {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Grows to so many bytes; false, and nothing changes, if the limit has not as many left.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        if !self.limit.try_take(more) {
            return false;
        }
        self.bytes += more;
        true
    }

    /// Gives all of it back.
    pub(crate) fn release(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.limit.left.fetch_add(bytes, Ordering::AcqRel);
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
    fn what_is_given_back_can_be_taken_again() {
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
