//! Sends and receives DIMSE messages over an association: assembles command sets, streams data sets
//! (PS3.7 section 6.3, PS3.8 Annex E).
//!
//! ```text
//! receive_command ─► Incoming::Message { context, command } ─► Body (Read + BufRead) until its end
//! send, send_with ─► command fragments, then data fragments, each PDU as long as the peer takes
//! ```

use std::io::{self, BufRead, BufReader, Read};
use std::time::{Duration, Instant};

use super::command::{Command, Malformed};
use crate::Error;
use crate::association::{Association, Event, Pdv, PdvKind, PdvPosition};
use crate::context::ContextId;
use crate::error::Waiting;

/// The longest command set that is assembled, in bytes. The longest possible one has about 600.
pub const MAX_COMMAND_BYTES: usize = 16 * 1024;

/// The longest PDU that is sent, in bytes, even if the peer accepts longer ones.
const MAX_SENT_PDU_BYTES: usize = 256 * 1024;

/// The size of one read from a data set, in bytes. It exceeds the PDU length of most peers, so that
/// few reads are needed, and it still fits in the processor's cache when the bytes are sent.
const BLOCK_BYTES: usize = 256 * 1024;

/// The bytes of a data set that a peer must send within a timeout, unless it ends. Without this, a
/// peer could hold its association for ever with one byte before each timeout.
const MIN_BYTES_IN_TIMEOUT: u64 = 1024;

/// The start of a message, or a release request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum Incoming {
    /// A message. If its command announces a data set, read it with [`Body`] before the next call.
    Message {
        /// The presentation context.
        context: ContextId,
        /// The command set.
        command: Command,
    },
    /// A message with a malformed command set. Its data set, if announced, follows.
    NotUnderstood {
        /// The presentation context.
        context: ContextId,
        /// Why it cannot be understood.
        malformed: Malformed,
    },
    /// The peer requests the release of the association.
    Release,
}

/// Waits for the command set of the next message, at most `timeout` in all.
///
/// # Errors
/// Those of [`Association::receive`]. [`Error::Protocol`], after which the association is aborted,
/// if a data set arrives without a command set, if fragments of two contexts are mixed, or if the
/// command set is longer than [`MAX_COMMAND_BYTES`]. [`Error::TimedOut`] leaves the association
/// open only if no part of a message has arrived.
pub fn receive_command(
    association: &mut dyn Association,
    timeout: Duration,
) -> Result<Incoming, Error> {
    assemble(association, timeout, None)?.ok_or(Error::TimedOut {
        waiting: Waiting::Message,
        after: timeout,
    })
}

/// Waits for the command set of the next message: at most `first` for its first fragment, and at
/// most `rest` for the others together. `None` if no part of a message has arrived; the call can be
/// repeated then.
///
/// # Errors
/// Those of [`receive_command`], but [`Error::TimedOut`] always means that the peer stopped inside
/// a command set, and the association is aborted.
pub fn poll_command(
    association: &mut dyn Association,
    first: Duration,
    rest: Duration,
) -> Result<Option<Incoming>, Error> {
    assemble(association, first, Some(rest))
}

/// Assembles a command set within `timeout`. If `rest` is given, it replaces `timeout` once the
/// first fragment has arrived.
fn assemble(
    association: &mut dyn Association,
    mut timeout: Duration,
    rest: Option<Duration>,
) -> Result<Option<Incoming>, Error> {
    let mut start = Instant::now();
    let mut bytes = Vec::new();
    let mut first_context = None;
    loop {
        let left = timeout.saturating_sub(start.elapsed());
        let pdv = match association.receive(left) {
            Ok(Event::Pdv(pdv)) => pdv,
            Ok(Event::Release) if first_context.is_none() => return Ok(Some(Incoming::Release)),
            Ok(Event::Release) => {
                return Err(violation(
                    association,
                    "it ends the association inside a message",
                ));
            }
            Err(Error::TimedOut { .. }) if first_context.is_none() => return Ok(None),
            Err(Error::TimedOut { waiting, .. }) => {
                association.abort();
                let after = timeout;
                return Err(Error::TimedOut { waiting, after });
            }
            Err(error) => return Err(error),
        };
        let (context, position) = (pdv.context, pdv.position);
        let problem = if pdv.kind == PdvKind::Data {
            "it sends a data set where a command set is expected"
        } else if first_context.is_some_and(|first| first != context) {
            "it mixes fragments of two presentation contexts"
        } else if bytes.len() + pdv.bytes.len() > MAX_COMMAND_BYTES {
            "its command set is too long"
        } else {
            bytes.extend_from_slice(pdv.bytes);
            if let (None, Some(rest)) = (first_context.replace(context), rest) {
                (start, timeout) = (Instant::now(), rest);
            }
            if position == PdvPosition::More {
                continue;
            }
            return Ok(Some(match Command::decode(&bytes) {
                Ok(command) => Incoming::Message { context, command },
                Err(malformed) => Incoming::NotUnderstood { context, malformed },
            }));
        };
        return Err(violation(association, problem));
    }
}

/// Aborts the association after a protocol violation.
fn violation(association: &mut dyn Association, problem: &'static str) -> Error {
    association.abort();
    Error::Protocol { problem }
}

