//! The suites that implementations of the traits pass, ours or yours.
//!
//! Each panics with a sentence at the first promise that is broken.
#![expect(
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a suite reports by panicking, as its module says"
)]

pub mod arrivals;
pub mod association;
pub mod handler;

pub use arrivals::arrivals;
pub use association::{Ends, association};
pub use handler::{Sample, handler};
