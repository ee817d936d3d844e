//! Reading the PDUs that make an association, on both sides.

use std::time::{Duration, Instant};

use dicom_ul::pdu::UserVariableItem;

use super::pdu::{HEADER_LEN, PduHeader, Violation};
use super::receive_buffer::{ReadError, ReceiveBuffer};
use super::transport::{TlsFailure, Transport, close_gracefully, timed_out};
use crate::Error;
use crate::error::Waiting;

/// The longest P-DATA-TF that can be announced: each stands in memory whole.
pub(super) const MAX_PDU_BYTES: u32 = 16 << 20;
/// The shortest: a fragment needs six bytes beside its own.
const MIN_PDU_BYTES: u32 = 64;

/// How long a peer that was turned away has to close the connection (PS3.8 state 13).
const LINGER: Duration = Duration::from_secs(1);

/// What is announced where so many bytes are wanted.
pub(super) fn announced(max_pdu_bytes: u32) -> u32 {
    max_pdu_bytes.clamp(MIN_PDU_BYTES, MAX_PDU_BYTES)
}

/// What a peer takes: it says 0 for no limit (PS3.8 section D.1.1), as one that says nothing.
///
/// One that leaves no room for a fragment of two bytes could not be sent anything.
pub(super) fn limit_of(variables: &[UserVariableItem]) -> Result<u32, Violation> {
    const LEAST: u32 = 8;
    let announced = variables.iter().find_map(|variable| match variable {
        UserVariableItem::MaxLength(length) => Some(*length),
        _ => None,
    });
    match announced {
        None | Some(0) => Ok(u32::MAX),
        Some(limit) if limit < LEAST => Err(Violation::invalid(
            "its maximum length leaves no room for a fragment",
        )),
        Some(limit) => Ok(limit),
    }
}

/// The end of a time that begins now.
pub(super) fn after(timeout: Duration) -> Instant {
    const LONG: Duration = Duration::from_hours(365 * 24);
    let now = Instant::now();
    now.checked_add(timeout.min(LONG)).unwrap_or(now)
}

/// Who waits for an association, and until when.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeLimit {
    pub(super) deadline: Instant,
    pub(super) timeout: Duration,
}

impl TimeLimit {
    pub(super) fn of(timeout: Duration) -> Self {
        Self {
            deadline: after(timeout),
            timeout,
        }
    }

    fn timed_out(self) -> Error {
        Error::TimedOut {
            waiting: Waiting::Association,
            after: self.timeout,
        }
    }

    /// The error of a stream that failed.
    pub(super) fn failed(self, error: &std::io::Error) -> Error {
        if timed_out(error) {
            self.timed_out()
        } else {
            TlsFailure::or_lost(error)
        }
    }
}

/// Reads a whole PDU: its header, and its body.
pub(super) fn read(
    buffer: &mut ReceiveBuffer,
    transport: &mut dyn Transport,
    limit: TimeLimit,
    admit: impl Fn(PduHeader, &[u8]) -> Result<(), Violation>,
) -> Result<(PduHeader, Vec<u8>), Error> {
    match buffer.pdu(transport, limit.deadline, admit) {
        Ok(header) => {
            buffer.consume(HEADER_LEN);
            let body = buffer.consume(header.length);
            Ok((header, buffer.get(body).to_vec()))
        }
        Err(ReadError::Io(error)) => Err(limit.failed(&error)),
        Err(ReadError::End) => Err(Error::Lost),
        Err(ReadError::Violation(violation)) => Err(abort_for(transport, violation, limit)),
    }
}

/// Aborts as the violation asks; its error.
pub(super) fn abort_for(
    transport: &mut dyn Transport,
    violation: Violation,
    limit: TimeLimit,
) -> Error {
    send_and_close(transport, &violation.answer(), limit);
    Error::Protocol {
        problem: violation.problem,
    }
}

/// Sends a final PDU, and waits up to [`LINGER`] for the peer to close.
pub(super) fn send_and_close(transport: &mut dyn Transport, last: &[u8], limit: TimeLimit) {
    close_gracefully(transport, last, limit.deadline.min(after(LINGER)));
}
