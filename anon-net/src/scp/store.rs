//! Serves one C-STORE request (PS3.7 section 9.1.1, PS3.4 Annex B).

use std::io::{self, BufRead, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::observer::{AssociationEnd, ScpEvent, notify};
use super::serve::ServedAssociation;
use super::store_outcome::StoreOutcome;
use super::{Instance, failure_status};
use crate::context::ContextId;
use crate::dimse::{Body, Request, Status};
use crate::{Association, BackendError};

/// The Verification SOP class (PS3.4 section A.4). It has no instances.
const VERIFICATION: &str = "1.2.840.10008.1.1";

/// The result of a C-STORE request.
struct StoreResult {
    outcome: StoreOutcome,
    bytes: u64,
    error: Option<BackendError>,
    /// How the association ended, if it did.
    ending: Option<AssociationEnd>,
}

impl ServedAssociation<'_> {
    pub(super) fn store(
        &self,
        association: &mut dyn Association,
        context: ContextId,
        request: &Request,
    ) -> Result<(), AssociationEnd> {
        let began = Instant::now();
        let instance = self.instance(association, context, request);
        let body = if request.has_data_set {
            Body::new(association, context, self.service.dimse)
        } else {
            Body::none(association, context)
        };
        let result = self.receive(instance, body);
        self.record(request, &result, began);
        if let Some(ending) = result.ending {
            return Err(ending);
        }
        // The handler reports an early end of a complete body, which is an error of the handler.
        let status = result
            .outcome
            .status()
            .unwrap_or(Status::PROCESSING_FAILURE);
        self.respond(association, context, request, status)
    }

    /// Returns the instance that the request describes, or the status that refuses the request.
    fn instance(
        &self,
        association: &dyn Association,
        context: ContextId,
        request: &Request,
    ) -> Result<Instance, Status> {
        let accepted = association
            .contexts()
            .get(context)
            .filter(|accepted| accepted.abstract_syntax == request.sop_class)
            .filter(|_| request.sop_class.as_str() != VERIFICATION)
            .ok_or(Status::SOP_CLASS_NOT_SUPPORTED)?;
        let sop_instance = request
            .sop_instance
            .clone()
            .filter(|_| request.has_data_set)
            .ok_or(Status::INVALID_ARGUMENT)?;
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
    fn receive(&self, instance: Result<Instance, Status>, body: Body<'_>) -> StoreResult {
        let mut body = CountedBody {
            body,
            served: self,
            seen: 0,
        };
        let (outcome, error) = match instance {
            Ok(instance) => self.handle(&instance, &mut body),
            Err(status) => (StoreOutcome::Refused(status), None),
        };
        let bytes = body.drain();
        let ending = body.body.failure().map(AssociationEnd::from);
        let outcome = if ending.is_some() {
            StoreOutcome::BrokenOff
        } else {
            outcome
        };
        StoreResult {
            outcome,
            bytes,
            error,
            ending,
        }
    }

    fn handle(
        &self,
        instance: &Instance,
        body: &mut dyn BufRead,
    ) -> (StoreOutcome, Option<BackendError>) {
        let handler = &*self.service.handler;
        // The body is consistent between calls, and the handler is responsible for its own state.
        match catch_unwind(AssertUnwindSafe(|| handler.handle(instance, body))) {
            Ok(Ok(outcome)) => (outcome.into(), None),
            Ok(Err(error)) => (StoreOutcome::Failed(failure_status(&error)), Some(error)),
            Err(_) => {
                tracing::error!(peer = %self.calling, "the handler panicked");
                (StoreOutcome::Failed(Status::PROCESSING_FAILURE), None)
            }
        }
    }

    /// Counts and reports the outcome before the response is sent.
    fn record(&self, request: &Request, result: &StoreResult, began: Instant) {
        self.state.counts.add(result.outcome);
        self.service.totals.instances.add(result.outcome);
        let event = ScpEvent::Instance {
            calling: self.calling,
            sop_class: &request.sop_class,
            outcome: result.outcome,
            bytes: result.bytes,
            took: began.elapsed(),
            error: result.error.as_ref(),
        };
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
        self.body.fill_buf()?;
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
