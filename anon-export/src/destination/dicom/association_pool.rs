//! [`AssociationPool`]: limits the associations with a node and keeps them open.
//!
//! Some nodes accept fewer associations than we may open and let further ones wait; `storescp`
//! accepts one. If an association is rejected or times out while others are open, its object is
//! sent on those.

use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use anon_net::Error as NetError;
use anon_net::error::{RejectResult, Waiting};
use anon_net::service::{Sender, ServiceError};

/// A limited number of associations with a node. Dropping it releases them.
#[derive(Debug)]
pub(super) struct AssociationPool {
    max: NonZeroUsize,
    state: Mutex<PoolState>,
    returned: Condvar,
}

#[derive(Debug)]
struct PoolState {
    /// How many associations the node accepts, as far as known.
    limit: usize,
    idle: Vec<Sender>,
    lent: usize,
    /// Lent senders that had an open association when they were lent.
    open: usize,
}

/// The permission to use one association. Returned when dropped.
struct AssociationPermit<'p> {
    pool: &'p AssociationPool,
    is_open: bool,
}

impl AssociationPool {
    pub(super) fn new(max: NonZeroUsize) -> Self {
        let state = PoolState {
            limit: max.get(),
            idle: Vec::new(),
            lent: 0,
            open: 0,
        };
        Self {
            max,
            state: Mutex::new(state),
            returned: Condvar::new(),
        }
    }

    pub(super) fn max(&self) -> NonZeroUsize {
        self.max
    }

    /// Calls `with` with an idle or a new sender. Waits while the limit is reached. If the node
    /// accepts no further association, retries on one that is open.
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
                Err(error) if is_full(&error) && self.lower_limit(&permit) => {}
                done => {
                    self.lock().idle.push(sender);
                    return done;
                }
            }
        }
    }

    /// Calls `with`, which opens an association of its own that counts towards the limit.
    pub(super) fn with_own_association<T>(
        &self,
        mut with: impl FnMut() -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        loop {
            let (permit, idle) = self.permit();
            self.release_excess(idle);
            let done = with();
            match done {
                Err(error) if is_full(&error) && self.lower_limit(&permit) => {}
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

    /// Keeps as many idle senders as the limit allows and releases the others.
    fn release_excess(&self, idle: Option<Sender>) {
        let mut state = self.lock();
        state.idle.extend(idle);
        let room = state.limit.saturating_sub(state.lent);
        let keep = state.idle.len().min(room);
        let excess = state.idle.split_off(keep);
        drop(state);
        excess.into_iter().for_each(Sender::release);
    }

    /// Lowers the limit to the number of other open associations. Returns false if there are none.
    fn lower_limit(&self, permit: &AssociationPermit<'_>) -> bool {
        let mut state = self.lock();
        let idle = state.idle.iter().filter(|sender| sender.is_open());
        let others = idle.count() + state.open - usize::from(permit.is_open);
        if others == 0 {
            return false;
        }
        state.limit = state.limit.min(others);
        tracing::debug!(
            associations = state.limit,
            "the node accepts no more associations"
        );
        true
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns true if the node let the association request time out or rejected it temporarily.
/// Nothing was sent then.
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
