//! Messages over an association: command sets put together, data sets streamed (PS3.7 section 6.3,
//! PS3.8 Annex E).
//!
//! ```text
//! receive_command ─► Incoming::Message { context, command } ─► Body (Read + BufRead) until its end
//! send, send_with ─► command fragments, then data fragments, each PDU as long as the peer takes
//! ```

use std::io::{self, BufRead, Read};
use std::time::{Duration, Instant};

use super::command::{Command, Malformed};
use crate::Error;
use crate::association::{Association, Event, Pdv, PdvKind, PdvPosition};
use crate::context::ContextId;
use crate::error::Waiting;

/// The longest command set that is put together, in bytes. The longest that the standard can make is
/// about 600.
pub const MAX_COMMAND_BYTES: usize = 16 * 1024;

/// The longest PDU that is sent, in bytes, whatever the peer takes.
const MAX_SENT_PDU_BYTES: usize = 256 * 1024;

/// How much of a data set is read at once, in bytes: more than most peers take in a PDU, so that few
/// calls read it, and little enough that it is still in the processor's cache when it is sent.
const BLOCK_BYTES: usize = 256 * 1024;

/// What comes first of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Incoming {
    /// A message. If its command has a data set, read it with [`Body`] before the next call.
    Message {
        /// The presentation context it came in.
        context: ContextId,
        /// Its command set.
        command: Command,
    },
    /// A message whose command set is not understood. Its data set, if it has one, follows too.
    NotUnderstood {
        /// The presentation context it came in.
        context: ContextId,
        /// Why.
        malformed: Malformed,
    },
    /// The peer wants to end the association.
    Release,
}

/// Waits for the command set of the next message, at most so long in all.
///
/// # Errors
/// Those of [`Association::receive`]. [`Error::Protocol`], after which the association is aborted, if
/// a data set comes without a command, fragments of two contexts are mixed, or the command set is
/// longer than [`MAX_COMMAND_BYTES`]. [`Error::TimedOut`] leaves it open only if nothing of a message
/// has come yet.
pub fn receive_command(
    association: &mut dyn Association,
    timeout: Duration,
) -> Result<Incoming, Error> {
    assemble(association, timeout, None)?.ok_or(Error::TimedOut {
        waiting: Waiting::Message,
        after: timeout,
    })
}

/// Waits for the command set of the next message: for its first fragment at most `first`, for the
/// rest at most `rest` in all. `None` if nothing of a message has come; then it can be called again.
///
/// # Errors
/// As [`receive_command`], but [`Error::TimedOut`] always means that the peer stopped inside a
/// command set; the association is aborted.
pub fn poll_command(
    association: &mut dyn Association,
    first: Duration,
    rest: Duration,
) -> Result<Option<Incoming>, Error> {
    assemble(association, first, Some(rest))
}

/// Puts a command set together, within `patience`; once its first fragment has come, within `rest` if
/// that is given.
fn assemble(
    association: &mut dyn Association,
    mut patience: Duration,
    rest: Option<Duration>,
) -> Result<Option<Incoming>, Error> {
    let mut began = Instant::now();
    let mut bytes = Vec::new();
    let mut of = None;
    loop {
        let left = patience.saturating_sub(began.elapsed());
        let pdv = match association.receive(left) {
            Ok(Event::Pdv(pdv)) => pdv,
            Ok(Event::Release) if of.is_none() => return Ok(Some(Incoming::Release)),
            Ok(Event::Release) => {
                return Err(broken(
                    association,
                    "it ends the association inside a message",
                ));
            }
            Err(Error::TimedOut { .. }) if of.is_none() => return Ok(None),
            Err(Error::TimedOut { waiting, .. }) => {
                association.abort();
                let after = patience;
                return Err(Error::TimedOut { waiting, after });
            }
            Err(error) => return Err(error),
        };
        let (context, position) = (pdv.context, pdv.position);
        let problem = if pdv.kind == PdvKind::Data {
            "it sends a data set where a command set is due"
        } else if of.is_some_and(|of| of != context) {
            "it mixes fragments of two presentation contexts"
        } else if bytes.len() + pdv.bytes.len() > MAX_COMMAND_BYTES {
            "its command set is too long"
        } else {
            bytes.extend_from_slice(pdv.bytes);
            if let (None, Some(rest)) = (of.replace(context), rest) {
                (began, patience) = (Instant::now(), rest);
            }
            if position == PdvPosition::More {
                continue;
            }
            return Ok(Some(match Command::decode(&bytes) {
                Ok(command) => Incoming::Message { context, command },
                Err(malformed) => Incoming::NotUnderstood { context, malformed },
            }));
        };
        return Err(broken(association, problem));
    }
}

/// Ends the association on a broken protocol.
fn broken(association: &mut dyn Association, problem: &'static str) -> Error {
    association.abort();
    Error::Protocol { problem }
}

