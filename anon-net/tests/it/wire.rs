//! `Wire`: a transport whose peer sends given bytes and records what it receives.

use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anon_net::Error;
use anon_net::association::ul::{Acceptor, Transport, UlAssociation};

/// What happens after the last byte.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AfterLastByte {
    Silence,
    Close,
    Reset,
}

/// The bytes that were written to the peer.
#[derive(Debug, Clone, Default)]
pub(crate) struct WrittenBytes(Arc<Mutex<Vec<Vec<u8>>>>);

impl WrittenBytes {
    fn add(&self, bytes: &[u8]) {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.push(bytes.to_vec());
    }

    /// Takes the bytes written since the last call.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.take_writes().concat()
    }

    /// Takes the writes since the last call.
    pub(crate) fn take_writes(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A transport of given bytes.
#[derive(Debug)]
pub(crate) struct Wire {
    peer_bytes: Vec<u8>,
    sent: usize,
    /// The greatest number of bytes per read or write.
    step: usize,
    /// The position of one timeout.
    pause: Option<usize>,
    then: AfterLastByte,
    /// True if the peer does not read.
    not_reading: bool,
    written: WrittenBytes,
}

impl Wire {
    pub(crate) fn new(peer_bytes: Vec<u8>, then: AfterLastByte) -> Self {
        Self {
            peer_bytes,
            sent: 0,
            step: usize::MAX,
            pause: None,
            then,
            not_reading: false,
            written: WrittenBytes::default(),
        }
    }

    pub(crate) fn in_steps_of(self, step: usize) -> Self {
        Self { step, ..self }
    }

    pub(crate) fn pausing_at(self, place: usize) -> Self {
        Self {
            pause: Some(place),
            ..self
        }
    }

    pub(crate) fn not_reading(self) -> Self {
        Self {
            not_reading: true,
            ..self
        }
    }

    pub(crate) fn written(&self) -> WrittenBytes {
        self.written.clone()
    }
}

impl Transport for Wire {
    fn read(&mut self, buffer: &mut [u8], _: Instant) -> io::Result<usize> {
        if self.pause == Some(self.sent) {
            self.pause = None;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let until = self.pause.unwrap_or(self.peer_bytes.len());
        let left = self.peer_bytes.get(self.sent..until).unwrap_or_default();
        if left.is_empty() {
            return match self.then {
                AfterLastByte::Silence => Err(io::ErrorKind::TimedOut.into()),
                AfterLastByte::Close => Ok(0),
                AfterLastByte::Reset => Err(io::ErrorKind::ConnectionReset.into()),
            };
        }
        let count = left.len().min(buffer.len()).min(self.step);
        for (to, from) in buffer.iter_mut().zip(left.iter().take(count)) {
            *to = *from;
        }
        self.sent += count;
        Ok(count)
    }

    fn write(&mut self, parts: &[IoSlice<'_>], _: Instant) -> io::Result<usize> {
        if self.not_reading {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let all: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        let some = all.get(..self.step).unwrap_or(&all);
        self.written.add(some);
        Ok(some.len())
    }

    fn finish(&mut self) {}

    fn reset(&mut self) {}
}

/// Accepts an association over `wire`. Returns the result and the bytes written to the peer.
pub(crate) fn accept(
    acceptor: &Acceptor,
    wire: Wire,
) -> (Result<UlAssociation, Error>, WrittenBytes) {
    let written = wire.written();
    (acceptor.accept_over(Box::new(wire)), written)
}

/// Encodes a P-DATA-TF PDU.
pub(crate) fn data_tf(items: &[u8]) -> Vec<u8> {
    pdu(4, items)
}

/// Encodes a PDU.
pub(crate) fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut bytes = vec![kind, 0];
    bytes.extend(length.to_be_bytes());
    bytes.extend(body);
    bytes
}

/// Encodes a presentation data value item.
pub(crate) fn pdv(context: u8, control: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len() + 2).unwrap_or(u32::MAX);
    let mut item = length.to_be_bytes().to_vec();
    item.extend([context, control]);
    item.extend(bytes);
    item
}

/// Encodes an item of an association PDU.
pub(crate) fn item(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    let mut item = vec![kind, 0];
    item.extend(length.to_be_bytes());
    item.extend(value);
    item
}

/// Encodes an A-ABORT of the service provider with this reason.
pub(crate) const fn abort(reason: u8) -> [u8; 10] {
    [7, 0, 0, 0, 0, 4, 0, 0, 2, reason]
}

/// An A-ABORT of the service user.
pub(crate) const USER_ABORT: [u8; 10] = [7, 0, 0, 0, 0, 4, 0, 0, 0, 0];
pub(crate) const RELEASE_RQ: [u8; 10] = [5, 0, 0, 0, 0, 4, 0, 0, 0, 0];
pub(crate) const RELEASE_RP: [u8; 10] = [6, 0, 0, 0, 0, 4, 0, 0, 0, 0];

/// An A-ASSOCIATE-RQ.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) kind: u8,
    pub(crate) version: u16,
    pub(crate) called: Vec<u8>,
    pub(crate) calling: Vec<u8>,
    /// The concatenated items.
    pub(crate) items: Vec<Vec<u8>>,
}

impl Request {
    /// Creates a valid request: context 1 has SOP class 1.2.1 in 1.2.10, and the maximum length is
    /// 4,096 bytes.
    pub(crate) fn new() -> Self {
        Self {
            kind: 1,
            version: 1,
            called: b"ACCEPTOR        ".to_vec(),
            calling: b"REQUESTOR       ".to_vec(),
            items: vec![
                application(),
                context(1, "1.2.1", &["1.2.10"]),
                user(&[&maximum(4096)]),
            ],
        }
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(crate) fn with_contexts(self, contexts: Vec<Vec<u8>>) -> Self {
        self.with(|request| {
            request.items.splice(1..2, contexts);
        })
    }

    pub(crate) fn with_user(self, variables: &[&[u8]]) -> Self {
        self.with(|request| {
            request.items.pop();
            request.items.push(user(variables));
        })
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut body = self.version.to_be_bytes().to_vec();
        body.extend([0, 0]);
        body.extend(&self.called);
        body.extend(&self.calling);
        body.extend([0; 32]);
        body.extend(self.items.concat());
        pdu(self.kind, &body)
    }
}

pub(crate) fn application() -> Vec<u8> {
    item(0x10, b"1.2.840.10008.3.1.1.1")
}

pub(crate) fn context(id: u8, class: &str, syntaxes: &[&str]) -> Vec<u8> {
    let mut value = vec![id, 0, 0, 0];
    value.extend(item(0x30, class.as_bytes()));
    for syntax in syntaxes {
        value.extend(item(0x40, syntax.as_bytes()));
    }
    item(0x20, &value)
}

/// Encodes the result of a context.
pub(crate) fn result(id: u8, code: u8, syntax: &str) -> Vec<u8> {
    let mut value = vec![id, 0, code, 0];
    value.extend(item(0x40, syntax.as_bytes()));
    item(0x21, &value)
}

pub(crate) fn user(variables: &[&[u8]]) -> Vec<u8> {
    item(0x50, &variables.concat())
}

pub(crate) fn maximum(bytes: u32) -> Vec<u8> {
    item(0x51, &bytes.to_be_bytes())
}

pub(crate) fn role(class: &str, scu: u8, scp: u8) -> Vec<u8> {
    let mut value = u16::try_from(class.len())
        .unwrap_or(0)
        .to_be_bytes()
        .to_vec();
    value.extend(class.as_bytes());
    value.extend([scu, scp]);
    item(0x54, &value)
}

/// Returns the kind of an error, for tables.
pub(crate) fn kind(error: &Error) -> &'static str {
    match error {
        Error::Protocol { .. } => "protocol",
        Error::Refused { .. } => "refused",
        Error::TimedOut { .. } => "timed out",
        Error::Lost => "lost",
        Error::Aborted { .. } => "aborted",
        Error::Rejected { .. } => "rejected",
        Error::Closed => "closed",
        _ => "another",
    }
}

/// Returns the kind of error with which an operation ended.
pub(crate) fn ended<T>(result: &Result<T, Error>) -> &'static str {
    result.as_ref().map_or_else(kind, |_| "no error")
}
