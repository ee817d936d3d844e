//! Conformance suites for implementations of the traits.
//!
//! Each suite panics at the first broken promise, and the message names it.
#![expect(
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a suite reports by panicking, as its module documents"
)]

pub mod association;
pub mod handler;
pub mod local_instances;

pub use association::{AssociationPair, association};
pub use handler::{SampleInstance, handler};
pub use local_instances::local_instances;
