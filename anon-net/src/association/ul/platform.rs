//! System calls that only some platforms have. Each has a portable fallback.

use std::net::TcpStream;
use std::time::Duration;

use socket2::SockRef;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) use portable::quick_ack;

/// Asks the kernel to send the next acknowledgement at once.
///
/// Many peers write a PDU in two parts with Nagle's algorithm on: they send the second part only
/// after the first was acknowledged, and Linux delays that by 40 ms. Linux resets the option with
/// each acknowledgement, so it is set before each read.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn quick_ack(stream: &TcpStream) {
    // Only an optimization: a failure is ignored.
    let _ = SockRef::from(stream).set_tcp_quickack(true);
}

/// Makes closing the socket reset the connection and discard unsent bytes.
pub(super) fn reset_on_close(stream: &TcpStream) {
    // If this fails, the system keeps trying to send for a while, and nothing waits for that.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// The fallback for systems without the option.
#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
mod portable {
    use std::net::TcpStream;

    /// Does nothing: the peer waits at most for a delayed acknowledgement.
    pub(in crate::association::ul) fn quick_ack(_: &TcpStream) {}
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::Instant;

    use super::super::tcp::Tcp;
    use super::super::transport::Transport as _;
    use super::*;

    #[test]
    fn bytes_arrive_with_and_without_quick_acknowledgements() {
        for ask in [quick_ack, portable::quick_ack] {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let there = listener.local_addr().expect("its address");
            let mut ours = TcpStream::connect(there).expect("a stream");
            let mut theirs = listener.accept().expect("a connection").0;
            for part in [b"one", b"two"] {
                theirs.write_all(part).expect("room");
                ask(&ours);
                let mut got = [0; 3];
                ours.read_exact(&mut got).expect("bytes");
                assert_eq!(&got, part);
            }
        }
    }

    #[test]
    fn a_connection_sends_and_acknowledges_without_delay() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let there = listener.local_addr().expect("its address");
        let stream = TcpStream::connect(there).expect("a stream");
        let mut theirs = listener.accept().expect("a connection").0;
        let ours = stream.try_clone().expect("a handle");
        assert!(!ours.nodelay().expect("an option"));
        let mut tcp = Tcp::new(stream).expect("a connection");
        assert!(ours.nodelay().expect("an option"));
        let deadline = Instant::now() + Duration::from_mins(1);
        for part in [b"one", b"two"] {
            set_slow(&ours);
            theirs.write_all(part).expect("room");
            let mut got = [0; 3];
            assert_eq!(tcp.read(&mut got, deadline).expect("bytes"), 3);
            assert_eq!(&got, part);
            assert!(is_quick(&ours));
        }
    }

    /// Turns on delayed acknowledgements.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn set_slow(stream: &TcpStream) {
        let socket = SockRef::from(stream);
        socket.set_tcp_quickack(false).expect("an option");
        assert!(!is_quick(stream));
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn set_slow(_: &TcpStream) {}

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn is_quick(stream: &TcpStream) -> bool {
        SockRef::from(stream).tcp_quickack().expect("an option")
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn is_quick(_: &TcpStream) -> bool {
        true
    }

    #[test]
    fn closing_after_reset_on_close_resets_the_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let there = listener.local_addr().expect("its address");
        let mut ours = TcpStream::connect(there).expect("a stream");
        let theirs = listener.accept().expect("a connection").0;
        reset_on_close(&theirs);
        drop(theirs);
        let end = ours.read(&mut [0; 1]).map_err(|error| error.kind());
        assert_eq!(end, Err(std::io::ErrorKind::ConnectionReset));
    }
}
