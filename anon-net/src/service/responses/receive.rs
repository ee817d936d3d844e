//! Receives the messages of the peer during an operation.

use std::io::Read;
use std::time::Duration;

use super::{ResponseDeadline, ResponseHandler};
use crate::Error;
use crate::context::ContextId;
use crate::dimse::message::{self, Body, Incoming};
use crate::dimse::{Command, Operation, Request, Response, Status};
use crate::error::Waiting;
use crate::identifier::{Encoding, Identifier};
use crate::service::cancellable::CancellableAssociation;
use crate::service::scu_association::{PendingRequest, ScuAssociation};
use crate::service::{Cancel, ServiceError};

/// How often a wait checks whether it was cancelled.
const CANCEL_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// The next message of the peer.
pub(super) enum NextMessage {
    Nothing,
    Response(Response, Option<Identifier>),
    /// A request of the peer, which was answered with this status.
    Request(Status),
}

/// Waits a moment for the next message.
pub(super) fn next(
    association: &mut ScuAssociation,
    pending: PendingRequest,
    encoding: Encoding,
    deadline: &ResponseDeadline<'_>,
    handler: &mut dyn ResponseHandler,
) -> Result<NextMessage, ServiceError> {
    let rest = deadline.rest();
    if rest.is_zero() {
        association.abort();
        let (waiting, after) = (Waiting::Message, deadline.limit);
        return Err(Error::TimedOut { waiting, after }.into());
    }
    let whole = association.timeouts().dimse;
    let incoming = message::poll_command(
        association.association(),
        rest.min(CANCEL_CHECK_INTERVAL),
        whole,
    );
    let problem = match incoming.inspect_err(|_| association.abort())? {
        None => return Ok(NextMessage::Nothing),
        Some(Incoming::Release) => {
            // The peer may release the association (PS3.8 section 7.2).
            let timeout = association.timeouts().acse;
            association.association().release(timeout)?;
            return Err(Error::Closed.into());
        }
        Some(Incoming::NotUnderstood { .. }) => "its command set is malformed",
        Some(Incoming::Message { context, command }) => match command {
            Command::Request(request) => {
                return serve(association, context, &request, (handler, deadline.cancel));
            }
            Command::Cancel { .. } => "it sends a C-CANCEL for our request",
            Command::Response(response) => match pending.mismatch(context, &response) {
                None => {
                    let at = (context, encoding);
                    return with_identifier(association, at, response, deadline.cancel);
                }
                Some(problem) => problem,
            },
        },
    };
    association.abort();
    Err(Error::Protocol { problem }.into())
}

/// Reads the identifier of a response, if it has one.
fn with_identifier(
    association: &mut ScuAssociation,
    (context, encoding): (ContextId, Encoding),
    response: Response,
    cancel: &Cancel,
) -> Result<NextMessage, ServiceError> {
    if !response.has_data_set {
        return Ok(NextMessage::Response(response, None));
    }
    let identifier =
        read(association, context, encoding, cancel).inspect_err(|_| association.abort())?;
    Ok(NextMessage::Response(response, Some(identifier)))
}

fn read(
    association: &mut ScuAssociation,
    context: ContextId,
    encoding: Encoding,
    cancel: &Cancel,
) -> Result<Identifier, ServiceError> {
    let timeout = association.timeouts().network;
    let mut association = CancellableAssociation::new(association.association(), cancel);
    let mut body = Body::new(&mut association, context, timeout);
    let mut bytes = Vec::new();
    let room = Identifier::MAX_BYTES as u64 + 1;
    if body.by_ref().take(room).read_to_end(&mut bytes).is_err() {
        return Err(body.failure().unwrap_or(Error::Lost).into());
    }
    Ok(Identifier::decode(&bytes, encoding)?)
}

/// Answers a request of the peer.
fn serve(
    association: &mut ScuAssociation,
    context: ContextId,
    request: &Request,
    (handler, cancel): (&mut dyn ResponseHandler, &Cancel),
) -> Result<NextMessage, ServiceError> {
    let timeout = association.timeouts().network;
    let accepted = association.contexts().get(context).cloned();
    let mut receiving = CancellableAssociation::new(association.association(), cancel);
    let mut body = if request.has_data_set {
        Body::new(&mut receiving, context, timeout)
    } else {
        Body::none(&mut receiving, context)
    };
    let status = match accepted {
        Some(accepted) if request.operation == Operation::Store => {
            handler.store(request, &accepted, &mut body)
        }
        _ => Status::UNRECOGNIZED_OPERATION,
    };
    if let Err(error) = body.drain() {
        association.abort();
        return Err(error.into());
    }
    let response = Command::Response(request.response(status));
    message::send(association.association(), context, &response, timeout)?;
    Ok(NextMessage::Request(status))
}
