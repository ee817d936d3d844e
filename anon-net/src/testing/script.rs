//! A peer that plays a scripted conversation, fragment by fragment.
//!
//! ```text
//! ScriptedPeer (Dial) ─ a Script for each association ─► ScriptedAssociation, seen by the code under test
//!                                                            │ what it sends meets  expect, fragment, …
//!                                                            │ what it receives is  answer, send, abort, …
//!                                                            ▼
//!                             finish(): what was heard, or where the conversation left its script
//! ```
//!
//! The peer has no thread and no clock. A wait for a silent peer times out at once, so it costs a
//! test no time. Receiving with a timeout of zero only checks for a message and is not part of a
//! script. A [`Gate`] synchronizes a script with the test.
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

/// The actions of a peer on one association, in order. Everything after the end of the script is a
/// [`ScriptMismatch`].
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

    /// Accepts the association with these supported contexts and a limit of 16 KiB per P-DATA-TF.
    pub fn accepting(supported: SupportedContexts) -> Self {
        Self::new(ScriptOpening::Accept(supported))
    }

    /// Rejects the association (PS3.8 section 9.3.4).
    pub fn rejecting(result: RejectResult, reason: RejectReason) -> Self {
        Self::new(ScriptOpening::Reject(result, reason))
    }

    /// Refuses the connection.
    pub fn unreachable(kind: io::ErrorKind) -> Self {
        Self::new(ScriptOpening::Refuse(kind))
    }

    /// Accepts the connection, and never answers the association request.
    pub fn mute() -> Self {
        Self::new(ScriptOpening::Silence)
    }

    /// Answers the association request with a protocol violation.
    pub fn breaking(problem: &'static str) -> Self {
        Self::new(ScriptOpening::Break(problem))
    }

    /// Sets the longest P-DATA-TF that the peer accepts, in bytes.
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

    /// Expects a request with this operation, and its data set if it has one.
    #[must_use]
    pub fn expect(self, operation: Operation) -> Self {
        self.step(ScriptStep::Request(operation))
    }

    /// Expects any command set, without its data set.
    #[must_use]
    pub fn expect_command(self) -> Self {
        self.step(ScriptStep::Command)
    }

    /// Expects a response with this operation, and its data set if it has one.
    #[must_use]
    pub fn expect_answer(self, operation: Operation) -> Self {
        self.step(ScriptStep::Response(operation))
    }

    /// Expects a C-CANCEL.
    #[must_use]
    pub fn expect_cancel(self) -> Self {
        self.step(ScriptStep::Cancel)
    }

    /// Expects one fragment of a command set or data set.
    #[must_use]
    pub fn expect_fragment(self, kind: PdvKind) -> Self {
        self.step(ScriptStep::Fragment(kind))
    }

    /// Expects a release request and answers it, or expects the response to its own.
    #[must_use]
    pub fn expect_release(self) -> Self {
        self.step(ScriptStep::ExpectRelease)
    }

    /// Expects the association to be aborted.
    #[must_use]
    pub fn expect_abort(self) -> Self {
        self.step(ScriptStep::ExpectAbort)
    }

    /// Answers the last request.
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

    /// Sends one fragment.
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

    /// Requests the release of the association. [`expect_release`](Self::expect_release) expects
    /// the response.
    #[must_use]
    pub fn release(self) -> Self {
        self.step(ScriptStep::Release)
    }

    /// Aborts the association.
    #[must_use]
    pub fn abort(self, by: AbortedBy) -> Self {
        self.step(ScriptStep::Abort(by))
    }

    /// Drops the connection.
    #[must_use]
    pub fn cut(self) -> Self {
        self.step(ScriptStep::Cut)
    }

    /// Sends nothing: waits for the peer time out at once, until the code under test does something
    /// else than wait.
    #[must_use]
    pub fn silence(self) -> Self {
        self.step(ScriptStep::Silence)
    }

    /// Stops reading: sending to the peer times out and closes the association.
    #[must_use]
    pub fn stop_reading(self) -> Self {
        self.step(ScriptStep::StopReading)
    }

    /// Runs a closure of the test, when the code under test makes its next call after the previous
    /// step.
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
