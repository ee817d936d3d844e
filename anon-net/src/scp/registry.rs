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

/// How long an association keeps its place although it does nothing and another needs the place. A
/// peer that opens one to use it sends its first message at once.
const UNUSED_TIMEOUT: Duration = Duration::from_secs(1);

/// The bytes per second below which an association that has stored nothing yet does nothing.
const MIN_BYTES_PER_SECOND: u128 = 1024;

/// How long the threads of connections that were shut down have to end before a new connection is
/// refused. They end at once, unless the machine is busy.
const END_TIMEOUT: Duration = Duration::from_millis(250);

/// How often a connection that waits for a place looks for one. It is also woken when one ends.
const PLACE_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// The limits on connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConnectionLimits {
    /// Open associations.
    pub(super) associations: usize,
    /// Open associations from one address.
    pub(super) per_peer: usize,
    /// Connections without an association.
    pub(super) waiting: usize,
    /// How long a request waits for a place before it is rejected.
    pub(super) patience: Duration,
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
    /// Its request waits for a place.
    Queued,
    /// An open association.
    Open(AeTitle),
    /// Being closed. Does not count any more.
    Closing,
}

impl Connection {
    fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_)) && !self.association.is_released()
    }

    fn has_no_association(&self) -> bool {
        matches!(self.phase, Phase::Waiting | Phase::Queued)
    }

    /// Returns true if it has given up its place, but still exists.
    fn is_ending(&self) -> bool {
        !self.is_open() && !self.has_no_association()
    }

    /// Returns the sort key for closing associations: the lowest is closed first. It consists of
    /// whether the association got a response (such as to a C-ECHO), and of its start. `None` if it
    /// keeps its place. It does once it has completed a C-STORE request, because modalities keep
    /// associations open between series.
    fn expendable(&self) -> Option<(bool, Instant)> {
        let state = &self.association;
        let counts = state.counts.read();
        if !self.is_open() || counts.handled() > 0 || !state.is_waiting() {
            return None;
        }
        let done = state.last_done();
        let quiet = done.unwrap_or(self.since).elapsed();
        let expected = quiet.as_millis() * MIN_BYTES_PER_SECOND / 1000;
        let is_quiet = quiet >= UNUSED_TIMEOUT && u128::from(counts.bytes) < expected;
        is_quiet.then_some((done.is_some(), self.since))
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
    /// most of them. One peer thus cannot displace the others. One that has requested no
    /// association for a while goes first.
    fn close_oldest_waiting(&mut self) {
        let mut waiting_by_address: BTreeMap<IpAddr, usize> = BTreeMap::new();
        let waiting = |it: &&Connection| it.has_no_association();
        for connection in self.connections.values().filter(waiting) {
            *waiting_by_address.entry(connection.peer.ip()).or_default() += 1;
        }
        let busiest = waiting_by_address
            .into_iter()
            .max_by_key(|(_, count)| *count);
        let Some((address, _)) = busiest else { return };
        let silent =
            |it: &Connection| it.phase == Phase::Waiting && it.since.elapsed() >= UNUSED_TIMEOUT;
        // Ids increase, so the first is the oldest.
        let oldest = self
            .connections
            .iter_mut()
            .filter(|(_, it)| it.has_no_association() && it.peer.ip() == address)
            .min_by_key(|(id, it)| (!silent(it), **id));
        if let Some((_, connection)) = oldest {
            connection.phase = Phase::Closing;
            connection.shut_down();
        }
    }

    /// Ends the threads of connections that are being closed. A peer that stopped inside a message,
    /// or does not read, would hold its thread until a timeout.
    fn shut_down_ending(&self) {
        for connection in self.connections.values().filter(|it| it.is_ending()) {
            if connection.phase == Phase::Closing {
                connection.shut_down();
            } else {
                // Its A-RELEASE-RP may still have to be sent.
                let _ = connection.socket.shutdown(Shutdown::Read);
            }
        }
    }

    /// Opens an association for a connection that waits for a place, if there is one.
    fn take_place(&mut self, id: u64, calling: &AeTitle, limits: &ConnectionLimits) -> bool {
        let Some(address) = self.connections.get(&id).map(|it| it.peer.ip()) else {
            return false;
        };
        let same_address = |it: &Connection| it.peer.ip() == address;
        // First come, first served among the requests of an address.
        let mut earlier = self.connections.range(..id);
        if earlier.any(|(_, it)| it.phase == Phase::Queued && same_address(it)) {
            return false;
        }
        let full = self.count(Connection::is_open) >= limits.associations;
        let address_full = self.count(|it| it.is_open() && same_address(it)) >= limits.per_peer;
        if (address_full && !self.make_room(same_address))
            || (full && !address_full && !self.make_room(|_| true))
        {
            return false;
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.phase = Phase::Open(calling.clone());
            connection.since = Instant::now();
        }
        true
    }

    /// Aborts an association that gives way to others. Returns true if there was one.
    fn make_room(&mut self, of: impl Fn(&Connection) -> bool) -> bool {
        let candidates = self.connections.values_mut().filter(|it| of(it));
        let candidates = candidates.filter_map(|it| Some((it.expendable()?, it)));
        let Some((_, connection)) = candidates.min_by_key(|(rank, _)| *rank) else {
            return false;
        };
        connection.phase = Phase::Closing;
        connection.association.request_abort();
        // Between messages its thread notices the request, and sends an A-ABORT.
        if connection.association.is_receiving() {
            connection.shut_down();
        }
        true
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
        if !state.stopping && state.count(Connection::has_no_association) >= self.limits.waiting {
            state.close_oldest_waiting();
        }
        // Connections that are being closed still exist for a moment.
        let limit = self.limits.waiting.saturating_mul(2);
        let is_crowded =
            |state: &mut RegistryState| !state.stopping && state.count(|it| !it.is_open()) >= limit;
        if is_crowded(&mut state) {
            state.shut_down_ending();
            let waited = self
                .changed
                .wait_timeout_while(state, END_TIMEOUT, is_crowded);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.stopping {
            return Err(ConnectionRefusal::Stopped);
        }
        if is_crowded(&mut state) {
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

    /// Opens an association, or waits until there is a place for it.
    ///
    /// The peer's request is answered only then. Most peers wait for the answer for 30 s.
    pub(super) fn open(&self, id: u64, calling: &AeTitle) -> Result<(), RejectReason> {
        let began = Instant::now();
        let mut state = self.lock();
        let mut expected = Phase::Waiting;
        loop {
            let is_stopping = state.stopping;
            let Some(connection) = state.connections.get_mut(&id) else {
                return Err(RejectReason::Congestion);
            };
            // It may have been closed to make room for other connections.
            if is_stopping || connection.phase != expected {
                return Err(RejectReason::Congestion);
            }
            connection.phase = Phase::Queued;
            expected = Phase::Queued;
            if state.take_place(id, calling, &self.limits) {
                // The next request of this address is the first now.
                self.changed.notify_all();
                return Ok(());
            }
            let left = self.limits.patience.saturating_sub(began.elapsed());
            if left.is_zero() {
                if let Some(connection) = state.connections.get_mut(&id) {
                    connection.phase = Phase::Waiting;
                }
                return Err(RejectReason::LocalLimit);
            }
            let waited = self
                .changed
                .wait_timeout(state, left.min(PLACE_CHECK_INTERVAL));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
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

    /// Closes a connection without an association and those that are being closed, and waits until
    /// any connection ends. Called when the system is out of sockets or threads.
    pub(super) fn free_resources(&self, timeout: Duration) {
        let mut state = self.lock();
        state.close_oldest_waiting();
        state.shut_down_ending();
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
            Phase::Waiting | Phase::Queued | Phase::Closing => None,
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
            if connection.has_no_association() {
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
