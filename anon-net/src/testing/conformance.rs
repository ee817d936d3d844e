//! The suites that implementations of the traits pass, ours or yours.
//!
//! Each panics with a sentence at the first promise that is broken.
#![expect(
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a suite reports by panicking, as its module says"
)]

pub mod association;
pub mod handler;
pub mod local_instances;

pub use association::{AssociationPair, association};
pub use handler::{SampleInstance, handler};
pub use local_instances::local_instances;
