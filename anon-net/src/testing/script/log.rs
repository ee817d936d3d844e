//! What a scripted peer heard, and where a conversation left its script.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::association::Proposal;
use crate::context::ContextId;
use crate::dimse::Command;

/// A message that a scripted peer heard. `Debug` shows no byte of the data set.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedMessage {
    /// On which association, the first being 0.
    pub association: usize,
    /// In which context.
    pub context: ContextId,
    /// Its command set.
    pub command: Command,
    /// Its data set; empty if it has none.
    pub data_set: Vec<u8>,
    /// How long each fragment of the data set was, in bytes.
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

/// Where a conversation left its script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("association {association}, step {step}: {problem}")]
#[non_exhaustive]
pub struct ScriptMismatch {
    /// On which association, the first being 0.
    pub association: usize,
    /// At which step, the first being 1.
    pub step: usize,
    /// What happened.
    pub problem: String,
}

/// What all associations of a peer write to.
#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    entries: Arc<Mutex<LogEntries>>,
}

#[derive(Debug, Default)]
struct LogEntries {
    proposals: Vec<Proposal>,
    heard: Vec<ReceivedMessage>,
    departure: Option<ScriptMismatch>,
    open: usize,
}

impl Log {
    // A thread that panics while it holds the entries does so between whole operations on them.
    fn lock(&self) -> MutexGuard<'_, LogEntries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the association that is proposed.
    pub(super) fn proposed(&self, proposal: &Proposal) -> usize {
        let mut entries = self.lock();
        entries.proposals.push(proposal.clone());
        entries.proposals.len() - 1
    }

    pub(super) fn proposals(&self) -> Vec<Proposal> {
        self.lock().proposals.clone()
    }

    pub(super) fn heard(&self, heard: ReceivedMessage) {
        self.lock().heard.push(heard);
    }

    /// The first departure counts: what follows is its consequence.
    pub(super) fn departed(&self, association: usize, step: usize, problem: impl Into<String>) {
        let problem = problem.into();
        self.lock().departure.get_or_insert(ScriptMismatch {
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
        if let Some(departure) = &entries.departure {
            return Err(departure.clone());
        }
        let problem = match (left, entries.open) {
            (0, 0) => return Ok(entries.heard.clone()),
            (0, open) => format!("{open} associations are open"),
            (left, _) => format!("{left} associations were not asked for"),
        };
        Err(ScriptMismatch {
            association: entries.proposals.len(),
            step: 0,
            problem,
        })
    }
}
