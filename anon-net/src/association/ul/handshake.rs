//! Reads the PDUs that establish an association, on both sides.

use std::time::{Duration, Instant};

use dicom_ul::pdu::UserVariableItem;

use super::pdu::{HEADER_LEN, PduHeader, Violation};
use super::receive_buffer::{ReadError, ReceiveBuffer};
use super::transport::{TlsFailure, Transport, close_gracefully, timed_out};
use crate::Error;
use crate::error::Waiting;

/// The longest P-DATA-TF that we announce. A received PDU is held in memory.
pub(super) const MAX_PDU_BYTES: u32 = 16 << 20;
/// The shortest P-DATA-TF that we announce. A fragment takes six bytes besides its own.
const MIN_PDU_BYTES: u32 = 64;

/// How long a refused peer has to close the connection (PS3.8 section 9.2, Sta13).
const LINGER: Duration = Duration::from_secs(1);

/// Moves a limit into the range that we announce.
pub(super) fn announced(max_pdu_bytes: u32) -> u32 {
    max_pdu_bytes.clamp(MIN_PDU_BYTES, MAX_PDU_BYTES)
}

/// Returns the longest P-DATA-TF that the peer accepts. 0 means no limit (PS3.8 section D.1.1), and
/// so does a missing sub-item.
///
/// A limit without room for a fragment of two bytes is a violation: nothing could be sent.
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

/// Returns the instant at which a timeout that starts now expires.
pub(super) fn after(timeout: Duration) -> Instant {
    const LONG: Duration = Duration::from_hours(365 * 24);
    let now = Instant::now();
    now.checked_add(timeout.min(LONG)).unwrap_or(now)
}

/// The time limit for establishing an association.
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

    /// Converts the error of a failed stream.
    pub(super) fn failed(self, error: &std::io::Error) -> Error {
        if timed_out(error) {
            self.timed_out()
        } else {
            TlsFailure::or_lost(error)
        }
    }
}

/// Reads a whole PDU and returns its header and body.
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

/// Sends the A-ABORT for a violation, if it has one, closes the connection, and returns the error.
pub(super) fn abort_for(
    transport: &mut dyn Transport,
    violation: Violation,
    limit: TimeLimit,
) -> Error {
    send_and_close(transport, &violation.abort_pdu(), limit);
    Error::Protocol {
        problem: violation.problem,
    }
}

/// Sends a final PDU, and waits up to [`LINGER`] for the peer to close.
pub(super) fn send_and_close(transport: &mut dyn Transport, last: &[u8], limit: TimeLimit) {
    close_gracefully(transport, last, limit.deadline.min(after(LINGER)));
}
