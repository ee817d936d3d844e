//! C-GET of the study root: a peer sends to us, on the same association (PS3.4 section C.4.3).

use super::transfer::{TransferReport, TransferTarget};
use super::{Cancel, Scu, ServiceError};
use crate::dimse::handler::InstanceHandler;
use crate::dimse::{Priority, SubOperations};
use crate::{Node, Uid};

/// What is to be sent, and in which classes and encodings it can be.
///
/// The contexts are each class in each transfer syntax, or, where these are more than 127, each class
/// in the one that the peer chooses. More than 127 classes cannot be asked for (PS3.8 section
/// 9.3.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetRequest {
    /// What.
    pub target: TransferTarget,
    /// The storage SOP classes that are taken.
    pub sop_classes: Vec<Uid>,
    /// The transfer syntaxes in which they are taken.
    pub transfer_syntaxes: Vec<Uid>,
    /// How urgent it is.
    pub priority: Priority,
}

impl GetRequest {
    /// A request of medium priority.
    pub fn new(target: TransferTarget, sop_classes: Vec<Uid>, transfer_syntaxes: Vec<Uid>) -> Self {
        Self {
            target,
            sop_classes,
            transfer_syntaxes,
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
    /// Asks a node to send something here, and gives each instance to `handler`, whose outcome answers
    /// it.
    ///
    /// `on_counts` gets the counters of each response; a peer may leave them out.
    ///
    /// # Errors
    /// Those of [`move_to`](Scu::move_to). [`Error::Limit`](crate::Error::Limit) if there are too many
    /// classes, before anything is sent.
    pub fn get(
        &self,
        node: &Node,
        request: &GetRequest,
        handler: &dyn InstanceHandler,
        cancel: &Cancel,
        mut on_counts: &mut dyn FnMut(SubOperations),
    ) -> Result<TransferReport, ServiceError> {
        let storage = (&*request.sop_classes, &*request.transfer_syntaxes);
        let mut transfer = self.getter(node, storage, handler, cancel)?;
        let result = transfer.ask(&request.target, request.priority, &mut on_counts);
        transfer.release();
        result
    }
}
