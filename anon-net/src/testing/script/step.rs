//! The steps of a script.

use std::fmt;
use std::sync::Arc;

use super::gate::Gate;
use super::message::CompleteMessage;
use crate::association::{Pdv, PdvKind, PdvPosition};
use crate::context::ContextId;
use crate::dimse::{Command, MessageId, Operation, Request, Response, Status, SubOperations};
use crate::error::AbortedBy;

/// One step of a script: an expectation or an action of the peer.
#[derive(Debug, Clone)]
pub(super) enum ScriptStep {
    /// Expects a complete request.
    Request(Operation),
    /// Expects a complete response.
    Response(Operation),
    /// Expects a C-CANCEL.
    Cancel,
    /// Expects any command set.
    Command,
    /// Expects a fragment.
    Fragment(PdvKind),
    ExpectRelease,
    ExpectAbort,
    Reply(Box<Reply>),
    Send(Fragment),
    Release,
    Abort(AbortedBy),
    Cut,
    Silence,
    StopReading,
    Wait(Gate),
    Act(TestAction),
}

/// A closure of the test that runs in the middle of a conversation.
#[derive(Clone)]
pub(super) struct TestAction(pub(super) Arc<dyn Fn() + Send + Sync>);

impl fmt::Debug for TestAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestAction")
    }
}

impl ScriptStep {
    /// Returns true if the step ends with a received fragment.
    pub(super) fn expects_fragment(&self) -> bool {
        matches!(
            self,
            Self::Request(_) | Self::Response(_) | Self::Cancel | Self::Command | Self::Fragment(_)
        )
    }

    /// Returns whether a received fragment, or the message it completes, meets the step. `None` if
    /// this is unknown until the message is complete.
    pub(super) fn is_met(&self, pdv: Pdv<'_>, message: Option<&CompleteMessage>) -> Option<bool> {
        if let Self::Fragment(kind) = self {
            return Some(*kind == pdv.kind);
        }
        let command = &message?.command;
        Some(match (self, command) {
            (Self::Command, _) | (Self::Cancel, Command::Cancel { .. }) => true,
            (Self::Request(expected), Command::Request(received)) => {
                received.operation == *expected
            }
            (Self::Response(expected), Command::Response(received)) => {
                received.operation == *expected
            }
            _ => false,
        })
    }
}

impl fmt::Display for ScriptStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(operation) => write!(f, "a {operation} request"),
            Self::Response(operation) => write!(f, "a {operation} response"),
            Self::Cancel => f.write_str("a C-CANCEL"),
            Self::Command => f.write_str("a command set"),
            Self::Fragment(PdvKind::Command) => f.write_str("a fragment of a command set"),
            Self::Fragment(PdvKind::Data) => f.write_str("a fragment of a data set"),
            Self::ExpectRelease => f.write_str("a release"),
            Self::ExpectAbort => f.write_str("an abort"),
            other => write!(f, "the peer's step {other:?}"),
        }
    }
}

/// An owned fragment. `Debug` shows no bytes.
#[derive(Clone)]
pub(super) struct Fragment {
    pub(super) context: ContextId,
    pub(super) kind: PdvKind,
    pub(super) position: PdvPosition,
    pub(super) bytes: Vec<u8>,
}

impl Fragment {
    pub(super) fn pdv(&self) -> Pdv<'_> {
        Pdv {
            context: self.context,
            kind: self.kind,
            position: self.position,
            bytes: &self.bytes,
        }
    }
}

impl fmt::Debug for Fragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pdv().fmt(f)
    }
}

/// The response to the last request that a scripted peer received. It is correct except for what is
/// set here. `Debug` shows no byte of the data set.
#[derive(Clone)]
pub struct Reply {
    status: Status,
    context: Option<ContextId>,
    operation: Option<Operation>,
    message_id: Option<MessageId>,
    counts: SubOperations,
    comment: Option<String>,
    data_set: Option<Vec<u8>>,
}

impl Reply {
    /// Creates a response with this status, without a data set.
    pub fn new(status: Status) -> Self {
        Self {
            status,
            context: None,
            operation: None,
            message_id: None,
            counts: SubOperations::default(),
            comment: None,
            data_set: None,
        }
    }

    /// Sends it in another presentation context than the request's.
    #[must_use]
    pub fn in_context(self, context: ContextId) -> Self {
        let context = Some(context);
        Self { context, ..self }
    }

    /// Sets another operation than the request's.
    #[must_use]
    pub fn to_operation(self, operation: Operation) -> Self {
        let operation = Some(operation);
        Self { operation, ..self }
    }

    /// Sets another message id than the request's.
    #[must_use]
    pub fn to_message(self, message_id: MessageId) -> Self {
        let message_id = Some(message_id);
        Self { message_id, ..self }
    }

    /// Sets the sub-operation counters.
    #[must_use]
    pub fn with_counts(self, counts: SubOperations) -> Self {
        Self { counts, ..self }
    }

    /// Sets the error comment.
    #[must_use]
    pub fn with_comment(self, comment: impl Into<String>) -> Self {
        let comment = Some(comment.into());
        Self { comment, ..self }
    }

    /// Sets the data set.
    #[must_use]
    pub fn with_data_set(self, data_set: impl Into<Vec<u8>>) -> Self {
        let data_set = Some(data_set.into());
        Self { data_set, ..self }
    }

    /// Returns the fragments of the response to a request received in this context.
    pub(super) fn fragments(&self, context: ContextId, request: &Request) -> Vec<Fragment> {
        let context = self.context.unwrap_or(context);
        let mut response: Response = request.response(self.status);
        response.operation = self.operation.unwrap_or(response.operation);
        response.responded_to = self.message_id.unwrap_or(response.responded_to);
        response.counts = self.counts;
        response.comment.clone_from(&self.comment);
        response.has_data_set = self.data_set.is_some();
        let fragment = |kind, bytes| Fragment {
            context,
            kind,
            position: PdvPosition::Last,
            bytes,
        };
        let command = fragment(PdvKind::Command, Command::Response(response).encode());
        let data_set = self.data_set.clone();
        let data_set = data_set.map(|bytes| fragment(PdvKind::Data, bytes));
        std::iter::once(command).chain(data_set).collect()
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("context", &self.context)
            .field("operation", &self.operation)
            .field("message_id", &self.message_id)
            .field("data_set", &self.data_set.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}
