//! The two lookup stores: each puts its tables under the same ledger.

mod delegate;
#[cfg(feature = "disk")]
pub mod disk;
pub(crate) mod memory;
