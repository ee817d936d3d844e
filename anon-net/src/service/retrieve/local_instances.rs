//! [`LocalInstances`]: what of a study is here.

use std::fmt;
use std::time::Duration;

use crate::{BackendError, InstanceUid};

/// What became of an instance that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum InstanceState {
    /// It is not here.
    Missing,
    /// It is stored.
    Stored,
    /// It came, and is set aside for a person to look at.
    Quarantined,
    /// It came, and is none of those that are taken.
    Excluded,
}

/// Knows what arrived: the truth about a retrieve, whatever peers count.
///
/// # Contract
/// * States are told in the order asked for, one for each.
/// * What is once not missing is not missing later, unless somebody deletes it.
/// * After an instance has arrived, [`changes`](Self::changes) gives another number than before, and
///   [`wait`](Self::wait) returns.
/// * Any number of threads call it.
/// * `testing::conformance::local_instances` (feature `testing`) passes.
pub trait LocalInstances: fmt::Debug + Send + Sync {
    /// What became of these instances of a study.
    ///
    /// # Errors
    /// [`BackendError`] if it cannot be told.
    fn states(
        &self,
        study: &InstanceUid,
        instances: &[InstanceUid],
    ) -> Result<Vec<InstanceState>, BackendError>;

    /// A number that is another one after each arrival, of whatever study.
    fn changes(&self) -> u64;

    /// Waits until [`changes`](Self::changes) is another number than `seen`, at most so long.
    fn wait(&self, seen: u64, timeout: Duration);
}

const _: () = {
    const fn shared<T: Send + Sync + ?Sized>() {}
    shared::<dyn LocalInstances>();
};
