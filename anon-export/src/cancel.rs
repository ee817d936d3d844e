//! [`Cancel`]: cancels an export from another thread.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A flag that asks a running operation to end. All clones share one flag, and it is never reset.
///
/// The crates of this workspace that need one do not depend on each other, so each has its own type.
/// The flag is a type of std: [`shared`](Self::shared) and `From` turn this one into that of
/// anon-engine or anon-net,
/// and one call of [`cancel`](Self::cancel) then ends the operations of all of them.
///
/// # Examples
/// ```
/// let cancel = anon_export::Cancel::new();
/// let of_the_operation = anon_export::Cancel::from(cancel.shared());
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

    /// Sets the flag and wakes every thread that waits for it. The transfer of the current
    /// object is aborted; the object is not at the destination.
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
