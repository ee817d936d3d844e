//! Serves one C-STORE request (PS3.7 section 9.1.1, PS3.4 Annex B).

use std::borrow::Cow;
use std::io::{self, BufRead, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::observer::{AssociationEnd, ScpEvent, notify};
use super::serve::ServedAssociation;
use super::store_outcome::StoreOutcome;
use super::{HandlerResponse, Instance, failure_status};
use crate::context::ContextId;
use crate::dimse::{self, Body, Command, Malformed, Request, Status};
use crate::{Association, BackendError, Uid};

/// The Verification SOP class (PS3.4 section A.4). It has no instances.
const VERIFICATION: &str = "1.2.840.10008.1.1";

/// The result of a C-STORE request.
struct StoreResult {
    outcome: StoreOutcome,
    bytes: u64,
    /// Why it was not stored. Sent to the peer with a failure.
    reason: Option<Cow<'static, str>>,
    error: Option<BackendError>,
    /// How the association ended, if it did.
    ending: Option<AssociationEnd>,
}

impl StoreResult {
    fn refused(status: Status, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason: Some(reason.into()),
            ..Self::of(StoreOutcome::Refused(status))
        }
    }

    fn of(outcome: StoreOutcome) -> Self {
        Self {
            outcome,
            bytes: 0,
            reason: None,
            error: None,
            ending: None,
        }
    }

    /// Adds what was received. An association that ended makes every other outcome void.
    fn received(mut self, bytes: u64, ending: Option<AssociationEnd>) -> Self {
        self.bytes = bytes;
        if let Some(ending) = ending {
            self.outcome = StoreOutcome::BrokenOff;
            self.reason = Some(ending.to_string().into());
        }
        self.ending = ending;
        self
    }

    /// Returns the status of the response. `None` if none can be sent.
    fn status(&self) -> Option<Status> {
        if self.ending.is_some() {
            return None;
        }
        // The handler reports an early end of a complete body, which is an error of the handler.
        let status = self.outcome.status();
        Some(status.unwrap_or(Status::PROCESSING_FAILURE))
    }
}

impl From<Result<HandlerResponse, BackendError>> for StoreResult {
    fn from(response: Result<HandlerResponse, BackendError>) -> Self {
        match response {
            Ok(response) => Self {
                reason: response.reason.map(Cow::Owned),
                ..Self::of(response.outcome.into())
            },
            Err(error) => {
                let status = failure_status(&error);
                let reason = if status == Status::OUT_OF_RESOURCES {
                    "the receiver is out of resources: send it again later"
                } else {
                    "the receiver failed to process it"
                };
                Self {
                    reason: Some(reason.into()),
                    error: Some(error),
                    ..Self::of(StoreOutcome::Failed(status))
                }
            }
        }
    }
}

