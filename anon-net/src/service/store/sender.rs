//! [`Sender`]: sends instances one by one, and keeps its association.

use std::collections::BTreeSet;
use std::io::Read;

use super::association::{DataSetEnd, StoreAssociation};
use super::part10::StorageContext;
use crate::context::Contexts;
use crate::dimse::Status;
use crate::service::{Cancel, Scu, ServiceError};
use crate::{InstanceUid, Node, Uid};

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
    /// The transfer syntaxes that instances can be rewritten into.
    alternatives: Vec<Uid>,
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
            alternatives: Vec::new(),
            open: None,
        }
    }
}

impl Sender {
    /// Lets instances in one of these transfer syntaxes be sent in any other of them. Each
    /// association proposes them too, and [`negotiated`](Self::negotiated) tells which one the peer
    /// accepts, the first of these before the others. Nothing is rewritten here: that is up to the
    /// caller.
    #[must_use]
    pub fn with_alternatives(self, alternatives: Vec<Uid>) -> Self {
        Self {
            alternatives,
            ..self
        }
    }

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
        let end = DataSetEnd::After(length);
        self.send(context, instance, (body, end), cancel)
    }

    /// Like [`store`](Self::store), with all of `body` as the data set. For a data set that is
    /// rewritten while it is sent, so that its length is not known.
    ///
    /// # Errors
    /// Those of [`store`](Self::store).
    pub fn store_to_end(
        &mut self,
        context: &StorageContext,
        instance: &InstanceUid,
        body: &mut dyn Read,
        cancel: &Cancel,
    ) -> Result<Status, ServiceError> {
        self.send(context, instance, (body, DataSetEnd::AtEof), cancel)
    }

    /// Returns the context to send an instance in: its own if the peer accepts it, or one with
    /// another of the [alternatives](Self::with_alternatives).
    ///
    /// Opens an association if none is open, or if the open one did not propose the context.
    ///
    /// # Errors
    /// [`ServiceError::ContextRefused`] with the context of the instance, after which the
    /// association is still open. [`ServiceError::Association`]. [`ServiceError::Cancelled`].
    pub fn negotiated(
        &mut self,
        context: &StorageContext,
        cancel: &Cancel,
    ) -> Result<StorageContext, ServiceError> {
        if cancel.is_cancelled() {
            return Err(ServiceError::Cancelled);
        }
        let open = self.open(context, cancel)?;
        let accepted = self.choose(&open, context);
        self.open = Some(open);
        accepted
    }

    fn choose(
        &self,
        open: &StoreAssociation,
        context: &StorageContext,
    ) -> Result<StorageContext, ServiceError> {
        let Err(refused) = open.accepted(context) else {
            return Ok(context.clone());
        };
        if !self.alternatives.contains(&context.transfer_syntax) {
            return Err(refused);
        }
        let others = self.alternatives.iter().map(|syntax| StorageContext {
            sop_class: context.sop_class.clone(),
            transfer_syntax: syntax.clone(),
        });
        let mut others = others.filter(|other| open.accepted(other).is_ok());
        others.next().ok_or(refused)
    }

    fn send(
        &mut self,
        context: &StorageContext,
        instance: &InstanceUid,
        body: (&mut dyn Read, DataSetEnd),
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
        let status = open.store(id, names, body, cancel)?;
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
            // An alternative that was not chosen may still be accepted by itself.
            if !open.proposed.contains(context) && open.accepted(context).is_err() {
                open.association.release_unless(cancel);
            } else if open.association.is_idle() {
                return Ok(open);
            }
        }
        self.contexts.insert(context.clone());
        let (scu, node) = (&self.scu, &self.node);
        let proposed = self.proposed(context);
        StoreAssociation::open_with(scu, node, proposed, &self.alternatives, cancel)
    }

    /// Returns the contexts for a new association: the needed one, and as many of the others as one
    /// proposal can hold, together with one more for each SOP class that has alternatives.
    fn proposed(&self, needed: &StorageContext) -> BTreeSet<StorageContext> {
        let mut classes = BTreeSet::new();
        let mut proposed = BTreeSet::new();
        let others = self.contexts.iter().filter(|context| *context != needed);
        for context in [needed].into_iter().chain(others) {
            if self.alternatives.contains(&context.transfer_syntax) {
                classes.insert(&context.sop_class);
            }
            if proposed.len() + 1 + classes.len() > Contexts::MAX {
                break;
            }
            proposed.insert(context.clone());
        }
        proposed
    }

    /// Releases the association, if one is open.
    pub fn release(mut self) {
        if let Some(open) = self.open.take() {
            open.association.release();
        }
    }
}
