//! [`Registry`]: the connections of a listener, and how many there may be.

use std::collections::BTreeMap;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Counts;
use super::counts::Pulse;
use super::observer::Refusal;
use crate::AeTitle;
use crate::error::Rejection;

/// How long an association that has said nothing is left alone, though another wants its place. A
/// peer that opens one to use it sends its first message at once.
const SETTLING: Duration = Duration::from_secs(1);

/// How many connections there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
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
    pub counts: Counts,
}

#[derive(Debug)]
pub(super) struct Registry {
    limits: Limits,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
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
    pulse: Arc<Pulse>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// It has no association yet.
    Waiting,
    /// It has one.
    Open(AeTitle),
    /// It is told to go, and does not count any more.
    Leaving,
}

impl Connection {
    fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_)) && !self.pulse.is_released()
    }

    /// Wakes its thread, which finds the connection at its end.
    fn cut(&self) {
        // Fails if the peer is gone already.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

impl State {
    fn count(&self, which: impl Fn(&Connection) -> bool) -> usize {
        self.connections.values().filter(|it| which(it)).count()
    }

    /// Has the connection leave that waits longest, of the address that has the most of them: one
    /// peer cannot push out the others.
    fn push_out(&mut self) {
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
            connection.phase = Phase::Leaving;
            connection.cut();
        }
    }

    /// Has an association leave that has said nothing since it was opened; true if there is one.
    fn make_room(&mut self, of: impl Fn(&Connection) -> bool) -> bool {
        let silent = self
            .connections
            .values_mut()
            .filter(|it| it.is_open() && of(it) && !it.pulse.spoke())
            .find(|it| it.since.elapsed() >= SETTLING);
        if let Some(connection) = silent {
            connection.phase = Phase::Leaving;
            connection.pulse.ask_to_leave();
            return true;
        }
        false
    }
}

impl Registry {
    pub(super) fn new(limits: Limits) -> Self {
        let state = State {
            listening: true,
            ..State::default()
        };
        Self {
            limits,
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    // Every change under the lock is whole before anything can panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a connection that has just been accepted.
    pub(super) fn enter(
        self: &Arc<Self>,
        stream: &TcpStream,
        peer: SocketAddr,
    ) -> Result<Ticket, Refusal> {
        let socket = stream.try_clone().map_err(|_| Refusal::Crowded)?;
        let mut state = self.lock();
        if state.stopping {
            return Err(Refusal::Stopped);
        }
        if state.count(|it| it.phase == Phase::Waiting) >= self.limits.waiting {
            state.push_out();
        }
        // Those that leave take a moment to be gone.
        if state.count(|it| !it.is_open()) >= self.limits.waiting.saturating_mul(2) {
            return Err(Refusal::Crowded);
        }
        let id = state.next;
        state.next += 1;
        let pulse = Arc::<Pulse>::default();
        let connection = Connection {
            socket,
            peer,
            since: Instant::now(),
            phase: Phase::Waiting,
            pulse: Arc::clone(&pulse),
        };
        state.connections.insert(id, connection);
        Ok(Ticket::new(Arc::clone(self), id, peer, pulse))
    }

    pub(super) fn open(&self, id: u64, calling: &AeTitle) -> Result<(), Rejection> {
        let mut state = self.lock();
        let waiting = state.connections.get(&id).map(|it| (it.peer, &it.phase));
        let Some((peer, Phase::Waiting)) = waiting else {
            return Err(Rejection::Congestion);
        };
        if state.stopping {
            return Err(Rejection::Congestion);
        }
        let neighbour = |it: &Connection| it.peer.ip() == peer.ip();
        let full = state.count(Connection::is_open) >= self.limits.associations;
        let crowded = state.count(|it| it.is_open() && neighbour(it)) >= self.limits.per_peer;
        if (crowded && !state.make_room(neighbour))
            || (full && !crowded && !state.make_room(|_| true))
        {
            return Err(Rejection::LocalLimit);
        }
        if let Some(connection) = state.connections.get_mut(&id) {
            connection.phase = Phase::Open(calling.clone());
            connection.since = Instant::now();
        }
        Ok(())
    }

    /// Why we cut a connection, if we did.
    pub(super) fn reason(&self, id: u64) -> Option<Refusal> {
        let state = self.lock();
        match state.connections.get(&id) {
            Some(connection) if connection.phase == Phase::Leaving => Some(Refusal::Crowded),
            _ => state.stopping.then_some(Refusal::Stopped),
        }
    }

    /// Forgets a connection that has ended.
    pub(super) fn leave(&self, id: u64) {
        self.lock().connections.remove(&id);
        self.changed.notify_all();
    }

    /// Frees what a connection without an association takes, and waits for any connection to end:
    /// there is something of which the system has no more.
    pub(super) fn relieve(&self, patience: Duration) {
        let mut state = self.lock();
        state.push_out();
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
                counts: connection.pulse.tally.counts(),
            }),
            Phase::Waiting | Phase::Leaving => None,
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
                connection.cut();
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
    pub(super) fn cut(&self) {
        self.lock().connections.values().for_each(Connection::cut);
    }

    /// Waits until the listener and all connections have ended; true if they have.
    pub(super) fn wait_until_empty(&self, patience: Duration) -> bool {
        let busy = |state: &mut State| state.listening || !state.connections.is_empty();
        let waited = self.changed.wait_timeout_while(self.lock(), patience, busy);
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(state);
        !timeout.timed_out()
    }
}

/// The place of a connection, which is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    registry: Arc<Registry>,
    id: u64,
    pub(super) peer: SocketAddr,
    pub(super) pulse: Arc<Pulse>,
}

impl Ticket {
    pub(super) fn new(
        registry: Arc<Registry>,
        id: u64,
        peer: SocketAddr,
        pulse: Arc<Pulse>,
    ) -> Self {
        Self {
            registry,
            id,
            peer,
            pulse,
        }
    }

    /// Asks for an association's place.
    pub(super) fn open(&self, calling: &AeTitle) -> Result<(), Rejection> {
        self.registry.open(self.id, calling)
    }

    /// Why we cut the connection, if we did.
    pub(super) fn cut(&self) -> Option<Refusal> {
        self.registry.reason(self.id)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.registry.leave(self.id);
    }
}
