//! A connection to the server under test, and the server's reactions.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::wire::{self, COMMAND, LAST, Request, fragments};

/// The reaction of a server, as its peer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reaction {
    /// A-ASSOCIATE-AC.
    Accepted,
    /// A-ASSOCIATE-RJ: result, source, reason (PS3.8 section 9.3.4).
    Rejected(u8, u8, u8),
    /// A-ABORT: source, reason (PS3.8 section 9.3.8).
    Aborted(u8, u8),
    /// A-RELEASE-RP.
    Released,
    /// The status of a response (PS3.7 Annex C).
    Responded(u16),
    /// The connection ended, by FIN or RST, without a PDU.
    Closed,
    /// Nothing happened before the timeout.
    Silent,
    /// No connection could be made.
    Unreachable,
    /// The server sent something invalid.
    Unexpected,
    /// The server rejected a presentation context that the case needs.
    NotApplicable,
    /// The case did not wait for a reaction.
    NotWaitedFor,
}

impl From<io::Error> for Reaction {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::Silent,
            ErrorKind::ConnectionRefused => Self::Unreachable,
            _ => Self::Closed,
        }
    }
}

/// The reaction to a case. `Err` if the case ended early.
pub(crate) type CaseResult<T = Reaction> = Result<T, Reaction>;

#[derive(Debug)]
pub(crate) struct Peer {
    stream: TcpStream,
    /// The longest PDU that the server accepts.
    max_pdu: usize,
    /// The accepted presentation contexts.
    accepted: Vec<u8>,
    /// How long a reaction may take.
    timeout: Duration,
}

impl Peer {
    pub(crate) fn connect(address: SocketAddr, timeout: Duration) -> CaseResult<Self> {
        let stream = TcpStream::connect_timeout(&address, timeout)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(timeout))?;
        Ok(Self {
            stream,
            max_pdu: 16_384,
            accepted: Vec::new(),
            timeout,
        })
    }

    pub(crate) fn associate(
        address: SocketAddr,
        request: &Request,
        timeout: Duration,
    ) -> CaseResult<Self> {
        let mut peer = Self::connect(address, timeout)?;
        peer.send(&request.bytes());
        match peer.reaction() {
            Reaction::Accepted => Ok(peer),
            other => Err(other),
        }
    }

    /// Sends bytes and ignores errors: a server may close the connection at any time, which shows
    /// in its reaction.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// As [`Self::send`]; returns whether everything was sent in time.
    pub(crate) fn send_within(&mut self, bytes: &[u8], limit: Duration) -> bool {
        let set = self.stream.set_write_timeout(Some(limit));
        set.is_ok() && self.stream.write_all(bytes).is_ok()
    }

    /// Sends each byte in its own segment.
    pub(crate) fn send_byte_by_byte(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.send(&[*byte]);
        }
    }

    pub(crate) fn half_close(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Waits for data and leaves it unread, so that closing sends a reset.
    pub(crate) fn reset(self) {
        let _ = self.stream.set_read_timeout(Some(self.timeout));
        let _ = self.stream.peek(&mut [0]);
    }

    /// Returns an error if the server rejected a presentation context.
    pub(crate) fn require_context(&self, context: u8) -> CaseResult<()> {
        if self.accepted.contains(&context) {
            return Ok(());
        }
        Err(Reaction::NotApplicable)
    }

    /// Returns the greatest length of a PDV's data.
    pub(crate) fn max_fragment(&self) -> usize {
        self.max_pdu.saturating_sub(6).clamp(2, 65_536) & !1
    }

    /// Sends a message. The PDUs of its data set have the greatest allowed length.
    pub(crate) fn message(&mut self, context: u8, command: &wire::Command, data_set: &[u8]) {
        let mut bytes = command.pdu(context);
        bytes.extend(fragments(context, 0, data_set, self.max_fragment()));
        self.send(&bytes);
    }

    /// Waits for the next reaction.
    pub(crate) fn reaction(&mut self) -> Reaction {
        self.reaction_within(self.timeout)
    }

    pub(crate) fn reaction_within(&mut self, limit: Duration) -> Reaction {
        let end = Instant::now() + limit;
        let mut command = Vec::new();
        loop {
            let (kind, body) = match read_pdu(&mut self.stream, end) {
                Ok(pdu) => pdu,
                Err(error) => return error.into(),
            };
            match (kind, body.as_slice()) {
                (wire::ASSOCIATE_AC, body) => {
                    self.read_items(body.get(68..).unwrap_or_default());
                    return Reaction::Accepted;
                }
                (wire::ASSOCIATE_RJ, [_, result, source, reason]) => {
                    return Reaction::Rejected(*result, *source, *reason);
                }
                (wire::ABORT, [_, _, source, reason]) => {
                    return Reaction::Aborted(*source, *reason);
                }
                (wire::RELEASE_RP, _) => return Reaction::Released,
                (wire::DATA, body) => match append_fragments(body, &mut command) {
                    Some(true) => {
                        return wire::number(&command, 0x0900)
                            .map_or(Reaction::Unexpected, Reaction::Responded);
                    }
                    Some(false) => {}
                    None => return Reaction::Unexpected,
                },
                _ => return Reaction::Unexpected,
            }
        }
    }

    /// Reads the variable items of an A-ASSOCIATE-AC (PS3.8 section 9.3.3).
    fn read_items(&mut self, mut items: &[u8]) {
        while let Some((&[kind, _, l0, l1], rest)) = items.split_first_chunk() {
            let length = usize::from(u16::from_be_bytes([l0, l1]));
            let (body, after) = rest.split_at(length.min(rest.len()));
            match (kind, body) {
                (0x21, [id, _, 0, ..]) => self.accepted.push(*id),
                (0x50, sub_items) => self.read_items(sub_items),
                (0x51, &[m0, m1, m2, m3]) => {
                    let max_pdu = usize::try_from(u32::from_be_bytes([m0, m1, m2, m3]));
                    self.max_pdu = max_pdu.ok().filter(|it| *it > 0).unwrap_or(65_542);
                }
                _ => {}
            }
            items = after;
        }
    }
}

/// Appends the fragments of a P-DATA-TF to a command. Returns whether the command is complete, or
/// `None` if they are not fragments of a command.
fn append_fragments(mut pdvs: &[u8], command: &mut Vec<u8>) -> Option<bool> {
    while let Some((length, rest)) = pdvs.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (pdv, after) = rest.split_at_checked(length)?;
        let [_, control, bytes @ ..] = pdv else {
            return None;
        };
        if control & COMMAND == 0 {
            return None;
        }
        command.extend(bytes);
        if control & LAST != 0 {
            return Some(true);
        }
        pdvs = after;
    }
    Some(false)
}

/// Reads a PDU. Returns its type and its body.
pub(super) fn read_pdu(stream: &mut TcpStream, end: Instant) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 6];
    fill(stream, &mut head, end)?;
    let [kind, _, l0, l1, l2, l3] = head;
    let length = u32::from_be_bytes([l0, l1, l2, l3]);
    if length > 1 << 20 {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut body = vec![0; usize::try_from(length).unwrap_or(0)];
    fill(stream, &mut body, end)?;
    Ok((kind, body))
}

/// Fills `buffer`, or fails at `end`.
fn fill(stream: &mut TcpStream, mut buffer: &mut [u8], end: Instant) -> io::Result<()> {
    while !buffer.is_empty() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => buffer = buffer.get_mut(read..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
