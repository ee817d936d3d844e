//! [`Gate`]: where a test and a conversation meet.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Shut until it is opened, then open for ever. Clones are the same gate.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    shared: Arc<(Mutex<bool>, Condvar)>,
}

impl Gate {
    /// A gate that is shut.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens it.
    pub fn open(&self) {
        let (open, changed) = &*self.shared;
        *open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    /// Waits until it is open, but no longer than `timeout`. True if it is.
    pub fn wait(&self, timeout: Duration) -> bool {
        let (open, changed) = &*self.shared;
        let guard = open.lock().unwrap_or_else(PoisonError::into_inner);
        let (open, _) = changed
            .wait_timeout_while(guard, timeout, |open| !*open)
            .unwrap_or_else(PoisonError::into_inner);
        *open
    }
}
