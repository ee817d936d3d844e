//! [`Cancel`]: ends a service early, from another thread.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A flag that asks a running operation to end. All clones share one flag, and it is never reset.
///
/// Crates of this workspace that need such a flag do not depend on each other, so each has its own
/// type. The flag itself is a type of std: [`shared`](Self::shared) and `From` convert it to and
/// from the type of anon-engine or anon-export. One call of [`cancel`](Self::cancel) then cancels
/// the operations of all of them.
///
/// # Examples
/// ```
/// let cancel = anon_net::Cancel::new();
/// let of_the_operation = anon_net::Cancel::from(cancel.shared());
/// cancel.cancel();
/// assert!(of_the_operation.is_cancelled());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<(Mutex<bool>, Condvar)>);

impl Cancel {
    /// Returns a flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flag and wakes every thread that waits for it. Services end at the next point
    /// where the association can still be released or aborted in order.
    pub fn cancel(&self) {
        let (is_set, changed) = &*self.0;
        *is_set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    /// Returns true once the flag is set.
    pub fn is_cancelled(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the flag is set, at most for `timeout`. Returns true if it is set.
    pub fn wait(&self, timeout: Duration) -> bool {
        let (is_set, changed) = &*self.0;
        let guard = is_set.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = changed.wait_timeout_while(guard, timeout, |is_set| !*is_set);
        let (guard, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *guard
    }

    /// Returns the flag itself, for the `Cancel` of another crate.
    pub fn shared(&self) -> Arc<(Mutex<bool>, Condvar)> {
        Arc::clone(&self.0)
    }
}

impl From<Arc<(Mutex<bool>, Condvar)>> for Cancel {
    fn from(shared: Arc<(Mutex<bool>, Condvar)>) -> Self {
        Self(shared)
    }
}
