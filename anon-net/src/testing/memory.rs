//! [`MemoryAssociation`]: an association between two channels in memory.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, bounded};

use crate::association::{Association, Event, Pdv, PdvKind, PdvPosition};
use crate::context::{ContextId, NegotiatedContexts};
use crate::error::{AbortedBy, Waiting};
use crate::{AeTitle, Error};

/// How often a send that waits for room checks whether to stop.
const STOP_CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// The most PDUs on their way in one direction. A sender waits then, as with a full socket buffer.
const IN_FLIGHT: usize = 8;

/// One end of an association in memory. Follows PS3.8, but exchanges no encoded PDUs.
pub struct MemoryAssociation {
    peer: AeTitle,
    contexts: NegotiatedContexts,
    max_pdu_bytes: u32,
    channels: Option<Channels>,
    arrived: VecDeque<Fragment>,
    /// The fragment of the last event.
    current: Fragment,
    release_received: bool,
}

struct Channels {
    to_peer: Sender<Pdu>,
    from_peer: Receiver<Pdu>,
    ours: Arc<CloseReason>,
    theirs: Arc<CloseReason>,
}

enum Pdu {
    Data(Vec<Fragment>),
    ReleaseRequest,
    ReleaseReply,
}

struct Fragment {
    context: ContextId,
    kind: PdvKind,
    position: PdvPosition,
    bytes: Vec<u8>,
}

impl Fragment {
    fn of(pdv: &Pdv<'_>) -> Self {
        Self {
            context: pdv.context,
            kind: pdv.kind,
            position: pdv.position,
            bytes: pdv.bytes.to_vec(),
        }
    }

    fn pdv(&self) -> Pdv<'_> {
        Pdv {
            context: self.context,
            kind: self.kind,
            position: self.position,
            bytes: &self.bytes,
        }
    }
}

/// How one end closed. The other end reads it once the channel is closed and empty.
#[derive(Default)]
struct CloseReason(AtomicU8);

impl CloseReason {
    const LOST: u8 = 0;
    const BY_USER: u8 = 1;
    const BY_PROVIDER: u8 = 2;

    fn set(&self, how: u8) {
        self.0.store(how, Ordering::Release);
    }

    fn error(&self) -> Error {
        let by = match self.0.load(Ordering::Acquire) {
            Self::BY_USER => AbortedBy::User,
            Self::BY_PROVIDER => AbortedBy::Provider,
            _ => return Error::Lost,
        };
        Error::Aborted { by }
    }
}

/// The parameters of one end of a [`pair`].
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "a title and a limit")]
pub struct MemoryPeer {
    /// The AE title.
    pub title: AeTitle,
    /// The longest P-DATA-TF that it accepts, in bytes.
    pub max_pdu_bytes: u32,
}

/// Creates an association with these contexts, and returns the ends of the first and the second
/// peer.
pub fn pair(
    first: &MemoryPeer,
    second: &MemoryPeer,
    contexts: &NegotiatedContexts,
) -> (MemoryAssociation, MemoryAssociation) {
    let (to_second, from_first) = bounded(IN_FLIGHT);
    let (to_first, from_second) = bounded(IN_FLIGHT);
    let (one, other) = (Arc::<CloseReason>::default(), Arc::<CloseReason>::default());
    let channels = Channels {
        to_peer: to_second,
        from_peer: from_second,
        ours: Arc::clone(&one),
        theirs: Arc::clone(&other),
    };
    let back = Channels {
        to_peer: to_first,
        from_peer: from_first,
        ours: other,
        theirs: one,
    };
    (
        MemoryAssociation::new(second, contexts, channels),
        MemoryAssociation::new(first, contexts, back),
    )
}

impl MemoryAssociation {
    fn new(peer: &MemoryPeer, contexts: &NegotiatedContexts, channels: Channels) -> Self {
        Self {
            peer: peer.title.clone(),
            contexts: contexts.clone(),
            max_pdu_bytes: peer.max_pdu_bytes,
            channels: Some(channels),
            arrived: VecDeque::new(),
            current: Fragment {
                context: ContextId::FIRST,
                kind: PdvKind::Data,
                position: PdvPosition::Last,
                bytes: Vec::new(),
            },
            release_received: false,
        }
    }

    /// Drops the connection. The peer finds it lost, without an abort.
    pub fn cut(mut self) {
        self.close(CloseReason::LOST);
    }

    fn close(&mut self, how: u8) {
        // Set before the channels are closed, so that the peer can read it when it finds them
        // closed.
        if let Some(channels) = self.channels.take() {
            channels.ours.set(how);
            tracing::debug!(peer = %self.peer, how, "closed");
        }
        self.arrived.clear();
    }

    /// Closes this end, and returns the error for how the peer closed.
    fn peer_closed(&mut self) -> Error {
        match self.channels.take() {
            Some(channels) => channels.theirs.error(),
            None => Error::Closed,
        }
    }

    fn send_pdu(&mut self, pdu: Pdu, timeout: Duration, waiting: Waiting) -> Result<(), Error> {
        self.send_pdu_unless(pdu, timeout, waiting, &|| false)
    }

