//! [`Sender`]: sends instances one by one, and keeps its association.

use std::collections::BTreeSet;
use std::io::Read;

use super::association::StoreAssociation;
use super::part10::StorageContext;
use crate::context::Contexts;
use crate::dimse::Status;
use crate::service::{Cancel, Scu, ServiceError};
use crate::{InstanceUid, Node};

/// Sends instances to a node one by one, and keeps the association between them.
///
/// Each association proposes the contexts of all instances so far, and those announced with
/// [`expect`](Self::expect). An instance that needs another context releases the association and
/// opens a new one. Failures are not retried, because a body can be read only once. Several senders
/// can send to the same node. Dropping a sender aborts its association.
#[derive(Debug)]
pub struct Sender {
    scu: Scu,
    node: Node,
    /// The contexts that instances have needed so far, or are expected to need.
    contexts: BTreeSet<StorageContext>,
    open: Option<StoreAssociation>,
}

impl Scu {
    /// Creates a sender to this node. It opens its first association for its first instance.
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
    /// Announces contexts that instances will need, so that the next association proposes them.
    pub fn expect(&mut self, contexts: impl IntoIterator<Item = StorageContext>) {
        self.contexts.extend(contexts);
    }

    /// Returns true if it has an association that it does not know to be closed.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Sends an instance with a data set of the next `length` bytes of `body`. Returns the status
    /// of the response, whatever it is.
    ///
    /// Opens an association if none is open, or if the open one did not propose the context.
    /// `cancel` ends the call at any point, also inside the data set, and aborts the association.
    ///
    /// # Errors
    /// [`ServiceError::ContextRefused`], after which the association is still open.
    /// [`ServiceError::Association`], after which it is closed; it contains
    /// [`Error::Unreadable`](crate::Error::Unreadable) if `body` failed.
    /// [`ServiceError::Cancelled`].
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
        // An association is kept only after a complete exchange.
        self.open = Some(open);
        Ok(status)
    }

    /// Returns the open association if it proposed the context. Otherwise opens a new one.
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

    /// Returns the contexts for a new association: the needed one, and as many of the others as one
    /// proposal can hold.
    fn proposed(&self, needed: &StorageContext) -> BTreeSet<StorageContext> {
        let others = self.contexts.iter().filter(|context| *context != needed);
        others
            .take(Contexts::MAX - 1)
            .chain([needed])
            .cloned()
            .collect()
    }

    /// Releases the association, if one is open.
    pub fn release(mut self) {
        if let Some(open) = self.open.take() {
            open.association.release();
        }
    }
}
