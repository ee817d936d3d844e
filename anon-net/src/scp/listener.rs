//! The thread that accepts connections, and the thread of each connection.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::observer::{Refusal, ScpEvent, tell};
use super::registry::{Registry, Ticket};
use super::{AddressRange, Service};
use crate::Supported;
use crate::association::ul::Acceptor;
use crate::error::Rejection;

/// How long the listener rests when the system has no more sockets or threads.
const REST: Duration = Duration::from_millis(100);

/// What the threads of an SCP share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Replaced when what is supported is.
    pub(super) acceptor: Mutex<Arc<Acceptor>>,
    pub(super) service: Service,
    /// Who may connect, if not everyone may.
    pub(super) peers: Option<Vec<AddressRange>>,
    pub(super) registry: Arc<Registry>,
}

impl Shared {
    pub(super) fn set_supported(&self, supported: Supported) {
        let mut acceptor = self.acceptor.lock().unwrap_or_else(PoisonError::into_inner);
        *acceptor = Arc::new(Acceptor::clone(&acceptor).with_supported(supported));
    }

    fn acceptor(&self) -> Arc<Acceptor> {
        let acceptor = self.acceptor.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&acceptor)
    }

    fn refused(&self, peer: SocketAddr, refusal: Refusal) {
        tracing::debug!(%peer, ?refusal, "refused");
        self.service.ledger.rejected();
        tell(
            &*self.service.observer,
            &ScpEvent::Refused { peer, refusal },
        );
    }
}

/// Accepts connections until the registry says that it is over.
pub(super) fn listen(shared: &Arc<Shared>, listener: &TcpListener) {
    while !shared.registry.is_stopping() {
        match listener.accept() {
            Ok((stream, peer)) => welcome(shared, stream, canonical(peer)),
            Err(error) => bear(shared, &error),
        }
    }
    shared.registry.close();
}

/// An IPv4 peer of an IPv6 socket is an IPv4 peer (RFC 4291 section 2.5.5.2).
fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

/// Whatever `accept` fails with, it can be called again. It must not spin.
fn bear(shared: &Shared, error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if matches!(
        error.kind(),
        // The peer of that connection is gone; those of others are not.
        ConnectionAborted | ConnectionReset | Interrupted
    ) {
        return;
    }
    if !shared.registry.is_stopping() {
        tracing::warn!(kind = %error.kind(), "cannot accept a connection");
    }
    shared.registry.relieve(REST);
}

/// Gives a connection its thread. Nothing is read or written here: the peer decides how long that
/// takes.
fn welcome(shared: &Arc<Shared>, stream: TcpStream, peer: SocketAddr) {
    let known = |ranges: &Vec<AddressRange>| ranges.iter().any(|range| range.contains(peer.ip()));
    if !shared.peers.as_ref().is_none_or(known) {
        return shared.refused(peer, Refusal::Address);
    }
    let ticket = match shared.registry.enter(&stream, peer) {
        Ok(ticket) => ticket,
        Err(refusal) => return shared.refused(peer, refusal),
    };
    let theirs = Arc::clone(shared);
    let thread = thread::Builder::new().name("anon-net-scp".to_owned());
    if let Err(error) = thread.spawn(move || attend(&theirs, stream, &ticket)) {
        tracing::warn!(kind = %error.kind(), "cannot start a thread");
        shared.refused(peer, Refusal::Crowded);
    }
}

/// One connection from its first byte to its end.
fn attend(shared: &Shared, stream: TcpStream, ticket: &Ticket) {
    let accepted = shared
        .acceptor()
        .accept_if(stream, |calling| ticket.open(calling));
    match accepted {
        Ok(mut association) => {
            let peer = Some(ticket.peer);
            shared
                .service
                .serve_with(&mut association, peer, &ticket.pulse);
        }
        Err(error) => {
            let refusal = why(Refusal::from(error), ticket.cut());
            shared.refused(ticket.peer, refusal);
        }
    }
}

/// Of what a connection ended with, and what we cut it for, if we did: what it ended for.
fn why(ended: Refusal, cut: Option<Refusal>) -> Refusal {
    match (ended, cut) {
        // The word for one that comes while we cut.
        (Refusal::Rejected(Rejection::Congestion), Some(cut)) => cut,
        // It was told this before.
        (Refusal::Rejected(_), _) => ended,
        (_, cut) => cut.unwrap_or(ended),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_stays_what_it_was_when_all_is_stopped() {
        use Refusal::{Crowded, Lost, Rejected, Silent, Stopped};
        let title = Rejected(Rejection::CalledTitle);
        let congestion = Rejected(Rejection::Congestion);
        for (ended, cut, expected) in [
            (title, None, title),
            (title, Some(Stopped), title),
            (title, Some(Crowded), title),
            (congestion, None, congestion),
            (congestion, Some(Stopped), Stopped),
            (Lost, Some(Crowded), Crowded),
            (Lost, None, Lost),
            (Silent, Some(Stopped), Stopped),
        ] {
            assert_eq!(why(ended, cut), expected, "{ended:?}, {cut:?}");
        }
    }
}
