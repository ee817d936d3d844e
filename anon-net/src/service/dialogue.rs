//! One request and its many responses: C-FIND, C-MOVE, C-GET (PS3.4 Annex C, PS3.7 section 9.1).
//!
//! ```text
//! request + identifier ──►
//!                      ◄── response, pending (+ identifier)   any number
//!                      ◄── C-STORE request + data set         C-GET only
//! C-CANCEL ──►                                                when the end is wished
//!                      ◄── response, final
//! ```

use std::io::Read;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::session::{Asked, Session};
use super::{Cancel, ServiceError};
use crate::context::{Accepted, ContextId};
use crate::dimse::message::{self, Body, Incoming};
use crate::dimse::{Command, Operation, Request, Response, Status, StatusClass};
use crate::error::Waiting;
use crate::identifier::{Encoding, Identifier};
use crate::{Error, Uid};

/// How often it is looked whether the end is wished.
const GLANCE: Duration = Duration::from_millis(100);

/// What looks on while a peer answers.
pub(crate) trait Onlooker {
    /// A response came, pending or final. To break asks for the end with C-CANCEL.
    fn answered(&mut self, response: &Response, identifier: Option<Identifier>) -> ControlFlow<()>;

    /// Nothing came for a moment.
    fn glance(&mut self) -> Glance {
        Glance::Quiet
    }

    /// A C-STORE request came in this context, which both sides agreed on. Its data set is to be read
    /// from `body`; the status answers it.
    fn store(&mut self, request: &Request, context: &Accepted, body: &mut Body<'_>) -> Status {
        let _ = (request, context, body);
        Status::UNRECOGNIZED_OPERATION
    }
}

/// What an [`Onlooker`] sees where no response came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Glance {
    /// Nothing.
    Quiet,
    /// Something goes on elsewhere: the peer is not to be given up.
    Alive,
    /// There is no use in waiting.
    Stop,
}

/// How long the peer may still be silent.
struct Patience {
    since: Instant,
    limit: Duration,
    /// False once the end is wished: what still comes buys no time.
    renews: bool,
}

impl Patience {
    fn new(limit: Duration) -> Self {
        Self {
            since: Instant::now(),
            limit,
            renews: true,
        }
    }

    /// From now on so long in all.
    fn end_within(&mut self, limit: Duration) {
        *self = Self::new(limit);
        self.renews = false;
    }

    fn rest(&self) -> Duration {
        self.limit.saturating_sub(self.since.elapsed())
    }

    fn renew(&mut self) {
        if self.renews {
            self.since = Instant::now();
        }
    }
}

/// What is asked for.
pub(crate) struct Question<'q> {
    pub(crate) context: QueryContext,
    pub(crate) request: Request,
    pub(crate) identifier: &'q Identifier,
}

/// A context for identifiers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueryContext {
    pub(crate) id: ContextId,
    pub(crate) encoding: Encoding,
}

