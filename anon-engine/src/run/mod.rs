//! Takes objects from their sources through workers to durable receipts.

pub(crate) mod assignment;
pub(crate) mod assignment_order;
pub mod cancel;
pub(crate) mod claim;
pub(crate) mod commit_queue;
pub(crate) mod committer;
pub(crate) mod core;
pub mod engine;
pub mod event;
pub(crate) mod filing_queue;
pub mod import;
pub(crate) mod intake;
pub(crate) mod open_source;
pub(crate) mod plan_memory;
pub mod receipt;
pub(crate) mod repeat;
pub(crate) mod reply;
pub(crate) mod schedule;
pub mod source;
pub(crate) mod worker;
