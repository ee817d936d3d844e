//! Port numbers for servers that cannot choose a free port themselves.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

use crate::shared::Test;

/// The ports that this process used, so that concurrent tests never get the same port.
static USED: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// Returns a port that was free just now.
pub(crate) fn free() -> Test<u16> {
    let mut used = USED.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        // On all addresses, because most servers listen on all.
        let port = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?
            .local_addr()?
            .port();
        if used.insert(port) {
            return Ok(port);
        }
    }
}
