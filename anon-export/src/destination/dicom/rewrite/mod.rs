//! Rewrites a data set from one uncompressed encoding into another while it is sent (PS3.5 Annex
//! A).
//!
//! ```text
//! data set ─► inflate ─► DataSetRewriter: element by element ─► deflate ─► C-STORE
//!             (if deflated)                                     (if deflated)
//! ```
//!
//! It is here and not in anon-net, because only what is already de-identified may be rewritten, and
//! this crate handles nothing else. anon-net parses no data sets.
//!
//! * Values keep their bytes. Between byte orders only the order of bytes within a number changes.
//! * Memory does not depend on the length of a value: pixel data passes in pieces.
//! * Sequences and items get undefined lengths, because their new lengths are known only at their
//!   end. Group lengths (gggg,0000) are left out: they would be wrong (PS3.5 section 7.2).
//! * Implicit VR has no VRs. On the way out of it they come from PS3.6, and elements that it does
//!   not know become UN (PS3.5 section 6.2.2).
//! * What cannot be rewritten with certainty is an error, and the object is not sent.

mod data_set;
mod element;
mod encoding;
mod vr;

use std::cell::Cell;
use std::io::{self, BufRead as _, BufReader, Read};

use flate2::read::DeflateEncoder;
use flate2::{Compression, Decompress, FlushDecompress, Status};

pub(super) use encoding::Encoding;

use data_set::DataSetRewriter;

/// Why a data set could not be rewritten: a constant of this crate, never part of the data set.
pub(super) type Problem = Cell<Option<&'static str>>;

/// Returns a reader of the data set `source` in another encoding.
///
/// If reading fails because the data set cannot be rewritten, `problem` says why. At the end,
/// `source` was read to its end.
pub(super) fn rewritten<'r>(
    source: &'r mut dyn Read,
    from: Encoding,
    to: Encoding,
    problem: &'r Problem,
) -> Box<dyn Read + 'r> {
    let source: Box<dyn Read + 'r> = match from {
        Encoding::Deflated => Box::new(Inflated::new(source, problem)),
        _ => Box::new(source),
    };
    let rewriter: Box<dyn Read + 'r> = if from.form() == to.form() {
        source
    } else {
        Box::new(DataSetRewriter::new(
            source,
            from.form(),
            to.form(),
            problem,
        ))
    };
    match to {
        Encoding::Deflated => Box::new(Even::new(DeflateEncoder::new(
            rewriter,
            Compression::default(),
        ))),
        _ => rewriter,
    }
}

/// Inflates a data set (PS3.5 section A.5). A padding byte may follow it.
struct Inflated<'r> {
    source: BufReader<&'r mut dyn Read>,
    decompress: Decompress,
    is_ended: bool,
    problem: &'r Problem,
}

impl<'r> Inflated<'r> {
    fn new(source: &'r mut dyn Read, problem: &'r Problem) -> Self {
        Self {
            source: BufReader::new(source),
            decompress: Decompress::new(false),
            is_ended: false,
            problem,
        }
    }

    fn fail(&self, problem: &'static str) -> io::Error {
        self.problem.set(Some(problem));
        io::ErrorKind::InvalidData.into()
    }

    /// Inflates some bytes of the source. Returns how many it wrote.
    fn inflate(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let input = self.source.fill_buf()?;
        let is_at_end = input.is_empty();
        let (read, written) = (self.decompress.total_in(), self.decompress.total_out());
        let result = self
            .decompress
            .decompress(input, buffer, FlushDecompress::None);
        let read = usize::try_from(self.decompress.total_in() - read).unwrap_or(usize::MAX);
        let written = usize::try_from(self.decompress.total_out() - written).unwrap_or(usize::MAX);
        self.source.consume(read);
        match result {
            Ok(status) => self.is_ended = status == Status::StreamEnd,
            Err(_) => return Err(self.fail("its deflated data set is damaged")),
        }
        if is_at_end && written == 0 && !self.is_ended {
            return Err(self.fail("its deflated data set is cut short"));
        }
        Ok(written)
    }
}

impl Read for Inflated<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.is_ended && !buffer.is_empty() {
            let count = self.inflate(buffer)?;
            if count > 0 {
                return Ok(count);
            }
        }
        if !buffer.is_empty() {
            io::copy(&mut self.source, &mut io::sink())?;
        }
        Ok(0)
    }
}

/// Pads bytes to an even number with NUL (PS3.5 section A.5).
struct Even<R> {
    reader: R,
    is_odd: bool,
}

impl<R: Read> Even<R> {
    fn new(reader: R) -> Self {
        let is_odd = false;
        Self { reader, is_odd }
    }
}

impl<R: Read> Read for Even<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        if count > 0 {
            self.is_odd ^= count % 2 == 1;
            return Ok(count);
        }
        match buffer.first_mut() {
            Some(first) if self.is_odd => {
                *first = 0;
                self.is_odd = false;
                Ok(1)
            }
            _ => Ok(0),
        }
    }
}

#[cfg(test)]
mod tests;
