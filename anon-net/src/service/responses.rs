//! A request with any number of responses: C-FIND, C-MOVE and C-GET (PS3.4 Annex C, PS3.7 section
//! 9.1).
//!
//! ```text
//! request + identifier ──►
//!                      ◄── response, pending (+ identifier)   any number
//!                      ◄── C-STORE request + data set         C-GET only
//! C-CANCEL ──►                                                once cancelled
//!                      ◄── response, final
//! ```

mod receive;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::scu_association::{PendingRequest, ScuAssociation};
use super::{Cancel, ServiceError};
use crate::Uid;
use crate::context::{AcceptedContext, ContextId};
use crate::dimse::{Body, Request, Response, Status, StatusClass};
use crate::identifier::{Encoding, Identifier};
use receive::NextMessage;

/// How long a peer has to end an operation that the caller cancelled. After that the association is
/// aborted.
const CANCEL_GRACE: Duration = Duration::from_millis(900);

/// Processes the responses to a request.
pub(crate) trait ResponseHandler {
    /// Is called for each response, pending or final. `Break` cancels the operation with C-CANCEL.
    fn on_response(
        &mut self,
        response: &Response,
        identifier: Option<Identifier>,
    ) -> ControlFlow<()>;

    /// Returns true if a pending response is progress. Progress restarts the deadline.
    fn is_progress(&mut self, response: &Response) -> bool {
        let _ = response;
        true
    }

    /// Is called when no message has arrived for a moment.
    fn poll(&mut self) -> Activity {
        Activity::Idle
    }

    /// Handles a C-STORE request in this accepted context, and returns its status. The data set is
    /// read from `body`.
    fn store(
        &mut self,
        request: &Request,
        context: &AcceptedContext,
        body: &mut Body<'_>,
    ) -> Status {
        let _ = (request, context, body);
        Status::UNRECOGNIZED_OPERATION
    }
}

/// What [`ResponseHandler::poll`] observes while no response arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activity {
    /// No progress.
    Idle,
    /// Progress that the responses do not show. It restarts the deadline.
    Progress,
    /// Waiting makes no sense any more.
    Stop,
}

/// The deadline for the peer's next response.
struct ResponseDeadline<'c> {
    cancel: &'c Cancel,
    since: Instant,
    limit: Duration,
    /// True once C-CANCEL was sent. Progress does not restart the deadline then.
    is_ending: bool,
    /// True once the caller has cancelled.
    is_cancelled: bool,
}

impl<'c> ResponseDeadline<'c> {
    fn new(limit: Duration, cancel: &'c Cancel) -> Self {
        Self {
            cancel,
            since: Instant::now(),
            limit,
            is_ending: false,
            is_cancelled: false,
        }
    }

    /// Sets a final deadline.
    fn end_within(&mut self, limit: Duration) {
        self.since = Instant::now();
        self.limit = limit;
        self.is_ending = true;
    }

    fn rest(&self) -> Duration {
        self.limit.saturating_sub(self.since.elapsed())
    }

    /// Restarts the deadline after progress.
    fn renew(&mut self, is_progress: bool) {
        if is_progress && !self.is_ending {
            self.since = Instant::now();
        }
    }
}

/// A request with an identifier, and the context to send it in.
pub(crate) struct QueryRequest<'q> {
    pub(crate) context: QueryContext,
    pub(crate) request: Request,
    pub(crate) identifier: &'q Identifier,
}

impl QueryRequest<'_> {
    fn send(
        self,
        association: &mut ScuAssociation,
        cancel: &Cancel,
    ) -> Result<PendingRequest, ServiceError> {
        let bytes = self.identifier.encode(self.context.encoding)?;
        let (mut body, length) = (bytes.as_slice(), bytes.len() as u64);
        Ok(association.send_request_with(
            self.context.id,
            self.request,
            &mut body,
            length,
            cancel,
        )?)
    }
}

