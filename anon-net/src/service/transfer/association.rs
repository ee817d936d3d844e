//! [`TransferAssociation`]: an association on which C-MOVE or C-GET is asked for, once or more.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::{TransferReport, TransferTarget};
use crate::context::{AcceptedContext, Contexts};
use crate::dimse::handler::{Instance, InstanceHandler, failure_status};
use crate::dimse::{
    Body, Operation, Priority, Request, Response, Status, StatusClass, SubOperations,
};
use crate::identifier::{Identifier, tag};
use crate::service::find::syntaxes;
use crate::service::responses::{self, Activity, QueryContext, QueryRequest, ResponseHandler};
use crate::service::scu_association::ScuAssociation;
use crate::service::{Cancel, Scu, ServiceError};
use crate::{AeTitle, InstanceUid, Node, Uid};

/// Study Root Query/Retrieve Information Model: MOVE (PS3.4 section C.6.2.3).
const STUDY_ROOT_MOVE: &str = "1.2.840.10008.5.1.4.1.2.2.2";
/// Study Root Query/Retrieve Information Model: GET (PS3.4 section C.6.2.3).
const STUDY_ROOT_GET: &str = "1.2.840.10008.5.1.4.1.2.2.3";

/// The most transfer syntaxes of one context. Servers made of DCMTK, Orthanc among them, have room for
/// 50, and with one more they neither answer nor serve anybody else for minutes.
const MAX_SYNTAXES: usize = 48;

/// What most archives hold (PS3.5 Annex A): uncompressed, deflated, JPEG, JPEG-LS, JPEG 2000, RLE.
const USUAL: [&str; 13] = [
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
];

/// The transfer syntaxes of each context of a class, if there are so many classes.
///
/// A context each, if there is room: what is stored in one need not be brought into another.
/// Otherwise the unusual ones share contexts, and the peer chooses among them; of more than fit, the
/// last are left out.
fn shares(classes: usize, encodings: &[Uid]) -> Vec<Vec<Uid>> {
    let room = ((Contexts::MAX - 1) / classes.max(1)).max(1);
    let rank = |uid: &&Uid| {
        let place = USUAL.iter().position(|usual| *usual == uid.as_str());
        place.unwrap_or(USUAL.len())
    };
    let mut ordered: Vec<&Uid> = encodings.iter().collect();
    ordered.sort_by_key(rank);
    let mut ordered = ordered.into_iter().cloned();
    let crowded = (0..room)
        .find(|crowded| encodings.len() <= room - crowded + crowded * MAX_SYNTAXES)
        .unwrap_or(room);
    let mut shares: Vec<Vec<Uid>> = ordered
        .by_ref()
        .take(room - crowded)
        .map(|uid| vec![uid])
        .collect();
    for _ in 0..crowded {
        let share: Vec<Uid> = ordered.by_ref().take(MAX_SYNTAXES).collect();
        if !share.is_empty() {
            shares.push(share);
        }
    }
    shares
}

/// What looks on while a peer sends.
pub(crate) trait TransferObserver {
    /// The peer counts. True if that is a sign that it goes on.
    fn on_counts(&mut self, counts: SubOperations) -> bool;

    /// Nothing was heard for a moment.
    fn poll(&mut self) -> Activity {
        Activity::None
    }
}

/// Any response is a sign that the peer goes on.
impl TransferObserver for &mut dyn FnMut(SubOperations) {
    fn on_counts(&mut self, counts: SubOperations) -> bool {
        self(counts);
        true
    }
}

/// An association on which one of the two is asked for.
#[derive(Debug)]
pub(crate) struct TransferAssociation<'c> {
    association: ScuAssociation,
    context: QueryContext,
    class: Uid,
    operation: Operation,
    destination: Option<AeTitle>,
    handler: Option<&'c dyn InstanceHandler>,
    cancel: &'c Cancel,
}

impl Scu {
    /// Opens an association for C-MOVE.
    pub(crate) fn mover<'c>(
        &self,
        node: &Node,
        destination: AeTitle,
        cancel: &'c Cancel,
    ) -> Result<TransferAssociation<'c>, ServiceError> {
        let class = Uid::registered(STUDY_ROOT_MOVE);
        let mut contexts = Contexts::new();
        contexts.add(class.clone(), syntaxes())?;
        let transfer = self.transfer(node, contexts, class, Operation::Move, cancel)?;
        Ok(TransferAssociation {
            destination: Some(destination),
            ..transfer
        })
    }

    /// Opens an association for C-GET of these storage classes in these transfer syntaxes.
    pub(crate) fn getter<'c>(
        &self,
        node: &Node,
        storage: (&[Uid], &[Uid]),
        handler: &'c dyn InstanceHandler,
        cancel: &'c Cancel,
    ) -> Result<TransferAssociation<'c>, ServiceError> {
        let class = Uid::registered(STUDY_ROOT_GET);
        let mut contexts = Contexts::new();
        contexts.add(class.clone(), syntaxes())?;
        let (classes, encodings) = storage;
        let shares = shares(classes.len(), encodings);
        for storage_class in classes {
            for share in &shares {
                contexts.add(storage_class.clone(), share.clone())?;
            }
            contexts.take_scp_role(storage_class.clone());
        }
        let transfer = self.transfer(node, contexts, class, Operation::Get, cancel)?;
        Ok(TransferAssociation {
            handler: Some(handler),
            ..transfer
        })
    }

    fn transfer<'c>(
        &self,
        node: &Node,
        contexts: Contexts,
        class: Uid,
        operation: Operation,
        cancel: &'c Cancel,
    ) -> Result<TransferAssociation<'c>, ServiceError> {
        if cancel.is_cancelled() {
            return Err(ServiceError::Cancelled);
        }
        let association = self.open(cancel, node, contexts)?;
        match QueryContext::of(&association, &class) {
            Ok(context) => Ok(TransferAssociation {
                association,
                context,
                class,
                operation,
                destination: None,
                handler: None,
                cancel,
            }),
            Err(error) => {
                association.release_unless(cancel);
                Err(error)
            }
        }
    }
}

