//! [`Registry`]: the connections of a listener, and their limits.

use std::collections::BTreeMap;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::InstanceCounts;
use super::counts::AssociationState;
use super::observer::ConnectionRefusal;
use crate::AeTitle;
use crate::error::RejectReason;

/// How long an association without a message is kept although another needs its place. A peer that
/// opens one to use it sends its first message at once.
const UNUSED_TIMEOUT: Duration = Duration::from_secs(1);

/// The limits on connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConnectionLimits {
    /// Open associations.
    pub(super) associations: usize,
    /// Open associations from one address.
    pub(super) per_peer: usize,
    /// Connections without an association.
    pub(super) waiting: usize,
}

/// An open association.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenAssociation {
    /// The calling AE title.
    pub calling: AeTitle,
    /// The peer's address.
    pub peer: SocketAddr,
    /// How long it has been open.
    pub open_for: Duration,
    /// The outcomes of its instances so far.
    pub counts: InstanceCounts,
}

#[derive(Debug)]
pub(super) struct Registry {
    limits: ConnectionLimits,
    state: Mutex<RegistryState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct RegistryState {
    stopping: bool,
    listening: bool,
    next: u64,
    connections: BTreeMap<u64, Connection>,
}

#[derive(Debug)]
struct Connection {
    /// A handle of the socket that its thread reads. Shutting it down wakes that thread.
    socket: TcpStream,
    peer: SocketAddr,
    /// The start of its phase.
    since: Instant,
    phase: Phase,
    association: Arc<AssociationState>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// No association yet.
    Waiting,
    /// An open association.
    Open(AeTitle),
    /// Being closed. Does not count any more.
    Closing,
}

impl Connection {
    fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_)) && !self.association.is_released()
    }

    /// Wakes its thread, which then reads the end of the stream.
    fn shut_down(&self) {
        // Fails if the peer has already closed the connection.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

impl RegistryState {
    fn count(&self, which: impl Fn(&Connection) -> bool) -> usize {
        self.connections.values().filter(|it| which(it)).count()
    }

    /// Closes the connection that has waited longest for an association, of the address with the
    /// most of them. One peer thus cannot displace the others.
    fn close_oldest_waiting(&mut self) {
        let mut waiting_by_address: BTreeMap<IpAddr, usize> = BTreeMap::new();
        let waiting = |it: &&mut Connection| it.phase == Phase::Waiting;
        for connection in self.connections.values_mut().filter(waiting) {
            *waiting_by_address.entry(connection.peer.ip()).or_default() += 1;
        }
        let busiest = waiting_by_address
            .into_iter()
            .max_by_key(|(_, count)| *count);
        let Some((address, _)) = busiest else { return };
        // Ids increase, so the first is the oldest.
        let oldest = self
            .connections
            .values_mut()
            .filter(waiting)
            .find(|it| it.peer.ip() == address);
        if let Some(connection) = oldest {
            connection.phase = Phase::Closing;
            connection.shut_down();
        }
    }

    /// Aborts an association without a message since it was opened. Returns true if there was one.
    fn abort_unused(&mut self, of: impl Fn(&Connection) -> bool) -> bool {
        let silent = self
            .connections
            .values_mut()
            .filter(|it| it.is_open() && of(it) && !it.association.was_used())
            .find(|it| it.since.elapsed() >= UNUSED_TIMEOUT);
        if let Some(connection) = silent {
            connection.phase = Phase::Closing;
            connection.association.request_abort();
            return true;
        }
        false
    }
}

impl Registry {
    pub(super) fn new(limits: ConnectionLimits) -> Self {
        let state = RegistryState {
            listening: true,
            ..RegistryState::default()
        };
        Self {
            limits,
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    // Every change under the lock is complete before anything can panic.
    fn lock(&self) -> MutexGuard<'_, RegistryState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a new connection.
    pub(super) fn register(
        self: &Arc<Self>,
        stream: &TcpStream,
        peer: SocketAddr,
    ) -> Result<ConnectionSlot, ConnectionRefusal> {
        let socket = stream.try_clone().map_err(|_| ConnectionRefusal::Crowded)?;
        let mut state = self.lock();
        if state.stopping {
            return Err(ConnectionRefusal::Stopped);
        }
        if state.count(|it| it.phase == Phase::Waiting) >= self.limits.waiting {
            state.close_oldest_waiting();
        }
        // Connections that are being closed still exist for a moment.
        if state.count(|it| !it.is_open()) >= self.limits.waiting.saturating_mul(2) {
            return Err(ConnectionRefusal::Crowded);
        }
        let id = state.next;
        state.next += 1;
        let association = Arc::<AssociationState>::default();
        let connection = Connection {
            socket,
            peer,
            since: Instant::now(),
            phase: Phase::Waiting,
            association: Arc::clone(&association),
        };
        state.connections.insert(id, connection);
        Ok(ConnectionSlot::new(Arc::clone(self), id, peer, association))
    }

    pub(super) fn open(&self, id: u64, calling: &AeTitle) -> Result<(), RejectReason> {
        let mut state = self.lock();
        let waiting = state.connections.get(&id).map(|it| (it.peer, &it.phase));
        let Some((peer, Phase::Waiting)) = waiting else {
            return Err(RejectReason::Congestion);
        };
        if state.stopping {
            return Err(RejectReason::Congestion);
        }
        let same_address = |it: &Connection| it.peer.ip() == peer.ip();
        let full = state.count(Connection::is_open) >= self.limits.associations;
        let address_full =
            state.count(|it| it.is_open() && same_address(it)) >= self.limits.per_peer;
        if (address_full && !state.abort_unused(same_address))
            || (full && !address_full && !state.abort_unused(|_| true))
        {
            return Err(RejectReason::LocalLimit);
        }
        if let Some(connection) = state.connections.get_mut(&id) {
            connection.phase = Phase::Open(calling.clone());
            connection.since = Instant::now();
        }
        Ok(())
    }

    /// Returns why we closed a connection. `None` if we did not.
    pub(super) fn close_reason(&self, id: u64) -> Option<ConnectionRefusal> {
        let state = self.lock();
        match state.connections.get(&id) {
            Some(connection) if connection.phase == Phase::Closing => {
                Some(ConnectionRefusal::Crowded)
            }
            _ => state.stopping.then_some(ConnectionRefusal::Stopped),
        }
    }

    /// Removes a connection that has ended.
    pub(super) fn remove(&self, id: u64) {
        self.lock().connections.remove(&id);
        self.changed.notify_all();
    }

    /// Closes a connection without an association, and waits until any connection ends. Called when
    /// the system is out of sockets or threads.
    pub(super) fn free_resources(&self, timeout: Duration) {
        let mut state = self.lock();
        state.close_oldest_waiting();
        if !state.stopping {
            let waited = self.changed.wait_timeout(state, timeout);
            drop(waited);
        }
    }

    /// Returns the open associations in the order of their connections.
    pub(super) fn associations(&self) -> Vec<OpenAssociation> {
        let state = self.lock();
        let open = |connection: &Connection| match &connection.phase {
            _ if !connection.is_open() => None,
            Phase::Open(calling) => Some(OpenAssociation {
                calling: calling.clone(),
                peer: connection.peer,
                open_for: connection.since.elapsed(),
                counts: connection.association.counts.read(),
            }),
            Phase::Waiting | Phase::Closing => None,
        };
        state.connections.values().filter_map(open).collect()
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.lock().stopping
    }

    /// Refuses new connections, and closes those without an association.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.stopping = true;
        for connection in state.connections.values_mut() {
            if connection.phase == Phase::Waiting {
                connection.shut_down();
            }
        }
        self.changed.notify_all();
    }

    /// Records that the listener has ended.
    pub(super) fn close(&self) {
        self.lock().listening = false;
        self.changed.notify_all();
    }

    /// Shuts down every connection.
    pub(super) fn shut_down(&self) {
        self.lock()
            .connections
            .values()
            .for_each(Connection::shut_down);
    }

    /// Waits until the listener and all connections have ended. Returns true if they have.
    pub(super) fn wait_until_empty(&self, timeout: Duration) -> bool {
        let busy = |state: &mut RegistryState| state.listening || !state.connections.is_empty();
        let waited = self.changed.wait_timeout_while(self.lock(), timeout, busy);
        let (state, result) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(state);
        !result.timed_out()
    }
}

/// The entry of a connection in the registry. Dropping it removes the entry.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    registry: Arc<Registry>,
    id: u64,
    pub(super) peer: SocketAddr,
    pub(super) association: Arc<AssociationState>,
}

impl ConnectionSlot {
    pub(super) fn new(
        registry: Arc<Registry>,
        id: u64,
        peer: SocketAddr,
        association: Arc<AssociationState>,
    ) -> Self {
        Self {
            registry,
            id,
            peer,
            association,
        }
    }

    /// Asks for permission to open an association.
    pub(super) fn open(&self, calling: &AeTitle) -> Result<(), RejectReason> {
        self.registry.open(self.id, calling)
    }

    /// Returns why we closed the connection. `None` if we did not.
    pub(super) fn close_reason(&self) -> Option<ConnectionRefusal> {
        self.registry.close_reason(self.id)
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.registry.remove(self.id);
    }
}
