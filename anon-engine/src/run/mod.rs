//! Runs it: takes objects from their sources through workers to durable receipts.

pub mod cancel;
pub(crate) mod claim;
pub(crate) mod commit;
pub(crate) mod core;
pub mod engine;
pub mod event;
pub mod import;
pub(crate) mod intake;
pub(crate) mod job;
pub mod receipt;
pub mod source;
pub(crate) mod turn;
pub(crate) mod worker;
