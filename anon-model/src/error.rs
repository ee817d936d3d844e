//! What went wrong behind a seam, and what to do about it.

use std::error::Error;

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Remedy {
    /// The same call may succeed later: a lock, a full disk that is being cleared.
    Retry,
    /// This one object cannot be dealt with; others can.
    Quarantine,
    /// Nothing can go on until a person has looked.
    Stop,
}

/// An error of an implementation behind one of our traits, ours or a caller's.
#[derive(Debug, thiserror::Error)]
#[error("the lookup store failed")]
pub struct BackendError {
    /// What to do about it.
    pub remedy: Remedy,
    /// What happened. Must not hold an identifying value.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

impl BackendError {
    /// An error with its remedy.
    pub fn new(remedy: Remedy, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            remedy,
            source: source.into(),
        }
    }
}
