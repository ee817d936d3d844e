//! The steps of a script.

use std::fmt;
use std::sync::Arc;

use super::gate::Gate;
use super::message::CompleteMessage;
use crate::association::{Pdv, PdvKind, PdvPosition};
use crate::context::ContextId;
use crate::dimse::{Command, MessageId, Operation, Request, Response, Status, SubOperations};
use crate::error::AbortedBy;

/// One thing that a scripted peer hears or does.
#[derive(Debug, Clone)]
pub(super) enum ScriptStep {
    /// Hears a request, whole.
    Request(Operation),
    /// Hears a response, whole.
    Response(Operation),
    /// Hears a C-CANCEL.
    Cancel,
    /// Hears any command set.
    Command,
    /// Hears a fragment.
    Fragment(PdvKind),
    ReleaseHeard,
    AbortHeard,
    Reply(Box<Reply>),
    Send(Fragment),
    Release,
    Abort(AbortedBy),
    Cut,
    Silence,
    Deaf,
    Wait(Gate),
    Act(TestAction),
}

/// What a test does in the middle of a conversation.
#[derive(Clone)]
pub(super) struct TestAction(pub(super) Arc<dyn Fn() + Send + Sync>);

impl fmt::Debug for TestAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestAction")
    }
}

impl ScriptStep {
    /// True if it ends with a fragment that is heard.
    pub(super) fn hears(&self) -> bool {
        matches!(
            self,
            Self::Request(_) | Self::Response(_) | Self::Cancel | Self::Command | Self::Fragment(_)
        )
    }

    /// Whether it is what was heard: a fragment, and the message that it ended. None if that cannot
    /// be said before the message is whole.
    pub(super) fn met(&self, pdv: Pdv<'_>, message: Option<&CompleteMessage>) -> Option<bool> {
        if let Self::Fragment(kind) = self {
            return Some(*kind == pdv.kind);
        }
        let command = &message?.command;
        Some(match (self, command) {
            (Self::Command, _) | (Self::Cancel, Command::Cancel { .. }) => true,
            (Self::Request(wanted), Command::Request(heard)) => heard.operation == *wanted,
            (Self::Response(wanted), Command::Response(heard)) => heard.operation == *wanted,
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
            Self::ReleaseHeard => f.write_str("a release"),
            Self::AbortHeard => f.write_str("an abort"),
            other => write!(f, "nothing, before {other:?}"),
        }
    }
}

/// A fragment that is kept. `Debug` shows no bytes.
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

/// An answer to the request that a scripted peer heard last: right in all but what is set. `Debug`
/// shows no byte of the data set.
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
    /// An answer with this status, without a data set.
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

    /// In another context than the request's.
    #[must_use]
    pub fn in_context(self, context: ContextId) -> Self {
        let context = Some(context);
        Self { context, ..self }
    }

    /// To another operation than was asked for.
    #[must_use]
    pub fn to_operation(self, operation: Operation) -> Self {
        let operation = Some(operation);
        Self { operation, ..self }
    }

    /// To another message than was heard.
    #[must_use]
    pub fn to_message(self, message_id: MessageId) -> Self {
        let message_id = Some(message_id);
        Self { message_id, ..self }
    }

    /// With these counters.
    #[must_use]
    pub fn with_counts(self, counts: SubOperations) -> Self {
        Self { counts, ..self }
    }

    /// With an error comment.
    #[must_use]
    pub fn with_comment(self, comment: impl Into<String>) -> Self {
        let comment = Some(comment.into());
        Self { comment, ..self }
    }

    /// With a data set.
    #[must_use]
    pub fn with_data_set(self, data_set: impl Into<Vec<u8>>) -> Self {
        let data_set = Some(data_set.into());
        Self { data_set, ..self }
    }

    /// The fragments that answer this request, which came in this context.
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
