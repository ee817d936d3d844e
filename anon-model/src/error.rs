//! [`BackendError`]: an error of a lookup store, with its [`Remedy`].

use std::error::Error;

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Remedy {
    /// The same call may succeed later, for instance when a full disk has space again.
    Retry,
    /// This object cannot be processed; others can.
    Quarantine,
    /// Processing must stop until a person has solved the problem.
    Stop,
}

/// An error of a lookup store.
#[derive(Debug, thiserror::Error)]
#[error("the lookup store failed")]
pub struct BackendError {
    /// What to do about it.
    pub remedy: Remedy,
    /// The cause. Its messages must not contain an identifying value.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

impl BackendError {
    /// Creates an error.
    pub fn new(remedy: Remedy, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            remedy,
            source: source.into(),
        }
    }
}