/// The data set of a message, as it comes: nothing is copied before it is read.
///
/// It ends where the data set ends. Reading fails when the association does:
/// [`failure`](Body::failure) then tells how. A body that is dropped early leaves its rest on the
/// association: see [`drain`](Body::drain).
#[derive(Debug)]
pub struct Body<'a> {
    association: &'a mut dyn Association,
    context: ContextId,
    timeout: Duration,
    /// How much of the association's fragment was read.
    used: usize,
    /// How much of it there is.
    len: usize,
    last: bool,
    received: u64,
    failure: Option<Error>,
}

impl<'a> Body<'a> {
    /// The data set of the message whose command set was received last, in this context. Each wait
    /// for a fragment takes at most `timeout`.
    pub fn new(
        association: &'a mut dyn Association,
        context: ContextId,
        timeout: Duration,
    ) -> Self {
        Self {
            association,
            context,
            timeout,
            used: 0,
            len: 0,
            last: false,
            received: 0,
            failure: None,
        }
    }

    /// The body of a message without a data set: at its end from the beginning.
    pub fn none(association: &'a mut dyn Association, context: ContextId) -> Self {
        Self {
            last: true,
            ..Self::new(association, context, Duration::ZERO)
        }
    }

    /// How many bytes of it came so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// True if all of it came and was read.
    pub fn is_done(&self) -> bool {
        self.last && self.used == self.len
    }

    /// How the association failed, if it did.
    pub fn failure(self) -> Option<Error> {
        self.failure
    }

    /// Reads the rest and drops it, so that the next message can be received.
    ///
    /// # Errors
    /// Those of [`Association::receive`], or [`Error::Protocol`].
    pub fn drain(mut self) -> Result<(), Error> {
        loop {
            match self.fill_buf() {
                Ok([]) => return Ok(()),
                Ok(bytes) => {
                    let n = bytes.len();
                    self.consume(n);
                }
                Err(_) => return Err(self.failure.unwrap_or(Error::Lost)),
            }
        }
    }

    fn next(&mut self) -> Result<(), Error> {
        let event = self.association.receive(self.timeout);
        let problem = match event {
            Ok(Event::Pdv(pdv)) if pdv.context != self.context => {
                "it mixes fragments of two presentation contexts"
            }
            Ok(Event::Pdv(pdv)) if pdv.kind == PdvKind::Command => {
                "it sends a command set inside a data set"
            }
            Ok(Event::Pdv(pdv)) => {
                self.used = 0;
                self.len = pdv.bytes.len();
                self.last = pdv.position == PdvPosition::Last;
                self.received += pdv.bytes.len() as u64;
                return Ok(());
            }
            Ok(Event::Release) => "it ends the association inside a message",
            Err(Error::TimedOut { waiting, after }) => {
                // Half a message is no place to go on from.
                self.association.abort();
                return Err(Error::TimedOut { waiting, after });
            }
            Err(error) => return Err(error),
        };
        Err(broken(self.association, problem))
    }
}

impl BufRead for Body<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.used == self.len && !self.last {
            if self.failure.is_some() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            if let Err(error) = self.next() {
                let kind = match error {
                    Error::TimedOut { .. } => io::ErrorKind::TimedOut,
                    Error::Protocol { .. } => io::ErrorKind::InvalidData,
                    _ => io::ErrorKind::UnexpectedEof,
                };
                self.failure = Some(error);
                return Err(kind.into());
            }
        }
        let lent = self.association.fragment();
        Ok(lent.get(self.used..self.len).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.used = self.len.min(self.used + amount);
    }
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buffer)?;
        self.consume(n);
        Ok(n)
    }
}

/// Sends a command set without a data set.
///
/// # Errors
/// Those of [`Association::send`].
pub fn send(
    association: &mut dyn Association,
    context: ContextId,
    command: &Command,
    timeout: Duration,
) -> Result<(), Error> {
    send_unless(association, context, command, timeout, &|| false)
}

/// As [`send`], unless `stop` is true: then the association is aborted.
///
/// # Errors
/// Those of [`Association::send_unless`].
pub(crate) fn send_unless(
    association: &mut dyn Association,
    context: ContextId,
    command: &Command,
    timeout: Duration,
    stop: &dyn Fn() -> bool,
) -> Result<(), Error> {
    let bytes = command.encode();
    send_command_bytes(association, context, &bytes, timeout, stop)
}

/// Answers a request that was not understood, where it can be answered: with status 0117 or 0115 if an
/// argument is wrong, with 0211 if the operation is none of ours (PS3.7 Annex C). False if it cannot
/// be: nothing was sent.
///
/// # Errors
/// Those of [`Association::send`].
pub fn refuse(
    association: &mut dyn Association,
    context: ContextId,
    malformed: &Malformed,
    timeout: Duration,
) -> Result<bool, Error> {
    let Some(bytes) = malformed.answer() else {
        return Ok(false);
    };
    send_command_bytes(association, context, &bytes, timeout, &|| false).map(|()| true)
}

