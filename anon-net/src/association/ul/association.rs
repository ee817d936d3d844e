//! [`UlAssociation`]: an association over a byte stream.

use std::fmt;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::time::{Duration, Instant};

use super::data_pdu::write_data;
use super::handshake::after;
use super::pdu::{
    ABORT, DATA_TF, HEADER_LEN, PDV_HEADER_LEN, PduHeader, PdvHeader, RELEASE_REPLY,
    RELEASE_REQUEST, RELEASE_RP, RELEASE_RQ, SHORT_LEN, UNKNOWN_CONTEXT, USER_ABORT, Violation,
    aborted_by, out_of_place,
};
use super::receive_buffer::{ReadError, ReceiveBuffer};
use super::transport::{TlsFailure, Transport, close_gracefully, timed_out, write_all};
use crate::association::{Association, Event, Pdv};
use crate::context::{ContextId, NegotiatedContexts};
use crate::error::{AbortedBy, Waiting};
use crate::{AeTitle, Error};

/// Which side proposed the association.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Requestor,
    Acceptor,
}

/// An association over TCP, TLS or another byte stream (PS3.8 section 9).
///
/// Received fragments are read from its buffer, and sent fragments are written from the caller's
/// memory. Neither is copied.
pub struct UlAssociation {
    side: Side,
    peer: AeTitle,
    contexts: NegotiatedContexts,
    /// One bit for each accepted context id.
    accepted: u128,
    /// The longest P-DATA-TF that the peer accepts.
    max_pdu_bytes: u32,
    /// The longest P-DATA-TF that we accept.
    announced: u32,
    /// `None` once the association is closed.
    transport: Option<Box<dyn Transport>>,
    buffer: ReceiveBuffer,
    /// The bytes that are left of the first P-DATA-TF in the buffer.
    data_left: usize,
    /// The range of the last fragment in the buffer.
    fragment: Range<usize>,
    /// The peer has requested the release.
    release_received: bool,
    /// We have requested the release.
    release_sent: bool,
}

/// The result of association establishment.
#[derive(Debug)]
pub(super) struct Agreement {
    pub(super) side: Side,
    pub(super) peer: AeTitle,
    pub(super) contexts: NegotiatedContexts,
    pub(super) max_pdu_bytes: u32,
    pub(super) announced: u32,
}

enum ReceivedPdu {
    Fragment(PdvHeader),
    ReleaseRequest,
    ReleaseReply,
}

enum ReceiveError {
    Closed,
    Read(ReadError),
    Aborted(AbortedBy),
}

impl From<ReadError> for ReceiveError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<Violation> for ReceiveError {
    fn from(violation: Violation) -> Self {
        Self::Read(ReadError::Violation(violation))
    }
}

const fn bit(id: ContextId) -> u128 {
    1 << (id.get() / 2)
}

impl UlAssociation {
    pub(super) fn new(
        transport: Box<dyn Transport>,
        mut buffer: ReceiveBuffer,
        agreement: Agreement,
    ) -> Self {
        let longest = usize::try_from(agreement.announced).unwrap_or(usize::MAX);
        buffer.prepare(longest);
        let ids = agreement.contexts.iter().map(|accepted| bit(accepted.id));
        tracing::debug!(peer = %agreement.peer, contexts = agreement.contexts.len(), "associated");
        Self {
            accepted: ids.fold(0, |all, one| all | one),
            side: agreement.side,
            peer: agreement.peer,
            contexts: agreement.contexts,
            max_pdu_bytes: agreement.max_pdu_bytes,
            announced: agreement.announced,
            transport: Some(transport),
            buffer,
            data_left: 0,
            fragment: 0..0,
            release_received: false,
            release_sent: false,
        }
    }

    /// Waits for the next event. The call can be repeated after a timeout.
    fn next(&mut self, deadline: Instant) -> Result<ReceivedPdu, ReceiveError> {
        self.fragment = 0..0;
        let Some(transport) = self.transport.as_deref_mut() else {
            return Err(ReceiveError::Closed);
        };
        if self.data_left == 0 {
            let allowed = AllowedPdus {
                longest: self.announced,
                data: !self.release_received,
                reply: self.release_sent,
            };
            let admit = |header, _: &[u8]| allowed.admit(header);
            let header = self.buffer.pdu(transport, deadline, admit)?;
            self.buffer.consume(HEADER_LEN);
            if header.kind != DATA_TF {
                return self.control(header);
            }
            self.data_left = header.length;
        }
        let rest = self.buffer.unread().get(..self.data_left);
        let header = PdvHeader::read(rest.unwrap_or_default())?;
        if self.accepted & bit(header.context) == 0 {
            return Err(Violation::invalid(UNKNOWN_CONTEXT).into());
        }
        self.buffer.consume(PDV_HEADER_LEN);
        self.fragment = self.buffer.consume(header.length);
        self.data_left -= PDV_HEADER_LEN + header.length;
        Ok(ReceivedPdu::Fragment(header))
    }

