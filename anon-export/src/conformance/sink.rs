//! The conformance suite for [`Sink`].
//!
//! [`check`] panics at the first broken promise.
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::ControlFlow;

use super::image::image;
use super::{bytes, key};
use crate::{
    Error, IfThere, KeyPart, ListedObject, ObjectKey, Origin, Put, PutOptions, Sink, Stored,
};

/// Checks every promise of [`Sink`] that applies to its [`Capabilities`](crate::Capabilities).
///
/// `make` returns a new empty destination for each call; earlier ones may still be open. The suite
/// puts objects of up to 5 MiB under the patients `S-1`, `S-2` and `a.b-c_d 1`. A sink that accepts
/// only DICOM files gets small padded CT images.
pub fn check<S: Sink>(make: impl Fn() -> S) {
    for promise in PROMISES {
        let sink = make();
        promise(&SinkSuite { sink: &sink });
    }
}

const PROMISES: [fn(&SinkSuite<'_>); 15] = [
    checks_a_usable_destination,
    puts_and_lists,
    puts_the_same_again,
    replaces_other_bytes,
    keeps_an_object_that_is_there,
    keeps_the_first_of_concurrent_puts,
    records_origins,
    refuses_a_wrong_length,
    survives_a_failing_reader,
    reads_in_any_pieces,
    lists_one_patient,
    stops_listing,
    refuses_an_object_that_is_too_large,
    puts_concurrently,
    puts_one_key_concurrently,
];

/// The sink under test.
struct SinkSuite<'s> {
    sink: &'s dyn Sink,
}

impl SinkSuite<'_> {
    /// Returns an object of this length, or of the next possible one.
    fn object(&self, key: &ObjectKey, len: usize, seed: u8) -> Vec<u8> {
        if self.sink.capabilities().dicom {
            image(key, len, seed)
        } else {
            bytes(len, seed)
        }
    }

    /// Returns the expected result of putting the same object again.
    fn expected_again(&self) -> Put {
        if self.sink.capabilities().compares {
            Put::AlreadyThere
        } else {
            Put::Created
        }
    }

    #[track_caller]
    fn put(&self, key: &ObjectKey, object: &[u8]) -> Put {
        match self.sink.put(key, object.len() as u64, &mut &*object) {
            Ok(stored) => {
                self.tag_is_that_of_the_bytes(&stored, object);
                stored.put
            }
            Err(error) => panic!("putting an object of {} bytes: {error:?}", object.len()),
        }
    }

    fn put_with(
        &self,
        key: &ObjectKey,
        object: &[u8],
        origin: Option<Origin>,
        if_there: IfThere<'_>,
    ) -> Result<Put, Error> {
        let options = PutOptions::new(origin, if_there);
        let len = object.len() as u64;
        let stored = self.sink.put_with(key, len, &mut &*object, &options)?;
        Ok(stored.put)
    }

    /// Checks that a tag computed in advance is the one that `put` returns.
    #[track_caller]
    fn tag_is_that_of_the_bytes(&self, stored: &Stored, object: &[u8]) {
        match self.sink.tag_of(object.len() as u64, &mut &*object) {
            Ok(Some(tag)) => assert_eq!(stored.tag.as_ref(), Some(&tag), "the tag of an object"),
            Ok(None) => {}
            Err(error) => panic!("computing the tag of {} bytes: {error:?}", object.len()),
        }
    }

    #[track_caller]
    fn listed(&self, patient: &str) -> BTreeMap<ObjectKey, ListedObject> {
        let patient =
            KeyPart::new(patient).unwrap_or_else(|error| panic!("the suite's own name: {error}"));
        let mut all = BTreeMap::new();
        let result = self.sink.list(&patient, &mut |object| {
            assert_eq!(object.key.patient(), &patient, "another patient's object");
            let twice = all.insert(object.key.clone(), object);
            assert_eq!(twice, None, "an object is listed twice");
            ControlFlow::Continue(())
        });
        if let Err(error) = result {
            panic!("listing a patient: {error:?}");
        }
        all
    }

    /// Checks that the sink has exactly these objects of a patient, with these lengths and, where
    /// it lists tags, with matching ones.
    #[track_caller]
    fn expect(&self, patient: &str, objects: &[(&ObjectKey, &[u8])], when: &str) {
        let all = self.listed(patient);
        let keys: Vec<_> = all.keys().collect();
        let mut expected: Vec<_> = objects.iter().map(|(key, _)| *key).collect();
        expected.sort();
        assert_eq!(keys, expected, "{when}: the keys listed");
        for (key, object) in objects {
            let Some(listed) = all.get(key) else { continue };
            let len = object.len() as u64;
            assert_eq!(
                listed.len.unwrap_or(len),
                len,
                "{when}: the length of {key}"
            );
            if let Some(tag) = &listed.tag {
                match self.sink.is_tag_of(tag, len, &mut &**object) {
                    Ok(is_same) => assert_ne!(is_same, Some(false), "{when}: the tag of {key}"),
                    Err(error) => panic!("{when}: comparing the tag of {key}: {error:?}"),
                }
            }
        }
    }
}

