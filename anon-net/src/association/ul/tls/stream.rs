//! [`Tls`]: a TLS connection with deadlines.

use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::time::{Duration, Instant};

use rustls::Connection;

use super::problem::problem_of;
use crate::association::ul::tcp::Tcp;
use crate::association::ul::transport::{TlsFailure, Transport, timed_out};

/// What is read of the socket at once: rustls itself asks for 4 KiB each time.
const READ_AHEAD: usize = 64 * 1024;
/// What is encrypted before it is written: a PDU of the usual length whole.
const WRITE_BEHIND: usize = 256 * 1024;
/// How long a peer that was turned away has to close the connection.
const LINGER: Duration = Duration::from_secs(1);

/// A TLS connection whose handshake is done.
pub(crate) struct Tls {
    connection: Connection,
    tcp: Tcp,
    /// Encrypted bytes that came.
    ahead: Vec<u8>,
    start: usize,
    end: usize,
}

/// Bytes that are at hand.
struct AtHand<'a>(&'a [u8]);

impl Read for AtHand<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

/// The socket for as long as there is time.
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
    /// Does the handshake.
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
                // Closing with unread bytes would reset the connection, and lose our alert.
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

    /// Writes what is encrypted.
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

    /// Takes some encrypted bytes in; false if the peer ended its direction.
    fn take(&mut self, deadline: Instant) -> io::Result<bool> {
        if self.start == self.end {
            // Empty also if the read fails.
            (self.start, self.end) = (0, 0);
            self.end = self.tcp.read(&mut self.ahead, deadline)?;
        }
        let mut at_hand = AtHand(self.ahead.get(self.start..self.end).unwrap_or_default());
        let count = self.connection.read_tls(&mut at_hand)?;
        self.start = self.start.saturating_add(count);
        if let Err(error) = self.connection.process_new_packets() {
            // One that does not speak TLS does not understand an alert either.
            if !matches!(error, rustls::Error::InvalidMessage(_)) {
                let _ = self.flush(Instant::now());
            }
            return Err(TlsFailure(problem_of(&error)).into());
        }
        Ok(count > 0)
    }
}

const ENDED: &str = "it ended the connection before TLS was agreed on";

/// The error of a handshake: one that does not speak TLS may also just reset.
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
                // Cut short: what is missing shows one layer up, where lengths are known.
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
            // They are taken, and go out before whatever is read or written next.
            Err(error) if timed_out(&error) => Ok(count),
            flushed => flushed.map(|()| count),
        }
    }

    fn finish(&mut self) {
        self.connection.send_close_notify();
        // Only a courtesy: both sides know the end by the PDUs before it.
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
