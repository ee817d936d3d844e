//! The two lookup stores: the same ledger over different tables.

mod delegate;
#[cfg(feature = "disk")]
pub mod disk;
pub(crate) mod memory;
