//! [`Cancel`]: ends an export early, from another thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A wish to end what goes on. Clones are the same wish; it cannot be taken back.
///
/// # Examples
/// ```
/// let cancel = anon_export::Cancel::new();
/// cancel.clone().cancel();
/// assert!(cancel.is_cancelled());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    wished: AtomicBool,
    // Guards nothing but the moment between looking at `wished` and waiting.
    gate: Mutex<()>,
    changed: Condvar,
}

impl Cancel {
    /// Not wished yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wishes the end. An object on its way is broken off, and is not at the destination.
    pub fn cancel(&self) {
        let gate = self.shared.gate.lock();
        let _gate = gate.unwrap_or_else(PoisonError::into_inner);
        self.shared.wished.store(true, Ordering::Release);
        self.shared.changed.notify_all();
    }

    /// True once the end is wished.
    pub fn is_cancelled(&self) -> bool {
        self.shared.wished.load(Ordering::Acquire)
    }

    /// Waits for so long, or until the end is wished: then it is true.
    pub fn wait(&self, timeout: Duration) -> bool {
        let gate = self.shared.gate.lock();
        let gate = gate.unwrap_or_else(PoisonError::into_inner);
        let waiting = |(): &mut ()| !self.is_cancelled();
        let waited = &self.shared.changed;
        drop(waited.wait_timeout_while(gate, timeout, waiting));
        self.is_cancelled()
    }
}
