//! [`Transfer`]: an association on which C-MOVE or C-GET is asked for, once or more.

use std::ops::ControlFlow;
use std::time::Duration;

use super::{Target, TransferEnd};
use crate::context::{Accepted, Contexts};
use crate::dimse::{
    Body, Operation, Priority, Request, Response, Status, StatusClass, SubOperations,
};
use crate::identifier::{Identifier, tag};
use crate::scp::{Instance, InstanceHandler, failure_status};
use crate::service::dialogue::{self, Glance, Onlooker, QueryContext, Question};
use crate::service::find::syntaxes;
use crate::service::session::Session;
use crate::service::{Cancel, Scu, ServiceError};
use crate::{AeTitle, InstanceUid, Node, Uid};

/// Study Root Query/Retrieve Information Model: MOVE (PS3.4 section C.6.2.3).
const STUDY_ROOT_MOVE: &str = "1.2.840.10008.5.1.4.1.2.2.2";
/// Study Root Query/Retrieve Information Model: GET (PS3.4 section C.6.2.3).
const STUDY_ROOT_GET: &str = "1.2.840.10008.5.1.4.1.2.2.3";

/// The most transfer syntaxes of one context. Servers made of DCMTK, Orthanc among them, have room for
/// 50, and with one more they neither answer nor serve anybody else for minutes.
const MAX_SYNTAXES: usize = 48;

/// How many transfer syntaxes each context offers, and which there are in all. One, if there is room:
/// what is stored in one need not be brought into another. Otherwise as few as fit, and the peer
/// chooses among them; of too many, the first.
fn fitting(classes: usize, encodings: &[Uid]) -> (usize, &[Uid]) {
    const ROOM: usize = Contexts::MAX - 1;
    let fits = |n: &usize| classes.saturating_mul(encodings.len().div_ceil(*n)) <= ROOM;
    match (1..=MAX_SYNTAXES).find(fits) {
        Some(at_once) => (at_once, encodings),
        None => (
            MAX_SYNTAXES,
            encodings.get(..MAX_SYNTAXES).unwrap_or(encodings),
        ),
    }
}

/// What looks on while a peer sends.
pub(crate) trait Watch {
    /// The peer counts. True if that is a sign that it goes on.
    fn counted(&mut self, counts: SubOperations) -> bool;

    /// Nothing was heard for a moment.
    fn glance(&mut self) -> Glance {
        Glance::Quiet
    }
}

/// Any response is a sign that the peer goes on.
impl Watch for &mut dyn FnMut(SubOperations) {
    fn counted(&mut self, counts: SubOperations) -> bool {
        self(counts);
        true
    }
}

/// An association on which one of the two is asked for.
#[derive(Debug)]
pub(crate) struct Transfer<'c> {
    session: Session,
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
    ) -> Result<Transfer<'c>, ServiceError> {
        let class = Uid::registered(STUDY_ROOT_MOVE);
        let mut contexts = Contexts::new();
        contexts.add(class.clone(), syntaxes())?;
        let transfer = self.transfer(node, contexts, class, Operation::Move, cancel)?;
        Ok(Transfer {
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
    ) -> Result<Transfer<'c>, ServiceError> {
        let class = Uid::registered(STUDY_ROOT_GET);
        let mut contexts = Contexts::new();
        contexts.add(class.clone(), syntaxes())?;
        let (classes, encodings) = storage;
        let (at_once, encodings) = fitting(classes.len(), encodings);
        for storage_class in classes {
            for some in encodings.chunks(at_once) {
                contexts.add(storage_class.clone(), some.to_vec())?;
            }
            contexts.take_scp_role(storage_class.clone());
        }
        let transfer = self.transfer(node, contexts, class, Operation::Get, cancel)?;
        Ok(Transfer {
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
    ) -> Result<Transfer<'c>, ServiceError> {
        if cancel.is_cancelled() {
            return Err(ServiceError::Cancelled);
        }
        let session = self.open_unless(cancel, node, contexts)?;
        match QueryContext::of(&session, &class) {
            Ok(context) => Ok(Transfer {
                session,
                context,
                class,
                operation,
                destination: None,
                handler: None,
                cancel,
            }),
            Err(error) => {
                session.release();
                Err(error)
            }
        }
    }
}

