//! C-GET: a peer sends instances on the same association (PS3.4 section C.4.3).

use super::transfer::{PatientId, TransferReport, TransferTarget};
use super::{Cancel, Scu, ServiceError};
use crate::dimse::handler::InstanceHandler;
use crate::dimse::{Priority, SubOperations};
use crate::{Node, Uid};

/// What to retrieve, and the SOP classes and transfer syntaxes to accept.
///
/// Proposes a presentation context for each class and transfer syntax. If these are more than 127,
/// each class gets fewer contexts, in which the peer chooses the transfer syntax. More than 127
/// classes are not possible (PS3.8 section 9.3.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetRequest {
    /// What to retrieve.
    pub target: TransferTarget,
    /// The storage SOP classes to accept.
    pub sop_classes: Vec<Uid>,
    /// The transfer syntaxes to accept.
    pub transfer_syntaxes: Vec<Uid>,
    /// The priority of the request.
    pub priority: Priority,
    /// The Patient ID of the target. Peers without the study root require it.
    pub patient_id: Option<PatientId>,
}

impl GetRequest {
    /// Creates a request of medium priority.
    pub fn new(target: TransferTarget, sop_classes: Vec<Uid>, transfer_syntaxes: Vec<Uid>) -> Self {
        Self {
            target,
            sop_classes,
            transfer_syntaxes,
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
    /// Retrieves instances from a node. Passes each to `handler`, whose outcome determines the
    /// status of the C-STORE response.
    ///
    /// `on_counts` gets the counters of each response. A peer may leave them out.
    ///
    /// # Errors
    /// Those of [`move_to`](Scu::move_to). [`Error::Limit`](crate::Error::Limit), before anything
    /// is sent, if there are too many classes.
    pub fn get(
        &self,
        node: &Node,
        request: &GetRequest,
        handler: &dyn InstanceHandler,
        cancel: &Cancel,
        mut on_counts: &mut dyn FnMut(SubOperations),
    ) -> Result<TransferReport, ServiceError> {
        let storage = (&*request.sop_classes, &*request.transfer_syntaxes);
        let mut transfer = self.open_get(node, storage, handler, cancel)?;
        let keys = (request.patient_id.as_ref(), request.priority);
        let result = transfer.request(&request.target, keys, &mut on_counts);
        transfer.release();
        result
    }
}
