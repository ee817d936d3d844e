//! [`CommitQueue`]: the staged objects that wait for a commit.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anon_model::NewInstance;

use crate::keep::store::Staged;
use crate::refusal::EntryId;
use crate::run::claim::Claim;
use crate::run::plan_memory::ReservedMemory;
use crate::run::receipt::Receipt;
use crate::run::reply::Reply;
use crate::run::schedule::{InFlight, Schedule};

/// A staged object that waits for a commit.
pub(crate) struct QueuedCommit {
    pub(crate) staged: Staged,
    pub(crate) instance: NewInstance,
    pub(crate) pending: PendingReceipt,
}

/// What the committer needs of an object to send its receipt.
pub(crate) struct PendingReceipt {
    pub(crate) receipt: Receipt,
    /// Quarantine entries for the same bytes. They are removed when the object is stored.
    pub(crate) entries: Vec<EntryId>,
    pub(crate) claim: Claim,
    pub(crate) memory: ReservedMemory,
    pub(crate) reply: Reply,
}

/// The staged objects, and the schedule by which they are committed in groups.
pub(crate) struct CommitQueue {
    pub(crate) schedule: Arc<Schedule>,
    /// Pushed to under the lock of the schedule, so it has at least the objects that are counted.
    ready: Mutex<VecDeque<QueuedCommit>>,
}

impl CommitQueue {
    pub(crate) fn new(schedule: Arc<Schedule>) -> Self {
        Self {
            schedule,
            ready: Mutex::default(),
        }
    }

    /// Queues a staged object. Waits while too many are queued. A caller that `leads` commits the
    /// group itself.
    pub(crate) fn push(&self, ready: QueuedCommit, in_flight: Option<InFlight>, leads: bool) {
        let bytes = ready.pending.memory.bytes();
        self.schedule
            .add(bytes, leads, || self.ready().push_back(ready));
        drop(in_flight);
    }

    /// Waits for the next group, for the committer's thread. Returns `None` at the end.
    pub(crate) fn next_group(&self) -> Option<Vec<QueuedCommit>> {
        self.schedule.next_group().map(|size| self.take(size))
    }

    /// Returns a group for a thread that waits for the commit of its own object, if it may commit.
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
