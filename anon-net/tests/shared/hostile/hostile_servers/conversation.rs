//! [`Conversation`]: a server's side of an association, correct or not.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::super::peer::read_pdu;
use super::super::wire::{
    ASSOCIATE_AC, ASSOCIATE_RQ, COMMAND, COMMAND_FIELD, Command, DATA, DATA_SET_TYPE, FOUR_ZEROS,
    LAST, MESSAGE_ID, NO_DATA_SET, RELEASE_RP, RELEASE_RQ, Value, data, item, max_length, number,
    pdu, pdv,
};

/// Longer than the timeouts of any SCU under test.
const LONG: Duration = Duration::from_mins(1);

/// A received request: its context and the fields that a response needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReceivedRequest {
    pub(super) context: u8,
    pub(super) field: u16,
    pub(super) message: u16,
}

impl ReceivedRequest {
    /// Returns a valid response (PS3.7 section 9.3).
    pub(super) fn response(self, status: u16) -> Command {
        Command(vec![
            (COMMAND_FIELD, Value::Number(self.field | 0x8000)),
            (0x0120, Value::Number(self.message)),
            (DATA_SET_TYPE, Value::Number(NO_DATA_SET)),
            (0x0900, Value::Number(status)),
        ])
    }
}

#[derive(Debug)]
pub(super) struct Conversation {
    stream: TcpStream,
    /// Both AE titles of the request.
    titles: Vec<u8>,
    /// Presentation contexts by id, with the first transfer syntax of each.
    proposed: Vec<(u8, Vec<u8>)>,
}