fn checks_a_usable_destination(suite: &SinkSuite<'_>) {
    for _ in 0..2 {
        if let Err(error) = suite.sink.check() {
            panic!("the check of a usable destination: {error:?}");
        }
    }
}

fn puts_and_lists(suite: &SinkSuite<'_>) {
    suite.expect("S-1", &[], "an empty destination");
    let keys = [1, 2, 3, 4].map(|n| key("S-1", 1, n));
    let [a, b, c, d] = &keys;
    let object = |key, len| suite.object(key, len, 0);
    let objects = [
        object(a, 0),
        object(b, 1),
        object(c, 131),
        object(d, 1 << 20),
    ];
    for (key, object) in keys.iter().zip(&objects) {
        let put = suite.put(key, object);
        assert_eq!(put, Put::Created, "an object of {} bytes", object.len());
    }
    let all: Vec<_> = keys.iter().zip(objects.iter().map(|o| &**o)).collect();
    suite.expect("S-1", &all, "four objects");
    let punctuated = key("a.b-c_d 1", 1, 1);
    let object = object(&punctuated, 10);
    suite.put(&punctuated, &object);
    let when = "a name with every allowed kind of character";
    suite.expect("a.b-c_d 1", &[(&punctuated, &object)], when);
}

fn puts_the_same_again(suite: &SinkSuite<'_>) {
    let key = key("S-1", 1, 1);
    for len in [0, 300_000] {
        let object = suite.object(&key, len, 0);
        suite.put(&key, &object);
        for _ in 0..2 {
            let again = suite.put(&key, &object);
            assert_eq!(again, suite.expected_again(), "the same {len} bytes again");
        }
        suite.expect("S-1", &[(&key, &object)], "after putting it again");
    }
}

fn replaces_other_bytes(suite: &SinkSuite<'_>) {
    let key = key("S-1", 1, 1);
    suite.put(&key, &suite.object(&key, 300_000, 0));
    for (len, seed) in [(300_000, 1), (299_998, 0), (300_002, 0)] {
        let object = suite.object(&key, len, seed);
        let put = suite.put(&key, &object);
        assert_eq!(put, Put::Created, "putting other bytes");
        let put = suite.put(&key, &object);
        assert_eq!(put, suite.expected_again(), "putting them again");
        suite.expect("S-1", &[(&key, &object)], "after putting other bytes");
    }
}

fn keeps_an_object_that_is_there(suite: &SinkSuite<'_>) {
    if !suite.sink.capabilities().keeps {
        return;
    }
    let key = key("S-1", 1, 1);
    let object = suite.object(&key, 300_000, 0);
    match suite.put_with(&key, &object, None, IfThere::Keep) {
        Ok(Put::Created) => {}
        other => panic!("putting a new object: {other:?}"),
    }
    for (len, seed) in [(300_000, 1), (10, 0)] {
        let other = suite.object(&key, len, seed);
        match suite.put_with(&key, &other, None, IfThere::Keep) {
            Err(Error::OtherObject) => {}
            other => panic!("other bytes over an object that must stay: {other:?}"),
        }
        suite.expect("S-1", &[(&key, &object)], "after keeping an object");
    }
    match suite.put_with(&key, &object, None, IfThere::Keep) {
        Ok(put) => assert_eq!(put, suite.expected_again(), "the same bytes again"),
        Err(error) => panic!("the same bytes over an object that must stay: {error:?}"),
    }
}

fn keeps_the_first_of_concurrent_puts(suite: &SinkSuite<'_>) {
    if !suite.sink.capabilities().keeps {
        return;
    }
    for n in 1..=8 {
        let key = key("S-1", 1, n);
        let bodies = [(70_000, 1), (80_000, 2), (90_000, 3)];
        let bodies = bodies.map(|(len, seed)| suite.object(&key, len, seed));
        let put: Vec<_> = std::thread::scope(|scope| {
            let key = &key;
            let put = bodies
                .each_ref()
                .map(|body| scope.spawn(move || suite.put_with(key, body, None, IfThere::Keep)));
            put.into_iter().filter_map(|put| put.join().ok()).collect()
        });
        let winners: Vec<_> = put.iter().zip(&bodies).filter(|it| it.0.is_ok()).collect();
        let [(_, body)] = winners[..] else {
            panic!("one of three concurrent puts is stored: {put:?}");
        };
        let again = suite.put(&key, body);
        assert_eq!(
            again,
            suite.expected_again(),
            "the first of concurrent puts"
        );
    }
}

