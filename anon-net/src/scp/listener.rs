//! The thread that accepts connections, and the thread of each connection.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::observer::{ConnectionRefusal, ScpEvent, notify};
use super::registry::{ConnectionSlot, Registry};
use super::{AddressRange, Service};
use crate::SupportedContexts;
use crate::association::ul::Acceptor;
use crate::error::RejectReason;

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
    pub(super) fn set_supported(&self, supported: SupportedContexts) {
        let mut acceptor = self.acceptor.lock().unwrap_or_else(PoisonError::into_inner);
        *acceptor = Arc::new(Acceptor::clone(&acceptor).with_supported(supported));
    }

    fn acceptor(&self) -> Arc<Acceptor> {
        let acceptor = self.acceptor.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&acceptor)
    }

    fn refused(&self, peer: SocketAddr, refusal: ConnectionRefusal) {
        tracing::debug!(%peer, ?refusal, "refused");
        self.service.totals.rejected();
        notify(
            &*self.service.observer,
            &ScpEvent::Refused { peer, refusal },
        );
    }
}

/// Accepts connections until the registry says that it is over.
pub(super) fn listen(shared: &Arc<Shared>, listener: &TcpListener) {
    while !shared.registry.is_stopping() {
        match listener.accept() {
            Ok((stream, peer)) => start_connection(shared, stream, canonical(peer)),
            Err(error) => accept_failed(shared, &error),
        }
    }
    shared.registry.close();
}

/// An IPv4 peer of an IPv6 socket is an IPv4 peer (RFC 4291 section 2.5.5.2).
fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

/// Whatever `accept` fails with, it can be called again. It must not spin.
fn accept_failed(shared: &Shared, error: &io::Error) {
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
    shared.registry.free_resources(REST);
}

/// Gives a connection its thread. Nothing is read or written here: the peer decides how long that
/// takes.
fn start_connection(shared: &Arc<Shared>, stream: TcpStream, peer: SocketAddr) {
    let known = |ranges: &Vec<AddressRange>| ranges.iter().any(|range| range.contains(peer.ip()));
    if !shared.peers.as_ref().is_none_or(known) {
        return shared.refused(peer, ConnectionRefusal::Address);
    }
    let slot = match shared.registry.register(&stream, peer) {
        Ok(slot) => slot,
        Err(refusal) => return shared.refused(peer, refusal),
    };
    let theirs = Arc::clone(shared);
    let thread = thread::Builder::new().name("anon-net-scp".to_owned());
    if let Err(error) = thread.spawn(move || serve_connection(&theirs, stream, &slot)) {
        tracing::warn!(kind = %error.kind(), "cannot start a thread");
        shared.refused(peer, ConnectionRefusal::Crowded);
    }
}

/// One connection from its first byte to its end.
fn serve_connection(shared: &Shared, stream: TcpStream, slot: &ConnectionSlot) {
    let accepted = shared
        .acceptor()
        .accept_if(stream, |calling| slot.open(calling));
    match accepted {
        Ok(mut association) => {
            let peer = Some(slot.peer);
            shared
                .service
                .serve_with(&mut association, peer, &slot.association);
        }
        Err(error) => {
            let refusal = refusal_for(ConnectionRefusal::from(error), slot.close_reason());
            shared.refused(slot.peer, refusal);
        }
    }
}

/// Of what a connection ended with, and what we cut it for, if we did: what it ended for.
fn refusal_for(ended: ConnectionRefusal, cut: Option<ConnectionRefusal>) -> ConnectionRefusal {
    match (ended, cut) {
        // The word for one that comes while we cut.
        (ConnectionRefusal::Rejected(RejectReason::Congestion), Some(cut)) => cut,
        // It was told this before.
        (ConnectionRefusal::Rejected(_), _) => ended,
        (_, cut) => cut.unwrap_or(ended),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_stays_what_it_was_when_all_is_stopped() {
        use ConnectionRefusal::{Crowded, Lost, Rejected, Silent, Stopped};
        let title = Rejected(RejectReason::CalledTitle);
        let congestion = Rejected(RejectReason::Congestion);
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
            assert_eq!(refusal_for(ended, cut), expected, "{ended:?}, {cut:?}");
        }
    }
}
