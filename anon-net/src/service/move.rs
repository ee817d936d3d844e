//! C-MOVE of the study root: a peer sends to a third, which may be us (PS3.4 section C.4.2).

use super::transfer::{TransferReport, TransferTarget};
use super::{Cancel, Scu, ServiceError};
use crate::dimse::{Priority, SubOperations};
use crate::{AeTitle, Node};

/// What is to be sent, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MoveRequest {
    /// What.
    pub target: TransferTarget,
    /// To whom. The peer must know where that title listens.
    pub destination: AeTitle,
    /// How urgent it is.
    pub priority: Priority,
}

impl MoveRequest {
    /// A request of medium priority.
    pub fn new(target: TransferTarget, destination: AeTitle) -> Self {
        Self {
            target,
            destination,
            priority: Priority::Medium,
        }
    }

    /// Sets how urgent it is.
    #[must_use]
    pub fn with_priority(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }
}

impl Scu {
    /// Asks a node to send something to a destination, and waits until it says that it has.
    ///
    /// What it says need not be true: [`retrieve`](Scu::retrieve) looks at what came. `on_counts` gets
    /// the counters of each response; a peer may leave them out.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], whose status [`TransferFailure::of`](super::TransferFailure::of)
    /// reads; [`ServiceError::Cancelled`], after a C-CANCEL that the peer may not have heeded;
    /// [`ServiceError::Association`] if there was no response for as long as the longer of
    /// [`Timeouts::dimse`](super::Timeouts::dimse) and [`network`](super::Timeouts::network).
    pub fn move_to(
        &self,
        node: &Node,
        request: &MoveRequest,
        cancel: &Cancel,
        mut on_counts: &mut dyn FnMut(SubOperations),
    ) -> Result<TransferReport, ServiceError> {
        let mut transfer = self.mover(node, request.destination.clone(), cancel)?;
        let result = transfer.ask(&request.target, request.priority, &mut on_counts);
        transfer.release();
        result
    }
}
