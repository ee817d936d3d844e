//! [`InstanceCounts`] of instances, [`ScpTotals`] of an SCP.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::store_outcome::StoreOutcome;

/// What became of instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct InstanceCounts {
    /// Stored.
    pub stored: u64,
    /// Stored before, and not again.
    pub duplicates: u64,
    /// Set aside for a person to look at.
    pub quarantined: u64,
    /// Refused because of what they are, or how they were sent.
    pub refused: u64,
    /// Not taken because something failed: the handler, its resources, the way here.
    pub failed: u64,
    /// Bytes of data sets that came, whatever became of them.
    pub bytes: u64,
}

impl InstanceCounts {
    /// Instances of which the sender has heard that they are safe here.
    pub fn taken(&self) -> u64 {
        self.stored + self.duplicates + self.quarantined
    }
}

/// What an SCP has done since it was started. Each number is right by itself; they are not read at
/// one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ScpTotals {
    /// Associations that are open.
    pub open: u64,
    /// Associations that were opened.
    pub opened: u64,
    /// Connections that came to no association.
    pub rejected: u64,
    /// The instances of all associations.
    pub instances: InstanceCounts,
}

/// [`InstanceCounts`] that many threads add to.
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

/// What an association and its listener tell each other.
#[derive(Debug, Default)]
pub(super) struct AssociationState {
    pub(super) counts: AtomicCounts,
    active: AtomicBool,
    abort: AtomicBool,
    released: AtomicBool,
}

impl AssociationState {
    /// A message came.
    pub(super) fn mark_active(&self) {
        self.active.store(true, Ordering::Relaxed);
    }

    /// True if a message ever came.
    pub(super) fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    /// Asks the association to make room for another.
    pub(super) fn request_abort(&self) {
        self.abort.store(true, Ordering::Relaxed);
    }

    pub(super) fn abort_requested(&self) -> bool {
        self.abort.load(Ordering::Relaxed)
    }

    /// The peer is about to hear that its association has ended, and may open another at once.
    pub(super) fn mark_released(&self) {
        self.released.store(true, Ordering::Release);
    }

    pub(super) fn is_released(&self) -> bool {
        self.released.load(Ordering::Acquire)
    }
}

/// [`ScpTotals`] that many threads add to.
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
        // Read first: what ends meanwhile must not be missing among what was opened.
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
