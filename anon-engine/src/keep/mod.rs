//! Keeps what must survive: outputs in the store, refused objects in quarantine, both on a disk.

pub mod disk;
pub(crate) mod output_digest;
pub mod quarantine;
pub(crate) mod received;
pub mod recover;
pub mod spool;
pub(crate) mod spooled;
pub mod store;
