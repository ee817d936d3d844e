//! [`RunningScp`]: an SCP that listens.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::ScpTotals;
use super::listener::Shared;
use super::registry::OpenAssociation;
use crate::SupportedContexts;

/// How long an SCP that is dropped waits for instances in the middle.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// How long threads whose connections were cut have to end.
const AFTERMATH: Duration = Duration::from_millis(500);

/// How stopping went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must meet each case")]
pub enum StopOutcome {
    /// Every instance in the middle was finished and answered, every association ended in order.
    Drained,
    /// The time was up. What was left was cut off: its senders have no answer, and will send again.
    OutOfTime,
}

/// An SCP that listens. Dropping it stops it: what is in the middle then has a second to finish.
#[derive(Debug)]
pub struct RunningScp {
    shared: Arc<Shared>,
    address: SocketAddr,
    /// Gone once it is stopped, so that the port is free.
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

    /// Where it listens, with the port that was found for port 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Sets which contexts are accepted, from the next association on.
    pub fn set_supported(&self, supported: SupportedContexts) {
        self.shared.set_supported(supported);
    }

    /// The associations that are open, in the order in which they connected.
    pub fn associations(&self) -> Vec<OpenAssociation> {
        self.shared.registry.associations()
    }

    /// What was done so far.
    pub fn totals(&self) -> ScpTotals {
        self.shared.service.totals()
    }

    /// Opens no more associations, finishes and answers the instances that are in the middle, and
    /// aborts associations between messages. What is not over after `patience` is cut off; a handler
    /// that does not return is left behind. Stopping again changes nothing.
    pub fn stop(&self, patience: Duration) -> StopOutcome {
        let began = Instant::now();
        self.shared.registry.stop();
        self.shared.service.stop();
        self.wake();
        let left = patience.saturating_sub(began.elapsed());
        if self.shared.registry.wait_until_empty(left) {
            return StopOutcome::Drained;
        }
        self.shared.registry.shut_down();
        self.shared.registry.wait_until_empty(AFTERMATH);
        StopOutcome::OutOfTime
    }

    /// Has the listener notice that it is over: it waits for a connection.
    fn wake(&self) {
        const PROMPT: Duration = Duration::from_millis(250);
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(listener) = listener.take() else {
            return;
        };
        // This is enough where the system has it wake a listener, and takes no file descriptor.
        let _ = SockRef::from(&*listener).shutdown(Shutdown::Both);
        drop(listener);
        // Elsewhere it gets a connection.
        let address = SocketAddr::new(reachable(self.address.ip()), self.address.port());
        let _ = TcpStream::connect_timeout(&address, PROMPT);
    }
}

/// Where a socket that listens at this address can be reached from here.
fn reachable(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

impl Drop for RunningScp {
    fn drop(&mut self) {
        self.stop(LAST_MOMENT);
    }
}
