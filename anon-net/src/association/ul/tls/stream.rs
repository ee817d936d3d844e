//! [`Tls`]: a TLS connection with deadlines.

use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::time::{Duration, Instant};

use rustls::Connection;

use super::problem::problem_of;
use crate::association::ul::tcp::Tcp;
use crate::association::ul::transport::{TlsFailure, Transport, timed_out};

/// The most bytes that are read from the socket at once. rustls alone would read 4 KiB at a time.
const READ_AHEAD: usize = 64 * 1024;
/// The most encrypted bytes that rustls buffers before they are written: more than a PDU of the
/// usual length.
const WRITE_BEHIND: usize = 256 * 1024;
/// How long a peer whose handshake failed has to close the connection.
const LINGER: Duration = Duration::from_secs(1);

/// A TLS connection after its handshake.
pub(crate) struct Tls {
    connection: Connection,
    tcp: Tcp,
    /// Encrypted bytes that were received.
    ahead: Vec<u8>,
    start: usize,
    end: usize,
}

/// Writes to the socket until a deadline.
struct DeadlineWriter<'a>(&'a mut Tcp, Instant);

impl Write for DeadlineWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(&[IoSlice::new(bytes)], self.1)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write(parts, self.1)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Tls {
    /// Performs the handshake.
    pub(super) fn open(
        mut connection: Connection,
        tcp: Tcp,
        deadline: Instant,
    ) -> io::Result<Self> {
        connection.set_buffer_limit(Some(WRITE_BEHIND));
        let mut tls = Self {
            connection,
            tcp,
            ahead: vec![0; READ_AHEAD],
            start: 0,
            end: 0,
        };
        match tls.handshake(deadline) {
            Ok(()) => Ok(tls),
            Err(error) => {
                let mut spent = [0; 4096];
                tls.tcp.finish();
                // Closing with unread bytes would reset the connection and lose our alert.
                let linger = deadline.min(Instant::now() + LINGER);
                while matches!(tls.tcp.read(&mut spent, linger), Ok(count) if count > 0) {}
                Err(handshake_error(error))
            }
        }
    }

    fn handshake(&mut self, deadline: Instant) -> io::Result<()> {
        while self.connection.is_handshaking() {
            self.flush(deadline)?;
            if self.connection.is_handshaking() && !self.take(deadline)? {
                return Err(TlsFailure(ENDED).into());
            }
        }
        self.flush(deadline)
    }

    /// Writes the encrypted bytes.
    fn flush(&mut self, deadline: Instant) -> io::Result<()> {
        while self.connection.wants_write() {
            let mut writer = DeadlineWriter(&mut self.tcp, deadline);
            match self.connection.write_tls(&mut writer) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Reads some encrypted bytes. Returns false if the peer ended its direction.
    fn take(&mut self, deadline: Instant) -> io::Result<bool> {
        if self.start == self.end {
            // Marks the buffer as empty also if the read fails.
            (self.start, self.end) = (0, 0);
            self.end = self.tcp.read(&mut self.ahead, deadline)?;
        }
        let mut unread = self.ahead.get(self.start..self.end).unwrap_or_default();
        let count = self.connection.read_tls(&mut unread)?;
        self.start = self.start.saturating_add(count);
        if let Err(error) = self.connection.process_new_packets() {
            // A peer that does not speak TLS does not understand an alert either.
            if !matches!(error, rustls::Error::InvalidMessage(_)) {
                let _ = self.flush(Instant::now());
            }
            return Err(TlsFailure(problem_of(&error)).into());
        }
        Ok(count > 0)
    }
}

const ENDED: &str = "it closed the connection during the TLS handshake";

/// Converts the error of a handshake. A peer that does not speak TLS may reset the connection.
fn handshake_error(error: io::Error) -> io::Error {
    let known = matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::InvalidData
    );
    if known {
        error
    } else {
        TlsFailure(ENDED).into()
    }
}

impl Transport for Tls {
    fn read(&mut self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(buffer) {
                Ok(count) => return Ok(count),
                // The peer closed without close_notify. The layer above detects truncation by
                // lengths.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Err(_) => {}
            }
            self.flush(deadline)?;
            self.take(deadline)?;
        }
    }

    fn write(&mut self, parts: &[IoSlice<'_>], deadline: Instant) -> io::Result<usize> {
        self.flush(deadline)?;
        let count = self.connection.writer().write_vectored(parts)?;
        match self.flush(deadline) {
            // The bytes are encrypted, and are sent before the next read or write.
            Err(error) if timed_out(&error) => Ok(count),
            flushed => flushed.map(|()| count),
        }
    }

    fn finish(&mut self) {
        self.connection.send_close_notify();
        // Both sides know the end by the PDUs before it, so a failure is ignored.
        let _ = self.flush(Instant::now());
        self.tcp.finish();
    }

    fn reset(&mut self) {
        self.tcp.reset();
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("tcp", &self.tcp)
            .finish_non_exhaustive()
    }
}
