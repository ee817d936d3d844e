//! [`TransferAssociation`]: an association for C-MOVE or C-GET requests.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::{PatientId, TransferReport, TransferTarget};
use crate::context::{AcceptedContext, Contexts};
use crate::dimse::handler::{Instance, InstanceHandler, failure_status};
use crate::dimse::{
    Body, Operation, Priority, Request, Response, Status, StatusClass, SubOperations,
};
use crate::identifier::{Identifier, tag};
use crate::service::responses::{self, Activity, QueryContext, QueryRequest, ResponseHandler};
use crate::service::root::Root;
use crate::service::scu_association::ScuAssociation;
use crate::service::{Cancel, Scu, ServiceError};
use crate::{AeTitle, InstanceUid, Node, Uid};

/// The most transfer syntaxes of one context. Servers built on DCMTK, such as Orthanc, have room
/// for 50. With more they neither answer nor serve other peers for minutes.
const MAX_SYNTAXES: usize = 48;

/// The transfer syntaxes of most archives (PS3.5 Annex A): uncompressed, deflated, JPEG, JPEG-LS,
/// JPEG 2000, RLE.
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

/// Distributes transfer syntaxes over the contexts that each of so many classes can have.
///
/// If there is room, each transfer syntax gets its own context, so that the peer need not
/// transcode. Otherwise the unusual ones share contexts, in which the peer chooses. Transfer
/// syntaxes that do not fit are left out, the most unusual first.
fn distribute(classes: usize, encodings: &[Uid]) -> Vec<Vec<Uid>> {
    // Two contexts are for the C-GET itself: study root and patient root.
    let room = ((Contexts::MAX - 2) / classes.max(1)).max(1);
    let rank = |uid: &&Uid| {
        let place = USUAL.iter().position(|usual| *usual == uid.as_str());
        place.unwrap_or(USUAL.len())
    };
    let mut ordered: Vec<&Uid> = encodings.iter().collect();
    ordered.sort_by_key(rank);
    let mut ordered = ordered.into_iter().cloned();
    let mixed = (0..room)
        .find(|mixed| encodings.len() <= room - mixed + mixed * MAX_SYNTAXES)
        .unwrap_or(room);
    let mut shares: Vec<Vec<Uid>> = ordered
        .by_ref()
        .take(room - mixed)
        .map(|uid| vec![uid])
        .collect();
    for _ in 0..mixed {
        let share: Vec<Uid> = ordered.by_ref().take(MAX_SYNTAXES).collect();
        if !share.is_empty() {
            shares.push(share);
        }
    }
    shares
}

/// Observes the progress of a C-MOVE or C-GET.
pub(crate) trait TransferObserver {
    /// Is called with the counters of each response. Returns true if they are progress.
    fn on_counts(&mut self, counts: SubOperations) -> bool;

    /// Is called when no message has arrived for a moment.
    fn poll(&mut self) -> Activity {
        Activity::Idle
    }

    /// Is called with the final response.
    fn on_final(&mut self, response: &Response) {
        let _ = response;
    }

    /// Is called with the failure status of each C-STORE response that we send.
    fn on_store_failure(&mut self, status: Status) {
        let _ = status;
    }
}

/// Counts every response as progress.
impl TransferObserver for &mut dyn FnMut(SubOperations) {
    fn on_counts(&mut self, counts: SubOperations) -> bool {
        self(counts);
        true
    }
}

/// An association for C-MOVE or C-GET requests.
#[derive(Debug)]
pub(crate) struct TransferAssociation<'c> {
    association: ScuAssociation,
    context: QueryContext,
    root: Root,
    operation: Operation,
    destination: Option<AeTitle>,
    handler: Option<&'c dyn InstanceHandler>,
    cancel: &'c Cancel,
}

