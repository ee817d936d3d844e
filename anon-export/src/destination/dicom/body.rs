//! A body as a C-STORE needs it: of exactly the length that was said, known before its last byte goes.

use std::io::{self, BufReader, Chain, Cursor, Read};

use crate::Error;

/// Reads exactly `len` bytes. With the last of them it makes sure that the body ends there: what was
/// sent without its last byte can still be taken back by an abort.
pub(super) struct ExactBody<'b> {
    from: &'b mut dyn Read,
    len: u64,
    read: u64,
    is_ended: bool,
    failure: Option<Error>,
}

impl<'b> ExactBody<'b> {
    pub(super) fn new(from: &'b mut dyn Read, len: u64) -> Self {
        Self {
            from,
            len,
            read: 0,
            is_ended: false,
            failure: None,
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// What is wrong with the body, if anything.
    pub(super) fn failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    fn fail(&mut self, error: Error) -> io::Error {
        self.failure.get_or_insert(error);
        io::ErrorKind::Other.into()
    }

    fn next(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.from.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.fail(Error::Read { kind: error.kind() })),
                // A reader that says more than it was given room for is broken, not trusted.
                Ok(count) if count > buffer.len() => {
                    let kind = io::ErrorKind::InvalidData;
                    return Err(self.fail(Error::Read { kind }));
                }
                Ok(count) => return Ok(count),
            }
        }
    }

    /// Makes sure that the body ends here.
    fn end(&mut self) -> io::Result<()> {
        if !self.is_ended {
            if self.next(&mut [0])? > 0 {
                return Err(self.fail(Error::Long { expected: self.len }));
            }
            self.is_ended = true;
        }
        Ok(())
    }
}

impl Read for ExactBody<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.failure.is_some() {
            return Err(io::ErrorKind::Other.into());
        }
        if buffer.is_empty() {
            return Ok(0);
        }
        let left = usize::try_from(self.len - self.read).unwrap_or(usize::MAX);
        let room = buffer.len().min(left);
        let count = match buffer.get_mut(..room) {
            Some(room) if !room.is_empty() => self.next(room)?,
            _ => 0,
        };
        if count == 0 && left > 0 {
            return Err(self.fail(Error::Short {
                expected: self.len,
                found: self.read,
            }));
        }
        self.read += count as u64;
        if self.read == self.len {
            self.end()?;
        }
        Ok(count)
    }
}

/// Remembers what is read of a file's header, so that it can be read again from where the data set
/// begins.
pub(super) struct Tee<'t, 'b> {
    from: BufReader<&'t mut ExactBody<'b>>,
    seen: Vec<u8>,
}

impl<'t, 'b> Tee<'t, 'b> {
    pub(super) fn new(from: &'t mut ExactBody<'b>) -> Self {
        Self {
            from: BufReader::with_capacity(HEADER_BYTES, from),
            seen: Vec::new(),
        }
    }

    /// What follows the first `at` bytes.
    pub(super) fn from(self, at: u64) -> Chain<Cursor<Vec<u8>>, BufReader<&'t mut ExactBody<'b>>> {
        let mut seen = Cursor::new(self.seen);
        seen.set_position(at);
        seen.chain(self.from)
    }
}

/// What most headers fit in.
const HEADER_BYTES: usize = 1024;

impl Read for Tee<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.seen
            .extend_from_slice(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}
