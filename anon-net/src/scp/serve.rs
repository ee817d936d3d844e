//! [`Service`]: the Storage and Verification SCP over one association (PS3.4 Annexes A and B).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::counts::{AssociationState, AtomicTotals};
use super::observer::{
    AssociationEnd, AssociationSummary, NoObserver, ScpEvent, ScpObserver, notify,
};
use super::{InstanceHandler, ScpTotals};
use crate::context::ContextId;
use crate::dimse::message::poll_command;
use crate::dimse::{self, Body, Command, Incoming, Malformed, Operation, Request, Status};
use crate::{AeTitle, Association, Error};

/// How often a thread that waits for a message checks whether to stop.
const STOP_CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// Serves associations: answers C-ECHO, and passes instances of C-STORE to an [`InstanceHandler`].
///
/// | request | response (PS3.7 section 9, Annex C; PS3.4 Table B.2-1) |
/// |---|---|
/// | C-ECHO | 0000 |
/// | C-STORE | the status of the handler's [`Outcome`](super::Outcome) or error |
/// | C-STORE, if the handler panics | 0110 |
/// | C-STORE without SOP instance UID or data set | 0115 |
/// | C-STORE with an invalid SOP instance UID | 0117 |
/// | any request with another SOP class than its presentation context | 0122 |
/// | C-FIND, C-MOVE, C-GET, N-services | 0211 |
/// | C-CANCEL | none, because nothing can be cancelled |
/// | a response, or a command that cannot be answered | A-ABORT |
///
/// The data set of a refused request is read and dropped, so that the next message can be received.
#[derive(Debug, Clone)]
pub struct Service {
    pub(super) handler: Arc<dyn InstanceHandler>,
    pub(super) observer: Arc<dyn ScpObserver>,
    pub(super) totals: Arc<AtomicTotals>,
    pub(super) dimse: Duration,
    idle: Duration,
    acse: Duration,
    stop: Arc<AtomicBool>,
}

impl Service {
    /// Creates a service with DIMSE and ACSE timeouts of 30 s and an idle timeout of 60 s.
    pub fn new(handler: Arc<dyn InstanceHandler>) -> Self {
        Self {
            handler,
            observer: Arc::new(NoObserver),
            totals: Arc::default(),
            dimse: Duration::from_secs(30),
            idle: Duration::from_mins(1),
            acse: Duration::from_secs(30),
            stop: Arc::default(),
        }
    }

    /// Sets the observer that is notified of events.
    #[must_use]
    pub fn with_observer(self, observer: Arc<dyn ScpObserver>) -> Self {
        Self { observer, ..self }
    }

    /// Sets the time limit for each wait inside a message: for the next fragment, or for the peer
    /// to read a response.
    #[must_use]
    pub fn with_dimse_timeout(self, dimse: Duration) -> Self {
        Self { dimse, ..self }
    }

    /// Sets how long an association may be idle between messages.
    #[must_use]
    pub fn with_idle_timeout(self, idle: Duration) -> Self {
        Self { idle, ..self }
    }

    /// Sets the time limit for releasing an association.
    #[must_use]
    pub fn with_acse_timeout(self, acse: Duration) -> Self {
        Self { acse, ..self }
    }

    /// Returns the totals so far of this service and its clones.
    pub fn totals(&self) -> ScpTotals {
        self.totals.read()
    }

    /// Makes [`serve`](Self::serve) end its association as soon as no instance is being received.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Serves an association until it ends, and closes it.
    ///
    /// `peer` is the network address for [`Instance::peer`](super::Instance::peer).
    pub fn serve(
        &self,
        association: &mut dyn Association,
        peer: Option<SocketAddr>,
    ) -> AssociationSummary {
        self.serve_with(association, peer, &AssociationState::default())
    }

    pub(super) fn serve_with(
        &self,
        association: &mut dyn Association,
        peer: Option<SocketAddr>,
        state: &AssociationState,
    ) -> AssociationSummary {
        let began = Instant::now();
        let calling = association.peer().clone();
        self.totals.opened();
        let calling = &calling;
        notify(&*self.observer, &ScpEvent::Opened { calling, peer });
        let served = ServedAssociation {
            service: self,
            calling,
            peer,
            state,
        };
        let ending = served.run(association);
        association.abort();
        let summary = AssociationSummary {
            counts: state.counts.read(),
            lasted: began.elapsed(),
            ending,
        };
        self.totals.ended();
        let ended = ScpEvent::Ended {
            calling,
            peer,
            contexts: association.contexts(),
            summary: &summary,
        };
        ended.log();
        notify(&*self.observer, &ended);
        summary
    }
}

/// One association that is being served.
#[derive(Debug)]
pub(super) struct ServedAssociation<'a> {
    pub(super) service: &'a Service,
    pub(super) calling: &'a AeTitle,
    pub(super) peer: Option<SocketAddr>,
    pub(super) state: &'a AssociationState,
}

