//! The Storage and Verification SCP, and [`InstanceHandler`], which processes the instances that it
//! receives.
//!
//! ```text
//! TCP ─► listener ─► one thread a connection: A-ASSOCIATE, limits ─► Service::serve
//!                                                                        │ C-ECHO ─► 0000
//!                        Status ◄── Outcome ◄── dyn InstanceHandler ◄────┘ C-STORE: Instance + body
//! ```
//!
//! [`Service`] serves one association over any transport. [`Scp`] listens on TCP and serves many
//! associations.

mod address;
mod builder;
mod counts;
mod listener;
mod observer;
mod registry;
mod running;
mod serve;
mod store;
mod store_outcome;

pub use crate::dimse::handler::{
    HandlerResponse, Instance, InstanceHandler, Outcome, failure_status,
};
pub use address::AddressRange;
pub use builder::{Scp, ScpBuilder};
pub use counts::{InstanceCounts, ScpTotals};
pub use observer::{
    AssociationEnd, AssociationSummary, ConnectionRefusal, NoObserver, ScpEvent, ScpObserver,
};
pub use registry::OpenAssociation;
pub use running::{RunningScp, StopOutcome};
pub use serve::Service;
pub use store_outcome::StoreOutcome;
