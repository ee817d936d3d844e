//! DICOM networking: associations, presentation contexts, DIMSE messages, and the storage and
//! query/retrieve services as SCU and SCP.
//!
//! This crate does **not** de-identify, and it neither stores nor parses data sets. It passes
//! received instances to an [`InstanceHandler`] as bytes, and it sends instances from bytes or
//! files.
//!
//! ```text
//!           requestor                                           acceptor
//!  Proposal ──Dial::dial──► contexts × transfer syntaxes ──► SupportedContexts::answer
//!                                      │ NegotiatedContexts
//!  dyn Association ◄── P-DATA: command and data set fragments (Pdv) ──► dyn Association
//!                  ◄── A-RELEASE, A-ABORT, timeouts ──►                       │
//!                                                     Instance + body: dyn BufRead
//!                                                                             ▼
//!                                   Status ◄── Outcome ◄── dyn InstanceHandler
//! ```
//!
//! An [`Association`] carries fragments of DIMSE messages (PS3.8 Annex E) and ends by a release, an
//! abort or a lost connection. The code above it is the same over TCP and TLS ([`association::ul`])
//! and over the network in memory of feature `testing`. A [`Scu`] requests services from other
//! nodes: see [`service`]. A [`Scp`](scp::Scp) provides services: see [`scp`].
//!
//! # Example
//!
//! Two application entities on a network in memory:
//!
//! ```
//! # #[cfg(feature = "testing")] {
//! use std::time::Duration;
//! use anon_net::testing::MemoryNetwork;
//! use anon_net::{Contexts, Dial, Event, Pdv, PdvKind, PdvPosition, Proposal};
//! use anon_net::{SupportedContexts, Uid};
//!
//! let second = Duration::from_secs(1);
//! let verification = Uid::new("1.2.840.10008.1.1")?;
//! let implicit = Uid::new("1.2.840.10008.1.2")?;
//!
//! let network = MemoryNetwork::new();
//! let node = "ARCHIVE@localhost:104".parse()?;
//! let supported = SupportedContexts::new().with(verification.clone(), vec![implicit.clone()]);
//! let listener = network.listen(&node, supported, 16_384)?;
//!
//! let mut contexts = Contexts::new();
//! let id = contexts.add(verification, vec![implicit])?;
//! let proposal = Proposal::new("US".parse()?, contexts);
//! let mut ours = network.dial(&node, &proposal, second)?;
//! let mut theirs = listener.accept(second)?;
//!
//! let pdv = Pdv {
//!     context: id,
//!     kind: PdvKind::Command,
//!     position: PdvPosition::Last,
//!     bytes: b"a command",
//! };
//! ours.send(&[pdv], second)?;
//! assert!(matches!(theirs.receive(second)?, Event::Pdv(got) if got.bytes == b"a command"));
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A receiver
//!
//! A receiver is an [`InstanceHandler`] and what it supports. [`SupportedContexts::storage`] supports
//! every storage SOP class of the standard in every transfer syntax:
//!
//! ```
//! use std::io::BufRead;
//! use std::sync::Arc;
//! use anon_net::scp::Scp;
//! use anon_net::{
//!     BackendError, HandlerResponse, Instance, InstanceHandler, Outcome, SupportedContexts,
//! };
//!
//! #[derive(Debug)]
//! struct Count;
//!
//! impl InstanceHandler for Count {
//!     fn handle(
//!         &self,
//!         instance: &Instance,
//!         body: &mut dyn BufRead,
//!     ) -> Result<HandlerResponse, BackendError> {
//!         let bytes = std::io::copy(body, &mut std::io::sink());
//!         println!("{bytes:?} of {} in {}", instance.sop_class, instance.transfer_syntax);
//!         Ok(Outcome::Stored.into())
//!     }
//! }
//!
//! let scp = Scp::builder("RECEIVER".parse()?, Arc::new(Count))
//!     .supported(SupportedContexts::storage())
//!     .bind("127.0.0.1:0".parse()?)?;
//! println!("RECEIVER listens on {}", scp.local_addr());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Your own implementations
//!
//! [`Dial`], [`Association`] and [`InstanceHandler`] are dyn-compatible, `Send` and `Sync`. Report
//! an error of your own as a [`BackendError`] with its [`Remedy`]. Run the suites of
//! `testing::conformance` on your implementation.
//!
//! # Features
//!
//! | feature | adds | default |
//! |---|---|---|
//! | `testing` | `testing`: a network, a handler and a scripted peer in memory, conformance suites | off |
//! | `tls` | `tls`: associations over TLS 1.2 and 1.3 by rustls with ring | off |
//!
//! # Limits
//!
//! * An AE title has 1 to 16 characters (PS3.5 section 6.2), a UID 1 to 64 (PS3.5 section 9.1).
//! * A proposal has 1 to 128 presentation contexts: their ids are the odd numbers of a byte (PS3.8
//!   section 9.3.2.2).
//! * A PDU is at most as long as its receiver announced ([`Association::max_pdu_bytes`]).
//! * This crate announces at most 16 MiB, because it holds each received PDU in memory. It reads
//!   proposals of at most 256 KiB by default.
//! * An identifier is read up to 256 KiB and 32 levels of sequences. By default a query accepts
//!   500,000 responses, and a query for the instances of a study 200,000.
//! * Every call that waits has a timeout. A call also stops waiting for the system's name resolver
//!   at its timeout, but it cannot stop the resolver.
//!
//! # What errors and logs show
//!
//! Errors, `Debug` and `tracing` events show names of machines and standards: AE titles, hosts,
//! context ids, and the SOP classes, transfer syntaxes and tags that PS3.6 lists. Others may be parts
//! of values, and are called unknown. Of values that can identify a person (UIDs of studies, series
//! and instances, values of identifiers, fragments, refused text) they show only the length.
//! The crate installs no `tracing` subscriber.

pub mod ae;
pub mod uid;

pub mod context;
mod context_id;
mod registry;

pub mod association;
pub mod dimse;
pub mod identifier;
pub mod scp;
pub mod service;
pub mod text;

#[cfg(feature = "tls")]
pub use association::ul::tls;

#[cfg(feature = "testing")]
pub mod testing;

pub mod error;

pub use ae::{AeTitle, Node};
pub use association::{Association, Dial, Event, Pdv, PdvKind, PdvPosition, Proposal};
pub use context::{
    ContextId, ContextResponse, ContextResult, Contexts, NegotiatedContexts, RefusedContext,
    SupportedContexts,
};
pub use dimse::{Command, Operation, Status, StatusClass, SubOperations};
pub use error::{BackendError, Error, Remedy, TextError};
pub use scp::{HandlerResponse, Instance, InstanceHandler, Outcome};
pub use service::{Cancel, Scu, ServiceError};
pub use uid::{InstanceUid, Uid};

/// Runs the example of README.md as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