fn records_origins(suite: &SinkSuite<'_>) {
    let key = key("S-1", 1, 1);
    let origin_of = || match suite.sink.origin_of(&key) {
        Ok(origin) => origin,
        Err(error) => panic!("the origin of an object: {error:?}"),
    };
    assert_eq!(origin_of(), None, "the origin of a missing object");
    if !suite.sink.capabilities().origins {
        return;
    }
    let long = (5 << 20) + 10;
    let steps = [
        (10, Some(Origin::new(1, 1))),
        (20, Some(Origin::new(u128::MAX, u64::MAX))),
        (long, Some(Origin::new(1, 2))),
        (30, None),
    ];
    for (len, origin) in steps {
        let object = suite.object(&key, len, 0);
        if let Err(error) = suite.put_with(&key, &object, origin, IfThere::Replace) {
            panic!("putting an object with an origin: {error:?}");
        }
        assert_eq!(origin_of(), origin, "the origin of {len} bytes");
        // Not in the object.
        suite.expect("S-1", &[(&key, &object)], "after putting an origin");
    }
}

fn refuses_a_wrong_length(suite: &SinkSuite<'_>) {
    let (old, new) = (key("S-1", 1, 1), key("S-1", 2, 2));
    let existing = suite.object(&old, 500, 0);
    suite.put(&old, &existing);
    for key in [&old, &new] {
        let object = suite.object(key, 2000, 1);
        let len = object.len() as u64;
        for declared in [len + 1, 1 << 40] {
            match suite.sink.put(key, declared, &mut &*object) {
                Err(Error::Short { expected, found }) => {
                    assert_eq!((expected, found), (declared, len), "a short body");
                }
                other => panic!("a body of {len} bytes declared as {declared}: {other:?}"),
            }
        }
        for declared in [0, 1, len / 2, len - 1] {
            match suite.sink.put(key, declared, &mut &*object) {
                Err(Error::Long { expected }) => assert_eq!(expected, declared, "a long body"),
                other => panic!("a body of {len} bytes declared as {declared}: {other:?}"),
            }
        }
        suite.expect(
            "S-1",
            &[(&old, &existing)],
            "after a body of another length",
        );
    }
    let again = suite.put(&old, &existing);
    assert_eq!(again, suite.expected_again(), "the old object is unchanged");
}

/// Returns some bytes, then an error.
struct FailingReader<'b> {
    rest: &'b [u8],
    kind: io::ErrorKind,
}

impl Read for FailingReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.rest.read(buffer)? {
            0 => Err(io::Error::new(self.kind, "CANARY-IN-THE-READER")),
            n => Ok(n),
        }
    }
}

fn survives_a_failing_reader(suite: &SinkSuite<'_>) {
    let (old, new) = (key("S-1", 1, 1), key("S-1", 1, 2));
    let existing = suite.object(&old, 500, 0);
    suite.put(&old, &existing);
    for key in [&old, &new] {
        let object = suite.object(key, 1 << 20, 2);
        for given in [0, 1, 700_000] {
            let rest = object.get(..given).unwrap_or_default();
            let kind = io::ErrorKind::ConnectionReset;
            match suite
                .sink
                .put(key, object.len() as u64, &mut FailingReader { rest, kind })
            {
                Err(error @ Error::Read { .. }) => {
                    let all = format!("{error} {error:?}");
                    assert!(
                        !all.contains("CANARY"),
                        "the error repeats the reader's message"
                    );
                }
                other => panic!("a reader that fails after {given} bytes: {other:?}"),
            }
            suite.expect("S-1", &[(&old, &existing)], "after a failed reader");
        }
    }
    let again = suite.put(&old, &existing);
    assert_eq!(again, suite.expected_again(), "the old object is unchanged");
    let put = suite.put(&new, &suite.object(&new, 9, 0));
    assert_eq!(put, Put::Created, "the key of the failed put");
}

/// Returns one byte per call, and `Interrupted` before each.
struct OneByteReader<'b> {
    rest: &'b [u8],
    interrupted: bool,
}

