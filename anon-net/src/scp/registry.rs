//! [`Registry`]: the connections of a listener, and how many there may be.

use std::collections::BTreeMap;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::InstanceCounts;
use super::counts::AssociationState;
use super::observer::ConnectionRefusal;
use crate::AeTitle;
use crate::error::RejectReason;

/// How long an association that has said nothing is left alone, though another wants its place. A
/// peer that opens one to use it sends its first message at once.
const SETTLING: Duration = Duration::from_secs(1);

/// How many connections there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConnectionLimits {
    /// Associations.
    pub(super) associations: usize,
    /// Associations from one address.
    pub(super) per_peer: usize,
    /// Connections that have no association yet.
    pub(super) waiting: usize,
}

/// An association that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenAssociation {
    /// Who opened it.
    pub calling: AeTitle,
    /// From where.
    pub peer: SocketAddr,
    /// For how long.
    pub open_for: Duration,
    /// What became of its instances so far.
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
    /// The same socket as the one its thread reads: what is done to it wakes that thread.
    socket: TcpStream,
    peer: SocketAddr,
    /// Since when it is in its phase.
    since: Instant,
    phase: Phase,
    association: Arc<AssociationState>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// It has no association yet.
    Waiting,
    /// It has one.
    Open(AeTitle),
    /// It is told to go, and does not count any more.
    Closing,
}

impl Connection {
    fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_)) && !self.association.is_released()
    }

    /// Wakes its thread, which finds the connection at its end.
    fn shut_down(&self) {
        // Fails if the peer is gone already.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

impl RegistryState {
    fn count(&self, which: impl Fn(&Connection) -> bool) -> usize {
        self.connections.values().filter(|it| which(it)).count()
    }

    /// Has the connection leave that waits longest, of the address that has the most of them: one
    /// peer cannot push out the others.
    fn close_oldest_waiting(&mut self) {
        let mut crowd: BTreeMap<IpAddr, usize> = BTreeMap::new();
        let waiting = |it: &&mut Connection| it.phase == Phase::Waiting;
        for connection in self.connections.values_mut().filter(waiting) {
            *crowd.entry(connection.peer.ip()).or_default() += 1;
        }
        let fullest = crowd.into_iter().max_by_key(|(_, count)| *count);
        let Some((address, _)) = fullest else { return };
        // The first is the oldest: their numbers grow.
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

    /// Has an association leave that has said nothing since it was opened; true if there is one.
    fn abort_unused(&mut self, of: impl Fn(&Connection) -> bool) -> bool {
        let silent = self
            .connections
            .values_mut()
            .filter(|it| it.is_open() && of(it) && !it.association.is_active())
            .find(|it| it.since.elapsed() >= SETTLING);
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

    // Every change under the lock is whole before anything can panic.
    fn lock(&self) -> MutexGuard<'_, RegistryState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a connection that has just been accepted.
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
        // Those that leave take a moment to be gone.
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
        let neighbour = |it: &Connection| it.peer.ip() == peer.ip();
        let full = state.count(Connection::is_open) >= self.limits.associations;
        let crowded = state.count(|it| it.is_open() && neighbour(it)) >= self.limits.per_peer;
        if (crowded && !state.abort_unused(neighbour))
            || (full && !crowded && !state.abort_unused(|_| true))
        {
            return Err(RejectReason::LocalLimit);
        }
        if let Some(connection) = state.connections.get_mut(&id) {
            connection.phase = Phase::Open(calling.clone());
            connection.since = Instant::now();
        }
        Ok(())
    }

    /// Why we cut a connection, if we did.
    pub(super) fn close_reason(&self, id: u64) -> Option<ConnectionRefusal> {
        let state = self.lock();
        match state.connections.get(&id) {
            Some(connection) if connection.phase == Phase::Closing => {
                Some(ConnectionRefusal::Crowded)
            }
            _ => state.stopping.then_some(ConnectionRefusal::Stopped),
        }
    }

    /// Forgets a connection that has ended.
    pub(super) fn remove(&self, id: u64) {
        self.lock().connections.remove(&id);
        self.changed.notify_all();
    }

    /// Frees what a connection without an association takes, and waits for any connection to end:
    /// there is something of which the system has no more.
    pub(super) fn free_resources(&self, patience: Duration) {
        let mut state = self.lock();
        state.close_oldest_waiting();
        if !state.stopping {
            let waited = self.changed.wait_timeout(state, patience);
            drop(waited);
        }
    }

    /// The associations that are open, in the order in which they connected.
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

    /// Takes in no more connections, and has those leave that have no association.
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

    /// The listener has ended.
    pub(super) fn close(&self) {
        self.lock().listening = false;
        self.changed.notify_all();
    }

    /// Cuts every connection.
    pub(super) fn shut_down(&self) {
        self.lock()
            .connections
            .values()
            .for_each(Connection::shut_down);
    }

    /// Waits until the listener and all connections have ended; true if they have.
    pub(super) fn wait_until_empty(&self, patience: Duration) -> bool {
        let busy = |state: &mut RegistryState| state.listening || !state.connections.is_empty();
        let waited = self.changed.wait_timeout_while(self.lock(), patience, busy);
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(state);
        !timeout.timed_out()
    }
}

/// The place of a connection, which is free again when this is dropped.
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

    /// Asks for an association's place.
    pub(super) fn open(&self, calling: &AeTitle) -> Result<(), RejectReason> {
        self.registry.open(self.id, calling)
    }

    /// Why we cut the connection, if we did.
    pub(super) fn close_reason(&self) -> Option<ConnectionRefusal> {
        self.registry.close_reason(self.id)
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.registry.remove(self.id);
    }
}