impl Scu {
    /// Opens an association for C-MOVE.
    pub(crate) fn open_move<'c>(
        &self,
        node: &Node,
        destination: AeTitle,
        cancel: &'c Cancel,
    ) -> Result<TransferAssociation<'c>, ServiceError> {
        let mut contexts = Contexts::new();
        for root in Root::ALL {
            contexts.add(root.class(Operation::Move), Root::transfer_syntaxes())?;
        }
        let transfer = self.open_transfer(node, contexts, Operation::Move, cancel)?;
        Ok(TransferAssociation {
            destination: Some(destination),
            ..transfer
        })
    }

    /// Opens an association for C-GET that proposes these storage classes and transfer syntaxes.
    pub(crate) fn open_get<'c>(
        &self,
        node: &Node,
        storage: (&[Uid], &[Uid]),
        handler: &'c dyn InstanceHandler,
        cancel: &'c Cancel,
    ) -> Result<TransferAssociation<'c>, ServiceError> {
        let mut contexts = Contexts::new();
        contexts.add(Root::Study.class(Operation::Get), Root::transfer_syntaxes())?;
        let (classes, encodings) = storage;
        let shares = distribute(classes.len(), encodings);
        // 127 classes leave room for the study root only.
        if classes.len() * shares.len() + 2 <= Contexts::MAX {
            contexts.add(
                Root::Patient.class(Operation::Get),
                Root::transfer_syntaxes(),
            )?;
        }
        for storage_class in classes {
            for share in &shares {
                contexts.add(storage_class.clone(), share.clone())?;
            }
            contexts.take_scp_role(storage_class.clone());
        }
        let transfer = self.open_transfer(node, contexts, Operation::Get, cancel)?;
        Ok(TransferAssociation {
            handler: Some(handler),
            ..transfer
        })
    }

    fn open_transfer<'c>(
        &self,
        node: &Node,
        contexts: Contexts,
        operation: Operation,
        cancel: &'c Cancel,
    ) -> Result<TransferAssociation<'c>, ServiceError> {
        if cancel.is_cancelled() {
            return Err(ServiceError::Cancelled);
        }
        let association = self.open(cancel, node, contexts)?;
        match Root::accepted(&association, operation) {
            Ok((root, context)) => Ok(TransferAssociation {
                association,
                context,
                root,
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
    /// Requests a target, and waits for the final response. `patient` is the Patient ID of the
    /// target, which the patient root requires.
    ///
    /// # Errors
    /// [`ServiceError`]. After [`ServiceError::Refused`] and [`ServiceError::Cancelled`] the
    /// association is still open.
    pub(crate) fn request(
        &mut self,
        target: &TransferTarget,
        (patient, priority): (Option<&PatientId>, Priority),
        observer: &mut dyn TransferObserver,
    ) -> Result<TransferReport, ServiceError> {
        let class = self.root.class(self.operation);
        let patient = patient.filter(|_| self.root == Root::Patient);
        let request = self.association.request(self.operation, class);
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
            identifier: &target.identifier(patient),
        };
        // A sub-operation with a large instance takes long, and no response is sent before it ends.
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

    /// Returns true if each request has to name the patient of its target: the peer accepted only
    /// the patient root for this operation.
    pub(crate) fn names_patient(&self) -> bool {
        self.root == Root::Patient
    }

    /// Releases the association.
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
        if is_final {
            self.observer.on_final(response);
        }
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
        let status = self.store_status(request, context, body);
        if status.class() == StatusClass::Failure {
            self.observer.on_store_failure(status);
        }
        status
    }
}

impl TransferResponses<'_> {
    /// Handles an instance of a C-GET.
    fn store_status(
        &self,
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
        // The body is consistent between calls, and the handler is responsible for its own state.
        match catch_unwind(AssertUnwindSafe(|| handler.handle(&instance, body))) {
            // Reading the rest of the body then finds the lost association, so this status is not
            // sent.
            Ok(Ok(response)) => {
                let status = response.outcome.status();
                status.unwrap_or(Status::CANNOT_UNDERSTAND)
            }
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
    fn contexts_stay_within_the_limits_of_servers() {
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
            let shares = distribute(classes, &all[..count]);
            let found = shares.iter().map(Vec::len).max().unwrap_or(0);
            assert_eq!((shares.len(), found), (contexts, longest), "{classes}");
            assert!(classes > 127 || classes * shares.len() < Contexts::MAX);
        }
        // The usual transfer syntaxes have a context each.
        let of_eight = distribute(8, &all);
        let first = of_eight.iter().take(13).map(|share| share[0].as_str());
        assert_eq!(first.collect::<Vec<_>>(), USUAL);
    }
}
