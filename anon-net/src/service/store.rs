//! C-STORE of files and data sets (PS3.4 Annex B, PS3.7 section 9.1.1).
//!
//! ```text
//! items ─► SendQueue: looks ahead ─► contexts: SOP class × transfer syntax, 128 at most
//!             ▲                          │ one association for all that fit
//!             │ not answered             ▼
//!             └── association lost ◄── SendTask ── C-STORE ──► answer ─► SendEvent
//! ```
//!
//! An instance goes out in the transfer syntax it has: each context offers one, and nothing is
//! transcoded. Its bytes are read from the file straight into the fragment that is sent.
//!
//! Who has the instances one by one keeps a [`Sender`] instead: it looks ahead to none.

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

/// What became of one item. Events come in the order in which items are done with.
#[derive(Debug)]
#[non_exhaustive]
pub struct SendEvent {
    /// Which item: its place in the order of the iterator, the first being 0.
    pub number: u64,
    /// What became of it.
    pub outcome: SendOutcome,
}

/// What became of an item.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum SendOutcome {
    /// The peer has it.
    Stored {
        /// How long the data set is, in bytes.
        bytes: u64,
    },
    /// The peer has it, but not quite as it was sent: it coerced or dropped elements, or took it for
    /// another SOP class (B000, B006, B007: PS3.4 Table B.2-1).
    StoredWithWarning {
        /// How long the data set is, in bytes.
        bytes: u64,
        /// What the peer said.
        status: Status,
    },
    /// The peer does not have it, or did not say that it has. The others go on.
    Failed(ServiceError),
}

/// What was done of a sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SendReport {
    /// Items that the peer has, without a warning.
    pub stored: u64,
    /// Items that the peer has, with a warning.
    pub warnings: u64,
    /// Items that failed.
    pub failed: u64,
    /// Bytes of the data sets that the peer has.
    pub bytes: u64,
    /// Associations that were opened.
    pub associations: u64,
}

/// Why a sending ended before its last item. Items without an event were not sent, or not answered.
#[derive(Debug)]
#[non_exhaustive]
pub struct SendError {
    /// Why.
    pub error: ServiceError,
    /// What was done until then.
    pub report: SendReport,
}

impl SendError {
    /// What to do about it.
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
        write!(f, "the sending ended after {done} stored, {failed} failed")
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl Scu {
    /// The most items that are drawn before the first of them is sent.
    pub const LOOK_AHEAD: usize = send_queue::MAX_ITEMS;

    /// Sends instances to a node, one after the other, and tells what became of each.
    ///
    /// Up to [`LOOK_AHEAD`](Self::LOOK_AHEAD) items are drawn before they are sent, so that one
    /// association proposes what all of them need; items that need other contexts than it has wait
    /// for the next, and overtake none of their kind. Items whose context the peer refuses fail, as do
    /// those that it does not store; the rest go on.
    ///
    /// When an association is lost, what was not answered is sent again on a new one, as often as the
    /// retries say. Sending an instance again is safe: a peer keeps it once.
    ///
    /// `cancel` ends it at once. Between two items the association is released; inside one, however
    /// large it is, it is aborted, since DICOM has nothing that ends a C-STORE early (PS3.7 section
    /// 9.3.1), and no event tells of that item.
    ///
    /// # Errors
    /// [`SendError`] if it ends before the last item: it was cancelled, the node cannot be reached or
    /// rejects us, or the peer gives up association after association without an answer.
    ///
    /// # Examples
    /// A data set to a peer that changes what it stores:
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
