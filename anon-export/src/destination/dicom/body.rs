//! The body of a C-STORE. Its length is verified before its last byte is sent.

use std::io::{self, BufReader, Chain, Cursor, Read};

use crate::Error;

/// Reads exactly `len` bytes. Verifies the end of the body together with the last byte: until that
/// byte is sent, an abort discards the object.
pub(super) struct ExactBody<'b> {
    reader: &'b mut dyn Read,
    len: u64,
    read: u64,
    is_end_checked: bool,
    error: Option<Error>,
}

impl<'b> ExactBody<'b> {
    pub(super) fn new(reader: &'b mut dyn Read, len: u64) -> Self {
        Self {
            reader,
            len,
            read: 0,
            is_end_checked: false,
            error: None,
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Takes the error, if the body failed.
    pub(super) fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    fn fail(&mut self, error: Error) -> io::Error {
        self.error.get_or_insert(error);
        io::ErrorKind::Other.into()
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.reader.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.fail(Error::Read { kind: error.kind() })),
                // A reader that reports more bytes than the buffer holds is broken.
                Ok(count) if count > buffer.len() => {
                    let kind = io::ErrorKind::InvalidData;
                    return Err(self.fail(Error::Read { kind }));
                }
                Ok(count) => return Ok(count),
            }
        }
    }

    /// Checks that the body ends here.
    fn check_end(&mut self) -> io::Result<()> {
        if !self.is_end_checked {
            if self.read_some(&mut [0])? > 0 {
                return Err(self.fail(Error::Long { expected: self.len }));
            }
            self.is_end_checked = true;
        }
        Ok(())
    }
}

impl Read for ExactBody<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.error.is_some() {
            return Err(io::ErrorKind::Other.into());
        }
        if buffer.is_empty() {
            return Ok(0);
        }
        let left = usize::try_from(self.len - self.read).unwrap_or(usize::MAX);
        let room = buffer.len().min(left);
        let count = match buffer.get_mut(..room) {
            Some(room) if !room.is_empty() => self.read_some(room)?,
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
            self.check_end()?;
        }
        Ok(count)
    }
}

/// Records the header of a file while it is read, so that the data set can be read from its first
/// byte afterwards.
pub(super) struct Tee<'t, 'b> {
    reader: BufReader<&'t mut ExactBody<'b>>,
    seen: Vec<u8>,
}

impl<'t, 'b> Tee<'t, 'b> {
    pub(super) fn new(reader: &'t mut ExactBody<'b>) -> Self {
        Self {
            reader: BufReader::with_capacity(HEADER_BYTES, reader),
            seen: Vec::new(),
        }
    }

    /// Returns a reader of everything after the first `at` bytes.
    pub(super) fn replay_from(
        self,
        at: u64,
    ) -> Chain<Cursor<Vec<u8>>, BufReader<&'t mut ExactBody<'b>>> {
        let mut seen = Cursor::new(self.seen);
        seen.set_position(at);
        seen.chain(self.reader)
    }
}

/// Most headers fit into this.
const HEADER_BYTES: usize = 1024;

impl Read for Tee<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.seen
            .extend_from_slice(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}
