//! [`Ticket`]: the place of a connection among those of its listener.

use std::net::SocketAddr;
use std::sync::Arc;

use super::counts::Pulse;
use super::observer::Refusal;
use super::registry::Registry;
use crate::AeTitle;
use crate::error::Rejection;

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