impl ServedAssociation<'_> {
    fn run(&self, association: &mut dyn Association) -> AssociationEnd {
        loop {
            let answered = self
                .next(association)
                .and_then(|incoming| self.serve_message(association, incoming));
            match answered {
                Ok(()) => self.state.mark_done(),
                Err(ending) => return ending,
            }
        }
    }

    /// Waits for the next message. Checks every [`STOP_CHECK_INTERVAL`] whether to stop.
    fn next(&self, association: &mut dyn Association) -> Result<Incoming, AssociationEnd> {
        let began = Instant::now();
        loop {
            if self.service.stop.load(Ordering::Acquire) {
                return Err(AssociationEnd::Stopped);
            }
            if self.state.abort_requested() {
                return Err(AssociationEnd::Crowded);
            }
            let left = self.service.idle.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Err(AssociationEnd::Idle);
            }
            let (wait, dimse) = (left.min(STOP_CHECK_INTERVAL), self.service.dimse);
            let polled = self
                .state
                .waiting(|| poll_command(association, wait, dimse));
            if let Some(incoming) = polled.map_err(|error| self.end_of(error))? {
                return Ok(incoming);
            }
        }
    }

    /// Returns how the association ended. To make room for another one, the listener closes the
    /// connection of a peer that stopped inside a message or does not read.
    pub(super) fn end_of(&self, error: Error) -> AssociationEnd {
        match AssociationEnd::from(error) {
            AssociationEnd::Lost if self.state.abort_requested() => AssociationEnd::Crowded,
            ending => ending,
        }
    }

    fn serve_message(
        &self,
        association: &mut dyn Association,
        incoming: Incoming,
    ) -> Result<(), AssociationEnd> {
        match incoming {
            Incoming::Message {
                context,
                command: Command::Request(request),
            } => self.request(association, context, &request),
            Incoming::Message {
                command: Command::Cancel { .. },
                ..
            } => Ok(()),
            Incoming::Message {
                command: Command::Response(_),
                ..
            } => Err(AssociationEnd::Broken(
                "it sends a response without a request",
            )),
            Incoming::NotUnderstood { context, malformed } => {
                self.refuse_malformed(association, context, &malformed)
            }
            Incoming::Release => {
                self.state.mark_released();
                association.release(self.service.acse)?;
                Err(AssociationEnd::Released)
            }
        }
    }

    fn request(
        &self,
        association: &mut dyn Association,
        context: ContextId,
        request: &Request,
    ) -> Result<(), AssociationEnd> {
        let accepted = association.contexts().get(context);
        let fits = accepted.is_some_and(|it| it.abstract_syntax == request.sop_class);
        let status = match request.operation {
            Operation::Store => return self.store(association, context, request),
            _ if !fits => Status::SOP_CLASS_NOT_SUPPORTED,
            Operation::Echo => Status::SUCCESS,
            Operation::Find | Operation::Move | Operation::Get => Status::UNRECOGNIZED_OPERATION,
        };
        if request.has_data_set {
            self.drain(association, context)?;
        }
        self.respond(association, context, request, status)
    }

    /// Answers a malformed command set, if it can be answered.
    fn refuse_malformed(
        &self,
        association: &mut dyn Association,
        context: ContextId,
        malformed: &Malformed,
    ) -> Result<(), AssociationEnd> {
        tracing::debug!(peer = %self.calling, %malformed, "a command set is malformed");
        if let Malformed::Request {
            operation: Operation::Store,
            ..
        } = malformed
        {
            return self.refuse_malformed_store(association, context, malformed);
        }
        if malformed.response().is_none() {
            return Err(AssociationEnd::Broken(
                "it sends a command that cannot be answered",
            ));
        }
        if malformed.has_data_set() {
            self.drain(association, context)?;
        }
        let dimse = self.service.dimse;
        self.waiting(|| dimse::refuse(association, context, malformed, dimse).map(drop))
    }

    /// Makes a call that waits for the peer, which gives way to others meanwhile.
    fn waiting(&self, call: impl FnOnce() -> Result<(), Error>) -> Result<(), AssociationEnd> {
        self.state.waiting(call).map_err(|error| self.end_of(error))
    }

    /// Reads and drops a data set.
    fn drain(
        &self,
        association: &mut dyn Association,
        context: ContextId,
    ) -> Result<(), AssociationEnd> {
        self.waiting(|| Body::new(association, context, self.service.dimse).drain())
    }

    fn respond(
        &self,
        association: &mut dyn Association,
        context: ContextId,
        request: &Request,
        status: Status,
    ) -> Result<(), AssociationEnd> {
        let response = Command::Response(request.response(status));
        self.waiting(|| dimse::send(association, context, &response, self.service.dimse))
    }
}
