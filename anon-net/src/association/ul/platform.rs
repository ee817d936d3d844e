//! What only some platforms have. Each call has a portable fallback.

use std::net::TcpStream;

/// Asks for the next acknowledgement to go at once.
///
/// Many peers write a PDU in two parts with Nagle's algorithm on: the second part waits for the
/// acknowledgement of the first, which the kernel holds back for 40 ms. Linux forgets the wish with
/// every acknowledgement, so it is said again before each read.
pub(super) fn quick_ack(stream: &TcpStream) {
    // It only makes things faster: a failure is none.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = socket2::SockRef::from(stream).set_tcp_quickack(true);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    portable::quick_ack(stream);
}

/// Makes the close that follows a reset: what is still to be sent is dropped.
pub(super) fn reset_on_close(stream: &TcpStream) {
    let _ = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
}

/// What is done where there is nothing better.
#[cfg_attr(
    any(target_os = "linux", target_os = "android"),
    expect(dead_code, reason = "the fallback, which the tests here call")
)]
mod portable {
    use std::net::TcpStream;

    /// Nothing: the peer waits for a delayed acknowledgement at most.
    pub(super) fn quick_ack(_: &TcpStream) {}
}
