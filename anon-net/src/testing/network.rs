//! [`MemoryNetwork`]: a network in memory, on which nodes listen and dial each other.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

use super::memory::{MemoryAssociation, MemoryPeer, pair};
use crate::association::{Association, Dial, Proposal};
use crate::context::{NegotiatedContexts, SupportedContexts};
use crate::error::{RejectReason, RejectResult, Waiting};
use crate::{AeTitle, Error, Node};

/// The most associations that wait for a listener to accept them.
const BACKLOG: usize = 8;

/// A network in memory. Clones share one network. Separate networks are not connected.
#[derive(Debug, Clone, Default)]
pub struct MemoryNetwork {
    listening: Arc<Mutex<Listening>>,
}

type Listening = BTreeMap<(String, u16), ListeningNode>;

#[derive(Debug, Clone)]
struct ListeningNode {
    title: AeTitle,
    supported: SupportedContexts,
    max_pdu_bytes: u32,
    waiting: Sender<MemoryAssociation>,
}

impl MemoryNetwork {
    /// Creates a network without nodes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Listens as `node` with these supported contexts and a limit of `max_pdu_bytes` per
    /// P-DATA-TF, until the listener is dropped.
    ///
    /// # Errors
    /// [`Error::Connect`] with kind `AddrInUse` if a node already listens there.
    pub fn listen(
        &self,
        node: &Node,
        supported: SupportedContexts,
        max_pdu_bytes: u32,
    ) -> Result<MemoryListener, Error> {
        let at = (node.host().to_owned(), node.port());
        let mut listening = lock(&self.listening);
        if listening.contains_key(&at) {
            return Err(Error::Connect {
                kind: io::ErrorKind::AddrInUse,
            });
        }
        let (waiting, arriving) = bounded(BACKLOG);
        let entry = ListeningNode {
            title: node.title().clone(),
            supported,
            max_pdu_bytes,
            waiting,
        };
        listening.insert(at.clone(), entry);
        Ok(MemoryListener {
            at,
            network: Arc::downgrade(&self.listening),
            arriving,
        })
    }
}

impl Dial for MemoryNetwork {
    fn dial(
        &self,
        node: &Node,
        proposal: &Proposal,
        _timeout: Duration,
    ) -> Result<Box<dyn Association>, Error> {
        if proposal.contexts.is_empty() {
            return Err(Error::Limit {
                what: "proposals without a presentation context",
                limit: 0,
                found: 1,
            });
        }
        let refused = || Error::Connect {
            kind: io::ErrorKind::ConnectionRefused,
        };
        let at = (node.host().to_owned(), node.port());
        let entry = lock(&self.listening).get(&at).cloned();
        let entry = entry.ok_or_else(refused)?;
        if entry.title != *node.title() {
            return Err(Error::Rejected {
                result: RejectResult::Permanent,
                reason: RejectReason::CalledTitle,
            });
        }
        let answers = entry.supported.answer(&proposal.contexts);
        let contexts = NegotiatedContexts::new(&proposal.contexts, &answers)?;
        let roles = entry.supported.answer_roles(&proposal.contexts);
        let contexts = contexts.with_roles(&proposal.contexts, &roles);
        let requestor = MemoryPeer {
            title: proposal.calling.clone(),
            max_pdu_bytes: proposal.max_pdu_bytes,
        };
        let acceptor = MemoryPeer {
            title: entry.title,
            max_pdu_bytes: entry.max_pdu_bytes,
        };
        let (ours, theirs) = pair(&requestor, &acceptor, &contexts);
        match entry.waiting.try_send(theirs) {
            Ok(()) => Ok(Box::new(ours)),
            Err(TrySendError::Full(_)) => Err(Error::Rejected {
                result: RejectResult::Transient,
                reason: RejectReason::LocalLimit,
            }),
            Err(TrySendError::Disconnected(_)) => Err(refused()),
        }
    }
}

/// A listening node. Dropping it frees its address, and aborts associations that were not accepted.
#[derive(Debug)]
pub struct MemoryListener {
    at: (String, u16),
    network: Weak<Mutex<Listening>>,
    arriving: Receiver<MemoryAssociation>,
}

impl MemoryListener {
    /// Waits for an association.
    ///
    /// # Errors
    /// [`Error::TimedOut`] if none arrives.
    pub fn accept(&self, timeout: Duration) -> Result<Box<dyn Association>, Error> {
        match self.arriving.recv_timeout(timeout) {
            Ok(association) => Ok(Box::new(association)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                Err(Error::TimedOut {
                    waiting: Waiting::Association,
                    after: timeout,
                })
            }
        }
    }
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        if let Some(network) = self.network.upgrade() {
            lock(&network).remove(&self.at);
        }
    }
}

// Every operation on the map is complete before anything can panic.
fn lock(listening: &Mutex<Listening>) -> MutexGuard<'_, Listening> {
    listening.lock().unwrap_or_else(PoisonError::into_inner)
}
