//! [`Transport`]: the byte stream below an association.

use std::fmt;
use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

use crate::Error;

/// How long who waits for room takes to notice that it is to stop.
const STOP_CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// A byte stream with deadlines: TCP, TLS over it, or bytes of a test.
///
/// A deadline that has passed means: once, without waiting.
pub trait Transport: fmt::Debug + Send + Sync {
    /// Reads what is there, at least one byte; 0 if the peer has ended its direction.
    ///
    /// # Errors
    /// `TimedOut` or `WouldBlock` if nothing comes; whatever else means that the stream is dead.
    fn read(&mut self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize>;

    /// Writes of these parts, one after the other, what there is room for, at least one byte.
    ///
    /// # Errors
    /// As [`read`](Self::read). Nothing was written then, and it can be called again.
    fn write(&mut self, parts: &[IoSlice<'_>], deadline: Instant) -> io::Result<usize>;

    /// Ends our direction. What was written still arrives.
    fn finish(&mut self);

    /// Gives the stream up. What was written may not arrive.
    fn reset(&mut self);
}

const _: () = {
    const fn shared<T: Send + Sync + ?Sized>() {}
    shared::<dyn Transport>();
};

/// What a [`Transport`] of its own kind has against the peer: [`Error::Tls`] says it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct TlsFailure(pub(crate) &'static str);

impl TlsFailure {
    /// The problem, if that is why a read or write failed.
    pub(crate) fn in_error(error: &io::Error) -> Option<&'static str> {
        let failure = error.get_ref()?.downcast_ref::<Self>()?;
        Some(failure.0)
    }

    /// The error of a stream that failed.
    pub(super) fn or_lost(error: &io::Error) -> Error {
        Self::in_error(error).map_or(Error::Lost, |problem| Error::Tls { problem })
    }
}

impl From<TlsFailure> for io::Error {
    fn from(failure: TlsFailure) -> Self {
        Self::new(io::ErrorKind::InvalidData, failure)
    }
}

/// True if a read or write failed only because its time was up.
pub(crate) fn timed_out(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}

/// Writes all of these parts.
pub(super) fn write_all(
    transport: &mut dyn Transport,
    parts: &mut [IoSlice<'_>],
    deadline: Instant,
) -> io::Result<()> {
    write_unless(transport, parts, deadline, &|| false)
}

/// As [`write_all`], and waits no longer for room once `stop` is true: then its time is up.
pub(super) fn write_unless(
    transport: &mut dyn Transport,
    mut parts: &mut [IoSlice<'_>],
    deadline: Instant,
    stop: &dyn Fn() -> bool,
) -> io::Result<()> {
    // Leaves out empty ones, which would look like a stream that takes nothing.
    IoSlice::advance_slices(&mut parts, 0);
    while !parts.is_empty() {
        let now = Instant::now();
        match transport.write(parts, deadline.min(now + STOP_CHECK_INTERVAL)) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut parts, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if timed_out(&error) && Instant::now() < deadline && !stop() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Sends `last` if there is room for it, and ends our direction.
///
/// What the peer has sent meanwhile is read and dropped, for closing a socket that holds unread bytes
/// resets it, and a reset can overtake `last`.
pub(super) fn close_gracefully(transport: &mut dyn Transport, last: &[u8], linger: Instant) {
    const ENOUGH: usize = 1 << 20;
    let now = Instant::now();
    let said = last.is_empty() || write_all(transport, &mut [IoSlice::new(last)], now).is_ok();
    if !said {
        return transport.reset();
    }
    transport.finish();
    let mut sink = [0; 4096];
    let mut dropped = 0;
    while dropped < ENOUGH {
        match transport.read(&mut sink, linger) {
            Ok(count) if count > 0 => dropped += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => return,
        }
    }
}