    /// Consumes the body of a PDU other than P-DATA-TF.
    fn control(&mut self, header: PduHeader) -> Result<ReceivedPdu, ReceiveError> {
        let body = self.buffer.consume(header.length);
        match header.kind {
            RELEASE_RQ => {
                self.release_received = true;
                Ok(ReceivedPdu::ReleaseRequest)
            }
            RELEASE_RP => Ok(ReceivedPdu::ReleaseReply),
            _ => Err(ReceiveError::Aborted(aborted_by(self.buffer.get(body)))),
        }
    }

    /// Converts the error of a read. Closes the association unless the read only timed out.
    fn read_failed(&mut self, error: ReceiveError, waiting: Waiting, after: Duration) -> Error {
        let error = match error {
            ReceiveError::Closed => Error::Closed,
            ReceiveError::Read(ReadError::Io(error)) if timed_out(&error) => {
                return Error::TimedOut { waiting, after };
            }
            ReceiveError::Read(ReadError::Io(error)) => TlsFailure::or_lost(&error),
            ReceiveError::Read(ReadError::End) => Error::Lost,
            ReceiveError::Read(ReadError::Violation(violation)) => {
                self.close(&violation.abort_pdu());
                Error::Protocol {
                    problem: violation.problem,
                }
            }
            ReceiveError::Aborted(by) => Error::Aborted { by },
        };
        self.close(&[]);
        error
    }

    /// Sends a final PDU, if any, and closes the connection.
    fn close(&mut self, last: &[u8]) {
        if let Some(mut transport) = self.transport.take() {
            close_gracefully(&mut *transport, last, Instant::now());
            tracing::debug!(peer = %self.peer, "closed");
        }
    }

    fn send_pdu(&mut self, pdu: &[u8], deadline: Instant, after: Duration) -> Result<(), Error> {
        let transport = self.transport.as_deref_mut().ok_or(Error::Closed)?;
        let written = write_all(transport, &mut [IoSlice::new(pdu)], deadline);
        written.map_err(|error| self.write_failed(&error, Waiting::Release, after))
    }

    /// Converts the error of a write. Closes the association, because part of a PDU may have been
    /// sent.
    fn write_failed(&mut self, error: &io::Error, waiting: Waiting, after: Duration) -> Error {
        let error = if timed_out(error) {
            Error::TimedOut { waiting, after }
        } else {
            self.read_abort()
        };
        if let Some(mut transport) = self.transport.take() {
            transport.reset();
            tracing::debug!(peer = %self.peer, "reset");
        }
        error
    }

    /// Reads the unread PDUs after a failed write. Returns the peer's abort if one is among them.
    fn read_abort(&mut self) -> Error {
        const ENOUGH: usize = 10_000;
        let now = Instant::now();
        for _ in 0..ENOUGH {
            match self.next(now) {
                Ok(_) => {}
                Err(ReceiveError::Aborted(by)) => return Error::Aborted { by },
                Err(_) => break,
            }
        }
        Error::Lost
    }

