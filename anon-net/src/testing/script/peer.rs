//! [`ScriptedPeer`]: plays scripts, one an association.

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

/// Plays a script for each association. Clones are the same peer.
#[derive(Debug, Clone, Default)]
pub struct ScriptedPeer {
    scripts: Arc<Mutex<VecDeque<Script>>>,
    log: Log,
}

impl ScriptedPeer {
    /// A peer without a script.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what it does on its next association.
    #[must_use]
    pub fn then(self, script: Script) -> Self {
        self.scripts().push_back(script);
        self
    }

    /// Opens its next association from the other side: the peer proposes, and the code under test
    /// accepts. What the script supports is what was agreed on.
    ///
    /// # Errors
    /// What the script opens with, if it is none that accepts.
    pub fn call(&self, proposal: &Proposal) -> Result<Box<dyn Association>, Error> {
        self.open(&proposal.calling, proposal, Duration::ZERO)
    }

    /// What was proposed to it, in order.
    pub fn proposals(&self) -> Vec<Proposal> {
        self.log.proposals()
    }

    /// What it heard, once its scripts are played.
    ///
    /// # Errors
    /// [`ScriptMismatch`] if a script was not played to its end, or something else was heard than it says.
    pub fn finish(&self) -> Result<Vec<ReceivedMessage>, ScriptMismatch> {
        let left = self.scripts().len();
        self.log.finish(left)
    }

    fn scripts(&self) -> MutexGuard<'_, VecDeque<Script>> {
        // A thread that panics while it holds the scripts does so between whole operations on them.
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
            self.log.departed(number, 0, "there is no script for it");
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
