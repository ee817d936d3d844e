//! [`RunningScp`]: an SCP that listens.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::ScpTotals;
use super::listener::Shared;
use super::registry::OpenAssociation;
use crate::SupportedContexts;

/// How long a dropped SCP waits for instances that are being received.
const DROP_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the threads of shut down connections have to end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);

/// The result of stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum StopOutcome {
    /// Every instance that was being received was finished and answered.
    Drained,
    /// The time was up. The remaining connections were shut down, and their last instances have no
    /// response.
    OutOfTime,
}

/// An SCP that listens. Dropping it stops it, with one second for the instances that are being
/// received.
#[derive(Debug)]
pub struct RunningScp {
    shared: Arc<Shared>,
    address: SocketAddr,
    /// `None` once it is stopped, so that the port is free.
    listener: Mutex<Option<Arc<TcpListener>>>,
}

impl RunningScp {
    pub(super) fn new(
        shared: Arc<Shared>,
        listener: Arc<TcpListener>,
        address: SocketAddr,
    ) -> Self {
        Self {
            shared,
            address,
            listener: Mutex::new(Some(listener)),
        }
    }

    /// Returns the local address, with the actual port if port 0 was requested.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Sets the supported presentation contexts for later associations.
    pub fn set_supported(&self, supported: SupportedContexts) {
        self.shared.set_supported(supported);
    }

    /// Returns the open associations in the order of their connections.
    pub fn associations(&self) -> Vec<OpenAssociation> {
        self.shared.registry.associations()
    }

    /// Returns the totals so far.
    pub fn totals(&self) -> ScpTotals {
        self.shared.service.totals()
    }

    /// Stops the SCP: opens no more associations, finishes and answers the instances that are being
    /// received, and aborts associations between messages. After `timeout` it shuts down the
    /// remaining connections, and does not wait for a handler that does not return. Stopping again
    /// has no effect.
    pub fn stop(&self, timeout: Duration) -> StopOutcome {
        let began = Instant::now();
        self.shared.registry.stop();
        self.shared.service.stop();
        self.wake();
        let left = timeout.saturating_sub(began.elapsed());
        if self.shared.registry.wait_until_empty(left) {
            return StopOutcome::Drained;
        }
        self.shared.registry.shut_down();
        self.shared.registry.wait_until_empty(SHUTDOWN_TIMEOUT);
        StopOutcome::OutOfTime
    }

    /// Wakes the listener from `accept`, so that it notices the stop.
    fn wake(&self) {
        const WAKE_TIMEOUT: Duration = Duration::from_millis(250);
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(listener) = listener.take() else {
            return;
        };
        // On some systems this wakes the listener, and it needs no file descriptor.
        let _ = SockRef::from(&*listener).shutdown(Shutdown::Both);
        drop(listener);
        // On others a connection wakes it.
        let address = SocketAddr::new(reachable(self.address.ip()), self.address.port());
        let _ = TcpStream::connect_timeout(&address, WAKE_TIMEOUT);
    }
}

/// Returns an address at which a socket listening at `address` can be reached from this machine.
fn reachable(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

impl Drop for RunningScp {
    fn drop(&mut self) {
        self.stop(DROP_TIMEOUT);
    }
}
