//! [`ScriptedPeer`]: plays one script on each association.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::association::{PeerParameters, ScriptedAssociation};
use super::log::{Log, ReceivedMessage, ScriptMismatch};
use super::player::ScriptPlayer;
use super::{Script, ScriptOpening};
use crate::association::{Association, Dial, Proposal};
use crate::context::NegotiatedContexts;
use crate::error::Waiting;
use crate::{AeTitle, Error, Node};

/// Plays one script on each association. Clones share one peer.
#[derive(Debug, Clone, Default)]
pub struct ScriptedPeer {
    scripts: Arc<Mutex<VecDeque<Script>>>,
    log: Log,
}

impl ScriptedPeer {
    /// Creates a peer without a script.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the script of the next association.
    #[must_use]
    pub fn then(self, script: Script) -> Self {
        self.scripts().push_back(script);
        self
    }

    /// Opens the next association with the peer as its requestor: the code under test is the
    /// acceptor. The contexts that the script supports are accepted.
    ///
    /// # Errors
    /// The error that the script opens with, if it does not accept the association.
    pub fn call(&self, proposal: &Proposal) -> Result<Box<dyn Association>, Error> {
        self.open(&proposal.calling, proposal, Duration::ZERO)
    }

    /// Returns the proposals it received, in order.
    pub fn proposals(&self) -> Vec<Proposal> {
        self.log.proposals()
    }

    /// Returns the messages it received. Call it after the conversation.
    ///
    /// # Errors
    /// [`ScriptMismatch`] if a script was not played to its end, or if the code under test did
    /// something else.
    pub fn finish(&self) -> Result<Vec<ReceivedMessage>, ScriptMismatch> {
        let left = self.scripts().len();
        self.log.finish(left)
    }

    fn scripts(&self) -> MutexGuard<'_, VecDeque<Script>> {
        // Every operation on the scripts is complete before anything can panic.
        self.scripts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(
        &self,
        title: &AeTitle,
        proposal: &Proposal,
        timeout: Duration,
    ) -> Result<Box<dyn Association>, Error> {
        let refused = Error::Connect {
            kind: io::ErrorKind::ConnectionRefused,
        };
        let number = self.log.proposed(proposal);
        let Some(script) = self.scripts().pop_front() else {
            self.log.mismatched(number, 0, "there is no script for it");
            return Err(refused);
        };
        let supported = match script.opening {
            ScriptOpening::Accept(supported) => supported,
            ScriptOpening::Reject(result, reason) => {
                return Err(Error::Rejected { result, reason });
            }
            ScriptOpening::Refuse(kind) => return Err(Error::Connect { kind }),
            ScriptOpening::Break(problem) => return Err(Error::Protocol { problem }),
            ScriptOpening::Silence => {
                return Err(Error::TimedOut {
                    waiting: Waiting::Association,
                    after: timeout,
                });
            }
        };
        let answers = supported.answer(&proposal.contexts);
        let contexts = NegotiatedContexts::new(&proposal.contexts, &answers)?;
        let parameters = PeerParameters {
            peer: title.clone(),
            contexts,
            max_pdu_bytes: script.max_pdu_bytes,
        };
        let player = ScriptPlayer::new(script.steps, self.log.clone(), number);
        Ok(Box::new(ScriptedAssociation::new(parameters, player)))
    }
}

impl Dial for ScriptedPeer {
    fn dial(
        &self,
        node: &Node,
        proposal: &Proposal,
        timeout: Duration,
    ) -> Result<Box<dyn Association>, Error> {
        self.open(node.title(), proposal, timeout)
    }
}
