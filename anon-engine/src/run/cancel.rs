//! [`Cancel`]: asks a long operation to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Asks a long operation to end at the next safe place. Clones are one and the same.
///
/// ```
/// let cancel = anon_engine::Cancel::new();
/// let of_the_operation = cancel.clone();
/// cancel.cancel();
/// assert!(of_the_operation.is_cancelled());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// One that was not used yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks. There is no way back.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// True once somebody asked.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