impl Transfer<'_> {
    /// Asks for a target, and waits until the peer has sent it.
    ///
    /// # Errors
    /// [`ServiceError`]. After [`ServiceError::Refused`] and [`ServiceError::Cancelled`] the
    /// association is still open.
    pub(crate) fn ask(
        &mut self,
        target: &Target,
        priority: Priority,
        watch: &mut dyn Watch,
    ) -> Result<TransferEnd, ServiceError> {
        let request = self.session.request(self.operation, self.class.clone());
        let request = request.with_priority(priority);
        let request = match &self.destination {
            Some(destination) => request.with_destination(destination.clone()),
            None => request,
        };
        let timeouts = self.session.timeouts();
        let mut sending = Sending {
            peer: self.session.association().peer().clone(),
            handler: self.handler,
            watch,
            failed: Vec::new(),
        };
        let question = Question {
            context: self.context,
            request,
            identifier: &target.identifier(),
        };
        // A large instance is a long sub-operation, and no response comes before it ends.
        let silence: Duration = timeouts.dimse.max(timeouts.network);
        let last = dialogue::hold(
            &mut self.session,
            self.cancel,
            silence,
            question,
            &mut sending,
        )?;
        TransferEnd::of(&last, sending.failed)
    }

    /// Ends the association in order.
    pub(crate) fn release(self) {
        self.session.release();
    }
}

struct Sending<'a> {
    peer: AeTitle,
    handler: Option<&'a dyn InstanceHandler>,
    watch: &'a mut dyn Watch,
    failed: Vec<InstanceUid>,
}

impl Onlooker for Sending<'_> {
    fn renews(&mut self, response: &Response) -> bool {
        self.watch.counted(response.counts)
    }

    fn answered(&mut self, response: &Response, identifier: Option<Identifier>) -> ControlFlow<()> {
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

    fn glance(&mut self) -> Glance {
        self.watch.glance()
    }

    fn store(&mut self, request: &Request, context: &Accepted, body: &mut Body<'_>) -> Status {
        let Some(handler) = self.handler else {
            return Status::UNRECOGNIZED_OPERATION;
        };
        if !context.scp || context.abstract_syntax != request.sop_class {
            return Status::SOP_CLASS_NOT_SUPPORTED;
        }
        let Some(uid) = request.sop_instance.clone() else {
            return Status::INVALID_INSTANCE;
        };
        let instance = Instance::new(
            request.sop_class.clone(),
            uid,
            context.transfer_syntax.clone(),
            self.peer.clone(),
        );
        match handler.handle(&instance, body) {
            // Nobody is left to answer where it broke off: reading the rest tells.
            Ok(outcome) => outcome.status().unwrap_or(Status::CANNOT_UNDERSTAND),
            Err(error) => failure_status(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_hold_what_servers_take() {
        let encodings: Vec<Uid> = (1..=57)
            .map(|n| Uid::new(&format!("1.2.{n}")).unwrap())
            .collect();
        for (classes, count, at_once, offered) in [
            (1, 57, 1, 57),
            (2, 57, 1, 57),
            (3, 57, 2, 57),
            (8, 57, 4, 57),
            (63, 57, 29, 57),
            (64, 48, 48, 48),
            (64, 57, 48, 48),
            (127, 57, 48, 48),
            (200, 57, 48, 48),
            (0, 57, 1, 57),
            (5, 0, 1, 0),
        ] {
            let fitted = fitting(classes, &encodings[..count]);
            assert_eq!((fitted.0, fitted.1.len()), (at_once, offered), "{classes}");
        }
    }
}
