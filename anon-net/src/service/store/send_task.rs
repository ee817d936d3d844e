//! [`SendTask`]: one call of [`Scu::send`](crate::Scu::send).

use super::association::{DataSetEnd, StoreAssociation};
use super::item::{PreparedItem, SendItem};
use super::send_queue::SendQueue;
use super::{SendError, SendEvent, SendOutcome, SendReport};
use crate::dimse::{Operation, Status, StatusClass};
use crate::service::{Cancel, Scu, ServiceError};
use crate::{Error, Node, Remedy};

/// The state of one call.
pub(super) struct SendTask<'a> {
    scu: &'a Scu,
    node: &'a Node,
    queue: SendQueue<'a>,
    cancel: &'a Cancel,
    reporter: EventReporter<'a>,
    open: Option<StoreAssociation>,
    /// The number of failed items since the last response.
    given_up: u32,
}

/// Reports events and counts them.
struct EventReporter<'a> {
    on_event: &'a mut dyn FnMut(SendEvent),
    report: SendReport,
}

impl EventReporter<'_> {
    fn report(&mut self, number: u64, outcome: SendOutcome) {
        let report = &mut self.report;
        match &outcome {
            SendOutcome::Stored { bytes } => {
                report.stored += 1;
                report.bytes += bytes;
            }
            SendOutcome::StoredWithWarning { bytes, status } => {
                tracing::debug!(number, %status, "stored with a warning");
                report.warnings += 1;
                report.bytes += bytes;
            }
            SendOutcome::Failed(error) => {
                tracing::debug!(number, %error, "not stored");
                report.failed += 1;
            }
        }
        (self.on_event)(SendEvent { number, outcome });
    }
}

impl<'a> SendTask<'a> {
    pub(super) fn new(
        scu: &'a Scu,
        node: &'a Node,
        items: &'a mut dyn Iterator<Item = SendItem>,
        cancel: &'a Cancel,
        on_event: &'a mut dyn FnMut(SendEvent),
    ) -> Self {
        Self {
            scu,
            node,
            queue: SendQueue::new(items),
            cancel,
            reporter: EventReporter {
                on_event,
                report: SendReport::default(),
            },
            open: None,
            given_up: 0,
        }
    }

    pub(super) fn run(mut self) -> Result<SendReport, SendError> {
        let result = self.send_all();
        self.release();
        let report = self.reporter.report;
        tracing::debug!(node = %self.node, ?report, "sending ended");
        match result {
            Ok(()) => Ok(report),
            Err(error) => Err(SendError { error, report }),
        }
    }

    fn send_all(&mut self) -> Result<(), ServiceError> {
        loop {
            let Self {
                queue, reporter, ..
            } = self;
            queue.fill(self.cancel, |number, error| {
                reporter.report(number, SendOutcome::Failed(error));
            });
            if self.cancel.is_cancelled() {
                return Err(ServiceError::Cancelled);
            }
            if queue.is_empty() {
                return Ok(());
            }
            let fitting = match &self.open {
                Some(open) => queue.take(&open.proposed),
                None => None,
            };
            match fitting {
                Some(item) => self.send_one(item)?,
                // No item in the queue has a context on this association.
                None => self.renew()?,
            }
        }
    }

    fn release(&mut self) {
        if let Some(open) = self.open.take() {
            open.association.release_unless(self.cancel);
        }
    }

    /// Opens an association that proposes the contexts of the queued items.
    fn renew(&mut self) -> Result<(), ServiceError> {
        self.release();
        let contexts = self.queue.contexts();
        let mut attempt = 1;
        let open = loop {
            let contexts = contexts.clone();
            match StoreAssociation::open(self.scu, self.node, contexts, self.cancel) {
                Ok(open) => break open,
                Err(ServiceError::Association(error)) if self.may_try_again(&error, attempt) => {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
            self.pause()?;
        };
        self.reporter.report.associations += 1;
        self.open = Some(open);
        Ok(())
    }

    fn may_try_again(&self, error: &Error, tries: u32) -> bool {
        error.remedy() == Remedy::Retry && tries < self.scu.retries.attempts
    }

    fn pause(&self) -> Result<(), ServiceError> {
        if self.cancel.wait(self.scu.retries.pause) {
            Err(ServiceError::Cancelled)
        } else {
            Ok(())
        }
    }

    /// Sends an item on the open association. An error ends the call.
    fn send_one(&mut self, item: PreparedItem) -> Result<(), ServiceError> {
        let number = item.number;
        let sent = match &mut self.open {
            Some(open) => store(open, &item, self.cancel),
            None => Err(Error::Closed.into()),
        };
        match sent {
            Ok((status, bytes)) => {
                self.given_up = 0;
                self.reporter.report(number, outcome(status, bytes));
                Ok(())
            }
            Err(ServiceError::Association(error)) => self.lost(item, error),
            Err(ServiceError::Cancelled) => Err(ServiceError::Cancelled),
            // Nothing was sent, so the association is still usable.
            Err(error) => {
                self.reporter.report(number, SendOutcome::Failed(error));
                Ok(())
            }
        }
    }

    /// Handles a lost association. Queues the item again, or reports it as failed.
    fn lost(&mut self, mut item: PreparedItem, error: Error) -> Result<(), ServiceError> {
        self.open = None;
        item.tries += 1;
        tracing::debug!(node = %self.node, number = item.number, tries = item.tries, %error, "association lost");
        if self.may_try_again(&error, item.tries) {
            self.queue.put_back(item);
            return self.pause();
        }
        let read = !matches!(error, Error::Unreadable { .. });
        self.given_up += u32::from(read);
        // A peer that has answered no item is not expected to answer the others.
        let remedy = match error.remedy() {
            Remedy::Retry => Remedy::Retry,
            Remedy::Skip | Remedy::Stop => Remedy::Stop,
        };
        let failed = SendOutcome::Failed(error.into());
        self.reporter.report(item.number, failed);
        if self.given_up < self.scu.retries.attempts.max(1) {
            return Ok(());
        }
        Err(ServiceError::NoAnswer { remedy })
    }
}

/// Sends an item. Returns the status of the response and the length of the data set.
fn store(
    open: &mut StoreAssociation,
    item: &PreparedItem,
    cancel: &Cancel,
) -> Result<(Status, u64), ServiceError> {
    let id = open.accepted(&item.context)?;
    let (mut body, length) = item.open()?;
    let names = (&item.context.sop_class, &item.sop_instance);
    let end = DataSetEnd::After(length);
    let status = open.store(id, names, (&mut *body, end), cancel)?;
    Ok((status, length))
}

fn outcome(status: Status, bytes: u64) -> SendOutcome {
    match status.class() {
        StatusClass::Success => SendOutcome::Stored { bytes },
        StatusClass::Warning => SendOutcome::StoredWithWarning { bytes, status },
        // A pending status was already refused as a protocol violation.
        StatusClass::Failure | StatusClass::Cancel | StatusClass::Pending => {
            SendOutcome::Failed(ServiceError::Refused {
                operation: Operation::Store,
                status,
            })
        }
    }
}
