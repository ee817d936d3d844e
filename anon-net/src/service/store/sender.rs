//! [`Sender`]: C-STORE of instances one by one, on an association that is kept.

use std::collections::BTreeSet;
use std::io::Read;

use super::part10::Sort;
use crate::context::Contexts;
use crate::dimse::{Operation, Status};
use crate::service::session::Session;
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
    sorts: BTreeSet<Sort>,
    link: Option<Link>,
}

/// An open association and what it was proposed for.
#[derive(Debug)]
struct Link {
    session: Session,
    sorts: BTreeSet<Sort>,
}

impl Scu {
    /// A sender to this node. It opens its first association with its first instance.
    ///
    /// # Examples
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// use std::sync::Arc;
    /// use anon_net::service::{Cancel, Scu, Sort};
    /// use anon_net::testing::{Reply, Script, ScriptedPeer};
    /// use anon_net::{Operation, Status, Supported, Uid};
    ///
    /// let sop_class = Uid::new("1.2.840.10008.5.1.4.1.1.2")?;
    /// let transfer_syntax = Uid::new("1.2.840.10008.1.2.1")?;
    /// let supported = Supported::new().with(sop_class.clone(), vec![transfer_syntax.clone()]);
    /// let peer = ScriptedPeer::new().then(
    ///     Script::accepting(supported)
    ///         .expect(Operation::Store)
    ///         .answer(Reply::new(Status::SUCCESS))
    ///         .expect_release(),
    /// );
    /// let scu = Scu::new(Arc::new(peer.clone()), "US".parse()?);
    /// let mut sender = scu.sender(&"ARCHIVE@localhost:104".parse()?);
    /// let sort = Sort { sop_class, transfer_syntax };
    /// let mut data_set = b"a data set".as_slice();
    /// let status = sender.store(&sort, &"1.2.3".parse()?, &mut data_set, 10, &Cancel::new())?;
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
            sorts: BTreeSet::new(),
            link: None,
        }
    }
}

impl Sender {
    /// Says what instances will need, so that the next association proposes it.
    pub fn expect(&mut self, sorts: impl IntoIterator<Item = Sort>) {
        self.sorts.extend(sorts);
    }

    /// True if it has an association, as far as it knows.
    pub fn is_open(&self) -> bool {
        self.link.is_some()
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
        sort: &Sort,
        instance: &InstanceUid,
        body: &mut dyn Read,
        length: u64,
        cancel: &Cancel,
    ) -> Result<Status, ServiceError> {
        if cancel.is_cancelled() {
            return Err(ServiceError::Cancelled);
        }
        let mut link = self.link(sort, cancel)?;
        let Sort {
            sop_class,
            transfer_syntax,
        } = sort;
        let Some(context) = link.session.contexts().find(sop_class, transfer_syntax) else {
            self.link = Some(link);
            return Err(ServiceError::ContextRefused {
                sop_class: sop_class.clone(),
                transfer_syntax: Some(transfer_syntax.clone()),
            });
        };
        let context = context.id;
        let request = link
            .session
            .request(Operation::Store, sop_class.clone())
            .with_instance(instance.clone());
        let session = &mut link.session;
        let asked = session.ask_with(context, request, body, length, cancel)?;
        let response = session.answer(asked, cancel)?;
        // Only an association on which all went well is kept.
        self.link = Some(link);
        Ok(response.status)
    }

    /// The association for an instance: the one there is, or another.
    fn link(&mut self, sort: &Sort, cancel: &Cancel) -> Result<Link, ServiceError> {
        if let Some(mut link) = self.link.take() {
            if !link.sorts.contains(sort) {
                link.session.release_unless(cancel);
            } else if link.session.is_idle() {
                return Ok(link);
            }
        }
        self.sorts.insert(sort.clone());
        let sorts = self.proposed(sort);
        let mut contexts = Contexts::new();
        for sort in &sorts {
            contexts.add(sort.sop_class.clone(), vec![sort.transfer_syntax.clone()])?;
        }
        let session = self.scu.open(cancel, &self.node, contexts)?;
        Ok(Link { session, sorts })
    }

    /// What the next association is for: this, and of the rest as much as one proposal has room for.
    fn proposed(&self, needed: &Sort) -> BTreeSet<Sort> {
        let others = self.sorts.iter().filter(|sort| *sort != needed);
        others
            .take(Contexts::MAX - 1)
            .chain([needed])
            .cloned()
            .collect()
    }

    /// Ends the association in order, if one is open.
    pub fn release(mut self) {
        if let Some(link) = self.link.take() {
            link.session.release();
        }
    }
}
