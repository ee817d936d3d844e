//! One connection to the server under test, and what the server did with it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::wire::{self, COMMAND, LAST, Request, fragments};

/// What a server did, as its peer sees it.
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
    Answered(u16),
    /// The connection ended, by FIN or RST, without a PDU.
    Closed,
    /// Nothing, for as long as we waited.
    Silent,
    /// No connection could be made.
    Unreachable,
    /// Something that no server should send.
    Nonsense,
    /// The server refused a presentation context that the case is about.
    NotApplicable,
    /// Nothing was waited for.
    Held,
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

/// What a case comes to; `Err` if it ended before it was played through.
pub(crate) type Played<T = Reaction> = Result<T, Reaction>;

#[derive(Debug)]
pub(crate) struct Peer {
    stream: TcpStream,
    /// The longest PDU that the server takes, as it told.
    max_pdu: usize,
    /// Presentation contexts that it accepted.
    accepted: Vec<u8>,
    /// How long a reaction may take.
    patience: Duration,
}

impl Peer {
    pub(crate) fn connect(address: SocketAddr, patience: Duration) -> Played<Self> {
        let stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Self {
            stream,
            max_pdu: 16_384,
            accepted: Vec::new(),
            patience,
        })
    }

    pub(crate) fn associate(
        address: SocketAddr,
        request: &Request,
        patience: Duration,
    ) -> Played<Self> {
        let mut peer = Self::connect(address, patience)?;
        peer.send(&request.bytes());
        match peer.reaction() {
            Reaction::Accepted => Ok(peer),
            other => Err(other),
        }
    }

    /// Sends, or does not: a server may hang up at any time, which is seen in its reaction.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// As [`Self::send`]; says whether all went out.
    pub(crate) fn sent(&mut self, bytes: &[u8], limit: Duration) -> bool {
        let set = self.stream.set_write_timeout(Some(limit));
        set.is_ok() && self.stream.write_all(bytes).is_ok()
    }

    /// Every byte in a segment of its own.
    pub(crate) fn drip(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.send(&[*byte]);
        }
    }

    pub(crate) fn half_close(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Waits until something has come and leaves it unread: closing then sends a reset.
    pub(crate) fn reset(self) {
        let _ = self.stream.set_read_timeout(Some(self.patience));
        let _ = self.stream.peek(&mut [0]);
    }

    /// An error if the server refused a presentation context.
    pub(crate) fn needs(&self, context: u8) -> Played<()> {
        if self.accepted.contains(&context) {
            return Ok(());
        }
        Err(Reaction::NotApplicable)
    }

    /// The most that a PDV may hold.
    pub(crate) fn fragment(&self) -> usize {
        self.max_pdu.saturating_sub(6).clamp(2, 65_536) & !1
    }

    /// Sends a message; its data set in PDUs as long as they may be.
    pub(crate) fn message(&mut self, context: u8, command: &wire::Command, data_set: &[u8]) {
        let mut bytes = command.pdu(context);
        bytes.extend(fragments(context, 0, data_set, self.fragment()));
        self.send(&bytes);
    }

    /// The next reaction.
    pub(crate) fn reaction(&mut self) -> Reaction {
        self.reaction_within(self.patience)
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
                    self.learn(body.get(68..).unwrap_or_default());
                    return Reaction::Accepted;
                }
                (wire::ASSOCIATE_RJ, [_, result, source, reason]) => {
                    return Reaction::Rejected(*result, *source, *reason);
                }
                (wire::ABORT, [_, _, source, reason]) => {
                    return Reaction::Aborted(*source, *reason);
                }
                (wire::RELEASE_RP, _) => return Reaction::Released,
                (wire::DATA, body) => match answer(body, &mut command) {
                    Some(true) => {
                        return wire::number(&command, 0x0900)
                            .map_or(Reaction::Nonsense, Reaction::Answered);
                    }
                    Some(false) => {}
                    None => return Reaction::Nonsense,
                },
                _ => return Reaction::Nonsense,
            }
        }
    }

    /// Reads the variable items of an A-ASSOCIATE-AC (PS3.8 section 9.3.3).
    fn learn(&mut self, mut items: &[u8]) {
        while let Some((&[kind, _, l0, l1], rest)) = items.split_first_chunk() {
            let length = usize::from(u16::from_be_bytes([l0, l1]));
            let (body, after) = rest.split_at(length.min(rest.len()));
            match (kind, body) {
                (0x21, [id, _, 0, ..]) => self.accepted.push(*id),
                (0x50, sub_items) => self.learn(sub_items),
                (0x51, &[m0, m1, m2, m3]) => {
                    let told = usize::try_from(u32::from_be_bytes([m0, m1, m2, m3]));
                    self.max_pdu = told.ok().filter(|it| *it > 0).unwrap_or(65_542);
                }
                _ => {}
            }
            items = after;
        }
    }
}

/// Adds the fragments of a P-DATA-TF to a command: whether it is whole; None if they are none of it.
fn answer(mut pdvs: &[u8], command: &mut Vec<u8>) -> Option<bool> {
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

/// One PDU: its type and what follows its length.
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

/// Reads all of `room`, and gives up at `end`.
fn fill(stream: &mut TcpStream, mut room: &mut [u8], end: Instant) -> io::Result<()> {
    while !room.is_empty() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(room) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => room = room.get_mut(read..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
