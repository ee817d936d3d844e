//! What can go wrong in a ledger besides its tables.

use crate::{BackendError, Remedy};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LedgerError {
    #[error("a thread panicked while it used the lookup store; restart the program")]
    Poisoned,
    #[error("the lookup store failed before; open it again")]
    Broken,
    #[error("the lookup store is open for reading only")]
    ReadOnly,
    #[error("the index refers to a row that does not exist")]
    MissingRow,
    #[error("an instance was committed without pseudonyms from this store; assign them first")]
    Unassigned,
    #[error("an instance was committed that contradicts the index")]
    Contradiction,
    #[error("a group was settled with positions that it does not have")]
    UnknownPositions,
    #[error("instances of the study are still being processed; try again later")]
    Busy,
    #[error("the files of the deleted study are still being removed; try again later")]
    BeingRemoved,
    #[error("the project has no numbers left for new pseudonyms")]
    Exhausted,
}

impl From<LedgerError> for BackendError {
    fn from(error: LedgerError) -> Self {
        let remedy = match error {
            LedgerError::Busy | LedgerError::BeingRemoved => Remedy::Retry,
            LedgerError::Unassigned | LedgerError::Contradiction => Remedy::Quarantine,
            LedgerError::Poisoned
            | LedgerError::Broken
            | LedgerError::ReadOnly
            | LedgerError::MissingRow
            | LedgerError::UnknownPositions
            | LedgerError::Exhausted => Remedy::Stop,
        };
        Self::new(remedy, error)
    }
}
