//! [`Counts`] of instances, [`Totals`] of an SCP.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::handled::Handled;

/// What became of instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
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

impl Counts {
    /// Instances of which the sender has heard that they are safe here.
    pub fn taken(&self) -> u64 {
        self.stored + self.duplicates + self.quarantined
    }
}

/// What an SCP has done since it was started. Each number is right by itself; they are not read at
/// one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Totals {
    /// Associations that are open.
    pub open: u64,
    /// Associations that were opened.
    pub opened: u64,
    /// Connections that came to no association.
    pub rejected: u64,
    /// The instances of all associations.
    pub instances: Counts,
}

/// [`Counts`] that many threads add to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    stored: AtomicU64,
    duplicates: AtomicU64,
    quarantined: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
}

impl Tally {
    pub(super) fn add(&self, handled: Handled) {
        let counter = match handled {
            Handled::Stored => &self.stored,
            Handled::AlreadyStored => &self.duplicates,
            Handled::Quarantined => &self.quarantined,
            Handled::Refused(_) => &self.refused,
            Handled::Failed(_) | Handled::BrokenOff => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
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
pub(super) struct Pulse {
    pub(super) tally: Tally,
    spoke: AtomicBool,
    leave: AtomicBool,
    released: AtomicBool,
}

impl Pulse {
    /// A message came.
    pub(super) fn speak(&self) {
        self.spoke.store(true, Ordering::Relaxed);
    }

    /// True if a message ever came.
    pub(super) fn spoke(&self) -> bool {
        self.spoke.load(Ordering::Relaxed)
    }

    /// Asks the association to make room for another.
    pub(super) fn ask_to_leave(&self) {
        self.leave.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_to_leave(&self) -> bool {
        self.leave.load(Ordering::Relaxed)
    }

    /// The peer is about to hear that its association has ended, and may open another at once.
    pub(super) fn release(&self) {
        self.released.store(true, Ordering::Release);
    }

    pub(super) fn is_released(&self) -> bool {
        self.released.load(Ordering::Acquire)
    }
}

/// [`Totals`] that many threads add to.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    opened: AtomicU64,
    ended: AtomicU64,
    rejected: AtomicU64,
    pub(super) instances: Tally,
}

impl Ledger {
    pub(super) fn opened(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn rejected(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn totals(&self) -> Totals {
        // Read first: what ends meanwhile must not be missing among what was opened.
        let ended = self.ended.load(Ordering::Acquire);
        let opened = self.opened.load(Ordering::Acquire);
        Totals {
            open: opened.saturating_sub(ended),
            opened,
            rejected: self.rejected.load(Ordering::Relaxed),
            instances: self.instances.counts(),
        }
    }
}
