//! Reading the PDUs that make an association, on both sides.

use std::time::{Duration, Instant};

use dicom_ul::pdu::UserVariableItem;

use super::inbox::{Halt, Inbox};
use super::pdu::{HEADER_LEN, Header, Violation};
use super::transport::{Broken, Transport, part, timed_out};
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
    let told = variables.iter().find_map(|variable| match variable {
        UserVariableItem::MaxLength(length) => Some(*length),
        _ => None,
    });
    match told {
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
pub(super) struct Wait {
    pub(super) deadline: Instant,
    pub(super) timeout: Duration,
}

impl Wait {
    pub(super) fn of(timeout: Duration) -> Self {
        Self {
            deadline: after(timeout),
            timeout,
        }
    }

    fn over(self) -> Error {
        Error::TimedOut {
            waiting: Waiting::Association,
            after: self.timeout,
        }
    }

    /// The error of a stream that failed.
    pub(super) fn failed(self, error: &std::io::Error) -> Error {
        if timed_out(error) {
            self.over()
        } else {
            Broken::or_lost(error)
        }
    }
}

/// Reads a whole PDU: its header, and its body.
pub(super) fn read(
    inbox: &mut Inbox,
    transport: &mut dyn Transport,
    wait: Wait,
    admit: impl Fn(Header, &[u8]) -> Result<(), Violation>,
) -> Result<(Header, Vec<u8>), Error> {
    match inbox.pdu(transport, wait.deadline, admit) {
        Ok(header) => {
            inbox.consume(HEADER_LEN);
            let body = inbox.consume(header.length);
            Ok((header, inbox.get(body).to_vec()))
        }
        Err(Halt::Io(error)) => Err(wait.failed(&error)),
        Err(Halt::End) => Err(Error::Lost),
        Err(Halt::Violation(violation)) => Err(refuse(transport, violation, wait)),
    }
}

/// Aborts as the violation asks; its error.
pub(super) fn refuse(transport: &mut dyn Transport, violation: Violation, wait: Wait) -> Error {
    turn_away(transport, &violation.answer(), wait);
    Error::Protocol {
        problem: violation.problem,
    }
}

/// Says the last word, and waits a little for the peer to close.
pub(super) fn turn_away(transport: &mut dyn Transport, last: &[u8], wait: Wait) {
    part(transport, last, wait.deadline.min(after(LINGER)));
}