impl ServedAssociation<'_> {
    pub(super) fn store(
        &self,
        association: &mut dyn Association,
        context: ContextId,
        request: &Request,
    ) -> Result<(), AssociationEnd> {
        let began = Instant::now();
        self.count_offered();
        let instance = self.instance(association, context, request);
        let body = if request.has_data_set {
            Body::new(association, context, self.service.dimse)
        } else {
            Body::none(association, context)
        };
        let result = self.receive(&instance, body);
        let transfer_syntax = instance.as_ref().ok().map(|it| &it.transfer_syntax);
        self.record((Some(&request.sop_class), transfer_syntax), &result, began);
        if let Some(ending) = result.ending {
            return Err(ending);
        }
        let status = result.status().unwrap_or(Status::PROCESSING_FAILURE);
        let mut response = request.response(status);
        if let (false, Some(reason)) = (status == Status::SUCCESS, &result.reason) {
            response = response.with_comment(reason);
        }
        let response = Command::Response(response);
        Ok(dimse::send(
            association,
            context,
            &response,
            self.service.dimse,
        )?)
    }

    /// Refuses a C-STORE request with a malformed command set. Its instance counts as offered too.
    pub(super) fn refuse_malformed_store(
        &self,
        association: &mut dyn Association,
        context: ContextId,
        malformed: &Malformed,
    ) -> Result<(), AssociationEnd> {
        let began = Instant::now();
        self.count_offered();
        let mut body = CountedBody {
            body: if malformed.has_data_set() {
                Body::new(association, context, self.service.dimse)
            } else {
                Body::none(association, context)
            },
            served: self,
            seen: 0,
        };
        let bytes = body.drain();
        let ending = body.body.failure().map(|error| self.end_of(error));
        let status = malformed.status().unwrap_or(Status::PROCESSING_FAILURE);
        let refused = StoreResult::refused(status, malformed.to_string());
        let result = refused.received(bytes, ending);
        self.record((None, None), &result, began);
        if let Some(ending) = result.ending {
            return Err(ending);
        }
        dimse::refuse(association, context, malformed, self.service.dimse)?;
        Ok(())
    }

    fn count_offered(&self) {
        self.state.counts.offer();
        self.service.totals.instances.offer();
    }

    /// Returns the instance that the request describes, or the status that refuses the request and
    /// why.
    fn instance(
        &self,
        association: &dyn Association,
        context: ContextId,
        request: &Request,
    ) -> Result<Instance, (Status, &'static str)> {
        let accepted = association
            .contexts()
            .get(context)
            .filter(|accepted| accepted.abstract_syntax == request.sop_class)
            .filter(|_| request.sop_class.as_str() != VERIFICATION)
            .ok_or((
                Status::SOP_CLASS_NOT_SUPPORTED,
                "its SOP class is not that of the presentation context",
            ))?;
        let invalid = |reason| (Status::INVALID_ARGUMENT, reason);
        let sop_instance = request.sop_instance.clone();
        let sop_instance = sop_instance.ok_or(invalid("it has no SOP instance UID"))?;
        if !request.has_data_set {
            return Err(invalid("it has no data set"));
        }
        let mut instance = Instance::new(
            request.sop_class.clone(),
            sop_instance,
            accepted.transfer_syntax.clone(),
            self.calling.clone(),
        );
        instance.peer = self.peer;
        instance.originator.clone_from(&request.originator);
        Ok(instance)
    }

    /// Passes the instance to the handler, and drops what the handler does not read of the body.
    fn receive(
        &self,
        instance: &Result<Instance, (Status, &'static str)>,
        body: Body<'_>,
    ) -> StoreResult {
        let mut body = CountedBody {
            body,
            served: self,
            seen: 0,
        };
        let result = match instance {
            Ok(instance) => self.handle(instance, &mut body),
            Err((status, reason)) => StoreResult::refused(*status, *reason),
        };
        let bytes = body.drain();
        let ending = body.body.failure().map(|error| self.end_of(error));
        result.received(bytes, ending)
    }

    fn handle(&self, instance: &Instance, body: &mut dyn BufRead) -> StoreResult {
        let handler = &*self.service.handler;
        // The body is consistent between calls, and the handler is responsible for its own state.
        if let Ok(response) = catch_unwind(AssertUnwindSafe(|| handler.handle(instance, body))) {
            return response.into();
        }
        tracing::error!(peer = %self.calling, "the handler panicked");
        StoreResult {
            reason: Some("the receiver has an internal error".into()),
            ..StoreResult::of(StoreOutcome::Failed(Status::PROCESSING_FAILURE))
        }
    }

    /// Counts, logs and reports the outcome before the response is sent. `about` is the SOP class
    /// and the transfer syntax, as far as they are known.
    fn record(
        &self,
        (sop_class, transfer_syntax): (Option<&Uid>, Option<&Uid>),
        result: &StoreResult,
        began: Instant,
    ) {
        self.state.counts.add(result.outcome);
        self.service.totals.instances.add(result.outcome);
        let event = ScpEvent::Instance {
            calling: self.calling,
            peer: self.peer,
            sop_class,
            transfer_syntax,
            outcome: result.outcome,
            status: result.status(),
            reason: result.reason.as_deref(),
            bytes: result.bytes,
            took: began.elapsed(),
            error: result.error.as_ref(),
        };
        event.log();
        notify(&*self.service.observer, &event);
    }
}

/// A body that counts its bytes as they arrive.
struct CountedBody<'b, 's> {
    body: Body<'b>,
    served: &'s ServedAssociation<'s>,
    seen: u64,
}

impl CountedBody<'_, '_> {
    /// Reads and drops the rest. Returns the number of bytes of the whole body.
    fn drain(&mut self) -> u64 {
        while let Ok(bytes) = self.fill_buf() {
            let count = bytes.len();
            if count == 0 {
                break;
            }
            self.consume(count);
        }
        self.seen
    }
}

impl BufRead for CountedBody<'_, '_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let (body, state) = (&mut self.body, self.served.state);
        state.waiting(|| body.fill_buf().map(drop))?;
        let more = self.body.received() - self.seen;
        if more > 0 {
            self.seen += more;
            self.served.state.counts.add_bytes(more);
            self.served.service.totals.instances.add_bytes(more);
        }
        // Returns the same bytes again without waiting.
        self.body.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.body.consume(amount);
    }
}

impl Read for CountedBody<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}
