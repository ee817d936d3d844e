//! The conformance suite of [`InstanceHandler`].

use std::io::{self, BufRead, Read};

use crate::scp::{Instance, InstanceHandler, Outcome};

/// An instance for the handler to store. It must be valid for the handler, and not empty.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "an instance and its data set")]
pub struct SampleInstance {
    /// What the C-STORE request says of it.
    pub instance: Instance,
    /// The data set.
    pub body: Vec<u8>,
}

/// Checks every promise of [`InstanceHandler`].
///
/// `make` returns a new empty handler each time. `stored` returns true if a handler stores exactly
/// one instance, the sample.
pub fn handler<H: InstanceHandler>(
    make: impl Fn() -> H,
    sample: &SampleInstance,
    stored: impl Fn(&H) -> bool,
) {
    assert!(!sample.body.is_empty(), "the sample is not empty");
    stores_once(&make(), sample, &stored);
    keeps_nothing_of_an_incomplete_body(&make, sample, &stored);
    reads_bodies_in_small_pieces(&make(), sample, &stored);
    stores_once_for_concurrent_senders(&make(), sample, &stored);
}

#[track_caller]
fn handle(
    handler: &dyn InstanceHandler,
    sample: &SampleInstance,
    body: &mut dyn BufRead,
) -> Outcome {
    match handler.handle(&sample.instance, body) {
        Ok(response) => response.outcome,
        Err(error) => panic!("the handler failed: {error:?}"),
    }
}

fn stores_once<H: InstanceHandler>(
    handler: &H,
    sample: &SampleInstance,
    stored: &impl Fn(&H) -> bool,
) {
    assert!(!stored(handler), "a new handler is empty");
    let outcome = handle(handler, sample, &mut &*sample.body);
    assert_eq!(outcome, Outcome::Stored, "the first time");
    assert!(stored(handler), "an instance reported as stored is stored");
    for _ in 0..2 {
        let again = handle(handler, sample, &mut &*sample.body);
        assert_eq!(again, Outcome::AlreadyStored, "sent again");
    }
    assert!(stored(handler), "sending again changes nothing");
}

/// Returns some bytes, then an error.
struct FailingReader<'b>(&'b [u8], io::ErrorKind);

impl Read for FailingReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        read_through(self, buffer)
    }
}

impl BufRead for FailingReader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.0.is_empty() {
            return Err(io::Error::new(self.1, "the association is gone"));
        }
        Ok(self.0)
    }

    fn consume(&mut self, amount: usize) {
        self.0.consume(amount);
    }
}

fn read_through(from: &mut impl BufRead, buffer: &mut [u8]) -> io::Result<usize> {
    let n = from.fill_buf()?.read(buffer)?;
    from.consume(n);
    Ok(n)
}

fn keeps_nothing_of_an_incomplete_body<H: InstanceHandler>(
    make: &impl Fn() -> H,
    sample: &SampleInstance,
    stored: &impl Fn(&H) -> bool,
) {
    let handler = make();
    let len = sample.body.len();
    for kind in [
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::TimedOut,
        io::ErrorKind::UnexpectedEof,
    ] {
        // An error after the last byte also means that the body is incomplete.
        for given in [0, 1.min(len), len / 2, len - 1, len] {
            let start = sample.body.get(..given).unwrap_or_default();
            let outcome = handle(&handler, sample, &mut FailingReader(start, kind));
            assert_eq!(
                outcome,
                Outcome::BrokenOff,
                "{kind} after {given} of {len} bytes"
            );
            assert!(
                !stored(&handler),
                "{kind} after {given} of {len} bytes: it is stored"
            );
        }
    }
    let outcome = handle(&handler, sample, &mut &*sample.body);
    assert_eq!(outcome, Outcome::Stored, "complete, after it broke off");
    assert!(stored(&handler), "complete, after it broke off");
}

/// Returns one byte per call, and an `Interrupted` error before each.
struct OneByteReader<'b>(&'b [u8], u8);

impl Read for OneByteReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        read_through(self, buffer)
    }
}

impl BufRead for OneByteReader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.1 ^= 1;
        if self.1 == 1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok(self.0.get(..1).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.0.consume(amount);
    }
}

fn reads_bodies_in_small_pieces<H: InstanceHandler>(
    handler: &H,
    sample: &SampleInstance,
    stored: &impl Fn(&H) -> bool,
) {
    let outcome = handle(handler, sample, &mut OneByteReader(&sample.body, 0));
    assert_eq!(outcome, Outcome::Stored, "byte by byte");
    assert!(stored(handler), "byte by byte");
    let again = handle(handler, sample, &mut &*sample.body);
    assert_eq!(
        again,
        Outcome::AlreadyStored,
        "the same instance, byte by byte before"
    );
}

fn stores_once_for_concurrent_senders<H: InstanceHandler>(
    handler: &H,
    sample: &SampleInstance,
    stored: &impl Fn(&H) -> bool,
) {
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| handle(handler, sample, &mut &*sample.body)))
            .collect();
        threads
            .into_iter()
            .map(std::thread::ScopedJoinHandle::join)
            .collect()
    });
    let count = |expected| {
        let same = |outcome: &&Result<Outcome, _>| matches!(outcome, Ok(o) if *o == expected);
        outcomes.iter().filter(same).count()
    };
    assert_eq!(
        (count(Outcome::Stored), count(Outcome::AlreadyStored)),
        (1, 3),
        "four senders of the same instance at once"
    );
    assert!(stored(handler), "four senders at once");
}