/// Sends a command set and its data set, PDU by PDU as long as the peer takes them; each PDU holds
/// one fragment (some peers fail on more).
///
/// # Errors
/// Those of [`Association::send`]. If `body` cannot be read the association is aborted, since half a
/// message is on its way: [`Error::Unreadable`].
pub fn send_with(
    association: &mut dyn Association,
    context: ContextId,
    command: &Command,
    body: &mut dyn BufRead,
    timeout: Duration,
) -> Result<(), Error> {
    send(association, context, command, timeout)?;
    let room = fragment_bytes(association)?;
    let mut fragment = Vec::new();
    loop {
        fragment.clear();
        let read = body.take(room as u64).read_to_end(&mut fragment);
        let rest = read.and_then(|_| more(body));
        let more = rest.map_err(|error| unreadable(association, &error))?;
        let position = if more {
            PdvPosition::More
        } else {
            PdvPosition::Last
        };
        association.send(&[data(context, position, &fragment)], timeout)?;
        if !more {
            return Ok(());
        }
    }
}

/// True if something is left to be read.
fn more(body: &mut dyn BufRead) -> io::Result<bool> {
    loop {
        match body.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map(|bytes| !bytes.is_empty()),
        }
    }
}

/// Sends the data set that is the next `length` bytes of `body`. They are read straight into
/// `block`, as many fragments at once as have room there, and sent from it; whatever was in it, it is
/// to be used again for the next. Once `stop` is true, the association is aborted.
///
/// # Errors
/// As [`send_with`]; a body that ends early cannot be read either. [`Error::Cancelled`] if it is
/// stopped.
pub(crate) fn send_data_set(
    association: &mut dyn Association,
    context: ContextId,
    body: &mut dyn Read,
    length: u64,
    block: &mut Vec<u8>,
    timeout: Duration,
    stop: &dyn Fn() -> bool,
) -> Result<(), Error> {
    let room = fragment_bytes(association)?;
    // Zeros are written once only, not for each block.
    block.resize((BLOCK_BYTES / room).max(1) * room, 0);
    let mut left = length;
    loop {
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        left -= taken as u64;
        let mut rest = block.get_mut(..taken).unwrap_or_default();
        if let Err(error) = body.read_exact(rest) {
            return Err(unreadable(association, &error));
        }
        loop {
            let (bytes, after) = rest.split_at_mut(rest.len().min(room));
            let more = left > 0 || !after.is_empty();
            let position = if more {
                PdvPosition::More
            } else {
                PdvPosition::Last
            };
            association.send_unless(&[data(context, position, bytes)], timeout, stop)?;
            if !more {
                return Ok(());
            }
            if after.is_empty() {
                break;
            }
            rest = after;
        }
    }
}

/// Half a message is no place to go on from.
fn unreadable(association: &mut dyn Association, error: &io::Error) -> Error {
    association.abort();
    let kind = error.kind();
    Error::Unreadable { kind }
}

fn data(context: ContextId, position: PdvPosition, bytes: &[u8]) -> Pdv<'_> {
    Pdv {
        context,
        kind: PdvKind::Data,
        position,
        bytes,
    }
}

/// Sends a whole command set, unless `stop` is true.
fn send_command_bytes(
    association: &mut dyn Association,
    context: ContextId,
    bytes: &[u8],
    timeout: Duration,
    stop: &dyn Fn() -> bool,
) -> Result<(), Error> {
    let room = fragment_bytes(association)?;
    let mut rest = bytes;
    loop {
        let (bytes, after) = rest.split_at(rest.len().min(room));
        let position = if after.is_empty() {
            PdvPosition::Last
        } else {
            PdvPosition::More
        };
        let pdv = Pdv {
            kind: PdvKind::Command,
            ..data(context, position, bytes)
        };
        association.send_unless(&[pdv], timeout, stop)?;
        if position == PdvPosition::Last {
            return Ok(());
        }
        rest = after;
    }
}

/// The bytes of a fragment that fills a PDU: even, since some peers refuse odd ones.
fn fragment_bytes(association: &dyn Association) -> Result<usize, Error> {
    let taken = usize::try_from(association.max_pdu_bytes()).unwrap_or(usize::MAX);
    let overhead = usize::try_from(Pdv::OVERHEAD).unwrap_or(usize::MAX);
    let room = taken.min(MAX_SENT_PDU_BYTES).saturating_sub(overhead) & !1;
    if room == 0 {
        return Err(Error::Limit {
            what: "bytes of a fragment in a PDU of the peer",
            limit: association.max_pdu_bytes().into(),
            found: Pdv::OVERHEAD + 2,
        });
    }
    Ok(room)
}
