//! [`Gate`]: synchronizes a script with the test.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Closed until it is opened, then open for ever. Clones share one gate.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    shared: Arc<(Mutex<bool>, Condvar)>,
}

impl Gate {
    /// Creates a closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the gate.
    pub fn open(&self) {
        let (open, changed) = &*self.shared;
        *open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    /// Waits until the gate is open, at most for `timeout`. Returns true if it is open.
    pub fn wait(&self, timeout: Duration) -> bool {
        let (open, changed) = &*self.shared;
        let guard = open.lock().unwrap_or_else(PoisonError::into_inner);
        let (open, _) = changed
            .wait_timeout_while(guard, timeout, |open| !*open)
            .unwrap_or_else(PoisonError::into_inner);
        *open
    }
}
