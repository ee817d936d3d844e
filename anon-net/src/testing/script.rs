//! A peer that plays a conversation which the test wrote, fragment by fragment.
//!
//! ```text
//! ScriptedPeer (Dial) ─ a Script for each association ─► ScriptedAssociation, seen by the code under test
//!                                                            │ what it sends meets  expect, fragment, …
//!                                                            │ what it receives is  answer, send, abort, …
//!                                                            ▼
//!                             finish(): what was heard, or where the conversation left its script
//! ```
//!
//! It has no thread and no clock: a peer that never answers is a wait that times out at once, so no
//! test takes longer for it. To receive with a timeout of zero is to look, and no part of a script. Where the test must meet the code, it opens a [`Gate`].
//!
//! # Examples
//! A peer that answers the wrong message:
//!
//! ```
//! use std::sync::Arc;
//! use anon_net::service::{Cancel, Scu, ServiceError};
//! use anon_net::testing::{Reply, Script, ScriptedPeer};
//! use anon_net::{Error, Operation, Status, SupportedContexts, Uid};
//!
//! let supported = SupportedContexts::new()
//!     .with(Uid::new("1.2.840.10008.1.1")?, vec![Uid::new("1.2.840.10008.1.2")?]);
//! let peer = ScriptedPeer::new().then(
//!     Script::accepting(supported)
//!         .expect(Operation::Echo)
//!         .answer(Reply::new(Status::SUCCESS).to_message(999))
//!         .expect_abort(),
//! );
//! let scu = Scu::new(Arc::new(peer.clone()), "US".parse()?);
//! let error = scu.echo(&"ARCHIVE@localhost:104".parse()?, &Cancel::new()).unwrap_err();
//! assert!(matches!(error, ServiceError::Association(Error::Protocol { .. })));
//! let heard = peer.finish()?;
//! assert_eq!(heard.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod association;
mod gate;
mod log;
mod message;
mod peer;
mod player;
mod step;

use std::collections::VecDeque;
use std::io;

pub use association::ScriptedAssociation;
pub use gate::Gate;
pub use log::{ReceivedMessage, ScriptMismatch};
pub use peer::ScriptedPeer;
pub use step::Reply;

use crate::association::{PdvKind, PdvPosition};
use crate::context::{ContextId, SupportedContexts};
use crate::dimse::{Command, Operation};
use crate::error::{AbortedBy, RejectReason, RejectResult};
use step::{Fragment, ScriptStep};

/// What a peer does on one association, in order. A script that is played to its end hears no more:
/// what comes then is a [`ScriptMismatch`].
#[derive(Debug, Clone)]
pub struct Script {
    opening: ScriptOpening,
    max_pdu_bytes: u32,
    steps: VecDeque<ScriptStep>,
}

#[derive(Debug, Clone)]
enum ScriptOpening {
    Accept(SupportedContexts),
    Reject(RejectResult, RejectReason),
    Refuse(io::ErrorKind),
    Silence,
    Break(&'static str),
}

impl Script {
    fn new(opening: ScriptOpening) -> Self {
        Self {
            opening,
            max_pdu_bytes: 16 * 1024,
            steps: VecDeque::new(),
        }
    }

    /// A peer that does what is `supported` and takes P-DATA-TFs of 16 KiB.
    pub fn accepting(supported: SupportedContexts) -> Self {
        Self::new(ScriptOpening::Accept(supported))
    }

    /// A peer that rejects the association (PS3.8 section 9.3.4).
    pub fn rejecting(result: RejectResult, reason: RejectReason) -> Self {
        Self::new(ScriptOpening::Reject(result, reason))
    }

    /// Nobody there.
    pub fn unreachable(kind: io::ErrorKind) -> Self {
        Self::new(ScriptOpening::Refuse(kind))
    }

    /// A peer that takes the connection and never answers the proposal.
    pub fn mute() -> Self {
        Self::new(ScriptOpening::Silence)
    }

    /// A peer that answers the proposal with something else.
    pub fn breaking(problem: &'static str) -> Self {
        Self::new(ScriptOpening::Break(problem))
    }

