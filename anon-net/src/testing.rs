//! For tests: a network, a handler and local instances in memory, a scripted peer, and conformance
//! suites for implementations of the traits.

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
