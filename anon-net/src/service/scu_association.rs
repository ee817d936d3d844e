//! [`ScuAssociation`]: an association of ours, as a service uses it.

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

/// How long a peer has to answer a release once the end is wished.
const GRACE: Duration = Duration::from_secs(2);

/// An open association, and the requests on it. Dropping it aborts.
#[derive(Debug)]
pub(crate) struct ScuAssociation {
    association: Box<dyn Association>,
    timeouts: Timeouts,
    last_id: MessageId,
    /// Room for what is sent of a data set, kept from one object to the next.
    block: Vec<u8>,
}

/// What an answer must be an answer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PendingRequest {
    /// In which context it was asked.
    pub(crate) context: ContextId,
    /// What was asked for.
    pub(crate) operation: Operation,
    /// Under which id.
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

    /// What both sides agreed on.
    pub(crate) fn contexts(&self) -> &NegotiatedContexts {
        self.association.contexts()
    }

    /// A request with an id that no request had for long.
    pub(crate) fn request(&mut self, operation: Operation, sop_class: Uid) -> Request {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        Request::new(operation, self.last_id, sop_class)
    }

    /// Sends a request without a data set, unless the end is wished: then the association is aborted.
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

    /// Sends a request and the `length` bytes of its data set that `body` has next. Once the end is
    /// wished the association is aborted: PS3.7 has nothing that takes half a message back.
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

    /// Asks the peer to end early what it was asked for.
    pub(crate) fn cancel(&mut self, pending: PendingRequest) -> Result<(), Error> {
        let responded_to = pending.message_id;
        let command = Command::Cancel { responded_to };
        let timeout = self.timeouts.network;
        message::send(&mut *self.association, pending.context, &command, timeout)
    }

    /// How long the peer is waited for.
    pub(crate) fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// The association itself.
    pub(crate) fn association(&mut self) -> &mut dyn Association {
        &mut *self.association
    }

    /// Ends the association at once.
    pub(crate) fn abort(&mut self) {
        self.association.abort();
    }

    /// Waits for the answer to an operation that has one only, without a data set. Waits no longer
    /// once the end is wished: the association is aborted then.
    ///
    /// # Errors
    /// [`ServiceError::Cancelled`], or those of [`message::poll_command`], after which nothing can be
    /// asked on this association: an answer that comes too late must not be taken for that to another
    /// request. Likewise [`Error::Protocol`] if it is not the answer to what was asked, and
    /// [`Error::Closed`] if the peer ends the association instead.
    pub(crate) fn receive_response(
        &mut self,
        pending: PendingRequest,
        cancel: &Cancel,
    ) -> Result<Response, ServiceError> {
        let (since, patience) = (Instant::now(), self.timeouts.dimse);
        let mut rest = patience;
        loop {
            if cancel.is_cancelled() {
                self.association.abort();
                return Err(ServiceError::Cancelled);
            }
            let glance = rest.min(CANCEL_CHECK_INTERVAL);
            let came = message::poll_command(&mut *self.association, glance, patience);
            let incoming = match came.transpose() {
                Some(incoming) => incoming,
                None if rest == glance => Err(Error::TimedOut {
                    waiting: Waiting::Message,
                    after: patience,
                }),
                None => {
                    // By what was waited for too: where a silence costs no time, it still ends.
                    let left = patience.saturating_sub(since.elapsed());
                    rest = rest.saturating_sub(glance).min(left);
                    continue;
                }
            };
            let response = self.check_response(pending, incoming)?;
            return Ok(self.check_single(response)?);
        }
    }

    /// True if the association still is open and nothing has come on it. Otherwise it is ended.
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

    /// The answer among what came.
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
            Ok(Incoming::Message { .. }) => "it sends a request where an answer is due",
            Ok(Incoming::NotUnderstood { .. }) => "its answer is not understood",
            Ok(Incoming::Release) => {
                // It may (PS3.8 section 7.2), and gets its answer.
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

    /// A response that has no data set and is the last.
    fn check_single(&mut self, response: Response) -> Result<Response, Error> {
        let problem = if response.has_data_set {
            "its answer has a data set where none can be"
        } else if response.status.class() == crate::StatusClass::Pending {
            "it says that more answers follow where one can be"
        } else {
            return Ok(response);
        };
        self.association.abort();
        Err(Error::Protocol { problem })
    }

    /// Ends the association in order. If the peer does not, it is aborted: nothing is lost by that.
    pub(crate) fn release(mut self) {
        if let Err(error) = self.association.release(self.timeouts.acse) {
            tracing::debug!(peer = %self.association.peer(), %error, "not released in order");
        }
    }

    /// As [`release`](Self::release), and waits no more than [`GRACE`] once the end is wished: the
    /// peer is left to a thread then.
    pub(crate) fn release_unless(self, cancel: &Cancel) {
        let (tell, told) = mpsc::sync_channel(1);
        let releasing = move || {
            self.release();
            // Nobody waits any more if the end is wished.
            let _ = tell.send(());
        };
        let named = thread::Builder::new().name("anon-net-release".to_owned());
        if let Err(error) = named.spawn(releasing) {
            tracing::debug!(%error, "aborted instead of released");
            return;
        }
        let mut grace = GRACE;
        while let (Err(RecvTimeoutError::Timeout), true) = (
            told.recv_timeout(CANCEL_CHECK_INTERVAL),
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
            Some("it answers in another presentation context")
        } else if response.operation != self.operation {
            Some("it answers another operation than was asked for")
        } else if response.responded_to != self.message_id {
            Some("it answers another message than was sent")
        } else {
            None
        }
    }
}
