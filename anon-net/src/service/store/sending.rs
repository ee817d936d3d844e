//! [`Sending`]: one call of [`Scu::send`](crate::Scu::send).

use std::collections::BTreeSet;

use super::item::{Ready, SendItem};
use super::part10::Sort;
use super::window::Window;
use super::{SendError, SendEvent, SendOutcome, SendReport};
use crate::context::Contexts;
use crate::dimse::{Operation, Status, StatusClass};
use crate::service::session::Session;
use crate::service::{Cancel, Scu, ServiceError};
use crate::{Error, Node, Remedy};

/// What is sent, to whom, and how far it is.
pub(super) struct Sending<'a> {
    scu: &'a Scu,
    node: &'a Node,
    window: Window<'a>,
    cancel: &'a Cancel,
    teller: Teller<'a>,
    link: Option<Link>,
    /// Items given up in a row, with no answer to any between.
    given_up: u32,
}

/// An open association and what it was proposed for.
struct Link {
    session: Session,
    sorts: BTreeSet<Sort>,
}

/// Tells events and counts them.
struct Teller<'a> {
    on_event: &'a mut dyn FnMut(SendEvent),
    report: SendReport,
}

impl Teller<'_> {
    fn tell(&mut self, number: u64, outcome: SendOutcome) {
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

impl<'a> Sending<'a> {
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
            window: Window::new(items),
            cancel,
            teller: Teller {
                on_event,
                report: SendReport::default(),
            },
            link: None,
            given_up: 0,
        }
    }

    pub(super) fn run(mut self) -> Result<SendReport, SendError> {
        let result = self.send_all();
        self.release();
        let report = self.teller.report;
        tracing::debug!(node = %self.node, ?report, "sending ended");
        match result {
            Ok(()) => Ok(report),
            Err(error) => Err(SendError { error, report }),
        }
    }

    fn send_all(&mut self) -> Result<(), ServiceError> {
        loop {
            let Self { window, teller, .. } = self;
            window.fill(self.cancel, |number, error| {
                teller.tell(number, SendOutcome::Failed(error));
            });
            if self.cancel.is_cancelled() {
                return Err(ServiceError::Cancelled);
            }
            if window.is_empty() {
                return Ok(());
            }
            let fitting = match &self.link {
                Some(link) => window.take(&link.sorts),
                None => None,
            };
            match fitting {
                Some(item) => self.send_one(item)?,
                // None of those that wait has a context: the next association is theirs.
                None => self.renew()?,
            }
        }
    }

    fn release(&mut self) {
        if let Some(link) = self.link.take() {
            link.session.release_unless(self.cancel);
        }
    }

    /// Opens the association that those that wait need.
    fn renew(&mut self) -> Result<(), ServiceError> {
        self.release();
        let sorts = self.window.sorts();
        let mut contexts = Contexts::new();
        for sort in &sorts {
            contexts.add(sort.sop_class.clone(), vec![sort.transfer_syntax.clone()])?;
        }
        let mut attempt = 1;
        let session = loop {
            let contexts = contexts.clone();
            match self.scu.open(self.cancel, self.node, contexts) {
                Ok(session) => break session,
                Err(ServiceError::Association(error)) if self.may_try_again(&error, attempt) => {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
            self.pause()?;
        };
        self.teller.report.associations += 1;
        self.link = Some(Link { session, sorts });
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

    /// Sends an item on the open association. An error ends the whole sending.
    fn send_one(&mut self, item: Ready) -> Result<(), ServiceError> {
        let number = item.number;
        let sent = match &mut self.link {
            Some(link) => store(&mut link.session, &item, self.cancel),
            None => Err(Error::Closed.into()),
        };
        match sent {
            Ok((status, bytes)) => {
                self.given_up = 0;
                self.teller.tell(number, outcome(status, bytes));
                Ok(())
            }
            Err(ServiceError::Association(error)) => self.lost(item, error),
            Err(ServiceError::Cancelled) => Err(ServiceError::Cancelled),
            // Nothing was sent: the association is as it was.
            Err(error) => {
                self.teller.tell(number, SendOutcome::Failed(error));
                Ok(())
            }
        }
    }

    /// The association is gone and the item not answered: it is sent again if that may help.
    fn lost(&mut self, mut item: Ready, error: Error) -> Result<(), ServiceError> {
        self.link = None;
        item.tries += 1;
        tracing::debug!(node = %self.node, number = item.number, tries = item.tries, %error, "association lost");
        if self.may_try_again(&error, item.tries) {
            self.window.put_back(item);
            return self.pause();
        }
        let read = !matches!(error, Error::Unreadable { .. });
        self.given_up += u32::from(read);
        // A peer that answers no item at all will not answer the others either.
        let remedy = match error.remedy() {
            Remedy::Retry => Remedy::Retry,
            Remedy::Skip | Remedy::Stop => Remedy::Stop,
        };
        let failed = SendOutcome::Failed(error.into());
        self.teller.tell(item.number, failed);
        if self.given_up < self.scu.retries.attempts.max(1) {
            return Ok(());
        }
        Err(ServiceError::NoAnswer { remedy })
    }
}

/// What the peer said of an item, and how long its data set is.
fn store(
    session: &mut Session,
    item: &Ready,
    cancel: &Cancel,
) -> Result<(Status, u64), ServiceError> {
    let Sort {
        sop_class,
        transfer_syntax,
    } = &item.sort;
    let Some(context) = session.contexts().find(sop_class, transfer_syntax) else {
        return Err(ServiceError::ContextRefused {
            sop_class: sop_class.clone(),
            transfer_syntax: Some(transfer_syntax.clone()),
        });
    };
    let context = context.id;
    let (mut body, length) = item.open()?;
    let request = session
        .request(Operation::Store, sop_class.clone())
        .with_instance(item.sop_instance.clone());
    let asked = session.ask_with(context, request, &mut *body, length, cancel)?;
    let response = session.answer(asked, cancel)?;
    Ok((response.status, length))
}

fn outcome(status: Status, bytes: u64) -> SendOutcome {
    match status.class() {
        StatusClass::Success => SendOutcome::Stored { bytes },
        StatusClass::Warning => SendOutcome::StoredWithWarning { bytes, status },
        // Pending is none of these: it was met before.
        StatusClass::Failure | StatusClass::Cancel | StatusClass::Pending => {
            SendOutcome::Failed(ServiceError::Refused {
                operation: Operation::Store,
                status,
            })
        }
    }
}
