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
use crate::{AeTitle, Association};

/// How long a thread that waits for a message takes to notice that it shall stop.
const SLICE: Duration = Duration::from_millis(250);

/// Serves associations: answers C-ECHO, hands what C-STORE brings to an [`InstanceHandler`].
///
/// | what comes | answer (PS3.7 section 9, Annex C; PS3.4 Table B.2-1) |
/// |---|---|
/// | C-ECHO | 0000 |
/// | C-STORE | the status of the handler's [`Outcome`](super::Outcome) or failure |
/// | C-STORE, the handler panics | 0110 |
/// | C-STORE without SOP instance UID or data set | 0115 |
/// | C-STORE with a SOP instance UID that is none | 0117 |
/// | any request whose SOP class is not that of its presentation context | 0122 |
/// | C-FIND, C-MOVE, C-GET, N-services | 0211 |
/// | C-CANCEL | none: there is nothing to cancel |
/// | a response, or what cannot be answered | A-ABORT |
///
/// The data set of what is refused is read and dropped, so that the next message can come.
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
    /// A service with DIMSE and ACSE timeouts of 30 s, and an idle timeout of 60 s.
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

    /// Sets who hears what happens.
    #[must_use]
    pub fn with_observer(self, observer: Arc<dyn ScpObserver>) -> Self {
        Self { observer, ..self }
    }

    /// Sets how long each wait inside a message may take: for its next fragment, or for the peer to
    /// read an answer.
    #[must_use]
    pub fn with_dimse_timeout(self, dimse: Duration) -> Self {
        Self { dimse, ..self }
    }

    /// Sets how long an association may be idle between messages.
    #[must_use]
    pub fn with_idle_timeout(self, idle: Duration) -> Self {
        Self { idle, ..self }
    }

    /// Sets how long the end of an association may take.
    #[must_use]
    pub fn with_acse_timeout(self, acse: Duration) -> Self {
        Self { acse, ..self }
    }

    /// What was done so far, on all associations of this service and its clones.
    pub fn totals(&self) -> ScpTotals {
        self.totals.read()
    }

    /// Has [`serve`](Self::serve) end its association as soon as no instance is half received.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Serves an association until it ends. It is closed then.
    ///
    /// `peer` is where it comes from, for [`Instance::peer`](super::Instance::peer).
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
        tracing::debug!(peer = %calling, ?summary, "served");
        let ended = ScpEvent::Ended {
            calling,
            peer,
            summary: &summary,
        };
        notify(&*self.observer, &ended);
        summary
    }
}

/// One association that is served.
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
                .and_then(|incoming| self.answer(association, incoming));
            if let Err(ending) = answered {
                return ending;
            }
        }
    }

    /// Waits for the next message. Stopping is noticed within [`SLICE`].
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
            if let Some(incoming) = poll_command(association, left.min(SLICE), self.service.dimse)?
            {
                self.state.mark_active();
                return Ok(incoming);
            }
        }
    }

    fn answer(
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
            } => Err(AssociationEnd::Broken("it answers what nobody asked")),
            Incoming::NotUnderstood { context, malformed } => {
                self.refuse(association, context, &malformed)
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
        self.reply(association, context, request, status)
    }

    /// Answers what was not understood, if it can be answered.
    fn refuse(
        &self,
        association: &mut dyn Association,
        context: ContextId,
        malformed: &Malformed,
    ) -> Result<(), AssociationEnd> {
        tracing::debug!(peer = %self.calling, %malformed, "a command is not understood");
        if malformed.answer().is_none() {
            return Err(AssociationEnd::Broken(
                "it sends a command that cannot be answered",
            ));
        }
        if malformed.has_data_set() {
            self.drain(association, context)?;
        }
        dimse::refuse(association, context, malformed, self.service.dimse)?;
        Ok(())
    }

    /// Reads a data set that nobody wants.
    pub(super) fn drain(
        &self,
        association: &mut dyn Association,
        context: ContextId,
    ) -> Result<(), AssociationEnd> {
        Ok(Body::new(association, context, self.service.dimse).drain()?)
    }

    pub(super) fn reply(
        &self,
        association: &mut dyn Association,
        context: ContextId,
        request: &Request,
        status: Status,
    ) -> Result<(), AssociationEnd> {
        let response = Command::Response(request.response(status));
        Ok(dimse::send(
            association,
            context,
            &response,
            self.service.dimse,
        )?)
    }
}
