//! C-STORE of files and data sets (PS3.4 Annex B, PS3.7 section 9.1.1).
//!
//! ```text
//! items ─► SendQueue: looks ahead ─► contexts: SOP class × transfer syntax, 128 at most
//!             ▲                          │ one association for all that fit
//!             │ no response              ▼
//!             └── association lost ◄── SendTask ── C-STORE ──► response ─► SendEvent
//! ```
//!
//! An instance is sent in the transfer syntax it has: each context proposes one, and nothing is
//! transcoded. (A [`Sender`] also negotiates alternatives, for a caller that rewrites data sets
//! itself.) The bytes are read from the file directly into the fragment that is sent.
//!
//! A caller that produces the instances one by one uses a [`Sender`] instead, which does not look
//! ahead.

mod association;
mod item;
mod part10;
mod send_queue;
mod send_task;
mod sender;

use std::fmt;

pub use item::SendItem;
pub use part10::{FileMeta, StorageContext};
pub use sender::Sender;

use super::{Cancel, Scu, ServiceError};
use crate::dimse::Status;
use crate::{Node, Remedy};
use send_task::SendTask;

/// The outcome of one item. Events arrive in the order in which items finish.
#[derive(Debug)]
#[non_exhaustive]
pub struct SendEvent {
    /// The position of the item in the iterator, starting at 0.
    pub number: u64,
    /// The outcome.
    pub outcome: SendOutcome,
}

/// The outcome of an item.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum SendOutcome {
    /// The peer stored it.
    Stored {
        /// The length of the data set in bytes.
        bytes: u64,
    },
    /// The peer stored it with a warning: coerced or discarded elements, or a data set that does
    /// not match the SOP class (B000, B006, B007: PS3.4 Table B.2-1).
    StoredWithWarning {
        /// The length of the data set in bytes.
        bytes: u64,
        /// The status of the response.
        status: Status,
    },
    /// The peer did not store it, or did not answer. The other items are still sent.
    Failed(ServiceError),
}

/// The totals of one call of [`Scu::send`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SendReport {
    /// Items that were stored without a warning.
    pub stored: u64,
    /// Items that were stored with a warning.
    pub warnings: u64,
    /// Items that failed.
    pub failed: u64,
    /// Bytes of the data sets that were stored.
    pub bytes: u64,
    /// Associations that were opened.
    pub associations: u64,
}

/// Why sending ended before its last item. Items without an event were not sent or not answered.
#[derive(Debug)]
#[non_exhaustive]
pub struct SendError {
    /// The error.
    pub error: ServiceError,
    /// The totals up to the error.
    pub report: SendReport,
}

impl SendError {
    /// Returns what to do about the error.
    pub fn remedy(&self) -> Remedy {
        self.error.remedy()
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SendReport {
            stored,
            warnings,
            failed,
            ..
        } = self.report;
        let done = stored + warnings;
        write!(
            f,
            "sending ended after {done} stored and {failed} failed items"
        )
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl Scu {
    /// The most items that are taken from the iterator before the first of them is sent.
    pub const LOOK_AHEAD: usize = send_queue::MAX_ITEMS;

    /// Sends instances to a node one after the other, and reports the outcome of each.
    ///
    /// Takes up to [`LOOK_AHEAD`](Self::LOOK_AHEAD) items ahead, so that one association can
    /// propose the contexts of all of them. Items that need other contexts wait for the next
    /// association; items with the same context keep their order. Items whose context the peer does
    /// not accept fail, as do those that it does not store. The others are still sent.
    ///
    /// After a lost association, unanswered items are sent again on a new one, as often as the
    /// retries allow. Sending an instance again is safe: a peer keeps it once.
    ///
    /// `cancel` ends the call at once. Between two items the association is released. Inside an
    /// item it is aborted, because DICOM cannot cancel a C-STORE (PS3.7 section 9.3.1), and that
    /// item has no event.
    ///
    /// # Errors
    /// [`SendError`] if sending ends before the last item: it was cancelled, the node cannot be
    /// reached or rejects the association, or the peer does not answer on several associations in a
    /// row.
    ///
    /// # Examples
    /// Sends a data set to a peer that coerces elements:
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// use std::sync::Arc;
    /// use anon_net::service::{Cancel, Scu, SendItem};
    /// use anon_net::testing::{Reply, Script, ScriptedPeer};
    /// use anon_net::{Operation, Status, SupportedContexts, Uid};
    ///
    /// let ct = Uid::new("1.2.840.10008.5.1.4.1.1.2")?;
    /// let explicit = Uid::new("1.2.840.10008.1.2.1")?;
    /// let peer = ScriptedPeer::new().then(
    ///     Script::accepting(SupportedContexts::new().with(ct.clone(), vec![explicit.clone()]))
    ///         .expect(Operation::Store)
    ///         .answer(Reply::new(Status::new(0xB000)))
    ///         .expect_release(),
    /// );
    /// let scu = Scu::new(Arc::new(peer.clone()), "US".parse()?);
    /// let item = SendItem::data_set(ct, "1.2.3".parse()?, explicit, b"a data set".to_vec());
    /// let report = scu.send(
    ///     &"ARCHIVE@localhost:104".parse()?,
    ///     &mut std::iter::once(item),
    ///     &Cancel::new(),
    ///     &mut |event| println!("item {}: {:?}", event.number, event.outcome),
    /// )?;
    /// assert_eq!((report.stored, report.warnings, report.failed), (0, 1, 0));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send(
        &self,
        node: &Node,
        items: &mut dyn Iterator<Item = SendItem>,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(SendEvent),
    ) -> Result<SendReport, SendError> {
        SendTask::new(self, node, items, cancel, on_event).run()
    }
}