/// A presentation context for identifiers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueryContext {
    pub(crate) id: ContextId,
    pub(crate) encoding: Encoding,
}

impl QueryContext {
    /// Returns the first accepted context of this SOP class with a transfer syntax for identifiers.
    pub(crate) fn of(association: &ScuAssociation, sop_class: &Uid) -> Result<Self, ServiceError> {
        let mut contexts = association.contexts().iter();
        contexts
            .find_map(|accepted| {
                let encoding = Encoding::of(&accepted.transfer_syntax)?;
                let id = accepted.id;
                (accepted.abstract_syntax == *sop_class).then_some(Self { id, encoding })
            })
            .ok_or_else(|| ServiceError::ContextRefused {
                sop_class: sop_class.clone(),
                transfer_syntax: None,
            })
    }
}

/// Sends a request with its identifier, and passes each response to `handler`. Returns the final
/// response, whatever its status. `silence` limits the time without progress.
///
/// Once cancelled, it sends a C-CANCEL and waits for the final response at most [`CANCEL_GRACE`].
///
/// # Errors
/// [`ServiceError::Cancelled`] if the caller cancelled: the association is still open if the peer
/// ended the operation, and aborted otherwise. After any other error the association is closed.
pub(crate) fn run(
    association: &mut ScuAssociation,
    cancel: &Cancel,
    silence: Duration,
    query: QueryRequest<'_>,
    handler: &mut dyn ResponseHandler,
) -> Result<Response, ServiceError> {
    if cancel.is_cancelled() {
        return Err(ServiceError::Cancelled);
    }
    let encoding = query.context.encoding;
    let pending = query.send(association, cancel)?;
    let mut deadline = ResponseDeadline::new(silence, cancel);
    loop {
        let message = receive::next(association, pending, encoding, &deadline, handler);
        let message = match message {
            Err(_) if deadline.is_cancelled => return Err(ServiceError::Cancelled),
            message => message?,
        };
        let wants_end = match message {
            NextMessage::Nothing => poll(handler, &mut deadline),
            NextMessage::Request(status) => {
                // A request that is not part of the operation is not progress.
                deadline.renew(status == Status::SUCCESS);
                false
            }
            NextMessage::Response(response, identifier) => {
                deadline.renew(handler.is_progress(&response));
                let is_final = response.status.class() != StatusClass::Pending;
                let is_heard = is_final || !deadline.is_ending;
                let breaks = is_heard && handler.on_response(&response, identifier).is_break();
                if is_final {
                    return (!deadline.is_cancelled)
                        .then_some(response)
                        .ok_or(ServiceError::Cancelled);
                }
                breaks
            }
        };
        end(association, pending, &mut deadline, wants_end)?;
    }
}

/// Sends a C-CANCEL, once, if the operation is to end, and sets the deadline for its end.
fn end(
    association: &mut ScuAssociation,
    pending: PendingRequest,
    deadline: &mut ResponseDeadline<'_>,
    wants_end: bool,
) -> Result<(), ServiceError> {
    let timeouts = association.timeouts();
    if deadline.cancel.is_cancelled() && !deadline.is_cancelled {
        deadline.is_cancelled = true;
        if !deadline.is_ending && association.cancel(pending, CANCEL_GRACE).is_err() {
            association.abort();
            return Err(ServiceError::Cancelled);
        }
        deadline.end_within(timeouts.dimse.min(CANCEL_GRACE));
    } else if wants_end && !deadline.is_ending {
        association.cancel(pending, timeouts.network)?;
        deadline.end_within(timeouts.dimse);
    }
    Ok(())
}

/// Polls the handler while no message arrives. Returns true if the operation is to be cancelled.
fn poll(handler: &mut dyn ResponseHandler, deadline: &mut ResponseDeadline<'_>) -> bool {
    match handler.poll() {
        Activity::Progress => deadline.renew(true),
        Activity::Stop => return true,
        Activity::Idle => {}
    }
    false
}
