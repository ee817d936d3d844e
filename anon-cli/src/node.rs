//! The project as a DICOM node: joins anon-net to the engine, and names peers.
//!
//! ```text
//! anon-net SCP ─► Intake ─► memory within a budget, else spool ─► Engine ─► status
//!                    │           Room: a shortage of disk is waited for, then A700
//!                    └─► ArrivalLog: what became of the instances that a retrieve waits for
//! ```

mod arrivals;
mod budget;
mod fetch;
mod intake;
mod peer;
mod room;
mod scp;
mod search;
mod tls;
mod words;

pub(crate) use arrivals::ArrivalLog;
pub(crate) use fetch::{Fetch, check_reachable};
pub(crate) use intake::Intake;
pub(crate) use peer::{Peer, Purpose, scu};
pub(crate) use room::Room;
pub(crate) use scp::{Receiver, check_open, is_local, narrowed, shared_classes, start};
pub(crate) use search::{Found, Keys, Search, named, write_not_found};
pub(crate) use words::{Us, failure, service, us};
