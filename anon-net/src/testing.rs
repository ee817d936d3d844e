//! A network and a handler in memory, and the suites that implementations of the traits must pass.

pub mod conformance;
pub mod exchange;
pub mod handler;
pub mod memory;

pub use exchange::{Exchange, Listener};
pub use handler::MemoryHandler;
pub use memory::{MemoryAssociation, pair};
