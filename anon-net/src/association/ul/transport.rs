//! [`Transport`]: the byte stream below an association.

use std::fmt;
use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

use crate::Error;

/// How often a write that waits for the peer checks whether to stop.
const STOP_CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// A byte stream with deadlines: TCP, TLS, or bytes in a test.
///
/// With a deadline in the past, a call makes one attempt without waiting.
pub trait Transport: fmt::Debug + Send + Sync {
    /// Reads the available bytes, at least one. Returns 0 if the peer has ended its direction.
    ///
    /// # Errors
    /// `TimedOut` or `WouldBlock` if no byte arrives in time. Every other error means that the
    /// stream is unusable.
    fn read(&mut self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize>;

    /// Writes as many bytes of these parts, in order, as there is room for, at least one.
    ///
    /// # Errors
    /// Those of [`read`](Self::read). Nothing was written in that case, and the call can be
    /// repeated.
    fn write(&mut self, parts: &[IoSlice<'_>], deadline: Instant) -> io::Result<usize>;

    /// Ends our direction. Bytes already written still arrive.
    fn finish(&mut self);

    /// Makes closing the stream reset it. Bytes already written may not arrive.
    fn reset(&mut self);
}

const _: () = {
    const fn shared<T: Send + Sync + ?Sized>() {}
    shared::<dyn Transport>();
};

/// A failure that a TLS [`Transport`] reports. It becomes [`Error::Tls`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct TlsFailure(pub(crate) &'static str);

impl TlsFailure {
    /// Returns the failure, if it is the reason of an I/O error.
    pub(crate) fn in_error(error: &io::Error) -> Option<&'static str> {
        let failure = error.get_ref()?.downcast_ref::<Self>()?;
        Some(failure.0)
    }

    /// Converts the error of a failed stream.
    pub(super) fn or_lost(error: &io::Error) -> Error {
        Self::in_error(error).map_or(Error::Lost, |problem| Error::Tls { problem })
    }
}

impl From<TlsFailure> for io::Error {
    fn from(failure: TlsFailure) -> Self {
        Self::new(io::ErrorKind::InvalidData, failure)
    }
}

/// Returns true if a read or write failed only because its deadline passed.
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

/// Like [`write_all`], but treats the deadline as passed once `stop` returns true.
pub(super) fn write_unless(
    transport: &mut dyn Transport,
    mut parts: &mut [IoSlice<'_>],
    deadline: Instant,
    stop: &dyn Fn() -> bool,
) -> io::Result<()> {
    // Skips empty parts, which would look like a stream that accepts no bytes.
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

/// Sends `last` if there is room for it, ends our direction, and waits for the peer to close until
/// `linger`.
///
/// Bytes of the peer are read and dropped. Closing a socket with unread bytes resets the
/// connection, and a reset can overtake `last`.
pub(super) fn close_gracefully(transport: &mut dyn Transport, last: &[u8], linger: Instant) {
    const ENOUGH: usize = 1 << 20;
    let now = Instant::now();
    let sent = last.is_empty() || write_all(transport, &mut [IoSlice::new(last)], now).is_ok();
    if !sent {
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
