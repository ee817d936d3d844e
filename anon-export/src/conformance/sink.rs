//! The suite that every [`Sink`] passes, ours or yours.
//!
//! [`check`] panics with a sentence at the first promise that is broken.
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::ControlFlow;

use super::image::image;
use super::{bytes, key};
use crate::{Error, KeyPart, ListedObject, ObjectKey, Put, Sink, Stored};

/// Checks every promise of [`Sink`], as far as its [`Capabilities`](crate::Capabilities) say that it gives it.
///
/// `make` returns an empty destination each time it is called; it may be called again while an
/// earlier one is still open. Objects of up to 1 MiB are put under the patients `S-1`, `S-2` and
/// `a.b-c_d 1`. A sink that takes DICOM files only is given small CT images, padded.
pub fn check<S: Sink>(make: impl Fn() -> S) {
    for promise in PROMISES {
        let sink = make();
        promise(&SinkSuite { sink: &sink });
    }
}

const PROMISES: [fn(&SinkSuite<'_>); 12] = [
    can_be_used,
    puts_and_lists,
    puts_the_same_again,
    replaces_other_bytes,
    refuses_a_wrong_length,
    survives_a_failing_reader,
    reads_in_any_pieces,
    lists_one_patient,
    stops_listing,
    refuses_what_is_too_large,
    puts_at_once,
    puts_one_key_at_once,
];

/// A sink, and objects such as it takes.
struct SinkSuite<'s> {
    sink: &'s dyn Sink,
}

impl SinkSuite<'_> {
    /// An object of this length, or of the next that is possible.
    fn object(&self, key: &ObjectKey, len: usize, seed: u8) -> Vec<u8> {
        if self.sink.capabilities().dicom {
            image(key, len, seed)
        } else {
            bytes(len, seed)
        }
    }

    /// What is said of an object that stands there already.
    fn again(&self) -> Put {
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
            Err(error) => panic!("an object of {} bytes is put: {error:?}", object.len()),
        }
    }

    /// A tag that can be told beforehand is the one that is told afterwards.
    #[track_caller]
    fn tag_is_that_of_the_bytes(&self, stored: &Stored, object: &[u8]) {
        match self.sink.tag_of(object.len() as u64, &mut &*object) {
            Ok(Some(tag)) => assert_eq!(stored.tag.as_ref(), Some(&tag), "the tag of an object"),
            Ok(None) => {}
            Err(error) => panic!("the tag of {} bytes is asked for: {error:?}", object.len()),
        }
    }

    #[track_caller]
    fn listed(&self, patient: &str) -> BTreeMap<ObjectKey, ListedObject> {
        let patient =
            KeyPart::new(patient).unwrap_or_else(|error| panic!("the suite's own: {error}"));
        let mut all = BTreeMap::new();
        let result = self.sink.list(&patient, &mut |object| {
            assert_eq!(object.key.patient(), &patient, "another patient's object");
            let twice = all.insert(object.key.clone(), object);
            assert_eq!(twice, None, "an object is listed twice");
            ControlFlow::Continue(())
        });
        if let Err(error) = result {
            panic!("a patient is listed: {error:?}");
        }
        all
    }

    /// The sink has exactly these objects of a patient, of these lengths and with the tags of these
    /// bytes where it tells them.
    #[track_caller]
    fn expect(&self, patient: &str, objects: &[(&ObjectKey, &[u8])], when: &str) {
        let all = self.listed(patient);
        let keys: Vec<_> = all.keys().collect();
        let mut wanted: Vec<_> = objects.iter().map(|(key, _)| *key).collect();
        wanted.sort();
        assert_eq!(keys, wanted, "{when}: the keys listed");
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
                    Err(error) => panic!("{when}: the tag of {key} is compared: {error:?}"),
                }
            }
        }
    }
}

