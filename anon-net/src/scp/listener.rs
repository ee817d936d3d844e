//! The thread that accepts connections, and the threads of the connections.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::observer::{ConnectionRefusal, ScpEvent, notify};
use super::registry::{ConnectionSlot, Registry};
use super::{AddressRange, Service};
use crate::SupportedContexts;
use crate::association::ul::{Acceptor, RequestedTitles};
use crate::error::RejectReason;

/// How long the listener pauses when the system has no more sockets or threads.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The state that all threads of an SCP share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Replaced when the supported contexts change.
    pub(super) acceptor: Mutex<Arc<Acceptor>>,
    pub(super) service: Service,
    /// The addresses that may connect. `None` admits all.
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

    /// Counts, logs and reports a connection that ended without an association.
    fn refused(&self, peer: SocketAddr, titles: &RequestedTitles, refusal: ConnectionRefusal) {
        self.service.totals.rejected();
        let event = ScpEvent::Refused {
            peer,
            titles,
            refusal,
        };
        event.log();
        notify(&*self.service.observer, &event);
    }

    fn refused_unread(&self, peer: SocketAddr, refusal: ConnectionRefusal) {
        self.refused(peer, &RequestedTitles::default(), refusal);
    }
}

/// Accepts connections until the registry is stopped.
pub(super) fn listen(shared: &Arc<Shared>, listener: &TcpListener) {
    while !shared.registry.is_stopping() {
        match listener.accept() {
            Ok((stream, peer)) => start_connection(shared, stream, canonical(peer)),
            Err(error) => accept_failed(shared, &error),
        }
    }
    shared.registry.close();
}

/// Converts an IPv4-mapped IPv6 address to IPv4 (RFC 4291 section 2.5.5.2).
fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

/// Handles an error of `accept`, after which `accept` can be called again. Pauses, so that the loop
/// does not spin.
fn accept_failed(shared: &Shared, error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if matches!(
        error.kind(),
        // Only the connection that was being accepted is lost.
        ConnectionAborted | ConnectionReset | Interrupted
    ) {
        return;
    }
    if !shared.registry.is_stopping() {
        tracing::warn!(kind = %error.kind(), "cannot accept a connection");
    }
    shared.registry.free_resources(ACCEPT_PAUSE);
}

/// Starts the thread of a connection. Does no I/O on the connection itself, because the peer
/// controls how long that takes.
fn start_connection(shared: &Arc<Shared>, stream: TcpStream, peer: SocketAddr) {
    let known = |ranges: &Vec<AddressRange>| ranges.iter().any(|range| range.contains(peer.ip()));
    if !shared.peers.as_ref().is_none_or(known) {
        return shared.refused_unread(peer, ConnectionRefusal::Address);
    }
    let slot = match shared.registry.register(&stream, peer) {
        Ok(slot) => slot,
        Err(refusal) => return shared.refused_unread(peer, refusal),
    };
    let thread_shared = Arc::clone(shared);
    let thread = thread::Builder::new().name("anon-net-scp".to_owned());
    if let Err(error) = thread.spawn(move || serve_connection(&thread_shared, stream, &slot)) {
        tracing::warn!(kind = %error.kind(), "cannot start a thread");
        shared.refused_unread(peer, ConnectionRefusal::Crowded);
    }
}

/// Serves one connection from its first byte to its end.
fn serve_connection(shared: &Shared, stream: TcpStream, slot: &ConnectionSlot) {
    let mut requested = RequestedTitles::default();
    let accepted = shared.acceptor().accept_if(stream, |titles, checked| {
        requested.clone_from(titles);
        checked?;
        let calling = titles.calling.as_ref();
        slot.open(calling.ok_or(RejectReason::CallingTitle)?)
    });
    match accepted {
        Ok(mut association) => {
            let peer = Some(slot.peer);
            shared
                .service
                .serve_with(&mut association, peer, &slot.association);
        }
        Err(error) => {
            let refusal = refusal_for(ConnectionRefusal::from(error), slot.close_reason());
            shared.refused(slot.peer, &requested, refusal);
        }
    }
}

/// Chooses the reported refusal: how the connection ended, or why we closed it.
fn refusal_for(ended: ConnectionRefusal, closed: Option<ConnectionRefusal>) -> ConnectionRefusal {
    match (ended, closed) {
        // A request that arrives while we close is rejected with this reason.
        (ConnectionRefusal::Rejected(RejectReason::Congestion), Some(closed)) => closed,
        // The peer was sent this reason.
        (ConnectionRefusal::Rejected(_), _) => ended,
        (_, closed) => closed.unwrap_or(ended),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_keeps_its_reason_if_the_scp_is_stopped() {
        use ConnectionRefusal::{Crowded, Lost, Rejected, Silent, Stopped};
        let title = Rejected(RejectReason::CalledTitle);
        let congestion = Rejected(RejectReason::Congestion);
        for (ended, closed, expected) in [
            (title, None, title),
            (title, Some(Stopped), title),
            (title, Some(Crowded), title),
            (congestion, None, congestion),
            (congestion, Some(Stopped), Stopped),
            (Lost, Some(Crowded), Crowded),
            (Lost, None, Lost),
            (Silent, Some(Stopped), Stopped),
        ] {
            assert_eq!(
                refusal_for(ended, closed),
                expected,
                "{ended:?}, {closed:?}"
            );
        }
    }
}
