//! The suite of [`InstanceHandler`].

use std::io::{self, BufRead, Read};

use crate::scp::{Instance, InstanceHandler, Outcome};

/// An instance that the handler is to store: real enough for it, and not empty.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "what is known, and the rest")]
pub struct SampleInstance {
    /// What is known of it.
    pub instance: Instance,
    /// Its data set.
    pub body: Vec<u8>,
}

/// Checks every promise of [`InstanceHandler`].
///
/// `make` returns an empty handler each time it is called; `stored` says whether one has exactly one
/// instance, the sample, stored.
pub fn handler<H: InstanceHandler>(
    make: impl Fn() -> H,
    sample: &SampleInstance,
    stored: impl Fn(&H) -> bool,
) {
    assert!(!sample.body.is_empty(), "the sample is not empty");
    stores_once(&make(), sample, &stored);
    keeps_nothing_that_broke_off(&make, sample, &stored);
    reads_in_any_pieces(&make(), sample, &stored);
    stores_once_at_once(&make(), sample, &stored);
}

#[track_caller]
fn handle(
    handler: &dyn InstanceHandler,
    sample: &SampleInstance,
    body: &mut dyn BufRead,
) -> Outcome {
    match handler.handle(&sample.instance, body) {
        Ok(outcome) => outcome,
        Err(error) => panic!("the handler failed: {error:?}"),
    }
}

fn stores_once<H: InstanceHandler>(
    handler: &H,
    sample: &SampleInstance,
    stored: &impl Fn(&H) -> bool,
) {
    assert!(!stored(handler), "an empty handler has nothing");
    let outcome = handle(handler, sample, &mut &*sample.body);
    assert_eq!(outcome, Outcome::Stored, "the first time");
    assert!(stored(handler), "what is said to be stored is stored");
    for _ in 0..2 {
        let again = handle(handler, sample, &mut &*sample.body);
        assert_eq!(again, Outcome::AlreadyStored, "once more");
    }
    assert!(stored(handler), "once more changes nothing");
}

/// Gives some bytes, then an error.
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

fn keeps_nothing_that_broke_off<H: InstanceHandler>(
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
        // The whole of it, and then an error, is not the whole of it either.
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
    assert_eq!(outcome, Outcome::Stored, "whole, after it broke off");
    assert!(stored(&handler), "whole, after it broke off");
}

/// Gives one byte a call, and is interrupted before each.
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

fn reads_in_any_pieces<H: InstanceHandler>(
    handler: &H,
    sample: &SampleInstance,
    stored: &impl Fn(&H) -> bool,
) {
    let outcome = handle(handler, sample, &mut OneByteReader(&sample.body, 0));
    assert_eq!(outcome, Outcome::Stored, "byte by byte");
    assert!(stored(handler), "byte by byte");
    let again = handle(handler, sample, &mut &*sample.body);
    assert_eq!(again, Outcome::AlreadyStored, "byte by byte is the same");
}

fn stores_once_at_once<H: InstanceHandler>(
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
    let count = |wanted| {
        let same = |outcome: &&Result<Outcome, _>| matches!(outcome, Ok(o) if *o == wanted);
        outcomes.iter().filter(same).count()
    };
    assert_eq!(
        (count(Outcome::Stored), count(Outcome::AlreadyStored)),
        (1, 3),
        "four senders of the same instance at once"
    );
    assert!(stored(handler), "four senders at once");
}