impl Read for OneByteReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let n = buffer.len().min(1);
        self.rest.read(buffer.get_mut(..n).unwrap_or_default())
    }
}

fn reads_in_any_pieces(suite: &SinkSuite<'_>) {
    let key = key("S-1", 1, 1);
    let object = suite.object(&key, 5000, 3);
    let mut body = OneByteReader {
        rest: &object,
        interrupted: false,
    };
    match suite.sink.put(&key, object.len() as u64, &mut body) {
        Ok(stored) => assert_eq!(stored.put, Put::Created, "read byte by byte"),
        Err(error) => panic!("read byte by byte: {error:?}"),
    }
    let again = suite.put(&key, &object);
    assert_eq!(again, suite.expected_again(), "after reading byte by byte");
    suite.expect("S-1", &[(&key, &object)], "read byte by byte");
}

fn lists_one_patient(suite: &SinkSuite<'_>) {
    let keys = [key("S-1", 1, 1), key("S-1", 2, 1), key("S-2", 1, 1)];
    let objects = keys.each_ref().map(|key| suite.object(key, 7, 0));
    for (key, object) in keys.iter().zip(&objects) {
        suite.put(key, object);
    }
    let [a, b, c] = &keys;
    let [of_a, of_b, of_c] = &objects;
    let when = "the first of two patients";
    suite.expect("S-1", &[(a, of_a), (b, of_b)], when);
    suite.expect("S-2", &[(c, of_c)], "the second of two patients");
    suite.expect("S", &[], "a patient whose name begins another's");
    suite.expect("S-3", &[], "an unknown patient");
}

fn stops_listing(suite: &SinkSuite<'_>) {
    for n in 1..=9 {
        let key = key("S-1", n, n);
        suite.put(&key, &suite.object(&key, 6, 0));
    }
    let patient = key("S-1", 1, 1).patient().clone();
    let mut calls = 0;
    let result = suite.sink.list(&patient, &mut |_| {
        calls += 1;
        if calls == 3 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert!(result.is_ok(), "stopping a listing: {result:?}");
    assert_eq!(calls, 3, "calls until the listing stopped");
}

struct PanickingReader;

impl Read for PanickingReader {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("a body that is too large must not be read");
    }
}

fn refuses_an_object_that_is_too_large(suite: &SinkSuite<'_>) {
    let max = suite.sink.capabilities().max_object_bytes;
    let Some(len) = max.checked_add(1) else {
        return;
    };
    match suite.sink.put(&key("S-1", 1, 1), len, &mut PanickingReader) {
        Err(Error::TooLarge {
            len: found_len,
            max: found_max,
        }) => {
            assert_eq!(
                (found_len, found_max),
                (len, max),
                "the error of a body that is too large"
            );
        }
        other => panic!("a body of {len} bytes where {max} are accepted: {other:?}"),
    }
    suite.expect("S-1", &[], "after a body that was too large");
}

fn puts_concurrently(suite: &SinkSuite<'_>) {
    let threads = u32::try_from(suite.sink.capabilities().parallel.get())
        .unwrap_or(8)
        .clamp(4, 32);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for n in 0..8 {
                    let key = key("S-1", thread + 1, n + 1);
                    let put = suite.put(&key, &suite.object(&key, 70_000, 4));
                    assert_eq!(put, Put::Created, "concurrent puts");
                }
            });
        }
    });
    assert_eq!(
        suite.listed("S-1").len() as u64,
        u64::from(threads) * 8,
        "concurrent puts"
    );
}

fn puts_one_key_concurrently(suite: &SinkSuite<'_>) {
    let key = key("S-1", 1, 1);
    let bodies = [(70_000, 1), (80_000, 2), (90_000, 3)];
    let bodies = bodies.map(|(len, seed)| suite.object(&key, len, seed));
    for _ in 0..8 {
        std::thread::scope(|scope| {
            for body in &bodies {
                let key = &key;
                scope.spawn(move || suite.put(key, body));
            }
        });
        let all = suite.listed("S-1");
        assert_eq!(all.len(), 1, "after concurrent puts of one key");
        // The last body is stored completely: putting it again changes nothing, and only for that
        // body.
        let Some(len) = all.get(&key).and_then(|listed| listed.len) else {
            continue;
        };
        let winner = bodies.iter().find(|body| body.len() as u64 == len);
        let Some(winner) = winner else {
            panic!("concurrent puts mixed two bodies: {len} bytes");
        };
        let again = suite.put(&key, winner);
        assert_eq!(
            again,
            suite.expected_again(),
            "one of the bodies is stored completely"
        );
    }
}
