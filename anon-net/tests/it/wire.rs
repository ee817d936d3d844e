//! A peer that says what it was given, byte for byte, and notes what it is told.

use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anon_net::Error;
use anon_net::association::ul::{Acceptor, Transport, UlAssociation};

/// What comes after the last byte.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Then {
    Silence,
    Close,
    Reset,
}

/// The bytes that a side was told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Vec<Vec<u8>>>>);

impl Told {
    fn add(&self, bytes: &[u8]) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.push(bytes.to_vec());
    }

    /// What was told since the last time.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.take_writes().concat()
    }

    /// What was told since the last time, write by write.
    pub(crate) fn take_writes(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Bytes in place of a network.
#[derive(Debug)]
pub(crate) struct Wire {
    says: Vec<u8>,
    said: usize,
    /// The most that one read or write moves.
    step: usize,
    /// Where it is silent once.
    pause: Option<usize>,
    then: Then,
    /// The peer reads no more.
    deaf: bool,
    told: Told,
}

impl Wire {
    pub(crate) fn new(says: Vec<u8>, then: Then) -> Self {
        Self {
            says,
            said: 0,
            step: usize::MAX,
            pause: None,
            then,
            deaf: false,
            told: Told::default(),
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

    pub(crate) fn deaf(self) -> Self {
        Self { deaf: true, ..self }
    }

    pub(crate) fn told(&self) -> Told {
        self.told.clone()
    }
}

impl Transport for Wire {
    fn read(&mut self, buffer: &mut [u8], _: Instant) -> io::Result<usize> {
        if self.pause == Some(self.said) {
            self.pause = None;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let until = self.pause.unwrap_or(self.says.len());
        let left = self.says.get(self.said..until).unwrap_or_default();
        if left.is_empty() {
            return match self.then {
                Then::Silence => Err(io::ErrorKind::TimedOut.into()),
                Then::Close => Ok(0),
                Then::Reset => Err(io::ErrorKind::ConnectionReset.into()),
            };
        }
        let count = left.len().min(buffer.len()).min(self.step);
        for (to, from) in buffer.iter_mut().zip(left.iter().take(count)) {
            *to = *from;
        }
        self.said += count;
        Ok(count)
    }

    fn write(&mut self, parts: &[IoSlice<'_>], _: Instant) -> io::Result<usize> {
        if self.deaf {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let all: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        let some = all.get(..self.step).unwrap_or(&all);
        self.told.add(some);
        Ok(some.len())
    }

    fn finish(&mut self) {}

    fn reset(&mut self) {}
}

/// Lets an acceptor hear a peer; what became of it, and what the peer was told.
pub(crate) fn hear(acceptor: &Acceptor, wire: Wire) -> (Result<UlAssociation, Error>, Told) {
    let told = wire.told();
    (acceptor.accept_over(Box::new(wire)), told)
}

/// A P-DATA-TF of these bytes.
pub(crate) fn data_tf(items: &[u8]) -> Vec<u8> {
    pdu(4, items)
}

/// A PDU.
pub(crate) fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut bytes = vec![kind, 0];
    bytes.extend(length.to_be_bytes());
    bytes.extend(body);
    bytes
}

/// A presentation data value item.
pub(crate) fn pdv(context: u8, control: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len() + 2).unwrap_or(u32::MAX);
    let mut item = length.to_be_bytes().to_vec();
    item.extend([context, control]);
    item.extend(bytes);
    item
}

/// An item of an association PDU.
pub(crate) fn item(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    let mut item = vec![kind, 0];
    item.extend(length.to_be_bytes());
    item.extend(value);
    item
}

/// A-ABORT of the service provider with this reason.
pub(crate) const fn abort(reason: u8) -> [u8; 10] {
    [7, 0, 0, 0, 0, 4, 0, 0, 2, reason]
}

/// A-ABORT of the service user.
pub(crate) const USER_ABORT: [u8; 10] = [7, 0, 0, 0, 0, 4, 0, 0, 0, 0];
pub(crate) const RELEASE_RQ: [u8; 10] = [5, 0, 0, 0, 0, 4, 0, 0, 0, 0];
pub(crate) const RELEASE_RP: [u8; 10] = [6, 0, 0, 0, 0, 4, 0, 0, 0, 0];

/// A proposal as a peer writes it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) kind: u8,
    pub(crate) version: u16,
    pub(crate) called: Vec<u8>,
    pub(crate) calling: Vec<u8>,
    /// Items, one after the other.
    pub(crate) items: Vec<Vec<u8>>,
}

impl Request {
    /// One that is in order: context 1 of class 1.2.1 in 1.2.10, with a limit of 4,096 bytes.
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

/// An answer to a context.
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

/// The kind of an error, for tables.
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

/// The kind of what an association's end gave.
pub(crate) fn ended<T>(result: &Result<T, Error>) -> &'static str {
    result.as_ref().map_or_else(kind, |_| "no error")
}
