//! [`StoreAssociation`]: an association for C-STORE, and what was proposed on it.

use std::collections::BTreeSet;
use std::io::Read;

use super::part10::StorageContext;
use crate::context::{ContextId, Contexts};
use crate::dimse::{Operation, Status};
use crate::service::scu_association::ScuAssociation;
use crate::service::{Cancel, Scu, ServiceError};
use crate::{InstanceUid, Node, Uid};

/// An open association, and the contexts that were proposed on it, accepted or not.
#[derive(Debug)]
pub(super) struct StoreAssociation {
    pub(super) association: ScuAssociation,
    pub(super) proposed: BTreeSet<StorageContext>,
}

impl StoreAssociation {
    /// Opens an association. Each context is proposed with its one transfer syntax.
    pub(super) fn open(
        scu: &Scu,
        node: &Node,
        proposed: BTreeSet<StorageContext>,
        cancel: &Cancel,
    ) -> Result<Self, ServiceError> {
        let mut contexts = Contexts::new();
        for context in &proposed {
            let transfer_syntax = context.transfer_syntax.clone();
            contexts.add(context.sop_class.clone(), vec![transfer_syntax])?;
        }
        let association = scu.open(cancel, node, contexts)?;
        Ok(Self {
            association,
            proposed,
        })
    }

    /// Returns the id of a context.
    ///
    /// # Errors
    /// [`ServiceError::ContextRefused`] if the peer did not accept it.
    pub(super) fn accepted(&self, context: &StorageContext) -> Result<ContextId, ServiceError> {
        let StorageContext {
            sop_class,
            transfer_syntax,
        } = context;
        let contexts = self.association.contexts();
        let accepted = contexts.find(sop_class, transfer_syntax);
        accepted
            .map(|accepted| accepted.id)
            .ok_or_else(|| ServiceError::ContextRefused {
                sop_class: sop_class.clone(),
                transfer_syntax: Some(transfer_syntax.clone()),
            })
    }

    /// Sends a C-STORE request with a data set of the next `length` bytes of `body` (PS3.7 section
    /// 9.1.1). Returns the status of the response.
    pub(super) fn store(
        &mut self,
        id: ContextId,
        (sop_class, sop_instance): (&Uid, &InstanceUid),
        (body, length): (&mut dyn Read, u64),
        cancel: &Cancel,
    ) -> Result<Status, ServiceError> {
        let association = &mut self.association;
        let request = association
            .request(Operation::Store, sop_class.clone())
            .with_instance(sop_instance.clone());
        let pending = association.send_request_with(id, request, body, length, cancel)?;
        Ok(association.receive_response(pending, cancel)?.status)
    }
}
