//! [`InstanceCounts`], [`ScpTotals`], and their atomic versions.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::store_outcome::StoreOutcome;

/// The numbers of received instances by outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct InstanceCounts {
    /// C-STORE requests. Once an association has ended, this is the sum of the five outcomes.
    pub offered: u64,
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

    /// Returns the number of instances that have an outcome.
    pub fn handled(&self) -> u64 {
        self.taken() + self.refused + self.failed
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
    offered: AtomicU64,
    stored: AtomicU64,
    duplicates: AtomicU64,
    quarantined: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
}

impl AtomicCounts {
    /// Counts a C-STORE request.
    pub(super) fn offer(&self) {
        self.offered.fetch_add(1, Ordering::Relaxed);
    }

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
            offered: read(&self.offered),
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
#[derive(Debug)]
pub(super) struct AssociationState {
    pub(super) counts: AtomicCounts,
    created: Instant,
    /// When the last message was done, in milliseconds since `created`. 0 before the first one.
    done: AtomicU64,
    waiting: AtomicBool,
    abort: AtomicBool,
    released: AtomicBool,
}

impl Default for AssociationState {
    fn default() -> Self {
        Self {
            counts: AtomicCounts::default(),
            created: Instant::now(),
            done: AtomicU64::new(0),
            waiting: AtomicBool::new(false),
            abort: AtomicBool::new(false),
            released: AtomicBool::new(false),
        }
    }
}

impl AssociationState {
    /// Records that a message was received and answered.
    pub(super) fn mark_done(&self) {
        let millis = self.created.elapsed().as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        self.done.store(millis.max(1), Ordering::Relaxed);
    }

    /// Returns when the last message was answered. `None` if there was none.
    pub(super) fn last_done(&self) -> Option<Instant> {
        let millis = self.done.load(Ordering::Relaxed);
        let done = self.created.checked_add(Duration::from_millis(millis));
        done.filter(|_| millis > 0)
    }

    /// Makes a call that waits for the peer.
    pub(super) fn waiting<T>(&self, call: impl FnOnce() -> T) -> T {
        self.waiting.store(true, Ordering::Relaxed);
        let result = call();
        self.waiting.store(false, Ordering::Relaxed);
        result
    }

    /// Returns true while we wait for the peer: for a message, inside one, or for it to read.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Returns true from a C-STORE request until its outcome is known.
    pub(super) fn is_receiving(&self) -> bool {
        let counts = self.counts.read();
        counts.offered > counts.handled()
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
