//! [`Sender`]: C-STORE of instances one by one, on an association that is kept.

use std::collections::BTreeSet;
use std::io::Read;

use super::association::StoreAssociation;
use super::part10::StorageContext;
use crate::context::Contexts;
use crate::dimse::Status;
use crate::service::{Cancel, Scu, ServiceError};
use crate::{InstanceUid, Node};

/// Sends instances to a node one by one, as they come, and keeps the association between them.
///
/// An association proposes what all instances so far needed, and what was
/// [said](Self::expect) to be needed. One that needs more ends it and opens another. Nothing is tried
/// again here: a body can be read once only. Any number of senders may send to one node. Dropping one
/// aborts its association.
#[derive(Debug)]
pub struct Sender {
    scu: Scu,
    node: Node,
    /// What instances need.
    contexts: BTreeSet<StorageContext>,
    open: Option<StoreAssociation>,
}

impl Scu {
    /// A sender to this node. It opens its first association with its first instance.
    ///
    /// # Examples
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// use std::sync::Arc;
    /// use anon_net::service::{Cancel, Scu, StorageContext};
    /// use anon_net::testing::{Reply, Script, ScriptedPeer};
    /// use anon_net::{Operation, Status, SupportedContexts, Uid};
    ///
    /// let sop_class = Uid::new("1.2.840.10008.5.1.4.1.1.2")?;
    /// let transfer_syntax = Uid::new("1.2.840.10008.1.2.1")?;
    /// let supported = SupportedContexts::new().with(sop_class.clone(), vec![transfer_syntax.clone()]);
    /// let peer = ScriptedPeer::new().then(
    ///     Script::accepting(supported)
    ///         .expect(Operation::Store)
    ///         .answer(Reply::new(Status::SUCCESS))
    ///         .expect_release(),
    /// );
    /// let scu = Scu::new(Arc::new(peer.clone()), "US".parse()?);
    /// let mut sender = scu.sender(&"ARCHIVE@localhost:104".parse()?);
    /// let context = StorageContext { sop_class, transfer_syntax };
    /// let mut data_set = b"a data set".as_slice();
    /// let status = sender.store(&context, &"1.2.3".parse()?, &mut data_set, 10, &Cancel::new())?;
    /// assert_eq!(status, Status::SUCCESS);
    /// sender.release();
    /// peer.finish()?;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sender(&self, node: &Node) -> Sender {
        Sender {
            scu: self.clone(),
            node: node.clone(),
            contexts: BTreeSet::new(),
            open: None,
        }
    }
}

impl Sender {
    /// Says what instances will need, so that the next association proposes it.
    pub fn expect(&mut self, contexts: impl IntoIterator<Item = StorageContext>) {
        self.contexts.extend(contexts);
    }

    /// True if it has an association, as far as it knows.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Sends an instance: `length` bytes of its data set, which `body` has next. What the peer says of
    /// it is the result, whatever it is.
    ///
    /// Opens an association if none is open or the one there is does not offer what the instance
    /// needs. `cancel` breaks off, also in the middle of the data set or while the peer does not read:
    /// the association is aborted.
    ///
    /// # Errors
    /// [`ServiceError::ContextRefused`], after which the association is still open;
    /// [`ServiceError::Association`], after which it is closed, with [`Error::Unreadable`](crate::Error::Unreadable) if it is
    /// `body` that failed; [`ServiceError::Cancelled`].
    pub fn store(
        &mut self,
        context: &StorageContext,
        instance: &InstanceUid,
        body: &mut dyn Read,
        length: u64,
        cancel: &Cancel,
    ) -> Result<Status, ServiceError> {
        if cancel.is_cancelled() {
            return Err(ServiceError::Cancelled);
        }
        let mut open = self.open(context, cancel)?;
        let id = match open.accepted(context) {
            Ok(id) => id,
            Err(error) => {
                self.open = Some(open);
                return Err(error);
            }
        };
        let names = (&context.sop_class, instance);
        let status = open.store(id, names, (body, length), cancel)?;
        // Only an association on which all went well is kept.
        self.open = Some(open);
        Ok(status)
    }

    /// The association for an instance: the one there is, or another.
    fn open(
        &mut self,
        context: &StorageContext,
        cancel: &Cancel,
    ) -> Result<StoreAssociation, ServiceError> {
        if let Some(mut open) = self.open.take() {
            if !open.proposed.contains(context) {
                open.association.release_unless(cancel);
            } else if open.association.is_idle() {
                return Ok(open);
            }
        }
        self.contexts.insert(context.clone());
        StoreAssociation::open(&self.scu, &self.node, self.proposed(context), cancel)
    }

    /// What the next association is for: this, and of the rest as much as one proposal has room for.
    fn proposed(&self, needed: &StorageContext) -> BTreeSet<StorageContext> {
        let others = self.contexts.iter().filter(|context| *context != needed);
        others
            .take(Contexts::MAX - 1)
            .chain([needed])
            .cloned()
            .collect()
    }

    /// Ends the association in order, if one is open.
    pub fn release(mut self) {
        if let Some(open) = self.open.take() {
            open.association.release();
        }
    }
}
