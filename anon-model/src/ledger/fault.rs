//! What can go wrong in a ledger besides its tables.

use crate::{BackendError, Remedy};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("a thread panicked while it held the lookup store")]
    Poisoned,
    #[error("the lookup store failed before: open it again")]
    Broken,
    #[error("the lookup store is open for reading only")]
    ReadOnly,
    #[error("the index refers to a row that is not there")]
    Dangling,
    #[error("an instance was committed whose pseudonyms were not given by this store")]
    Unassigned,
    #[error("an instance was committed that contradicts the index")]
    Contradiction,
    #[error("a group without files was settled with files that are missing")]
    Positions,
    #[error("instances of the study are on their way")]
    Busy,
    #[error("the numbers of this project are used up")]
    Exhausted,
}

impl From<Fault> for BackendError {
    fn from(fault: Fault) -> Self {
        let remedy = match fault {
            Fault::Busy => Remedy::Retry,
            Fault::Unassigned | Fault::Contradiction => Remedy::Quarantine,
            Fault::Poisoned
            | Fault::Broken
            | Fault::ReadOnly
            | Fault::Dangling
            | Fault::Positions
            | Fault::Exhausted => Remedy::Stop,
        };
        Self::new(remedy, fault)
    }
}
