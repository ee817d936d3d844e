//! [`ReceiveBuffer`]: the bytes received on an association.

use std::fmt;
use std::io;
use std::ops::Range;
use std::time::Instant;

use super::pdu::{HEADER_LEN, PduHeader, Violation};
use super::transport::Transport;

/// The initial size of a buffer.
const FIRST: usize = 16 * 1024;
/// The most that is allocated before that many bytes were received.
const READY: usize = 512 * 1024;

/// Why no PDU could be read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// Reading failed, or the deadline passed.
    Io(io::Error),
    /// The peer ended its direction of the stream.
    End,
    /// The PDU is not allowed here.
    Violation(Violation),
}

/// A buffer for the incoming bytes of an association.
///
/// ```text
/// 0          start              end            len
/// ├──consumed──┼──PDU──┼──PDU…────┼──free────────┤
/// ```
///
/// Each read fills the free part, so one system call can read many short PDUs. The buffer holds two
/// PDUs of the announced length, so that unread bytes are seldom moved to its start. It grows only
/// when it is full of received bytes, never because of a length field.
pub(super) struct ReceiveBuffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl ReceiveBuffer {
    /// Returns an empty buffer.
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0; FIRST],
            start: 0,
            end: 0,
        }
    }

    /// Makes room for PDUs of this length. Unread bytes are kept.
    pub(super) fn prepare(&mut self, longest: usize) {
        let size = longest
            .saturating_add(HEADER_LEN)
            .saturating_mul(2)
            .min(READY);
        let size = size.max(self.bytes.len()).max(4 * FIRST);
        // Allocates new zeroed memory: growing the old buffer would copy and zero it.
        let mut bytes = vec![0; size];
        let unread = self.unread();
        let end = unread.len();
        if let Some(to) = bytes.get_mut(..end) {
            to.copy_from_slice(unread);
        }
        *self = Self {
            bytes,
            start: 0,
            end,
        };
    }

    /// Returns the bytes that were received and not consumed.
    pub(super) fn unread(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Consumes bytes and returns their range. They stay in the buffer until the next read.
    pub(super) fn consume(&mut self, count: usize) -> Range<usize> {
        let from = self.start;
        self.start = from.saturating_add(count).min(self.end);
        from..self.start
    }

    /// Returns consumed bytes by their range.
    pub(super) fn get(&self, place: Range<usize>) -> &[u8] {
        self.bytes.get(place).unwrap_or_default()
    }

    /// Waits until the first PDU is complete and `admit` has accepted its header, and returns the
    /// header. Does not consume the PDU. The call can be repeated after a timeout.
    pub(super) fn pdu(
        &mut self,
        transport: &mut dyn Transport,
        deadline: Instant,
        admit: impl Fn(PduHeader, &[u8]) -> Result<(), Violation>,
    ) -> Result<PduHeader, ReadError> {
        loop {
            let unread = self.unread();
            let needed = match PduHeader::read(unread) {
                Some(header) => {
                    admit(header, unread).map_err(ReadError::Violation)?;
                    let needed = header.length.saturating_add(HEADER_LEN);
                    if unread.len() >= needed {
                        return Ok(header);
                    }
                    needed
                }
                None => HEADER_LEN,
            };
            self.make_room(needed);
            self.fill(transport, deadline)?;
        }
    }

    /// Makes free space at the end of the buffer for a PDU of `needed` bytes.
    fn make_room(&mut self, needed: usize) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.start.saturating_add(needed) > self.bytes.len() && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.bytes.len() {
            let size = self.bytes.len().saturating_mul(2).min(needed);
            self.bytes.resize(size, 0);
        }
    }

    fn fill(&mut self, transport: &mut dyn Transport, deadline: Instant) -> Result<(), ReadError> {
        let free = self.bytes.get_mut(self.end..).unwrap_or_default();
        match transport.read(free, deadline) {
            Ok(0) => Err(ReadError::End),
            Ok(count) => {
                self.end = self.end.saturating_add(count).min(self.bytes.len());
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(ReadError::Io(error)),
        }
    }
}

impl fmt::Debug for ReceiveBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiveBuffer")
            .field("unread", &self.unread().len())
            .field("size", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use super::*;

    /// Returns these bytes, at most so many a read, and then would block.
    #[derive(Debug)]
    struct ScriptedReads(Vec<u8>, usize);

    impl Transport for ScriptedReads {
        fn read(&mut self, buffer: &mut [u8], _: Instant) -> io::Result<usize> {
            let count = self.1.min(buffer.len()).min(self.0.len());
            if count == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            for (to, from) in buffer.iter_mut().zip(self.0.drain(..count)) {
                *to = from;
            }
            Ok(count)
        }

        fn write(&mut self, _: &[IoSlice<'_>], _: Instant) -> io::Result<usize> {
            Ok(0)
        }

        fn finish(&mut self) {}

        fn reset(&mut self) {}
    }

    fn pdu(fill: u8, length: u32) -> Vec<u8> {
        let mut bytes = vec![4, 0];
        bytes.extend(length.to_be_bytes());
        bytes.extend(std::iter::repeat_n(fill, length as usize));
        bytes
    }

    #[test]
    fn a_length_field_alone_allocates_no_memory() {
        for length in [1 << 20, 1 << 30, u32::MAX] {
            let mut buffer = ReceiveBuffer::new();
            buffer.prepare(16 << 20);
            let mut input = pdu(0, 1000);
            input.splice(2..6, length.to_be_bytes());
            let error = buffer.pdu(
                &mut ScriptedReads(input, 100),
                Instant::now(),
                |_, _| Ok(()),
            );
            assert!(
                matches!(error, Err(ReadError::Io(_))),
                "{length}: {error:?}"
            );
            assert_eq!(buffer.bytes.len(), READY, "{length}");
        }
    }

    #[test]
    fn a_buffer_does_not_grow_for_pdus_of_the_announced_length() {
        const LENGTH: u32 = 100_000;
        let input: Vec<u8> = (0..50).flat_map(|fill| pdu(fill, LENGTH)).collect();
        for step in [usize::MAX, 70_000, 1234] {
            let mut transport = ScriptedReads(input.clone(), step);
            let mut buffer = ReceiveBuffer::new();
            buffer.prepare(LENGTH as usize);
            let size = buffer.bytes.len();
            for fill in 0..50 {
                let header = buffer.pdu(&mut transport, Instant::now(), |_, _| Ok(()));
                let header = header.expect("a PDU");
                buffer.consume(HEADER_LEN);
                let body = buffer.consume(header.length);
                let body = buffer.get(body);
                assert!(body.len() == LENGTH as usize && body.iter().all(|b| *b == fill));
            }
            assert_eq!(buffer.bytes.len(), size, "{step} at a time");
        }
    }

    #[test]
    fn a_buffer_grows_with_the_received_bytes_of_a_longer_pdu() {
        let length = 3 << 20;
        let mut buffer = ReceiveBuffer::new();
        buffer.prepare(4 << 20);
        let mut transport = ScriptedReads(pdu(9, length), 50_000);
        buffer
            .pdu(&mut transport, Instant::now(), |_, _| Ok(()))
            .expect("a PDU");
        assert_eq!(buffer.bytes.len(), length as usize + HEADER_LEN);
    }
}
