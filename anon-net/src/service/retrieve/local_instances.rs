//! [`LocalInstances`]: tells which instances of a study have arrived.

use std::fmt;
use std::time::Duration;

use crate::{BackendError, InstanceUid};

/// The state of an instance that was requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum InstanceState {
    /// Not here.
    Missing,
    /// Stored.
    Stored,
    /// Received and quarantined for review by a person.
    Quarantined,
    /// Received, but excluded by the rules of the project or program.
    Excluded,
}

/// Tells which instances have arrived. A retrieve relies on it instead of the peer's counters.
///
/// # Contract
/// * States are returned in the order of the request, one for each instance.
/// * An instance that is not missing does not become missing later, unless somebody deletes it.
/// * After an instance has arrived, [`changes`](Self::changes) returns another number than before,
///   and [`wait`](Self::wait) returns.
/// * It can be called from any number of threads.
/// * `testing::conformance::local_instances` (feature `testing`) passes.
pub trait LocalInstances: fmt::Debug + Send + Sync {
    /// Returns the states of these instances of a study.
    ///
    /// # Errors
    /// [`BackendError`] if the states cannot be determined.
    fn states(
        &self,
        study: &InstanceUid,
        instances: &[InstanceUid],
    ) -> Result<Vec<InstanceState>, BackendError>;

    /// Returns a number that changes with each arrival, in any study.
    fn changes(&self) -> u64;

    /// Waits until [`changes`](Self::changes) differs from `seen`, at most for `timeout`.
    fn wait(&self, seen: u64, timeout: Duration);
}

const _: () = {
    const fn shared<T: Send + Sync + ?Sized>() {}
    shared::<dyn LocalInstances>();
};
