//! The project as a DICOM node: the adapter between anon-net and the engine, and the peers it talks to.
//!
//! ```text
//! anon-net SCP ─► Intake ─► memory up to a limit, then spool ─► Engine ─► status
//!                    │          SpaceWait: waits for disk space, then answers A700
//!                    └─► ArrivalLog: outcomes of the instances that a retrieve expects
//! ```

mod arrival_log;
mod asked;
mod failure_message;
mod fetch;
mod intake;
mod key_list;
mod last_find;
mod memory_limit;
mod peer;
mod scp;
mod search;
mod space_wait;
mod tls;

pub(crate) use arrival_log::ArrivalLog;
pub(crate) use asked::{Asked, AskedKey, Place};
pub(crate) use failure_message::{LocalNode, peer_failure};
pub(crate) use fetch::{Fetch, check_reachable};
pub(crate) use intake::Intake;
pub(crate) use key_list::{ListKey, RefusedEntry};
pub(crate) use last_find::{FoundStudy, LastFind};
pub(crate) use peer::{Peer, Purpose, scu};
pub(crate) use scp::{Receiver, check_access_list, is_local, shared_classes, start, supported_now};
pub(crate) use search::{Keys, Search, SearchResult, Split, studies_by_uid, write_not_found};
pub(crate) use space_wait::SpaceTimeout;