    fn check(&self, pdvs: &[Pdv<'_>]) -> Result<u32, Error> {
        for pdv in pdvs {
            if self.accepted & bit(pdv.context) == 0 {
                return Err(Error::Context { id: pdv.context });
            }
        }
        let found = pdvs.iter().map(Pdv::pdu_bytes).sum::<u64>();
        u32::try_from(found)
            .ok()
            .filter(|length| *length <= self.max_pdu_bytes)
            .ok_or(Error::Limit {
                what: "bytes of a PDU",
                limit: u64::from(self.max_pdu_bytes),
                found,
            })
    }
}

/// The PDUs that are allowed now (PS3.8 section 9.2.3).
struct AllowedPdus {
    longest: u32,
    /// P-DATA-TF and A-RELEASE-RQ.
    data: bool,
    /// A-RELEASE-RP.
    reply: bool,
}

impl AllowedPdus {
    fn admit(&self, header: PduHeader) -> Result<(), Violation> {
        let longest = usize::try_from(self.longest).unwrap_or(usize::MAX);
        match header.kind {
            DATA_TF if self.data => match header.length {
                0 => Err(Violation::invalid("it sends a PDU without a fragment")),
                length if length > longest => Err(Violation::invalid(
                    "it sends a PDU longer than we announced",
                )),
                _ => Ok(()),
            },
            RELEASE_RQ if self.data => check_short(header),
            RELEASE_RP if self.reply => check_short(header),
            // A peer that aborts gets no answer, also if its A-ABORT is malformed.
            ABORT => check_short(header).map_err(|violation| Violation {
                reason: None,
                ..violation
            }),
            kind => Err(out_of_place(kind)),
        }
    }
}

fn check_short(header: PduHeader) -> Result<(), Violation> {
    if header.length == SHORT_LEN {
        Ok(())
    } else {
        Err(Violation::invalid(
            "it sends a release or abort with a wrong length",
        ))
    }
}

impl Association for UlAssociation {
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
        if self.transport.is_none() {
            return Err(Error::Closed);
        }
        // An A-ABORT can be sent only between two PDUs (PS3.8 section 7.3).
        if stop() {
            self.abort();
            return Err(Error::Cancelled);
        }
        let length = self.check(pdvs)?;
        let Some(transport) = self.transport.as_deref_mut().filter(|_| !pdvs.is_empty()) else {
            return Ok(());
        };
        tracing::trace!(peer = %self.peer, ?pdvs, "send");
        let written = write_data(transport, pdvs, length, after(timeout), stop);
        written.map_err(|error| {
            let stopped = timed_out(&error) && stop();
            let error = self.write_failed(&error, Waiting::Room, timeout);
            if stopped { Error::Cancelled } else { error }
        })
    }

    fn receive(&mut self, timeout: Duration) -> Result<Event<'_>, Error> {
        match self.next(after(timeout)) {
            Ok(ReceivedPdu::Fragment(header)) => {
                let pdv = Pdv {
                    context: header.context,
                    kind: header.kind,
                    position: header.position,
                    bytes: self.buffer.get(self.fragment.clone()),
                };
                tracing::trace!(peer = %self.peer, ?pdv, "received");
                Ok(Event::Pdv(pdv))
            }
            Ok(ReceivedPdu::ReleaseRequest) => Ok(Event::Release),
            // Allowed only after our release request, and only `release` reads then.
            Ok(ReceivedPdu::ReleaseReply) => {
                let violation = out_of_place(RELEASE_RP);
                Err(self.read_failed(violation.into(), Waiting::Message, timeout))
            }
            Err(error) => Err(self.read_failed(error, Waiting::Message, timeout)),
        }
    }

    fn fragment(&self) -> &[u8] {
        self.buffer.get(self.fragment.clone())
    }

    fn release(&mut self, timeout: Duration) -> Result<(), Error> {
        let deadline = after(timeout);
        if self.release_received {
            self.send_pdu(&RELEASE_REPLY, deadline, timeout)?;
            self.close(&[]);
            return Ok(());
        }
        self.send_pdu(&RELEASE_REQUEST, deadline, timeout)?;
        self.release_sent = true;
        loop {
            match self.next(deadline) {
                // These fragments arrived too late to be read.
                Ok(ReceivedPdu::Fragment(_)) => {}
                // Release collision: the requestor answers first (PS3.8 section 9.2.3, AR-8 to
                // AR-10).
                Ok(ReceivedPdu::ReleaseRequest) if self.side == Side::Acceptor => {}
                Ok(ReceivedPdu::ReleaseRequest) => {
                    self.send_pdu(&RELEASE_REPLY, deadline, timeout)?;
                }
                Ok(ReceivedPdu::ReleaseReply) => {
                    if self.release_received && self.side == Side::Acceptor {
                        self.send_pdu(&RELEASE_REPLY, deadline, timeout)?;
                    }
                    self.close(&[]);
                    return Ok(());
                }
                Err(error) => {
                    let error = self.read_failed(error, Waiting::Release, timeout);
                    self.abort();
                    return Err(error);
                }
            }
        }
    }

    fn abort(&mut self) {
        self.close(&USER_ABORT);
    }
}

impl Drop for UlAssociation {
    fn drop(&mut self) {
        self.abort();
    }
}

impl fmt::Debug for UlAssociation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UlAssociation")
            .field("side", &self.side)
            .field("peer", &self.peer)
            .field("contexts", &self.contexts.len())
            .field("max_pdu_bytes", &self.max_pdu_bytes)
            .field("open", &self.transport.is_some())
            .finish_non_exhaustive()
    }
}