impl Conversation {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            titles: vec![b' '; 32],
            proposed: Vec::new(),
        }
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Closes the sending direction and reads to the end, so that a reset does not discard sent
    /// data.
    pub(super) fn close(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        let _ = self.hold();
    }

    /// Reads without sending until the SCU closes.
    pub(super) fn hold(&mut self) -> io::Result<()> {
        self.stream.set_read_timeout(Some(LONG))?;
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
    }

    /// Waits for so long without sending.
    pub(super) fn pause(&mut self, time: Duration) -> io::Result<()> {
        use ErrorKind::{Interrupted, TimedOut, WouldBlock};

        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.stream.set_read_timeout(Some(left))?;
            match self.stream.peek(&mut [0]) {
                Err(error) if matches!(error.kind(), Interrupted | WouldBlock | TimedOut) => {}
                other => return other.map(drop),
            }
        }
    }

    /// Closes with a reset, by leaving data unread.
    pub(super) fn reset(&mut self) -> io::Result<()> {
        self.stream.set_read_timeout(Some(LONG))?;
        while let Err(error) = self.stream.peek(&mut [0]) {
            // A process that was stopped and continued gets this error (signal(7)).
            if error.kind() != ErrorKind::Interrupted {
                return Err(error);
            }
        }
        self.stream.shutdown(Shutdown::Both)
    }

    /// Waits for the association request.
    pub(super) fn receive_association_request(&mut self) -> io::Result<()> {
        let body = self.expect(ASSOCIATE_RQ)?;
        self.titles = body.get(4..36).unwrap_or_default().to_vec();
        let mut rest = body.get(68..).unwrap_or_default();
        while let Some((kind, inner, after)) = split_item(rest) {
            if let (0x20, [id, _, _, _, items @ ..]) = (kind, inner) {
                self.proposed.push((*id, first_transfer_syntax(items)));
            }
            rest = after;
        }
        Ok(())
    }

    /// Returns an acceptance of all contexts, with these additional items before the user
    /// information.
    pub(super) fn acceptance(&self, more: &[u8]) -> Vec<u8> {
        let contexts: Vec<u8> = self
            .proposed
            .iter()
            .flat_map(|(id, syntax)| accepted(*id, 0, syntax))
            .collect();
        self.acceptance_of(&[&contexts, more].concat(), &max_length(16_384))
    }

    /// Returns an acceptance with these context items and these user information sub-items.
    pub(super) fn acceptance_of(&self, contexts: &[u8], user: &[u8]) -> Vec<u8> {
        let class = item(0x52, b"1.2.826.0.1.3680043.10.1474.2");
        let body = [
            &[0, 1, 0, 0],
            &self.titles[..],
            &[0; 32],
            &item(0x10, b"1.2.840.10008.3.1.1.1"),
            contexts,
            &item(0x50, &[user, &class].concat()),
        ];
        pdu(ASSOCIATE_AC, &body.concat())
    }

    /// Returns context items with this result for all proposed contexts.
    pub(super) fn context_results(&self, result: u8, syntax: &str) -> Vec<u8> {
        let ids = self.proposed.iter().map(|(id, _)| *id);
        ids.flat_map(|id| accepted(id, result, syntax.as_bytes()))
            .collect()
    }

    /// Accepts the association correctly.
    pub(super) fn associate(&mut self) -> io::Result<()> {
        self.receive_association_request()?;
        let acceptance = self.acceptance(&[]);
        self.send(&acceptance)
    }

    /// Accepts the association and receives a complete request with its data set.
    pub(super) fn receive_request(&mut self) -> io::Result<ReceivedRequest> {
        self.associate()?;
        self.receive_message()
    }

    /// As [`Self::receive_request`], then responds with this status.
    pub(super) fn serve(&mut self, status: u16) -> io::Result<()> {
        let request = self.receive_request()?;
        self.respond(request, &request.response(status))
    }

    pub(super) fn respond(
        &mut self,
        request: ReceivedRequest,
        response: &Command,
    ) -> io::Result<()> {
        self.send(&response.pdu(request.context))
    }

    /// Waits for A-RELEASE-RQ.
    pub(super) fn receive_release(&mut self) -> io::Result<()> {
        self.expect(RELEASE_RQ).map(drop)
    }

    /// Waits for A-RELEASE-RQ and sends A-RELEASE-RP.
    pub(super) fn release(&mut self) -> io::Result<()> {
        self.receive_release()?;
        self.send(&pdu(RELEASE_RP, FOUR_ZEROS))
    }

    pub(super) fn receive_message(&mut self) -> io::Result<ReceivedRequest> {
        let (mut command, mut context) = (Vec::new(), 0);
        loop {
            let (last, of_command) = self.receive_fragments(&mut context, &mut command)?;
            let has_no_data_set = number(&command, DATA_SET_TYPE) == Some(NO_DATA_SET);
            if last && (!of_command || has_no_data_set) {
                break;
            }
        }
        let read = |at| number(&command, at).ok_or(ErrorKind::InvalidData);
        Ok(ReceivedRequest {
            context,
            field: read(COMMAND_FIELD)?,
            message: read(MESSAGE_ID)?,
        })
    }

    /// Reads one PDU of fragments. Returns whether its last fragment is the last of its command or
    /// data set, and whether that is the command.
    fn receive_fragments(
        &mut self,
        context: &mut u8,
        command: &mut Vec<u8>,
    ) -> io::Result<(bool, bool)> {
        let body = self.expect(DATA)?;
        let (mut rest, mut state) = (body.as_slice(), (false, true));
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
            let Some(([id, control, bytes @ ..], after)) = after.split_at_checked(length) else {
                return Err(ErrorKind::InvalidData.into());
            };
            *context = *id;
            if control & COMMAND != 0 {
                command.extend(bytes);
            }
            state = (control & LAST != 0, control & COMMAND != 0);
            rest = after;
        }
        Ok(state)
    }

    fn expect(&mut self, kind: u8) -> io::Result<Vec<u8>> {
        match read_pdu(&mut self.stream, Instant::now() + LONG)? {
            (got, body) if got == kind => Ok(body),
            _ => Err(ErrorKind::InvalidData.into()),
        }
    }
}

/// A presentation context item of an acceptance (PS3.8 section 9.3.3.2).
pub(super) fn accepted(id: u8, result: u8, transfer_syntax: &[u8]) -> Vec<u8> {
    item(
        0x21,
        &[&[id, 0, result, 0], &item(0x40, transfer_syntax)[..]].concat(),
    )
}

/// Encodes a command in fragments of so many bytes, one per PDU.
pub(super) fn in_pieces(context: u8, command: &Command, size: usize) -> Vec<u8> {
    super::super::wire::fragments(context, COMMAND, &command.bytes(), size)
}

/// Returns the last fragment of a data set.
pub(super) fn of_data_set(context: u8, bytes: &[u8]) -> Vec<u8> {
    data(&[pdv(context, LAST, bytes)])
}

fn split_item(items: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[kind, _, l0, l1], rest) = items.split_first_chunk()?;
    let (inner, after) = rest.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
    Some((kind, inner, after))
}

fn first_transfer_syntax(mut items: &[u8]) -> Vec<u8> {
    while let Some((kind, inner, after)) = split_item(items) {
        if kind == 0x40 {
            return inner.to_vec();
        }
        items = after;
    }
    Vec::new()
}
