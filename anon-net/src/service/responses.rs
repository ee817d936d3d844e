//! One request and its many responses: C-FIND, C-MOVE, C-GET (PS3.4 Annex C, PS3.7 section 9.1).
//!
//! ```text
//! request + identifier ──►
//!                      ◄── response, pending (+ identifier)   any number
//!                      ◄── C-STORE request + data set         C-GET only
//! C-CANCEL ──►                                                when the end is wished
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

/// What looks on while a peer answers.
pub(crate) trait ResponseHandler {
    /// A response came, pending or final. To break asks for the end with C-CANCEL.
    fn on_response(
        &mut self,
        response: &Response,
        identifier: Option<Identifier>,
    ) -> ControlFlow<()>;

    /// True if a response is a sign that the peer goes on: it buys time.
    fn is_progress(&mut self, response: &Response) -> bool {
        let _ = response;
        true
    }

    /// Nothing came for a moment.
    fn poll(&mut self) -> Activity {
        Activity::None
    }

    /// A C-STORE request came in this context, which both sides agreed on. Its data set is to be read
    /// from `body`; the status answers it.
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

/// What a [`ResponseHandler`] sees where no response came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Nothing.
    None,
    /// Something goes on elsewhere: the peer is not to be given up.
    Progress,
    /// There is no use in waiting.
    Stop,
}

/// How long the peer may still be silent.
struct ResponseDeadline {
    since: Instant,
    limit: Duration,
    /// True once the end is wished: what still comes buys no time.
    is_ending: bool,
}

impl ResponseDeadline {
    fn new(limit: Duration) -> Self {
        Self {
            since: Instant::now(),
            limit,
            is_ending: false,
        }
    }

    /// From now on so long in all.
    fn end_within(&mut self, limit: Duration) {
        *self = Self::new(limit);
        self.is_ending = true;
    }

    fn rest(&self) -> Duration {
        self.limit.saturating_sub(self.since.elapsed())
    }

    /// Begins anew if there is a sign that the peer goes on.
    fn renew(&mut self, is_sign: bool) {
        if is_sign && !self.is_ending {
            self.since = Instant::now();
        }
    }
}

/// What is asked for.
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

/// A context for identifiers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueryContext {
    pub(crate) id: ContextId,
    pub(crate) encoding: Encoding,
}

impl QueryContext {
    /// The first accepted one of this SOP class whose encoding is one of identifiers.
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

/// Sends a request and its identifier, and gives each response to `onlooker`. The final one is the
/// result, whatever its status. The peer may be silent for as long as `silence`.
///
/// When the end is wished, C-CANCEL is sent, and the final response waited for as long as for any
/// message.
///
/// # Errors
/// [`ServiceError::Cancelled`] if the caller wished the end and it came in order: the association is
/// still open. After any other error it is closed.
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
    let mut deadline = ResponseDeadline::new(silence);
    loop {
        let message = receive::next(association, pending, encoding, &deadline, handler)?;
        let wants_end = match message {
            NextMessage::Nothing => poll(handler, &mut deadline),
            NextMessage::Request(status) => {
                // One that is none of the dialogue buys no time.
                deadline.renew(status == Status::SUCCESS);
                false
            }
            NextMessage::Response(response, identifier) => {
                deadline.renew(handler.is_progress(&response));
                let is_final = response.status.class() != StatusClass::Pending;
                let is_heard = is_final || !deadline.is_ending;
                let breaks = is_heard && handler.on_response(&response, identifier).is_break();
                if is_final {
                    let is_cancelled = deadline.is_ending && cancel.is_cancelled();
                    return (!is_cancelled)
                        .then_some(response)
                        .ok_or(ServiceError::Cancelled);
                }
                breaks
            }
        };
        if (wants_end || cancel.is_cancelled()) && !deadline.is_ending {
            association.cancel(pending)?;
            deadline.end_within(association.timeouts().dimse);
        }
    }
}

/// Looks elsewhere while nothing comes. True if the end is wished.
fn poll(handler: &mut dyn ResponseHandler, deadline: &mut ResponseDeadline) -> bool {
    match handler.poll() {
        Activity::Progress => deadline.renew(true),
        Activity::Stop => return true,
        Activity::None => {}
    }
    false
}