/// The data set of a message, streamed without a copy.
///
/// Reading returns the end of file at the end of the data set. It fails when the association fails:
/// [`failure`](Body::failure) returns the error then. If a body is dropped early, its rest stays on
/// the association: see [`drain`](Body::drain).
#[derive(Debug)]
pub struct Body<'a> {
    association: &'a mut dyn Association,
    context: ContextId,
    timeout: Duration,
    /// The bytes of the current fragment that were read.
    used: usize,
    /// The length of the current fragment.
    len: usize,
    last: bool,
    received: u64,
    /// `received` when `waited` was reset.
    received_before: u64,
    /// How long the peer took for its last [`MIN_BYTES_IN_TIMEOUT`], so far.
    waited: Duration,
    failure: Option<Error>,
}

impl<'a> Body<'a> {
    /// Creates the body of the message whose command set was received last, in this context. Waits
    /// at most `timeout` for each fragment, and for each KiB.
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
            received_before: 0,
            waited: Duration::ZERO,
            failure: None,
        }
    }

    /// Creates the body of a message without a data set. It is empty.
    pub fn none(association: &'a mut dyn Association, context: ContextId) -> Self {
        Self {
            last: true,
            ..Self::new(association, context, Duration::ZERO)
        }
    }

    /// Returns the number of bytes received so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Returns true if the whole data set was received and read.
    pub fn is_done(&self) -> bool {
        self.last && self.used == self.len
    }

    /// Returns the error of the association. `None` if it has not failed.
    pub fn failure(self) -> Option<Error> {
        self.failure
    }

    /// Reads and drops the rest, so that the next message can be received.
    ///
    /// # Errors
    /// Those of [`Association::receive`], and [`Error::Protocol`].
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
        let began = Instant::now();
        let event = self
            .association
            .receive(self.timeout.saturating_sub(self.waited));
        self.waited += began.elapsed();
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
                if self.received - self.received_before >= MIN_BYTES_IN_TIMEOUT {
                    self.received_before = self.received;
                    self.waited = Duration::ZERO;
                }
                return Ok(());
            }
            Ok(Event::Release) => "it ends the association inside a message",
            Err(Error::TimedOut { waiting, .. }) => {
                // The next message cannot be found inside an unfinished one.
                self.association.abort();
                let after = self.timeout;
                return Err(Error::TimedOut { waiting, after });
            }
            Err(error) => return Err(error),
        };
        Err(violation(self.association, problem))
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

/// Like [`send`], but aborts the association once `stop` returns true.
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

/// Answers a malformed request: with status 0117 or 0115 for an invalid argument, with 0211 for an
/// unsupported operation (PS3.7 Annex C). Returns false, and sends nothing, if it cannot be
/// answered.
///
/// # Errors
/// Those of [`Association::send`].
pub fn refuse(
    association: &mut dyn Association,
    context: ContextId,
    malformed: &Malformed,
    timeout: Duration,
) -> Result<bool, Error> {
    let Some(bytes) = malformed.response() else {
        return Ok(false);
    };
    send_command_bytes(association, context, &bytes, timeout, &|| false).map(|()| true)
}

/// Sends a command set and its data set in PDUs of the peer's maximum length. Each PDU contains one
/// fragment, because some peers fail with more.
///
/// # Errors
/// Those of [`Association::send`]. [`Error::Unreadable`] if `body` cannot be read: the association
/// is aborted, because part of the message was already sent.
pub fn send_with(
    association: &mut dyn Association,
    context: ContextId,
    command: &Command,
    body: &mut dyn BufRead,
    timeout: Duration,
) -> Result<(), Error> {
    send(association, context, command, timeout)?;
    send_fragments(association, context, body, timeout, &|| false)
}

/// Sends all of `body` as a data set. The last fragment is sent when `body` has reported its end.
/// Aborts the association once `stop` returns true.
///
/// # Errors
/// Those of [`send_with`]. [`Error::Cancelled`] if `stop` returned true.
pub(crate) fn send_data_set_to_end(
    association: &mut dyn Association,
    context: ContextId,
    body: &mut dyn Read,
    timeout: Duration,
    stop: &dyn Fn() -> bool,
) -> Result<(), Error> {
    let mut body = BufReader::with_capacity(BLOCK_BYTES, body);
    send_fragments(association, context, &mut body, timeout, stop)
}

fn send_fragments(
    association: &mut dyn Association,
    context: ContextId,
    body: &mut dyn BufRead,
    timeout: Duration,
    stop: &dyn Fn() -> bool,
) -> Result<(), Error> {
    let room = fragment_bytes(association)?;
    let mut fragment = Vec::new();
    loop {
        fragment.clear();
        let read = body.take(room as u64).read_to_end(&mut fragment);
        let rest = read.and_then(|_| has_more(body));
        let more = rest.map_err(|error| unreadable(association, &error))?;
        let position = if more {
            PdvPosition::More
        } else {
            PdvPosition::Last
        };
        association.send_unless(&[data(context, position, &fragment)], timeout, stop)?;
        if !more {
            return Ok(());
        }
    }
}

/// Returns true if `body` is not at its end.
fn has_more(body: &mut dyn BufRead) -> io::Result<bool> {
    loop {
        match body.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map(|bytes| !bytes.is_empty()),
        }
    }
}

/// Sends the next `length` bytes of `body` as a data set. They are read into `block`, several
/// fragments at a time, and sent from it. Pass the same `block` again to reuse its memory. Aborts
/// the association once `stop` returns true.
///
/// # Errors
/// Those of [`send_with`]. A body that ends early counts as unreadable. [`Error::Cancelled`] if
/// `stop` returned true.
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
    // Zeroes the block only the first time.
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

/// Aborts the association, because part of a message was already sent.
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

/// Sends a whole command set, unless `stop` returns true.
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

/// Returns the size of a fragment that fills a PDU. It is even, because some peers refuse odd
/// fragments.
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
