//! [`Association`]: an association between two application entities. [`Dial`] opens one. Module
//! [`ul`] implements both over TCP and TLS.

pub mod ul;

use std::fmt;
use std::time::Duration;

use crate::context::{ContextId, Contexts, NegotiatedContexts};
use crate::{AeTitle, Error, Node};

/// An association request of the requestor.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proposal {
    /// Our AE title. Most peers admit only titles they were configured with.
    pub calling: AeTitle,
    /// The presentation contexts proposed.
    pub contexts: Contexts,
    /// The longest P-DATA-TF that the requestor accepts, in bytes after the PDU's length field
    /// (PS3.8 section D.1); `u32::MAX` for no limit.
    pub max_pdu_bytes: u32,
}

impl Proposal {
    /// Creates a proposal with a limit of 128 KiB per P-DATA-TF.
    pub fn new(calling: AeTitle, contexts: Contexts) -> Self {
        Self {
            calling,
            contexts,
            max_pdu_bytes: 128 * 1024,
        }
    }

    /// Sets the longest P-DATA-TF that the requestor accepts, in bytes.
    #[must_use]
    pub fn with_max_pdu_bytes(self, max_pdu_bytes: u32) -> Self {
        Self {
            max_pdu_bytes,
            ..self
        }
    }
}

/// Whether a fragment belongs to a command set or a data set (PS3.8 section E.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the standard has these two")]
pub enum PdvKind {
    /// A command set.
    Command,
    /// A data set.
    Data,
}

/// Whether a fragment is the last one of its command set or data set (PS3.8 section E.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the standard has these two")]
pub enum PdvPosition {
    /// More fragments follow.
    More,
    /// The last fragment.
    Last,
}

/// A presentation data value (PDV): one fragment of a message (PS3.8 section 9.3.5.1). `Debug`
/// shows no bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the standard has these four")]
pub struct Pdv<'a> {
    /// The presentation context.
    pub context: ContextId,
    /// Command set or data set.
    pub kind: PdvKind,
    /// Last fragment or not.
    pub position: PdvPosition,
    /// The bytes of the fragment. May be empty.
    pub bytes: &'a [u8],
}

impl Pdv<'_> {
    /// The bytes of a PDU that a fragment takes besides its own: item length, context id, message
    /// control header.
    pub const OVERHEAD: u64 = 6;

    /// Returns the number of bytes that the fragment takes in a PDU.
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

/// What [`Association::receive`] returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Event<'a> {
    /// A fragment.
    Pdv(Pdv<'a>),
    /// The peer requests the release of the association. Answer with [`Association::release`].
    /// Messages may still be sent before that.
    Release,
}

/// An open association between two application entities (PS3.8).
///
/// # Contract
/// * Fragments arrive once, whole and in order, before a release or abort that was sent after them.
///   A lost connection may lose the last fragments.
/// * [`Error::Context`] and [`Error::Limit`] of `send`, and [`Error::TimedOut`] of `receive`, leave
///   the association open. Every other error closes it and informs the peer.
/// * On a closed association every call returns [`Error::Closed`]. Aborting it does nothing.
/// * [`fragment`](Association::fragment) returns the bytes of the last `receive`, until `receive`
///   is called again.
/// * Dropping an open association aborts it, so that the peer does not wait for it.
/// * `testing::conformance::association` (feature `testing`) passes.
pub trait Association: fmt::Debug + Send + Sync {
    /// Returns the peer's AE title: the calling title on the acceptor's side, the called title on
    /// the requestor's.
    fn peer(&self) -> &AeTitle;

    /// Returns the accepted presentation contexts.
    fn contexts(&self) -> &NegotiatedContexts;

    /// Returns the longest P-DATA-TF that the peer accepts, in bytes after the PDU's length field;
    /// `u32::MAX` if it sets no limit.
    fn max_pdu_bytes(&self) -> u32;

    /// Sends fragments in one PDU. Sends nothing if `pdvs` is empty.
    ///
    /// # Errors
    /// [`Error::Context`] or [`Error::Limit`] before anything is sent. [`Error::TimedOut`] if the
    /// peer does not read: this closes the association, because part of a PDU may have been sent.
    fn send(&mut self, pdvs: &[Pdv<'_>], timeout: Duration) -> Result<(), Error> {
        self.send_unless(pdvs, timeout, &|| false)
    }

    /// Like [`send`](Self::send), but aborts the association once `stop` returns true: before
    /// anything is sent, or while the peer does not read. `stop` is checked at least every 100 ms.
    ///
    /// # Errors
    /// Those of [`send`](Self::send), and [`Error::Cancelled`] if `stop` returned true, which
    /// closes the association.
    fn send_unless(
        &mut self,
        pdvs: &[Pdv<'_>],
        timeout: Duration,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Error>;

    /// Waits for the next event. Its bytes stay valid until the next call.
    ///
    /// # Errors
    /// [`Error::TimedOut`], after which the call can be repeated. [`Error::Aborted`],
    /// [`Error::Lost`] or [`Error::Protocol`] if the association ended in another way.
    fn receive(&mut self, timeout: Duration) -> Result<Event<'_>, Error>;

    /// Returns the bytes of the fragment that the last [`receive`](Self::receive) returned; empty
    /// after any other event. Lets a data set be read without a copy.
    fn fragment(&self) -> &[u8];

    /// Releases the association: sends a release request and waits for the response, or answers the
    /// peer's request. Fragments that arrive in the meantime are dropped. If both sides request the
    /// release at once, both are answered (PS3.8 section 7.2.2.7).
    ///
    /// # Errors
    /// [`Error::TimedOut`] if the peer does not answer, after which the association is aborted.
    /// Otherwise those of [`receive`](Self::receive).
    fn release(&mut self, timeout: Duration) -> Result<(), Error>;

    /// Aborts the association without waiting.
    fn abort(&mut self);
}

/// Opens associations. One value can be used by any number of threads and for any number of nodes.
pub trait Dial: fmt::Debug + Send + Sync {
    /// Requests an association from a node and waits for the response. The peer may accept none of
    /// the contexts: check [`Association::contexts`].
    ///
    /// # Errors
    /// [`Error::Limit`] if the proposal has no context, [`Error::Connect`], [`Error::Rejected`],
    /// [`Error::TimedOut`], [`Error::Protocol`]. The connection is closed after any error.
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
