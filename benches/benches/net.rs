//! Command sets, and messages through PDUs in memory, without a network.

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
const TIMEOUT: Duration = Duration::from_secs(5);

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

/// A transport that yields `first`, then `again` repeatedly. It records what is written, or drops it.
#[derive(Debug)]
struct Replay {
    first: Vec<u8>,
    again: Vec<u8>,
    at: usize,
    written: Option<Arc<Mutex<Vec<u8>>>>,
}

impl Transport for Replay {
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
        if let Some(written) = &self.written {
            let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
            written.extend(parts.iter().flat_map(|part| part.iter()));
        }
        Ok(parts.iter().map(|part| part.len()).sum())
    }

    fn finish(&mut self) {}

    fn reset(&mut self) {}
}

fn replay(first: Vec<u8>, again: Vec<u8>) -> (Box<Replay>, Arc<Mutex<Vec<u8>>>) {
    let written = Arc::<Mutex<Vec<u8>>>::default();
    let replay = Replay {
        first,
        again,
        at: 0,
        written: Some(Arc::clone(&written)),
    };
    (Box::new(replay), written)
}

fn take(written: &Mutex<Vec<u8>>) -> Vec<u8> {
    std::mem::take(&mut *written.lock().unwrap_or_else(PoisonError::into_inner))
}

fn acceptor() -> Acceptor {
    let supported = SupportedContexts::new().with(uid(CT), vec![uid(EXPLICIT)]);
    Acceptor::new("ACCEPTOR".parse().expect("a title"), supported)
}

fn dial(replay: Box<Replay>) -> Result<UlAssociation, anon_net::Error> {
    let mut contexts = Contexts::new();
    let context = contexts.add(uid(CT), vec![uid(EXPLICIT)]);
    context.expect("a context");
    let proposal = Proposal::new("REQUESTOR".parse().expect("a title"), contexts);
    let node = "ACCEPTOR@here:104".parse().expect("a node");
    UlDial::new().dial_over(replay, &node, &proposal, TIMEOUT)
}

/// Returns the bytes of an association request and of its acceptance.
fn opening() -> (Vec<u8>, Vec<u8>) {
    let (requestor, written) = replay(Vec::new(), Vec::new());
    assert!(dial(requestor).is_err());
    let request = take(&written);
    let (acceptor_side, written) = replay(request.clone(), Vec::new());
    let accepted = acceptor().accept_over(acceptor_side);
    let accept = take(&written);
    assert!(accepted.is_ok());
    (request, accept)
}

/// Returns a C-STORE of a slice, as PDUs of 128 KiB.
fn message(accept: &[u8], slice: &[u8]) -> Vec<u8> {
    let (replay, written) = replay(accept.to_vec(), Vec::new());
    let mut association = dial(replay).expect("an association");
    take(&written);
    let sent = send_with(
        &mut association,
        ContextId::FIRST,
        &store(),
        &mut &*slice,
        TIMEOUT,
    );
    sent.expect("cannot send");
    take(&written)
}

fn receive(association: &mut UlAssociation, mut each: impl FnMut(&[u8])) -> u64 {
    let incoming = receive_command(association, TIMEOUT).expect("a message");
    let context = match incoming {
        Incoming::Message { context, .. } => Some(context),
        _ => None,
    };
    let context = context.expect("not a valid message");
    let mut body = Body::new(association, context, TIMEOUT);
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
    let (request, accept) = opening();
    let message = message(&accept, &slice);
    let (replay, _) = replay(request, message);
    let mut incoming = acceptor().accept_over(replay).expect("an association");
    let recorded = Replay {
        first: accept,
        again: Vec::new(),
        at: 0,
        written: None,
    };
    let mut outgoing = dial(Box::new(recorded)).expect("an association");
    let mut out = Vec::new();
    let mut group = c.benchmark_group("message/ct_slice");
    group.throughput(Throughput::Bytes(slice.len() as u64));
    group.bench_function("baseline/copy", |b| {
        b.iter(|| baseline::copy_bytes(black_box(&slice), &mut out));
    });
    // The copy into the buffer stands for the copy that a socket read does.
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
            send_with(&mut outgoing, ContextId::FIRST, &command, body, TIMEOUT)
                .expect("cannot send");
        });
    });
    group.finish();
}

criterion_group!(benches, command, messages);
criterion_main!(benches);