    /// Sets the longest P-DATA-TF that the peer takes, in bytes.
    #[must_use]
    pub fn with_max_pdu_bytes(self, max_pdu_bytes: u32) -> Self {
        Self {
            max_pdu_bytes,
            ..self
        }
    }

    fn step(mut self, step: ScriptStep) -> Self {
        self.steps.push_back(step);
        self
    }

    /// Hears a request of this operation, with its data set if it has one.
    #[must_use]
    pub fn expect(self, operation: Operation) -> Self {
        self.step(ScriptStep::Request(operation))
    }

    /// Hears a command set, and no data set, whatever it says.
    #[must_use]
    pub fn expect_command(self) -> Self {
        self.step(ScriptStep::Command)
    }

    /// Hears the answer to an operation, with its data set if it has one.
    #[must_use]
    pub fn expect_answer(self, operation: Operation) -> Self {
        self.step(ScriptStep::Response(operation))
    }

    /// Hears a C-CANCEL.
    #[must_use]
    pub fn expect_cancel(self) -> Self {
        self.step(ScriptStep::Cancel)
    }

    /// Hears one fragment, of a data set or command set.
    #[must_use]
    pub fn expect_fragment(self, kind: PdvKind) -> Self {
        self.step(ScriptStep::Fragment(kind))
    }

    /// Hears the wish to end the association, and answers it; or the answer to its own.
    #[must_use]
    pub fn expect_release(self) -> Self {
        self.step(ScriptStep::ReleaseHeard)
    }

    /// Finds the association aborted.
    #[must_use]
    pub fn expect_abort(self) -> Self {
        self.step(ScriptStep::AbortHeard)
    }

    /// Answers the request that was heard last.
    #[must_use]
    pub fn answer(self, reply: Reply) -> Self {
        self.step(ScriptStep::Reply(Box::new(reply)))
    }

    /// Sends a message.
    #[must_use]
    pub fn send(self, context: ContextId, command: &Command, data_set: Option<&[u8]>) -> Self {
        let sent = self.send_fragment(
            context,
            PdvKind::Command,
            PdvPosition::Last,
            &command.encode(),
        );
        match data_set {
            Some(bytes) => sent.send_fragment(context, PdvKind::Data, PdvPosition::Last, bytes),
            None => sent,
        }
    }

    /// Sends a fragment of any kind and bytes.
    #[must_use]
    pub fn send_fragment(
        self,
        context: ContextId,
        kind: PdvKind,
        position: PdvPosition,
        bytes: &[u8],
    ) -> Self {
        let bytes = bytes.to_vec();
        self.step(ScriptStep::Send(Fragment {
            context,
            kind,
            position,
            bytes,
        }))
    }

    /// Asks to end the association; its answer is [`expect_release`](Self::expect_release).
    #[must_use]
    pub fn release(self) -> Self {
        self.step(ScriptStep::Release)
    }

    /// Aborts.
    #[must_use]
    pub fn abort(self, by: AbortedBy) -> Self {
        self.step(ScriptStep::Abort(by))
    }

    /// Loses the connection.
    #[must_use]
    pub fn cut(self) -> Self {
        self.step(ScriptStep::Cut)
    }

    /// Says nothing: what waits for it times out, and at once, until something else is done than to
    /// wait.
    #[must_use]
    pub fn silence(self) -> Self {
        self.step(ScriptStep::Silence)
    }

    /// Reads no more: what is sent times out, and ends the association.
    #[must_use]
    pub fn stop_reading(self) -> Self {
        self.step(ScriptStep::Deaf)
    }

    /// Does what the test says, as soon as it is met again after the step before.
    #[must_use]
    pub fn act(self, act: impl Fn() + Send + Sync + 'static) -> Self {
        self.step(ScriptStep::Act(step::TestAction(std::sync::Arc::new(act))))
    }

    /// Does nothing until the gate is open.
    #[must_use]
    pub fn wait(self, gate: &Gate) -> Self {
        self.step(ScriptStep::Wait(gate.clone()))
    }
}
