//! [`Association`]: an open link between two application entities; [`Dial`] opens one. [`ul`] is both
//! over TCP and TLS.

pub mod ul;

use std::fmt;
use std::time::Duration;

use crate::context::{ContextId, Contexts, NegotiatedContexts};
use crate::{AeTitle, Error, Node};

/// What a requestor proposes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proposal {
    /// Ours. Most peers admit only titles they were configured with.
    pub calling: AeTitle,
    /// What may be sent.
    pub contexts: Contexts,
    /// The longest P-DATA-TF that the requestor takes, in bytes after the PDU's length field (PS3.8
    /// section D.1); `u32::MAX` for no limit.
    pub max_pdu_bytes: u32,
}

impl Proposal {
    /// A proposal of these contexts, with a limit of 128 KiB.
    pub fn new(calling: AeTitle, contexts: Contexts) -> Self {
        Self {
            calling,
            contexts,
            max_pdu_bytes: 128 * 1024,
        }
    }

    /// Sets the longest P-DATA-TF that the requestor takes, in bytes.
    #[must_use]
    pub fn with_max_pdu_bytes(self, max_pdu_bytes: u32) -> Self {
        Self {
            max_pdu_bytes,
            ..self
        }
    }
}

/// What a fragment is part of (PS3.8 section E.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the standard has these two")]
pub enum PdvKind {
    /// A command set.
    Command,
    /// A data set.
    Data,
}

/// Where a fragment stands (PS3.8 section E.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the standard has these two")]
pub enum PdvPosition {
    /// More of the same follow.
    More,
    /// The last of its set.
    Last,
}

/// A presentation data value: a fragment of a message (PS3.8 section 9.3.5.1). `Debug` shows no bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the standard has these four")]
pub struct Pdv<'a> {
    /// The context it is sent in.
    pub context: ContextId,
    /// What it is part of.
    pub kind: PdvKind,
    /// Where it stands.
    pub position: PdvPosition,
    /// The fragment. May be empty.
    pub bytes: &'a [u8],
}

impl Pdv<'_> {
    /// What a fragment costs beside its bytes: item length, context id, control header.
    pub const OVERHEAD: u64 = 6;

    /// The bytes it takes of a PDU.
    pub fn pdu_bytes(&self) -> u64 {
        self.bytes.len() as u64 + Self::OVERHEAD
    }
}

impl fmt::Debug for Pdv<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pdv")
            .field("context", &self.context.get())
            .field("kind", &self.kind)
            .field("position", &self.position)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

/// What comes from the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Event<'a> {
    /// A fragment.
    Pdv(Pdv<'a>),
    /// The peer wants to end the association. Answer with [`Association::release`]; what is still to
    /// be sent may be sent before.
    Release,
}

/// An open link between two application entities (PS3.8).
///
/// # Contract
/// * Fragments arrive once, whole, in order, and before the release or abort that was sent after
///   them; a lost connection may lose the last ones.
/// * [`Error::Context`] and [`Error::Limit`] of `send`, and [`Error::TimedOut`] of `receive`, leave
///   the association as it was. Every other error closes it, and the peer learns of it.
/// * On a closed association every call returns [`Error::Closed`]; aborting it does nothing.
/// * [`fragment`](Association::fragment) lends what `receive` lent, until `receive` is called again.
/// * Dropping an open association aborts it: no peer waits for one that is gone.
/// * `testing::conformance::association` (feature `testing`) passes.
pub trait Association: fmt::Debug + Send + Sync {
    /// The peer's title, as it or the requestor named it.
    fn peer(&self) -> &AeTitle;

    /// What may be sent.
    fn contexts(&self) -> &NegotiatedContexts;

    /// The longest P-DATA-TF that the peer takes, in bytes after the PDU's length field; `u32::MAX`
    /// if it sets no limit.
    fn max_pdu_bytes(&self) -> u32;

    /// Sends fragments in one PDU. Without any, nothing is sent.
    ///
    /// # Errors
    /// [`Error::Context`] or [`Error::Limit`] before anything is sent; [`Error::TimedOut`] if the peer
    /// does not read, which closes the association, since half a PDU may be on its way.
    fn send(&mut self, pdvs: &[Pdv<'_>], timeout: Duration) -> Result<(), Error> {
        self.send_unless(pdvs, timeout, &|| false)
    }

    /// As [`send`](Self::send), and aborts instead once `stop` is true: before anything is sent, or
    /// while it waits for the peer to read. What ends that wait is noticed within a tenth of a second.
    ///
    /// # Errors
    /// As [`send`](Self::send); [`Error::Cancelled`] if it is stopped, which closes the association.
    fn send_unless(
        &mut self,
        pdvs: &[Pdv<'_>],
        timeout: Duration,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Error>;

    /// Waits for what comes next. Its bytes stay until the next call.
    ///
    /// # Errors
    /// [`Error::TimedOut`], after which it can be called again; [`Error::Aborted`], [`Error::Lost`] or
    /// [`Error::Protocol`] when the association has ended otherwise.
    fn receive(&mut self, timeout: Duration) -> Result<Event<'_>, Error>;

    /// The bytes of the fragment that the last [`receive`](Self::receive) gave; empty after anything
    /// else. With it a data set is read without being copied.
    fn fragment(&self) -> &[u8];

    /// Ends the association in order: asks the peer and waits for its answer, or answers its request.
    /// Fragments that arrive meanwhile are dropped. If both sides ask at once, both are answered
    /// (PS3.8 section 7.2.2.7).
    ///
    /// # Errors
    /// [`Error::TimedOut`] if the peer does not answer: the association is aborted. Others as
    /// [`receive`](Self::receive).
    fn release(&mut self, timeout: Duration) -> Result<(), Error>;

    /// Ends the association at once, without waiting.
    fn abort(&mut self);
}

/// Opens associations. One dialler serves any number of threads and nodes.
pub trait Dial: fmt::Debug + Send + Sync {
    /// Proposes an association to a node and waits for its answer. The peer may accept no context of
    /// it: look at [`Association::contexts`].
    ///
    /// # Errors
    /// [`Error::Limit`] if the proposal has no context, [`Error::Connect`], [`Error::Rejected`],
    /// [`Error::TimedOut`], [`Error::Protocol`]. Nothing stays open.
    fn dial(
        &self,
        node: &Node,
        proposal: &Proposal,
        timeout: Duration,
    ) -> Result<Box<dyn Association>, Error>;
}

const _: () = {
    const fn shared<T: Send + Sync + ?Sized>() {}
    shared::<dyn Association>();
    shared::<dyn Dial>();
    shared::<Error>();
};