impl TransferAssociation<'_> {
    /// Asks for a target, and waits until the peer has sent it.
    ///
    /// # Errors
    /// [`ServiceError`]. After [`ServiceError::Refused`] and [`ServiceError::Cancelled`] the
    /// association is still open.
    pub(crate) fn ask(
        &mut self,
        target: &TransferTarget,
        priority: Priority,
        observer: &mut dyn TransferObserver,
    ) -> Result<TransferReport, ServiceError> {
        let request = self.association.request(self.operation, self.class.clone());
        let request = request.with_priority(priority);
        let request = match &self.destination {
            Some(destination) => request.with_destination(destination.clone()),
            None => request,
        };
        let timeouts = self.association.timeouts();
        let mut responses = TransferResponses {
            peer: self.association.association().peer().clone(),
            handler: self.handler,
            observer,
            failed: Vec::new(),
        };
        let query = QueryRequest {
            context: self.context,
            request,
            identifier: &target.identifier(),
        };
        // A large instance is a long sub-operation, and no response comes before it ends.
        let silence: Duration = timeouts.dimse.max(timeouts.network);
        let last = responses::run(
            &mut self.association,
            self.cancel,
            silence,
            query,
            &mut responses,
        )?;
        TransferReport::of(&last, responses.failed)
    }

    /// Ends the association in order.
    pub(crate) fn release(self) {
        self.association.release_unless(self.cancel);
    }
}

struct TransferResponses<'a> {
    peer: AeTitle,
    handler: Option<&'a dyn InstanceHandler>,
    observer: &'a mut dyn TransferObserver,
    failed: Vec<InstanceUid>,
}

impl ResponseHandler for TransferResponses<'_> {
    fn is_progress(&mut self, response: &Response) -> bool {
        self.observer.on_counts(response.counts)
    }

    fn on_response(
        &mut self,
        response: &Response,
        identifier: Option<Identifier>,
    ) -> ControlFlow<()> {
        let is_final = response.status.class() != StatusClass::Pending;
        if let Some(identifier) = identifier.filter(|_| is_final) {
            let uids = identifier.texts(tag::FAILED_INSTANCES);
            self.failed = uids
                .iter()
                .filter_map(|uid| InstanceUid::new(uid).ok())
                .collect();
        }
        ControlFlow::Continue(())
    }

    fn poll(&mut self) -> Activity {
        self.observer.poll()
    }

    fn store(
        &mut self,
        request: &Request,
        context: &AcceptedContext,
        body: &mut Body<'_>,
    ) -> Status {
        let Some(handler) = self.handler else {
            return Status::UNRECOGNIZED_OPERATION;
        };
        if !context.scp || context.abstract_syntax != request.sop_class {
            return Status::SOP_CLASS_NOT_SUPPORTED;
        }
        let Some(uid) = request.sop_instance.clone() else {
            return Status::INVALID_INSTANCE;
        };
        if !request.has_data_set {
            return Status::INVALID_ARGUMENT;
        }
        let instance = Instance::new(
            request.sop_class.clone(),
            uid,
            context.transfer_syntax.clone(),
            self.peer.clone(),
        );
        // What the handler leaves half done is its own; the body is sound between its calls.
        match catch_unwind(AssertUnwindSafe(|| handler.handle(&instance, body))) {
            // Nobody is left to answer where it broke off: reading the rest tells.
            Ok(Ok(outcome)) => outcome.status().unwrap_or(Status::CANNOT_UNDERSTAND),
            Ok(Err(error)) => failure_status(&error),
            Err(_) => {
                tracing::error!(peer = %self.peer, "the handler panicked");
                Status::PROCESSING_FAILURE
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_hold_what_servers_take() {
        let others = (1..=44).map(|n| format!("1.2.{n}"));
        let all = others.chain(USUAL.map(str::to_owned));
        let all: Vec<Uid> = all.map(|uid| Uid::new(&uid).unwrap()).collect();
        for (classes, count, contexts, longest) in [
            (0, 57, 57, 1),
            (1, 57, 57, 1),
            (2, 57, 57, 1),
            (3, 57, 42, 16),
            (8, 57, 15, 43),
            (12, 57, 10, 48),
            (63, 57, 2, 48),
            (64, 48, 1, 48),
            (64, 57, 1, 48),
            (127, 57, 1, 48),
            (200, 57, 1, 48),
            (5, 0, 0, 0),
        ] {
            let shares = shares(classes, &all[..count]);
            let found = shares.iter().map(Vec::len).max().unwrap_or(0);
            assert_eq!((shares.len(), found), (contexts, longest), "{classes}");
            assert!(classes > 127 || classes * shares.len() < Contexts::MAX);
        }
        // The usual ones have theirs.
        let of_eight = shares(8, &all);
        let apart = of_eight.iter().take(13).map(|share| share[0].as_str());
        assert_eq!(apart.collect::<Vec<_>>(), USUAL);
    }
}
