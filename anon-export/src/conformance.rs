//! The suite that every [`Sink`] passes, ours or yours.
//!
//! [`check`] panics with a sentence at the first promise that is broken.
#![expect(
    clippy::panic,
    reason = "a suite reports by panicking, as its module says"
)]

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::ControlFlow;

use crate::{Error, ObjectKey, Part, Put, Sink};

/// Checks every promise of [`Sink`].
///
/// `make` returns an empty destination each time it is called; it may be called again while an
/// earlier one is still open. Objects of up to 1 MiB are put under the patients `S-1`, `S-2` and
/// `a.b-c_d 1`.
pub fn check<S: Sink>(make: impl Fn() -> S) {
    puts_and_lists(&make());
    puts_the_same_again(&make());
    replaces_other_bytes(&make());
    refuses_a_wrong_length(&make());
    survives_a_failing_reader(&make());
    reads_in_any_pieces(&make());
    lists_one_patient(&make());
    stops_listing(&make());
    refuses_what_is_too_large(&make());
    puts_at_once(&make());
    puts_one_key_at_once(&make());
}

/// A key whose last number is `n`.
fn key(patient: &str, series: u32, n: u32) -> ObjectKey {
    ObjectKey::new([
        patient,
        "1.2.826.0.1.3680043.10.474.1",
        &format!("1.2.826.0.1.3680043.10.474.{series}"),
        &format!("1.2.826.0.1.3680043.10.474.{n}"),
    ])
    .unwrap_or_else(|error| panic!("the suite's own key: {error}"))
}

/// `len` bytes that tell their place and `seed`.
fn bytes(len: usize, seed: u8) -> Vec<u8> {
    (0..len)
        .map(|i| (i % 251).to_le_bytes()[0] ^ seed)
        .collect()
}

#[track_caller]
fn put(sink: &dyn Sink, key: &ObjectKey, object: &[u8]) -> Put {
    match sink.put(key, object.len() as u64, &mut &*object) {
        Ok(put) => put,
        Err(error) => panic!("an object of {} bytes is put: {error:?}", object.len()),
    }
}

#[track_caller]
fn listed(sink: &dyn Sink, patient: &str) -> BTreeMap<ObjectKey, Option<u64>> {
    let patient = Part::new(patient).unwrap_or_else(|error| panic!("the suite's own: {error}"));
    let mut all = BTreeMap::new();
    let result = sink.list(&patient, &mut |object| {
        assert_eq!(object.key.patient(), &patient, "another patient's object");
        let twice = all.insert(object.key, object.len);
        assert_eq!(twice, None, "an object is listed twice");
        ControlFlow::Continue(())
    });
    if let Err(error) = result {
        panic!("a patient is listed: {error:?}");
    }
    all
}

/// The sink has exactly these objects of a patient, of these lengths where it tells them.
#[track_caller]
fn expect(sink: &dyn Sink, patient: &str, objects: &[(&ObjectKey, usize)], when: &str) {
    let all = listed(sink, patient);
    let keys: Vec<_> = all.keys().collect();
    let mut wanted: Vec<_> = objects.iter().map(|(key, _)| *key).collect();
    wanted.sort();
    assert_eq!(keys, wanted, "{when}: the keys listed");
    for (key, len) in objects {
        if let Some(Some(listed)) = all.get(key) {
            assert_eq!(*listed, *len as u64, "{when}: the length of {key}");
        }
    }
}

fn puts_and_lists(sink: &dyn Sink) {
    expect(sink, "S-1", &[], "an empty destination");
    for (n, len) in [(1, 0), (2, 1), (3, 131), (4, 1 << 20)] {
        let put = put(sink, &key("S-1", 1, n), &bytes(len, 0));
        assert_eq!(put, Put::Created, "an object of {len} bytes");
    }
    let keys = [1, 2, 3, 4].map(|n| key("S-1", 1, n));
    let [a, b, c, d] = &keys;
    expect(
        sink,
        "S-1",
        &[(a, 0), (b, 1), (c, 131), (d, 1 << 20)],
        "four objects",
    );
    let odd = key("a.b-c_d 1", 1, 1);
    put(sink, &odd, &bytes(10, 0));
    expect(
        sink,
        "a.b-c_d 1",
        &[(&odd, 10)],
        "a name with every kind of character",
    );
}

