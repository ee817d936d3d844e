//! [`Tcp`]: a TCP connection with deadlines.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::platform;
use super::transport::{Transport, timed_out};

/// A TCP connection without Nagle's algorithm, so that small writes are sent at once.
#[derive(Debug)]
pub(crate) struct Tcp {
    stream: TcpStream,
    reading: SocketTimeout,
    writing: SocketTimeout,
}

impl Tcp {
    /// Prepares a connected socket.
    ///
    /// # Errors
    /// Those of the system calls that set its options.
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        // On some systems an accepted socket inherits this option from a non-blocking listener.
        stream.set_nonblocking(false)?;
        Ok(Self {
            stream,
            reading: SocketTimeout::default(),
            writing: SocketTimeout::default(),
        })
    }
}

/// The timeout that is set on a socket for one direction.
#[derive(Debug, Default)]
struct SocketTimeout {
    armed: Option<Duration>,
}

impl SocketTimeout {
    /// Returns the timeout to set so that a call ends near the deadline. `None` if the current
    /// timeout is close enough.
    ///
    /// Setting the timeout before each read would cost as much as the read. The current one is kept
    /// if it expires at most a sixteenth late, or early: the caller repeats the call then.
    fn rearm(&mut self, left: Duration) -> Option<Duration> {
        let slack = (left / 16).min(Duration::from_millis(20));
        if let Some(armed) = self.armed
            && armed <= left + slack
            && armed >= left / 2
        {
            return None;
        }
        self.armed = Some(left);
        Some(left)
    }
}

impl Transport for Tcp {
    fn read(&mut self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
        loop {
            platform::quick_ack(&self.stream);
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return at_once(&self.stream, |mut stream| stream.read(buffer));
            }
            if let Some(timeout) = self.reading.rearm(left) {
                self.stream.set_read_timeout(Some(timeout))?;
            }
            match (&self.stream).read(buffer) {
                Err(error) if timed_out(&error) && Instant::now() < deadline => {
                    self.reading.armed = None;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn write(&mut self, parts: &[IoSlice<'_>], deadline: Instant) -> io::Result<usize> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return at_once(&self.stream, |mut stream| stream.write_vectored(parts));
            }
            if let Some(timeout) = self.writing.rearm(left) {
                self.stream.set_write_timeout(Some(timeout))?;
            }
            match (&self.stream).write_vectored(parts) {
                Err(error) if timed_out(&error) && Instant::now() < deadline => {
                    self.writing.armed = None;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn finish(&mut self) {
        // Fails if the peer has already closed the connection.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    fn reset(&mut self) {
        platform::reset_on_close(&self.stream);
    }
}

/// Makes one call without waiting.
fn at_once(
    stream: &TcpStream,
    call: impl FnOnce(&TcpStream) -> io::Result<usize>,
) -> io::Result<usize> {
    stream.set_nonblocking(true)?;
    let result = call(stream);
    stream.set_nonblocking(false)?;
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_set_only_if_the_current_one_is_too_far_off() {
        let ms = Duration::from_millis;
        // Current timeout, time left, timeout to set.
        let table = [
            (None, 100, Some(100)),
            (Some(1000), 1000, None),
            (Some(1000), 990, None),
            (Some(1000), 900, Some(900)),
            (Some(500), 1000, None),
            (Some(499), 1000, Some(1000)),
            (Some(30_000), 29_981, None),
            (Some(30_000), 29_979, Some(29_979)),
        ];
        for (armed, left, expected) in table {
            let mut timer = SocketTimeout {
                armed: armed.map(ms),
            };
            assert_eq!(
                timer.rearm(ms(left)),
                expected.map(ms),
                "{armed:?} set, {left} left"
            );
        }
    }
}
