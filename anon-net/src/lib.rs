//! The DICOM network: associations, presentation contexts, statuses, and the traits its services
//! stand on.
//!
//! It does **not** de-identify, store or read a data set, and it knows nothing of projects. What it
//! receives it hands to an [`InstanceHandler`], as bytes; what it sends it takes as bytes or files.
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
//! An [`Association`] moves fragments of DIMSE messages (PS3.8 Annex E) and ends in order or not.
//! Everything above it is the same over TCP and TLS ([`association::ul`]) and the network in memory of
//! feature `testing`. A [`Scu`] uses the services of others over it: see [`service`]; an
//! [`Scp`](scp::Scp) serves others: see [`scp`].
//!
//! # Example
//!
//! Two programs on a network in memory:
//!
//! ```
//! # #[cfg(feature = "testing")] {
//! use std::time::Duration;
//! use anon_net::testing::MemoryNetwork;
//! use anon_net::{Contexts, Dial, Event, PdvKind, Pdv, PdvPosition, Proposal, SupportedContexts, Uid};
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
//! let pdv = Pdv { context: id, kind: PdvKind::Command, position: PdvPosition::Last, bytes: b"a command" };
//! ours.send(&[pdv], second)?;
//! assert!(matches!(theirs.receive(second)?, Event::Pdv(got) if got.bytes == b"a command"));
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Implementations of your own
//!
//! [`Dial`], [`Association`] and [`InstanceHandler`] are dyn-compatible, `Send` and `Sync`. An error
//! that only you can know is a [`BackendError`] with its [`Remedy`]. Run the suites of
//! `testing::conformance` on them.
//!
//! # Features
//!
//! | feature | adds | default |
//! |---|---|---|
//! | `testing` | `testing`: a network, a handler and a scripted peer in memory, and the suites | off |
//! | `tls` | `tls`: associations over TLS 1.2 and 1.3 by rustls with ring | off |
//!
//! # Limits
//!
//! * An AE title has 1 to 16 characters (PS3.5 section 6.2), a UID 1 to 64 (PS3.5 section 9).
//! * A proposal has 1 to 128 presentation contexts: their ids are the odd numbers of a byte (PS3.8
//!   section 9.3.2.2).
//! * A PDU is as long as the side that receives it said ([`Association::max_pdu_bytes`]).
//! * We announce at most 16 MiB for it, since each PDU we receive stands in memory whole, and read
//!   proposals of at most 256 KiB unless told otherwise.
//! * An identifier is read up to 256 KiB and 32 sequences deep. Of the answers to a query 500,000 are
//!   taken, of those that name the instances of a study 200,000, unless told otherwise.
//! * Every call that waits has a timeout. Of the system's name resolver we wait no longer either, but
//!   cannot stop it.
//!
//! # What is printed
//!
//! Errors, `Debug` and `tracing` events show what names machines and standards: AE titles, hosts, SOP
//! classes, transfer syntaxes, context ids. Of what can name a person (UIDs of studies, series and
//! instances, values of identifiers, fragments, text that was refused) they show the length only. No
//! subscriber is installed.

pub mod ae;
pub mod uid;

pub mod context;
mod context_id;

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
    ContextId, ContextResponse, ContextResult, Contexts, NegotiatedContexts, SupportedContexts,
};
pub use dimse::{Command, Operation, Status, StatusClass, SubOperations};
pub use error::{BackendError, Error, Remedy, TextError};
pub use scp::{Instance, InstanceHandler, Outcome};
pub use service::{Cancel, Scu, ServiceError};
pub use uid::{InstanceUid, Uid};

/// The example of README.md, as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
