//! The parts of the network that need none: command sets, and messages through PDUs in memory.

use std::hint::black_box;
use std::io::{self, BufRead as _, IoSlice, Read as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anon_benches::{baseline, cases};
use anon_net::association::ul::{Acceptor, Transport, UlAssociation, UlDial};
use anon_net::dimse::{Body, Command, Incoming, Request, receive_command, send_with};
use anon_net::{ContextId, Contexts, Operation, Proposal, SupportedContexts, Uid};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const LONG: Duration = Duration::from_secs(5);

fn uid(text: &str) -> Uid {
    Uid::new(text).expect("a UID")
}

fn store() -> Command {
    let instance = "1.2.826.0.1.3680043.10.474.527408119.1".parse();
    let request = Request::new(Operation::Store, 7, uid(CT));
    Command::Request(request.with_instance(instance.expect("a UID")))
}

fn command(c: &mut Criterion) {
    let command = store();
    let bytes = command.encode();
    let mut out = Vec::new();
    let mut group = c.benchmark_group("dimse");
    group.throughput(Throughput::Elements(1));
    group.bench_function("baseline/copy", |b| {
        b.iter(|| baseline::copy_bytes(black_box(&bytes), &mut out));
    });
    group.bench_function("encode/c_store", |b| {
        b.iter(|| black_box(&command).encode());
    });
    group.bench_function("decode/c_store", |b| {
        b.iter(|| Command::decode(black_box(&bytes)).expect("a command"));
    });
    group.finish();
}

/// A stream that says `first`, then `again` over and over; it keeps what it hears, or drops it.
#[derive(Debug)]
struct Tape {
    first: Vec<u8>,
    again: Vec<u8>,
    at: usize,
    heard: Option<Arc<Mutex<Vec<u8>>>>,
}

impl Transport for Tape {
    fn read(&mut self, buffer: &mut [u8], _: Instant) -> io::Result<usize> {
        if self.at >= self.first.len() {
            self.first.clone_from(&self.again);
            self.at = 0;
        }
        let mut rest = self.first.get(self.at..).unwrap_or_default();
        let count = rest.read(buffer)?;
        self.at += count;
        Ok(count)
    }

    fn write(&mut self, parts: &[IoSlice<'_>], _: Instant) -> io::Result<usize> {
        if let Some(heard) = &self.heard {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.extend(parts.iter().flat_map(|part| part.iter()));
        }
        Ok(parts.iter().map(|part| part.len()).sum())
    }

    fn finish(&mut self) {}

    fn reset(&mut self) {}
}

fn tape(first: Vec<u8>, again: Vec<u8>) -> (Box<Tape>, Arc<Mutex<Vec<u8>>>) {
    let heard = Arc::<Mutex<Vec<u8>>>::default();
    let tape = Tape {
        first,
        again,
        at: 0,
        heard: Some(Arc::clone(&heard)),
    };
    (Box::new(tape), heard)
}

fn take(heard: &Mutex<Vec<u8>>) -> Vec<u8> {
    std::mem::take(&mut *heard.lock().unwrap_or_else(PoisonError::into_inner))
}

fn acceptor() -> Acceptor {
    let supported = SupportedContexts::new().with(uid(CT), vec![uid(EXPLICIT)]);
    Acceptor::new("ACCEPTOR".parse().expect("a title"), supported)
}

fn dial(tape: Box<Tape>) -> Result<UlAssociation, anon_net::Error> {
    let mut contexts = Contexts::new();
    let context = contexts.add(uid(CT), vec![uid(EXPLICIT)]);
    context.expect("a context");
    let proposal = Proposal::new("REQUESTOR".parse().expect("a title"), contexts);
    let node = "ACCEPTOR@here:104".parse().expect("a node");
    UlDial::new().dial_over(tape, &node, &proposal, LONG)
}

/// A proposal, and the answer to it.
fn opening() -> (Vec<u8>, Vec<u8>) {
    let (silent, heard) = tape(Vec::new(), Vec::new());
    assert!(dial(silent).is_err());
    let request = take(&heard);
    let (asking, heard) = tape(request.clone(), Vec::new());
    let accepted = acceptor().accept_over(asking);
    let answer = take(&heard);
    assert!(accepted.is_ok());
    (request, answer)
}

/// A C-STORE of a slice, as PDUs of 128 KiB.
fn message(answer: &[u8], slice: &[u8]) -> Vec<u8> {
    let (tape, heard) = tape(answer.to_vec(), Vec::new());
    let mut association = dial(tape).expect("an association");
    take(&heard);
    let sent = send_with(
        &mut association,
        ContextId::FIRST,
        &store(),
        &mut &*slice,
        LONG,
    );
    sent.expect("it is sent");
    take(&heard)
}

fn receive(association: &mut UlAssociation, mut each: impl FnMut(&[u8])) -> u64 {
    let incoming = receive_command(association, LONG).expect("a message");
    let context = match incoming {
        Incoming::Message { context, .. } => Some(context),
        _ => None,
    };
    let context = context.expect("a message that is understood");
    let mut body = Body::new(association, context, LONG);
    loop {
        let piece = body.fill_buf().expect("bytes");
        if piece.is_empty() {
            return body.received();
        }
        each(piece);
        let count = piece.len();
        body.consume(count);
    }
}

fn messages(c: &mut Criterion) {
    let slice = cases::ct().bytes;
    let (request, answer) = opening();
    let message = message(&answer, &slice);
    let (tape, _) = tape(request, message);
    let mut incoming = acceptor().accept_over(tape).expect("an association");
    let deaf = Tape {
        first: answer,
        again: Vec::new(),
        at: 0,
        heard: None,
    };
    let mut outgoing = dial(Box::new(deaf)).expect("an association");
    let mut out = Vec::new();
    let mut group = c.benchmark_group("message/ct_slice");
    group.throughput(Throughput::Bytes(slice.len() as u64));
    group.bench_function("baseline/copy", |b| {
        b.iter(|| baseline::copy_bytes(black_box(&slice), &mut out));
    });
    // The copy into the buffer is what the system does with a socket.
    group.bench_function("receive", |b| {
        b.iter(|| {
            let received = receive(&mut incoming, |piece| {
                black_box(piece);
            });
            assert_eq!(received, slice.len() as u64);
        });
    });
    group.bench_function("receive/keep", |b| {
        b.iter(|| {
            out.clear();
            receive(&mut incoming, |piece| out.extend_from_slice(piece));
        });
    });
    let command = store();
    group.bench_function("send", |b| {
        b.iter(|| {
            let body = &mut black_box(&*slice);
            send_with(&mut outgoing, ContextId::FIRST, &command, body, LONG).expect("it is sent");
        });
    });
    group.finish();
}

criterion_group!(benches, command, messages);
criterion_main!(benches);