fn can_be_used(suite: &SinkSuite<'_>) {
    for _ in 0..2 {
        if let Err(error) = suite.sink.check() {
            panic!("a destination that can be used: {error:?}");
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
    let odd = key("a.b-c_d 1", 1, 1);
    let object = object(&odd, 10);
    suite.put(&odd, &object);
    let when = "a name with every kind of character";
    suite.expect("a.b-c_d 1", &[(&odd, &object)], when);
}

fn puts_the_same_again(suite: &SinkSuite<'_>) {
    let key = key("S-1", 1, 1);
    for len in [0, 300_000] {
        let object = suite.object(&key, len, 0);
        suite.put(&key, &object);
        for _ in 0..2 {
            let again = suite.put(&key, &object);
            assert_eq!(again, suite.again(), "the same {len} bytes again");
        }
        suite.expect("S-1", &[(&key, &object)], "after it was put again");
    }
}

fn replaces_other_bytes(suite: &SinkSuite<'_>) {
    let key = key("S-1", 1, 1);
    suite.put(&key, &suite.object(&key, 300_000, 0));
    for (len, seed) in [(300_000, 1), (299_998, 0), (300_002, 0)] {
        let object = suite.object(&key, len, seed);
        let put = suite.put(&key, &object);
        assert_eq!(put, Put::Created, "other bytes are put");
        let put = suite.put(&key, &object);
        assert_eq!(put, suite.again(), "they stand there now");
        suite.expect("S-1", &[(&key, &object)], "other bytes were put");
    }
}

fn refuses_a_wrong_length(suite: &SinkSuite<'_>) {
    let (old, new) = (key("S-1", 1, 1), key("S-1", 2, 2));
    let stands = suite.object(&old, 500, 0);
    suite.put(&old, &stands);
    for key in [&old, &new] {
        let object = suite.object(key, 2000, 1);
        let len = object.len() as u64;
        for said in [len + 1, 1 << 40] {
            match suite.sink.put(key, said, &mut &*object) {
                Err(Error::Short { expected, found }) => {
                    assert_eq!((expected, found), (said, len), "a short body");
                }
                other => panic!("{said} bytes are said, {len} come: {other:?}"),
            }
        }
        for said in [0, 1, len / 2, len - 1] {
            match suite.sink.put(key, said, &mut &*object) {
                Err(Error::Long { expected }) => assert_eq!(expected, said, "a long body"),
                other => panic!("{said} bytes are said, {len} come: {other:?}"),
            }
        }
        suite.expect("S-1", &[(&old, &stands)], "a body of another length");
    }
    let again = suite.put(&old, &stands);
    assert_eq!(again, suite.again(), "the old object still stands");
}

/// Gives some bytes, then an error.
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
    let stands = suite.object(&old, 500, 0);
    suite.put(&old, &stands);
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
                    assert!(!all.contains("CANARY"), "the reader's words are repeated");
                }
                other => panic!("the reader fails after {given} bytes: {other:?}"),
            }
            suite.expect("S-1", &[(&old, &stands)], "a reader that failed");
        }
    }
    let again = suite.put(&old, &stands);
    assert_eq!(again, suite.again(), "the old object still stands");
    let put = suite.put(&new, &suite.object(&new, 9, 0));
    assert_eq!(put, Put::Created, "the key is free");
}

/// Gives one byte a call, and is interrupted before each.
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
        Ok(stored) => assert_eq!(stored.put, Put::Created, "byte by byte"),
        Err(error) => panic!("byte by byte: {error:?}"),
    }
    let again = suite.put(&key, &object);
    assert_eq!(again, suite.again(), "byte by byte is the same");
    suite.expect("S-1", &[(&key, &object)], "byte by byte");
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
    suite.expect("S-3", &[], "a patient that is not there");
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
    assert!(result.is_ok(), "breaking off is no error: {result:?}");
    assert_eq!(calls, 3, "calls until it broke off");
}

struct PanickingReader;

impl Read for PanickingReader {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("a body that is too large is read");
    }
}

fn refuses_what_is_too_large(suite: &SinkSuite<'_>) {
    let max = suite.sink.capabilities().max_object_bytes;
    let Some(len) = max.checked_add(1) else {
        return;
    };
    match suite.sink.put(&key("S-1", 1, 1), len, &mut PanickingReader) {
        Err(Error::TooLarge {
            len: said,
            max: most,
        }) => {
            assert_eq!((said, most), (len, max), "what is told of a body too large");
        }
        other => panic!("a body of {len} bytes, at most {max} are taken: {other:?}"),
    }
    suite.expect("S-1", &[], "a body too large");
}

fn puts_at_once(suite: &SinkSuite<'_>) {
    let threads = u32::try_from(suite.sink.capabilities().parallel.get())
        .unwrap_or(8)
        .clamp(4, 32);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for n in 0..8 {
                    let key = key("S-1", thread + 1, n + 1);
                    let put = suite.put(&key, &suite.object(&key, 70_000, 4));
                    assert_eq!(put, Put::Created, "many at once");
                }
            });
        }
    });
    assert_eq!(
        suite.listed("S-1").len() as u64,
        u64::from(threads) * 8,
        "many at once"
    );
}

fn puts_one_key_at_once(suite: &SinkSuite<'_>) {
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
        assert_eq!(all.len(), 1, "one key was put");
        // Whichever came last is there whole: putting it again changes nothing, and no other does so.
        let Some(len) = all.get(&key).and_then(|listed| listed.len) else {
            continue;
        };
        let winner = bodies.iter().find(|body| body.len() as u64 == len);
        let Some(winner) = winner else {
            panic!("two bodies were mixed: {len} bytes");
        };
        let again = suite.put(&key, winner);
        assert_eq!(again, suite.again(), "a body stands there whole");
    }
}
