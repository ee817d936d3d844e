//! The associations with a node: how many there may be, and the senders that keep them.
//!
//! Some nodes take fewer associations than we may open, and let the others wait: `storescp` takes one.
//! What waits in vain while others of ours are open makes do with those.

use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use anon_net::Error as NetError;
use anon_net::error::{RejectResult, Waiting};
use anon_net::service::{Sender, ServiceError};

/// At most so many associations. Dropping it releases them.
#[derive(Debug)]
pub(super) struct AssociationPool {
    most: NonZeroUsize,
    state: Mutex<PoolState>,
    returned: Condvar,
}

#[derive(Debug)]
struct PoolState {
    /// How many the node takes, as far as we know.
    limit: usize,
    idle: Vec<Sender>,
    lent: usize,
    /// Of those lent: that had an association when they were.
    open: usize,
}

/// The right to an association, given back when it is dropped, whatever happens.
struct AssociationPermit<'p> {
    pool: &'p AssociationPool,
    is_open: bool,
}

impl AssociationPool {
    pub(super) fn new(most: NonZeroUsize) -> Self {
        let state = PoolState {
            limit: most.get(),
            idle: Vec::new(),
            lent: 0,
            open: 0,
        };
        Self {
            most,
            state: Mutex::new(state),
            returned: Condvar::new(),
        }
    }

    pub(super) fn most(&self) -> NonZeroUsize {
        self.most
    }

    /// Lends a sender: one that is idle, else a new one. Waits while there are as many as may be. If
    /// the node has no room for another association, it waits for one of those there are.
    pub(super) fn with_sender<T>(
        &self,
        new: impl Fn() -> Sender,
        mut with: impl FnMut(&mut Sender) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        loop {
            let (permit, idle) = self.permit();
            let mut sender = idle.unwrap_or_else(&new);
            let done = with(&mut sender);
            match done {
                Err(error) if is_full(&error) && self.use_open_ones(&permit) => {}
                done => {
                    self.lock().idle.push(sender);
                    return done;
                }
            }
        }
    }

    /// Does something that opens an association of its own, as one of those that may be.
    pub(super) fn with_own_association<T>(
        &self,
        mut with: impl FnMut() -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        loop {
            let (permit, idle) = self.permit();
            self.release_excess(idle);
            let done = with();
            match done {
                Err(error) if is_full(&error) && self.use_open_ones(&permit) => {}
                done => return done,
            }
        }
    }

    fn permit(&self) -> (AssociationPermit<'_>, Option<Sender>) {
        let is_full = |state: &mut PoolState| state.lent >= state.limit;
        let state = self.returned.wait_while(self.lock(), is_full);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        let idle = state.idle.pop();
        let is_open = idle.as_ref().is_some_and(Sender::is_open);
        state.lent += 1;
        state.open += usize::from(is_open);
        (
            AssociationPermit {
                pool: self,
                is_open,
            },
            idle,
        )
    }

    /// Keeps an idle sender if there is room for it beside those that are lent, and ends what there is
    /// no room for.
    fn release_excess(&self, idle: Option<Sender>) {
        let mut state = self.lock();
        state.idle.extend(idle);
        let room = state.limit.saturating_sub(state.lent);
        let kept = state.idle.len().min(room);
        let over = state.idle.split_off(kept);
        drop(state);
        over.into_iter().for_each(Sender::release);
    }

    /// The node has no room for this one: true if others of ours are open, which are made do with.
    fn use_open_ones(&self, permit: &AssociationPermit<'_>) -> bool {
        let mut state = self.lock();
        let idle = state.idle.iter().filter(|sender| sender.is_open());
        let others = idle.count() + state.open - usize::from(permit.is_open);
        if others == 0 {
            return false;
        }
        state.limit = state.limit.min(others);
        tracing::debug!(associations = state.limit, "the node takes no more");
        true
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// True if the node lets an association wait, or has as many as it takes. Nothing was sent then.
fn is_full(error: &ServiceError) -> bool {
    match error {
        ServiceError::Association(NetError::TimedOut { waiting, .. }) => {
            *waiting == Waiting::Association
        }
        ServiceError::Association(NetError::Rejected { result, .. }) => {
            *result == RejectResult::Transient
        }
        _ => false,
    }
}

impl Drop for AssociationPermit<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        state.lent -= 1;
        state.open -= usize::from(self.is_open);
        drop(state);
        self.pool.returned.notify_all();
    }
}

impl Drop for AssociationPool {
    fn drop(&mut self) {
        let idle = std::mem::take(&mut self.lock().idle);
        idle.into_iter().for_each(Sender::release);
    }
}