fn puts_the_same_again(sink: &dyn Sink) {
    let key = key("S-1", 1, 1);
    for len in [0, 300_000] {
        put(sink, &key, &bytes(len, 0));
        for _ in 0..2 {
            let again = put(sink, &key, &bytes(len, 0));
            assert_eq!(again, Put::AlreadyThere, "the same {len} bytes again");
        }
    }
    expect(sink, "S-1", &[(&key, 300_000)], "after it was put again");
}

fn replaces_other_bytes(sink: &dyn Sink) {
    let key = key("S-1", 1, 1);
    put(sink, &key, &bytes(300_000, 0));
    let mut other = bytes(300_000, 0);
    if let Some(last) = other.last_mut() {
        *last ^= 1;
    }
    for object in [other, bytes(299_999, 0), bytes(300_001, 0)] {
        assert_eq!(
            put(sink, &key, &object),
            Put::Created,
            "other bytes are put"
        );
        assert_eq!(
            put(sink, &key, &object),
            Put::AlreadyThere,
            "they stand there now"
        );
        expect(sink, "S-1", &[(&key, object.len())], "other bytes were put");
    }
}

fn refuses_a_wrong_length(sink: &dyn Sink) {
    let (old, new) = (key("S-1", 1, 1), key("S-1", 2, 2));
    put(sink, &old, &bytes(500, 0));
    for key in [&old, &new] {
        let object = bytes(1000, 1);
        for said in [1001, 1 << 40] {
            match sink.put(key, said, &mut &*object) {
                Err(Error::Short { expected, found }) => {
                    assert_eq!((expected, found), (said, 1000), "a short body");
                }
                other => panic!("{said} bytes are said, 1000 come: {other:?}"),
            }
        }
        for said in [0, 1, 999] {
            match sink.put(key, said, &mut &*object) {
                Err(Error::Long { expected }) => assert_eq!(expected, said, "a long body"),
                other => panic!("{said} bytes are said, 1000 come: {other:?}"),
            }
        }
        expect(sink, "S-1", &[(&old, 500)], "a body of another length");
    }
    let again = put(sink, &old, &bytes(500, 0));
    assert_eq!(again, Put::AlreadyThere, "the old object still stands");
}

/// Gives some bytes, then an error.
struct Failing<'b> {
    rest: &'b [u8],
    kind: io::ErrorKind,
}

impl Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.rest.read(buffer)? {
            0 => Err(io::Error::new(self.kind, "CANARY-IN-THE-READER")),
            n => Ok(n),
        }
    }
}

fn survives_a_failing_reader(sink: &dyn Sink) {
    let (old, new) = (key("S-1", 1, 1), key("S-1", 1, 2));
    put(sink, &old, &bytes(500, 0));
    for key in [&old, &new] {
        for given in [0, 1, 700_000] {
            let rest = &*bytes(given, 2);
            let kind = io::ErrorKind::ConnectionReset;
            match sink.put(key, 1 << 20, &mut Failing { rest, kind }) {
                Err(error @ Error::Read { .. }) => {
                    let all = format!("{error} {error:?}");
                    assert!(!all.contains("CANARY"), "the reader's words are repeated");
                }
                other => panic!("the reader fails after {given} bytes: {other:?}"),
            }
            expect(sink, "S-1", &[(&old, 500)], "a reader that failed");
        }
    }
    assert_eq!(
        put(sink, &old, &bytes(500, 0)),
        Put::AlreadyThere,
        "the old object still stands"
    );
    assert_eq!(
        put(sink, &new, &bytes(9, 0)),
        Put::Created,
        "the key is free"
    );
}

