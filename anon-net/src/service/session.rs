//! [`Session`]: an association of ours, as a service uses it.

use std::io::Read;
use std::time::{Duration, Instant};

use super::{Cancel, LOOK, ServiceError, Timeouts};
use crate::association::{Association, Event};
use crate::context::{ContextId, Negotiated};
use crate::dimse::message::{self, Incoming};
use crate::dimse::{Command, MessageId, Operation, Request, Response};
use crate::error::Waiting;
use crate::{Error, Uid};

/// An open association, and the requests on it. Dropping it aborts.
#[derive(Debug)]
pub(crate) struct Session {
    association: Box<dyn Association>,
    timeouts: Timeouts,
    last_id: MessageId,
    /// Room for what is sent of a data set, kept from one object to the next.
    block: Vec<u8>,
}

/// What an answer must be an answer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    /// In which context it was asked.
    pub(crate) context: ContextId,
    /// What was asked for.
    pub(crate) operation: Operation,
    /// Under which id.
    pub(crate) message_id: MessageId,
}

impl Session {
    pub(super) fn new(association: Box<dyn Association>, timeouts: Timeouts) -> Self {
        Self {
            association,
            timeouts,
            last_id: 0,
            block: Vec::new(),
        }
    }

    /// What both sides agreed on.
    pub(crate) fn contexts(&self) -> &Negotiated {
        self.association.contexts()
    }

    /// A request with an id that no request had for long.
    pub(crate) fn request(&mut self, operation: Operation, sop_class: Uid) -> Request {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        Request::new(operation, self.last_id, sop_class)
    }

    /// Sends a request without a data set.
    pub(crate) fn ask(&mut self, context: ContextId, request: Request) -> Result<Asked, Error> {
        let asked = Asked::of(context, &request);
        let command = Command::Request(request);
        let timeout = self.timeouts.network;
        message::send(&mut *self.association, context, &command, timeout)?;
        Ok(asked)
    }

    /// Sends a request and the `length` bytes of its data set that `body` has next.
    pub(crate) fn ask_with(
        &mut self,
        context: ContextId,
        request: Request,
        body: &mut dyn Read,
        length: u64,
    ) -> Result<Asked, Error> {
        let asked = Asked::of(context, &request);
        let command = Command::Request(request);
        let timeout = self.timeouts.network;
        message::send(&mut *self.association, context, &command, timeout)?;
        message::send_data_set(
            &mut *self.association,
            context,
            body,
            length,
            &mut self.block,
            timeout,
        )?;
        Ok(asked)
    }

    /// Asks the peer to end early what it was asked for.
    pub(crate) fn cancel(&mut self, asked: Asked) -> Result<(), Error> {
        let responded_to = asked.message_id;
        let command = Command::Cancel { responded_to };
        let timeout = self.timeouts.network;
        message::send(&mut *self.association, asked.context, &command, timeout)
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

    /// Waits for the next answer. If it has a data set, that is still to be read.
    ///
    /// # Errors
    /// Those of [`message::receive_command`], after which nothing can be asked on this association:
    /// an answer that comes too late must not be taken for that to another request. Likewise
    /// [`Error::Protocol`] if it is not the answer to what was asked, and [`Error::Closed`] if the
    /// peer ends the association instead.
    pub(crate) fn answer(&mut self, asked: Asked) -> Result<Response, Error> {
        let incoming = message::receive_command(&mut *self.association, self.timeouts.dimse);
        self.judge(asked, incoming)
    }

    /// As [`answer`](Self::answer), and waits no longer once the end is wished: the association is
    /// aborted then.
    pub(crate) fn answer_unless(
        &mut self,
        cancel: &Cancel,
        asked: Asked,
    ) -> Result<Response, ServiceError> {
        let (since, patience) = (Instant::now(), self.timeouts.dimse);
        loop {
            if cancel.is_cancelled() {
                self.association.abort();
                return Err(ServiceError::Cancelled);
            }
            let rest = patience.saturating_sub(since.elapsed());
            let came = message::poll_command(&mut *self.association, rest.min(LOOK), patience);
            let incoming = match came.transpose() {
                Some(incoming) => incoming,
                None if rest.is_zero() => Err(Error::TimedOut {
                    waiting: Waiting::Message,
                    after: patience,
                }),
                None => continue,
            };
            let response = self.judge(asked, incoming)?;
            return Ok(self.alone(response)?);
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
    fn judge(
        &mut self,
        asked: Asked,
        incoming: Result<Incoming, Error>,
    ) -> Result<Response, Error> {
        let problem = match incoming {
            Ok(Incoming::Message {
                context,
                command: Command::Response(response),
            }) => match asked.problem(context, &response) {
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

    /// Waits for the answer to an operation that has one only, without a data set.
    ///
    /// # Errors
    /// Those of [`answer`](Self::answer).
    pub(crate) fn only_answer(&mut self, asked: Asked) -> Result<Response, Error> {
        let response = self.answer(asked)?;
        self.alone(response)
    }

    /// A response that has no data set and is the last.
    fn alone(&mut self, response: Response) -> Result<Response, Error> {
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
}

impl Asked {
    fn of(context: ContextId, request: &Request) -> Self {
        Self {
            context,
            operation: request.operation,
            message_id: request.message_id,
        }
    }

    pub(crate) fn problem(self, context: ContextId, response: &Response) -> Option<&'static str> {
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
