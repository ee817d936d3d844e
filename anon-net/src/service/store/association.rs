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
    /// Those of the instances, without the alternatives: a peer chooses one of several there.
    pub(super) proposed: BTreeSet<StorageContext>,
}

/// The data set of a C-STORE request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DataSetEnd {
    /// It has this many bytes.
    After(u64),
    /// It ends where its reader ends.
    AtEof,
}

impl StoreAssociation {
    /// Opens an association. Each context is proposed with its one transfer syntax.
    pub(super) fn open(
        scu: &Scu,
        node: &Node,
        proposed: BTreeSet<StorageContext>,
        cancel: &Cancel,
    ) -> Result<Self, ServiceError> {
        Self::open_with(scu, node, proposed, &[], cancel)
    }

    /// Opens an association. Each context is proposed with its one transfer syntax. A SOP class
    /// with one of `alternatives` has another context with the rest of them. It is separate, so
    /// that a peer that supports the instance's own transfer syntax need not choose.
    pub(super) fn open_with(
        scu: &Scu,
        node: &Node,
        proposed: BTreeSet<StorageContext>,
        alternatives: &[Uid],
        cancel: &Cancel,
    ) -> Result<Self, ServiceError> {
        let mut contexts = Contexts::new();
        let mut classes = BTreeSet::new();
        for context in &proposed {
            let transfer_syntax = context.transfer_syntax.clone();
            if alternatives.contains(&transfer_syntax) {
                classes.insert(context.sop_class.clone());
            }
            contexts.add(context.sop_class.clone(), vec![transfer_syntax])?;
        }
        for sop_class in classes {
            let mut others = Vec::new();
            for transfer_syntax in alternatives {
                let sop_class = sop_class.clone();
                let transfer_syntax = transfer_syntax.clone();
                let other = StorageContext {
                    sop_class,
                    transfer_syntax,
                };
                if !proposed.contains(&other) {
                    others.push(other.transfer_syntax);
                }
            }
            if !others.is_empty() {
                contexts.add(sop_class, others)?;
            }
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

    /// Sends a C-STORE request with the data set that `body` holds up to `end` (PS3.7 section
    /// 9.1.1). Returns the status of the response.
    pub(super) fn store(
        &mut self,
        id: ContextId,
        (sop_class, sop_instance): (&Uid, &InstanceUid),
        (body, end): (&mut dyn Read, DataSetEnd),
        cancel: &Cancel,
    ) -> Result<Status, ServiceError> {
        let association = &mut self.association;
        let request = association
            .request(Operation::Store, sop_class.clone())
            .with_instance(sop_instance.clone());
        let pending = match end {
            DataSetEnd::After(length) => {
                association.send_request_with(id, request, body, length, cancel)?
            }
            DataSetEnd::AtEof => association.send_request_to_end(id, request, body, cancel)?,
        };
        Ok(association.receive_response(pending, cancel)?.status)
    }
}
