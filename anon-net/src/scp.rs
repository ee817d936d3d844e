//! The Storage and Verification SCP, and [`InstanceHandler`]: what takes the instances that it
//! receives.
//!
//! ```text
//! TCP ─► listener ─► one thread a connection: A-ASSOCIATE, limits ─► Service::serve
//!                                                                        │ C-ECHO ─► 0000
//!                        Status ◄── Outcome ◄── dyn InstanceHandler ◄────┘ C-STORE: Instance + body
//! ```
//!
//! [`Service`] serves one association of any kind; [`Scp`] listens, and serves many over TCP.

mod address;
mod builder;
mod counts;
mod handled;
mod listener;
mod observer;
mod registry;
mod running;
mod serve;
mod store;

pub use crate::dimse::handler::{Instance, InstanceHandler, Outcome, failure_status};
pub use address::AddressRange;
pub use builder::{Scp, ScpBuilder};
pub use counts::{Counts, Totals};
pub use handled::Handled;
pub use observer::{Ending, NoObserver, Refusal, ScpEvent, ScpObserver, Summary};
pub use registry::OpenAssociation;
pub use running::{Running, Stopped};
pub use serve::Service;
