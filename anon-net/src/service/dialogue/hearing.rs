//! What comes from the peer while a request of ours is answered.

use std::io::Read;
use std::time::Duration;

use super::{Onlooker, Patience};
use crate::Error;
use crate::context::ContextId;
use crate::dimse::message::{self, Body, Incoming};
use crate::dimse::{Command, Operation, Request, Response, Status};
use crate::error::Waiting;
use crate::identifier::{Encoding, Identifier};
use crate::service::ServiceError;
use crate::service::session::{Asked, Session};

/// How often it is looked whether the end is wished.
const GLANCE: Duration = Duration::from_millis(100);

/// What came.
pub(super) enum Came {
    Nothing,
    Response(Response, Option<Identifier>),
    /// A request of the peer, which was answered with this status.
    Request(Status),
}

/// Waits a moment for what comes next.
pub(super) fn next(
    session: &mut Session,
    asked: Asked,
    encoding: Encoding,
    patience: &Patience,
    onlooker: &mut dyn Onlooker,
) -> Result<Came, ServiceError> {
    let rest = patience.rest();
    if rest.is_zero() {
        session.abort();
        let (waiting, after) = (Waiting::Message, patience.limit);
        return Err(Error::TimedOut { waiting, after }.into());
    }
    let whole = session.timeouts().dimse;
    let incoming = message::poll_command(session.association(), rest.min(GLANCE), whole);
    let problem = match incoming.inspect_err(|_| session.abort())? {
        None => return Ok(Came::Nothing),
        Some(Incoming::Release) => {
            // It may (PS3.8 section 7.2), and gets its answer.
            let timeout = session.timeouts().acse;
            session.association().release(timeout)?;
            return Err(Error::Closed.into());
        }
        Some(Incoming::NotUnderstood { .. }) => "its command set is not understood",
        Some(Incoming::Message { context, command }) => match command {
            Command::Request(request) => return serve(session, context, &request, onlooker),
            Command::Cancel { .. } => "it cancels what it was asked for",
            Command::Response(response) => match asked.problem(context, &response) {
                None => return answer(session, context, encoding, response),
                Some(problem) => problem,
            },
        },
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
) -> Result<Came, ServiceError> {
    if !response.has_data_set {
        return Ok(Came::Response(response, None));
    }
    let identifier = read(session, context, encoding).inspect_err(|_| session.abort())?;
    Ok(Came::Response(response, Some(identifier)))
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
) -> Result<Came, ServiceError> {
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
    Ok(Came::Request(status))
}
