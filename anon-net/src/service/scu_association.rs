//! [`ScuAssociation`]: an association on which we send requests.

use std::io::Read;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::{CANCEL_CHECK_INTERVAL, Cancel, ServiceError, Timeouts};
use crate::association::{Association, Event};
use crate::context::{ContextId, NegotiatedContexts};
use crate::dimse::message::{self, Incoming};
use crate::dimse::{Command, MessageId, Operation, Request, Response};
use crate::error::Waiting;
use crate::{Error, Uid};

/// How long a peer has to answer a release request after cancelling.
const GRACE: Duration = Duration::from_secs(2);

/// An open association, and the state of its requests. Dropping it aborts the association.
#[derive(Debug)]
pub(crate) struct ScuAssociation {
    association: Box<dyn Association>,
    timeouts: Timeouts,
    last_id: MessageId,
    /// The buffer for sending data sets. It is reused.
    block: Vec<u8>,
}

/// A request without a response. The response must match it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PendingRequest {
    /// The presentation context.
    pub(crate) context: ContextId,
    /// The operation.
    pub(crate) operation: Operation,
    /// The message id.
    pub(crate) message_id: MessageId,
}

impl ScuAssociation {
    pub(super) fn new(association: Box<dyn Association>, timeouts: Timeouts) -> Self {
        Self {
            association,
            timeouts,
            last_id: 0,
            block: Vec::new(),
        }
    }

    /// Returns the accepted presentation contexts.
    pub(crate) fn contexts(&self) -> &NegotiatedContexts {
        self.association.contexts()
    }

    /// Creates a request. Its message id differs from those of the requests before it.
    pub(crate) fn request(&mut self, operation: Operation, sop_class: Uid) -> Request {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        Request::new(operation, self.last_id, sop_class)
    }

    /// Sends a request without a data set. Once cancelled it aborts the association instead.
    pub(crate) fn send_request(
        &mut self,
        context: ContextId,
        request: Request,
        cancel: &Cancel,
    ) -> Result<PendingRequest, Error> {
        let pending = PendingRequest::of(context, &request);
        let command = Command::Request(request);
        let timeout = self.timeouts.network;
        let stop = || cancel.is_cancelled();
        message::send_unless(&mut *self.association, context, &command, timeout, &stop)?;
        Ok(pending)
    }

    /// Sends a request and a data set of the next `length` bytes of `body`. Once cancelled it
    /// aborts the association, because DIMSE cannot end a message early (PS3.7 section 9.3).
    pub(crate) fn send_request_with(
        &mut self,
        context: ContextId,
        request: Request,
        body: &mut dyn Read,
        length: u64,
        cancel: &Cancel,
    ) -> Result<PendingRequest, Error> {
        let pending = self.send_request(context, request, cancel)?;
        message::send_data_set(
            &mut *self.association,
            context,
            body,
            length,
            &mut self.block,
            self.timeouts.network,
            &|| cancel.is_cancelled(),
        )?;
        Ok(pending)
    }

    /// Like [`send_request_with`](Self::send_request_with), with all of `body` as the data set.
    pub(crate) fn send_request_to_end(
        &mut self,
        context: ContextId,
        request: Request,
        body: &mut dyn Read,
        cancel: &Cancel,
    ) -> Result<PendingRequest, Error> {
        let pending = self.send_request(context, request, cancel)?;
        message::send_data_set_to_end(
            &mut *self.association,
            context,
            body,
            self.timeouts.network,
            &|| cancel.is_cancelled(),
        )?;
        Ok(pending)
    }

    /// Sends a C-CANCEL for a request. Waits at most `timeout` for the peer to read it.
    pub(crate) fn cancel(
        &mut self,
        pending: PendingRequest,
        timeout: Duration,
    ) -> Result<(), Error> {
        let responded_to = pending.message_id;
        let command = Command::Cancel { responded_to };
        message::send(&mut *self.association, pending.context, &command, timeout)
    }

    /// Returns the time limits for the peer.
    pub(crate) fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// Returns the association itself.
    pub(crate) fn association(&mut self) -> &mut dyn Association {
        &mut *self.association
    }

    /// Aborts the association.
    pub(crate) fn abort(&mut self) {
        self.association.abort();
    }

