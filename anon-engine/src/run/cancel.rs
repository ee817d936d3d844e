//! [`Cancel`]: ends a long operation early, from another thread.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// A flag that asks a running operation to end. All clones share one flag, and it is never reset.
///
/// anon-net and anon-export have a `Cancel` of their own, because the crates do not depend on each
/// other. [`shared`](Self::shared) and `From` convert between them: the flag inside is a type of std,
/// so one call of [`cancel`](Self::cancel) then ends the operations of all three.
///
/// # Examples
/// ```
/// let cancel = anon_engine::Cancel::new();
/// let other = anon_engine::Cancel::from(cancel.shared());
/// cancel.cancel();
/// assert!(other.is_cancelled());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<(Mutex<bool>, Condvar)>);

impl Cancel {
    /// Returns a flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flag and wakes every thread that waits for it. An operation ends after the object
    /// that it is at.
    pub fn cancel(&self) {
        let (is_set, changed) = &*self.0;
        *is_set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    /// Returns true once the flag is set.
    pub fn is_cancelled(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
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
