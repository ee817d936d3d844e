//! C-MOVE: a peer sends instances to a destination, which can be our own SCP
//! (PS3.4 section C.4.2).

use super::transfer::{PatientId, TransferReport, TransferTarget};
use super::{Cancel, Scu, ServiceError};
use crate::dimse::{Priority, SubOperations};
use crate::{AeTitle, Node};

/// What to retrieve, and the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MoveRequest {
    /// What to retrieve.
    pub target: TransferTarget,
    /// The AE title of the destination. The peer must know its network address.
    pub destination: AeTitle,
    /// The priority of the request.
    pub priority: Priority,
    /// The Patient ID of the target. Peers without the study root require it.
    pub patient_id: Option<PatientId>,
}

impl MoveRequest {
    /// Creates a request of medium priority.
    pub fn new(target: TransferTarget, destination: AeTitle) -> Self {
        Self {
            target,
            destination,
            priority: Priority::Medium,
            patient_id: None,
        }
    }

    /// Sets the priority.
    #[must_use]
    pub fn with_priority(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }

    /// Sets the Patient ID of the target.
    #[must_use]
    pub fn with_patient_id(self, patient_id: PatientId) -> Self {
        let patient_id = Some(patient_id);
        Self { patient_id, ..self }
    }
}

impl Scu {
    /// Requests that a node sends instances to a destination, and waits for the final response.
    ///
    /// The response does not prove that the instances arrived: [`retrieve`](Scu::retrieve) checks
    /// that. `on_counts` gets the counters of each response. A peer may leave them out.
    ///
    /// # Errors
    /// [`ServiceError::Refused`]: [`TransferFailure::of`](super::TransferFailure::of) interprets
    /// its status. [`ServiceError::Cancelled`] after a C-CANCEL, which the peer may have ignored.
    /// [`ServiceError::Association`], also if no response arrived within the longer of
    /// [`Timeouts::dimse`](super::Timeouts::dimse) and [`network`](super::Timeouts::network).
    pub fn move_to(
        &self,
        node: &Node,
        request: &MoveRequest,
        cancel: &Cancel,
        mut on_counts: &mut dyn FnMut(SubOperations),
    ) -> Result<TransferReport, ServiceError> {
        let mut transfer = self.open_move(node, request.destination.clone(), cancel)?;
        let keys = (request.patient_id.as_ref(), request.priority);
        let result = transfer.request(&request.target, keys, &mut on_counts);
        transfer.release();
        result
    }
}