    /// Waits for the response to an operation with a single response without a data set. Once
    /// cancelled it aborts the association.
    ///
    /// # Errors
    /// [`ServiceError::Cancelled`], and those of [`message::poll_command`]. The association is
    /// aborted then, because a late response could be taken for the response to another request.
    /// [`Error::Protocol`] if the response does not match the request, and [`Error::Closed`] if the
    /// peer releases the association.
    pub(crate) fn receive_response(
        &mut self,
        pending: PendingRequest,
        cancel: &Cancel,
    ) -> Result<Response, ServiceError> {
        let (since, timeout) = (Instant::now(), self.timeouts.dimse);
        let mut rest = timeout;
        loop {
            if cancel.is_cancelled() {
                self.association.abort();
                return Err(ServiceError::Cancelled);
            }
            let interval = rest.min(CANCEL_CHECK_INTERVAL);
            let polled = message::poll_command(&mut *self.association, interval, timeout);
            let incoming = match polled.transpose() {
                Some(incoming) => incoming,
                None if rest == interval => Err(Error::TimedOut {
                    waiting: Waiting::Message,
                    after: timeout,
                }),
                None => {
                    // Also counts the requested waits, so that the wait ends on associations whose
                    // clock does not advance.
                    let left = timeout.saturating_sub(since.elapsed());
                    rest = rest.saturating_sub(interval).min(left);
                    continue;
                }
            };
            let response = self.check_response(pending, incoming)?;
            return Ok(self.check_single(response)?);
        }
    }

    /// Returns true if the association is open and nothing has arrived on it. Otherwise ends it.
    pub(crate) fn is_idle(&mut self) -> bool {
        match self.association.receive(Duration::ZERO) {
            Err(Error::TimedOut { .. }) => true,
            Ok(Event::Release) => {
                let released = self.association.release(self.timeouts.acse);
                tracing::debug!(?released, "the peer ended the association");
                false
            }
            Ok(Event::Pdv(_)) => {
                self.association.abort();
                false
            }
            Err(_) => false,
        }
    }

    /// Returns the response to a request, or the error for any other message.
    fn check_response(
        &mut self,
        pending: PendingRequest,
        incoming: Result<Incoming, Error>,
    ) -> Result<Response, Error> {
        let problem = match incoming {
            Ok(Incoming::Message {
                context,
                command: Command::Response(response),
            }) => match pending.mismatch(context, &response) {
                None => return Ok(response),
                Some(problem) => problem,
            },
            Ok(Incoming::Message { .. }) => "it sends a request where a response is expected",
            Ok(Incoming::NotUnderstood { .. }) => "its response is malformed",
            Ok(Incoming::Release) => {
                // The peer may release the association (PS3.8 section 7.2).
                self.association.release(self.timeouts.acse)?;
                return Err(Error::Closed);
            }
            Err(error) => {
                self.association.abort();
                return Err(error);
            }
        };
        self.association.abort();
        Err(Error::Protocol { problem })
    }

    /// Checks that a response has no data set and is final.
    fn check_single(&mut self, response: Response) -> Result<Response, Error> {
        let problem = if response.has_data_set {
            "its response has a data set, which is not allowed here"
        } else if response.status.class() == crate::StatusClass::Pending {
            "its response is pending, which is not allowed here"
        } else {
            return Ok(response);
        };
        self.association.abort();
        Err(Error::Protocol { problem })
    }

    /// Releases the association. If the peer does not answer, aborts it: no data is lost by that.
    pub(crate) fn release(mut self) {
        if let Err(error) = self.association.release(self.timeouts.acse) {
            tracing::debug!(peer = %self.association.peer(), %error, "not released in order");
        }
    }

    /// Like [`release`](Self::release), but once cancelled waits at most [`GRACE`] and leaves the
    /// release to a thread.
    pub(crate) fn release_unless(self, cancel: &Cancel) {
        let (sender, receiver) = mpsc::sync_channel(1);
        let releasing = move || {
            self.release();
            // Fails if the caller no longer waits.
            let _ = sender.send(());
        };
        let named = thread::Builder::new().name("anon-net-release".to_owned());
        if let Err(error) = named.spawn(releasing) {
            tracing::debug!(%error, "aborted instead of released");
            return;
        }
        let mut grace = GRACE;
        while let (Err(RecvTimeoutError::Timeout), true) = (
            receiver.recv_timeout(CANCEL_CHECK_INTERVAL),
            grace > CANCEL_CHECK_INTERVAL,
        ) {
            if cancel.is_cancelled() {
                grace -= CANCEL_CHECK_INTERVAL;
            }
        }
    }
}

impl PendingRequest {
    fn of(context: ContextId, request: &Request) -> Self {
        Self {
            context,
            operation: request.operation,
            message_id: request.message_id,
        }
    }

    pub(crate) fn mismatch(self, context: ContextId, response: &Response) -> Option<&'static str> {
        if context != self.context {
            Some("its response is in another presentation context")
        } else if response.operation != self.operation {
            Some("its response is for another operation")
        } else if response.responded_to != self.message_id {
            Some("its response is for another message")
        } else {
            None
        }
    }
}
