//! A network, a handler and arrivals in memory, a peer that plays a script, and the suites that
//! implementations of the traits must pass.

pub mod conformance;
pub mod handler;
pub mod instances;
pub mod memory;
pub mod network;
pub mod script;

pub use handler::MemoryHandler;
pub use instances::MemoryInstances;
pub use memory::{MemoryAssociation, pair};
pub use network::{MemoryListener, MemoryNetwork};
pub use script::{Gate, Reply, Script, ScriptedPeer};
