//! A network, a handler and arrivals in memory, a peer that plays a script, and the suites that
//! implementations of the traits must pass.

pub mod arrivals;
pub mod conformance;
pub mod exchange;
pub mod handler;
pub mod memory;
pub mod script;

pub use arrivals::MemoryArrivals;
pub use exchange::{Exchange, Listener};
pub use handler::MemoryHandler;
pub use memory::{MemoryAssociation, pair};
pub use script::{Gate, Reply, Script, ScriptedPeer};