impl QueryContext {
    /// The first accepted one of this SOP class whose encoding is one of identifiers.
    pub(crate) fn of(session: &Session, sop_class: &Uid) -> Result<Self, ServiceError> {
        let mut contexts = session.contexts().iter();
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

/// What came.
enum Next {
    Nothing,
    Response(Response, Option<Identifier>),
    /// A request of the peer, which was answered.
    Request,
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
pub(crate) fn hold(
    session: &mut Session,
    cancel: &Cancel,
    silence: Duration,
    question: Question<'_>,
    onlooker: &mut dyn Onlooker,
) -> Result<Response, ServiceError> {
    let encoding = question.context.encoding;
    let bytes = question.identifier.encode(encoding)?;
    let length = bytes.len() as u64;
    let asked = session.ask_with(
        question.context.id,
        question.request,
        &mut bytes.as_slice(),
        length,
    )?;
    let mut patience = Patience::new(silence);
    let mut is_ending = false;
    loop {
        let mut wants_end = false;
        match next(session, asked, encoding, &patience, onlooker)? {
            Next::Nothing => match onlooker.glance() {
                Glance::Alive => patience.renew(),
                Glance::Stop => wants_end = true,
                Glance::Quiet => {}
            },
            Next::Request => patience.renew(),
            Next::Response(response, identifier) => {
                patience.renew();
                let is_final = response.status.class() != StatusClass::Pending;
                if is_final || !is_ending {
                    wants_end |= onlooker.answered(&response, identifier).is_break();
                }
                if is_final && is_ending && cancel.is_cancelled() {
                    return Err(ServiceError::Cancelled);
                }
                if is_final {
                    return Ok(response);
                }
            }
        }
        if (wants_end || cancel.is_cancelled()) && !is_ending {
            session.cancel(asked)?;
            is_ending = true;
            patience.end_within(session.timeouts().dimse);
        }
    }
}

/// Waits a moment for what comes next.
fn next(
    session: &mut Session,
    asked: Asked,
    encoding: Encoding,
    patience: &Patience,
    onlooker: &mut dyn Onlooker,
) -> Result<Next, ServiceError> {
    let rest = patience.rest();
    if rest.is_zero() {
        session.abort();
        let (waiting, after) = (Waiting::Message, patience.limit);
        return Err(Error::TimedOut { waiting, after }.into());
    }
    let whole = session.timeouts().dimse;
    let incoming = message::poll_command(session.association(), rest.min(GLANCE), whole);
    let problem = match incoming {
        Ok(None) => return Ok(Next::Nothing),
        Ok(Some(Incoming::Message {
            context,
            command: Command::Response(response),
        })) => match asked.problem(context, &response) {
            None => return answer(session, context, encoding, response),
            Some(problem) => problem,
        },
        Ok(Some(Incoming::Message {
            context,
            command: Command::Request(request),
        })) => return serve(session, context, &request, onlooker),
        Ok(Some(Incoming::Message { .. })) => "it cancels what it was asked for",
        Ok(Some(Incoming::NotUnderstood { .. })) => "its command set is not understood",
        Ok(Some(Incoming::Release)) => {
            // It may (PS3.8 section 7.2), and gets its answer.
            let timeout = session.timeouts().acse;
            session.association().release(timeout)?;
            return Err(Error::Closed.into());
        }
        Err(error) => {
            session.abort();
            return Err(error.into());
        }
    };
    session.abort();
    Err(Error::Protocol { problem }.into())
}

/// Reads the identifier of a response.
fn answer(
    session: &mut Session,
    context: ContextId,
    encoding: Encoding,
    response: Response,
) -> Result<Next, ServiceError> {
    if !response.has_data_set {
        return Ok(Next::Response(response, None));
    }
    let identifier = read(session, context, encoding).inspect_err(|_| session.abort())?;
    Ok(Next::Response(response, Some(identifier)))
}

fn read(
    session: &mut Session,
    context: ContextId,
    encoding: Encoding,
) -> Result<Identifier, ServiceError> {
    let timeout = session.timeouts().network;
    let mut body = Body::new(session.association(), context, timeout);
    let mut bytes = Vec::new();
    let room = Identifier::MAX_BYTES as u64 + 1;
    if body.by_ref().take(room).read_to_end(&mut bytes).is_err() {
        return Err(body.failure().unwrap_or(Error::Lost).into());
    }
    Ok(Identifier::decode(&bytes, encoding)?)
}

/// Answers a request of the peer.
fn serve(
    session: &mut Session,
    context: ContextId,
    request: &Request,
    onlooker: &mut dyn Onlooker,
) -> Result<Next, ServiceError> {
    let timeout = session.timeouts().network;
    let accepted = session.contexts().get(context).cloned();
    let mut body = if request.has_data_set {
        Body::new(session.association(), context, timeout)
    } else {
        Body::none(session.association(), context)
    };
    let status = match accepted {
        Some(accepted) if request.operation == Operation::Store => {
            onlooker.store(request, &accepted, &mut body)
        }
        _ => Status::UNRECOGNIZED_OPERATION,
    };
    if let Err(error) = body.drain() {
        session.abort();
        return Err(error.into());
    }
    let response = Command::Response(request.response(status));
    message::send(session.association(), context, &response, timeout)?;
    Ok(Next::Request)
}