/// Gives one byte a call, and is interrupted before each.
struct Dripping<'b> {
    rest: &'b [u8],
    interrupted: bool,
}

impl Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let n = buffer.len().min(1);
        self.rest.read(buffer.get_mut(..n).unwrap_or_default())
    }
}

fn reads_in_any_pieces(sink: &dyn Sink) {
    let (key, object) = (key("S-1", 1, 1), bytes(5000, 3));
    let mut body = Dripping {
        rest: &object,
        interrupted: false,
    };
    match sink.put(&key, 5000, &mut body) {
        Ok(put) => assert_eq!(put, Put::Created, "byte by byte"),
        Err(error) => panic!("byte by byte: {error:?}"),
    }
    assert_eq!(
        put(sink, &key, &object),
        Put::AlreadyThere,
        "byte by byte is the same"
    );
}

fn lists_one_patient(sink: &dyn Sink) {
    let (a, b, c) = (key("S-1", 1, 1), key("S-1", 2, 1), key("S-2", 1, 1));
    for key in [&a, &b, &c] {
        put(sink, key, &bytes(7, 0));
    }
    expect(
        sink,
        "S-1",
        &[(&a, 7), (&b, 7)],
        "the first of two patients",
    );
    expect(sink, "S-2", &[(&c, 7)], "the second of two patients");
    expect(sink, "S", &[], "a patient whose name begins another's");
    expect(sink, "S-3", &[], "a patient that is not there");
}

fn stops_listing(sink: &dyn Sink) {
    for n in 1..=9 {
        put(sink, &key("S-1", n, n), b"object");
    }
    let patient = key("S-1", 1, 1).patient().clone();
    let mut calls = 0;
    let result = sink.list(&patient, &mut |_| {
        calls += 1;
        if calls == 3 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert!(result.is_ok(), "breaking off is no error: {result:?}");
    assert_eq!(calls, 3, "calls until it broke off");
}

struct Unread;

impl Read for Unread {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("a body that is too large is read");
    }
}

fn refuses_what_is_too_large(sink: &dyn Sink) {
    let max = sink.needs().max_object_bytes;
    let Some(len) = max.checked_add(1) else {
        return;
    };
    match sink.put(&key("S-1", 1, 1), len, &mut Unread) {
        Err(Error::TooLarge {
            len: said,
            max: most,
        }) => {
            assert_eq!((said, most), (len, max), "what is told of a body too large");
        }
        other => panic!("a body of {len} bytes, at most {max} are taken: {other:?}"),
    }
    expect(sink, "S-1", &[], "a body too large");
}

fn puts_at_once(sink: &dyn Sink) {
    let threads = u32::try_from(sink.needs().parallel.get())
        .unwrap_or(8)
        .clamp(4, 32);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for n in 0..8 {
                    let put = put(sink, &key("S-1", thread + 1, n + 1), &bytes(70_000, 4));
                    assert_eq!(put, Put::Created, "many at once");
                }
            });
        }
    });
    assert_eq!(
        listed(sink, "S-1").len() as u64,
        u64::from(threads) * 8,
        "many at once"
    );
}

fn puts_one_key_at_once(sink: &dyn Sink) {
    let key = key("S-1", 1, 1);
    let bodies = [bytes(70_000, 1), bytes(80_000, 2), bytes(90_000, 3)];
    for _ in 0..8 {
        std::thread::scope(|scope| {
            for body in &bodies {
                let key = &key;
                scope.spawn(move || put(sink, key, body));
            }
        });
        // Whichever came last is there whole: putting it again changes nothing, and no other does so.
        let len = listed(sink, "S-1").get(&key).copied().flatten();
        let Some(len) = len else { continue };
        let winner = bodies.iter().find(|body| body.len() as u64 == len);
        let Some(winner) = winner else {
            panic!("two bodies were mixed: {len} bytes");
        };
        assert_eq!(
            put(sink, &key, winner),
            Put::AlreadyThere,
            "a body stands there whole"
        );
    }
}
