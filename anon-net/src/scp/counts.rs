//! [`InstanceCounts`], [`ScpTotals`], and their atomic versions.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::store_outcome::StoreOutcome;

/// The numbers of received instances by outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct InstanceCounts {
    /// Stored.
    pub stored: u64,
    /// Already stored before.
    pub duplicates: u64,
    /// Quarantined for review by a person.
    pub quarantined: u64,
    /// Refused because of the instance or the request.
    pub refused: u64,
    /// Failed: the handler, its resources, or the association.
    pub failed: u64,
    /// Bytes of data sets that were received, for all outcomes.
    pub bytes: u64,
}

impl InstanceCounts {
    /// Returns the number of instances that were answered with success.
    pub fn taken(&self) -> u64 {
        self.stored + self.duplicates + self.quarantined
    }
}

/// The totals of an SCP since its start. Each number is exact, but they are not read at the same
/// instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ScpTotals {
    /// Open associations.
    pub open: u64,
    /// Associations that were opened.
    pub opened: u64,
    /// Connections that ended without an association.
    pub rejected: u64,
    /// The instances of all associations.
    pub instances: InstanceCounts,
}

/// [`InstanceCounts`] that several threads update.
#[derive(Debug, Default)]
pub(super) struct AtomicCounts {
    stored: AtomicU64,
    duplicates: AtomicU64,
    quarantined: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
}

impl AtomicCounts {
    pub(super) fn add(&self, outcome: StoreOutcome) {
        let counter = match outcome {
            StoreOutcome::Stored => &self.stored,
            StoreOutcome::AlreadyStored => &self.duplicates,
            StoreOutcome::Quarantined => &self.quarantined,
            StoreOutcome::Refused(_) => &self.refused,
            StoreOutcome::Failed(_) | StoreOutcome::BrokenOff => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> InstanceCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        InstanceCounts {
            stored: read(&self.stored),
            duplicates: read(&self.duplicates),
            quarantined: read(&self.quarantined),
            refused: read(&self.refused),
            failed: read(&self.failed),
            bytes: read(&self.bytes),
        }
    }
}

/// The state that an association shares with the listener.
#[derive(Debug, Default)]
pub(super) struct AssociationState {
    pub(super) counts: AtomicCounts,
    used: AtomicBool,
    abort: AtomicBool,
    released: AtomicBool,
}

impl AssociationState {
    /// Records that a message arrived.
    pub(super) fn mark_used(&self) {
        self.used.store(true, Ordering::Relaxed);
    }

    /// Returns true if any message has arrived.
    pub(super) fn was_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// Asks the association's thread to abort it, to make room for another one.
    pub(super) fn request_abort(&self) {
        self.abort.store(true, Ordering::Relaxed);
    }

    pub(super) fn abort_requested(&self) -> bool {
        self.abort.load(Ordering::Relaxed)
    }

    /// Records that the release response is about to be sent. The peer may open another association
    /// at once.
    pub(super) fn mark_released(&self) {
        self.released.store(true, Ordering::Release);
    }

    pub(super) fn is_released(&self) -> bool {
        self.released.load(Ordering::Acquire)
    }
}

/// [`ScpTotals`] that several threads update.
#[derive(Debug, Default)]
pub(super) struct AtomicTotals {
    opened: AtomicU64,
    ended: AtomicU64,
    rejected: AtomicU64,
    pub(super) instances: AtomicCounts,
}

impl AtomicTotals {
    pub(super) fn opened(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn rejected(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> ScpTotals {
        // Read first: `opened` must include every association that `ended` counts.
        let ended = self.ended.load(Ordering::Acquire);
        let opened = self.opened.load(Ordering::Acquire);
        ScpTotals {
            open: opened.saturating_sub(ended),
            opened,
            rejected: self.rejected.load(Ordering::Relaxed),
            instances: self.instances.read(),
        }
    }
}
