//! [`CommitQueue`]: staged objects that wait for their commit.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anon_model::{NewInstance, Wanted};

use crate::keep::store::Staged;
use crate::refusal::EntryId;
use crate::run::claim::Claim;
use crate::run::receipt::Receipt;
use crate::run::reply::Reply;
use crate::run::schedule::{InFlight, Schedule};

/// An object that is staged.
pub(crate) struct QueuedCommit {
    pub(crate) staged: Staged,
    pub(crate) instance: NewInstance,
    pub(crate) pending: PendingReceipt,
}

/// What is left of an object once its files and its record are on their way.
pub(crate) struct PendingReceipt {
    /// What it asked of the lookups, but for the UIDs that its record has.
    pub(crate) wanted: Wanted,
    pub(crate) receipt: Receipt,
    /// Quarantine entries for the same bytes: they go when the object is stored.
    pub(crate) entries: Vec<EntryId>,
    pub(crate) claim: Claim,
    pub(crate) reply: Reply,
}

/// The staged objects, and the schedule by which they are committed in groups.
pub(crate) struct CommitQueue {
    pub(crate) schedule: Arc<Schedule>,
    /// Pushed under the lock of the schedule, so it holds at least what the schedule has counted.
    ready: Mutex<VecDeque<QueuedCommit>>,
}

impl CommitQueue {
    pub(crate) fn new(schedule: Arc<Schedule>) -> Self {
        Self {
            schedule,
            ready: Mutex::default(),
        }
    }

    /// Queues a staged object; waits while too many are queued. A caller that `leads` commits the
    /// group itself.
    pub(crate) fn push(&self, ready: QueuedCommit, in_flight: Option<InFlight>, leads: bool) {
        self.schedule.add(leads, || self.ready().push_back(ready));
        drop(in_flight);
    }

    /// The next group, for the committer's thread; `None` at the end.
    pub(crate) fn next_group(&self) -> Option<Vec<QueuedCommit>> {
        self.schedule.next_group().map(|size| self.take(size))
    }

    /// A group for a thread that waits for one of its objects.
    pub(crate) fn group_at_once(&self) -> Option<Vec<QueuedCommit>> {
        self.schedule.group_at_once().map(|size| self.take(size))
    }

    fn take(&self, size: usize) -> Vec<QueuedCommit> {
        let mut ready = self.ready();
        let size = size.min(ready.len());
        ready.drain(..size).collect()
    }

    fn ready(&self) -> MutexGuard<'_, VecDeque<QueuedCommit>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
