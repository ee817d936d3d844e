//! The messages that a scripted peer received, and the first mismatch with its script.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::association::Proposal;
use crate::context::ContextId;
use crate::dimse::Command;

/// A message that a scripted peer received. `Debug` shows no byte of the data set.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedMessage {
    /// The number of the association, starting at 0.
    pub association: usize,
    /// The presentation context.
    pub context: ContextId,
    /// The command set.
    pub command: Command,
    /// The data set; empty if there is none.
    pub data_set: Vec<u8>,
    /// The length of each fragment of the data set, in bytes.
    pub fragments: Vec<usize>,
}

impl fmt::Debug for ReceivedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedMessage")
            .field("association", &self.association)
            .field("context", &self.context.get())
            .field("command", &self.command)
            .field("data_set", &self.data_set.len())
            .field("fragments", &self.fragments)
            .finish()
    }
}

/// The first difference between a conversation and its script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("association {association}, step {step}: {problem}")]
#[non_exhaustive]
pub struct ScriptMismatch {
    /// The number of the association, starting at 0.
    pub association: usize,
    /// The step of the script, starting at 1.
    pub step: usize,
    /// What happened.
    pub problem: String,
}

/// The log of all associations of a peer.
#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    entries: Arc<Mutex<LogEntries>>,
}

#[derive(Debug, Default)]
struct LogEntries {
    proposals: Vec<Proposal>,
    received: Vec<ReceivedMessage>,
    mismatch: Option<ScriptMismatch>,
    open: usize,
}

impl Log {
    // Every operation on the entries is complete before anything can panic.
    fn lock(&self) -> MutexGuard<'_, LogEntries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a proposal, and returns the number of its association.
    pub(super) fn proposed(&self, proposal: &Proposal) -> usize {
        let mut entries = self.lock();
        entries.proposals.push(proposal.clone());
        entries.proposals.len() - 1
    }

    pub(super) fn proposals(&self) -> Vec<Proposal> {
        self.lock().proposals.clone()
    }

    pub(super) fn received(&self, received: ReceivedMessage) {
        self.lock().received.push(received);
    }

    /// Keeps the first mismatch only, because the later ones follow from it.
    pub(super) fn mismatched(&self, association: usize, step: usize, problem: impl Into<String>) {
        let problem = problem.into();
        self.lock().mismatch.get_or_insert(ScriptMismatch {
            association,
            step,
            problem,
        });
    }

    pub(super) fn opened(&self) {
        self.lock().open += 1;
    }

    pub(super) fn closed(&self) {
        self.lock().open -= 1;
    }

    pub(super) fn finish(&self, left: usize) -> Result<Vec<ReceivedMessage>, ScriptMismatch> {
        let entries = self.lock();
        if let Some(mismatch) = &entries.mismatch {
            return Err(mismatch.clone());
        }
        let problem = match (left, entries.open) {
            (0, 0) => return Ok(entries.received.clone()),
            (0, open) => format!("{open} associations are still open"),
            (left, _) => format!("{left} associations were not opened"),
        };
        Err(ScriptMismatch {
            association: entries.proposals.len(),
            step: 0,
            problem,
        })
    }
}