    fn send_pdu_unless(
        &mut self,
        mut pdu: Pdu,
        timeout: Duration,
        waiting: Waiting,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        let began = Instant::now();
        let channels = self.channels.as_ref().ok_or(Error::Closed)?;
        let error = loop {
            let rest = timeout.saturating_sub(began.elapsed());
            match channels
                .to_peer
                .send_timeout(pdu, rest.min(STOP_CHECK_INTERVAL))
            {
                Ok(()) => return Ok(()),
                Err(SendTimeoutError::Disconnected(_)) => return Err(self.peer_closed()),
                Err(SendTimeoutError::Timeout(_)) if stop() => break Error::Cancelled,
                Err(SendTimeoutError::Timeout(back)) if rest > STOP_CHECK_INTERVAL => pdu = back,
                Err(SendTimeoutError::Timeout(_)) => {
                    let after = timeout;
                    break Error::TimedOut { waiting, after };
                }
            }
        };
        self.close(CloseReason::BY_USER);
        Err(error)
    }

    fn receive_pdu(&mut self, timeout: Duration, waiting: Waiting) -> Result<Pdu, Error> {
        let channels = self.channels.as_ref().ok_or(Error::Closed)?;
        match channels.from_peer.recv_timeout(timeout) {
            Ok(pdu) => Ok(pdu),
            Err(RecvTimeoutError::Timeout) => Err(Error::TimedOut {
                waiting,
                after: timeout,
            }),
            Err(RecvTimeoutError::Disconnected) => Err(self.peer_closed()),
        }
    }

    /// Requests the release, and waits for the response.
    fn request_release(&mut self, timeout: Duration) -> Result<(), Error> {
        let began = Instant::now();
        self.send_pdu(Pdu::ReleaseRequest, timeout, Waiting::Release)?;
        loop {
            let rest = timeout.saturating_sub(began.elapsed());
            match self.receive_pdu(rest, Waiting::Release) {
                Ok(Pdu::ReleaseReply) => return Ok(()),
                Ok(Pdu::ReleaseRequest) => {
                    self.send_pdu(Pdu::ReleaseReply, rest, Waiting::Release)?;
                }
                Ok(Pdu::Data(_)) => {}
                Err(Error::TimedOut { waiting, .. }) => {
                    self.close(CloseReason::BY_USER);
                    return Err(Error::TimedOut {
                        waiting,
                        after: timeout,
                    });
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Association for MemoryAssociation {
    fn peer(&self) -> &AeTitle {
        &self.peer
    }

    fn contexts(&self) -> &NegotiatedContexts {
        &self.contexts
    }

    fn max_pdu_bytes(&self) -> u32 {
        self.max_pdu_bytes
    }

    fn send_unless(
        &mut self,
        pdvs: &[Pdv<'_>],
        timeout: Duration,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        if self.channels.is_none() {
            return Err(Error::Closed);
        }
        if stop() {
            self.abort();
            return Err(Error::Cancelled);
        }
        for pdv in pdvs {
            if self.contexts.get(pdv.context).is_none() {
                return Err(Error::Context { id: pdv.context });
            }
        }
        let found = pdvs.iter().map(Pdv::pdu_bytes).sum();
        let limit = u64::from(self.max_pdu_bytes);
        if found > limit {
            return Err(Error::Limit {
                what: "bytes of a PDU",
                limit,
                found,
            });
        }
        if pdvs.is_empty() {
            return Ok(());
        }
        tracing::trace!(peer = %self.peer, ?pdvs, "send");
        let fragments = pdvs.iter().map(Fragment::of).collect();
        self.send_pdu_unless(Pdu::Data(fragments), timeout, Waiting::Room, stop)
    }

    fn receive(&mut self, timeout: Duration) -> Result<Event<'_>, Error> {
        self.current.bytes.clear();
        if self.channels.is_none() {
            return Err(Error::Closed);
        }
        if self.arrived.is_empty() {
            match self.receive_pdu(timeout, Waiting::Message)? {
                Pdu::Data(fragments) => self.arrived.extend(fragments),
                Pdu::ReleaseRequest => {
                    self.release_received = true;
                    return Ok(Event::Release);
                }
                Pdu::ReleaseReply => {
                    self.close(CloseReason::BY_PROVIDER);
                    return Err(Error::Protocol {
                        problem: "it answers a release that was not requested",
                    });
                }
            }
        }
        match self.arrived.pop_front() {
            Some(fragment) => {
                self.current = fragment;
                let pdv = self.current.pdv();
                tracing::trace!(peer = %self.peer, ?pdv, "received");
                Ok(Event::Pdv(pdv))
            }
            None => Err(Error::Protocol {
                problem: "it sends a PDU without a fragment",
            }),
        }
    }

    fn fragment(&self) -> &[u8] {
        &self.current.bytes
    }

    fn release(&mut self, timeout: Duration) -> Result<(), Error> {
        if self.release_received {
            self.send_pdu(Pdu::ReleaseReply, timeout, Waiting::Release)?;
        } else {
            self.request_release(timeout)?;
        }
        self.close(CloseReason::LOST);
        Ok(())
    }

    fn abort(&mut self) {
        self.close(CloseReason::BY_USER);
    }
}

impl Drop for MemoryAssociation {
    fn drop(&mut self) {
        self.abort();
    }
}

impl fmt::Debug for MemoryAssociation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryAssociation")
            .field("peer", &self.peer)
            .field("contexts", &self.contexts.len())
            .field("max_pdu_bytes", &self.max_pdu_bytes)
            .field("open", &self.channels.is_some())
            .finish_non_exhaustive()
    }
}
