//! De-identifies DICOM objects (PS3.15 annex E): read, plan, assign, apply, store, commit.
//!
//! An object is a file in memory or on disk, or a data set with its transfer syntax. The engine applies
//! a rule set to it and writes the de-identified object in the same transfer syntax. An object that it
//! cannot de-identify with certainty goes to quarantine, unchanged and with a reason.
//!
//! It is not a DICOM toolkit: it decodes no pixels, transcodes nothing, and cleans no burned-in
//! text. It does not print, and reads neither settings nor the environment.
//!
//! ```text
//!  Received ─► read ─► plan ─► assign ─► apply ─► stage ─► commit ─► publish ─► Receipt
//!              header   pure    model     pure    temp file  lookups   rename
//!                 └──────── Refusal ──────────► Quarantine: the original bytes and why
//! ```
//!
//! # Three levels
//!
//! | level | what | threads, files, clock |
//! |---|---|---|
//! | [`plan()`] and [`Plan::apply`] | pure functions over bytes: same bytes, rules and names, same output | none |
//! | [`Engine::process`] | one object on the caller's thread, durable when it returns | a committer |
//! | [`Engine::submit`], [`import`](fn@import) | many objects on the engine's threads, bounded in bytes | a committer, workers |
//!
//! # Example
//!
//! ```
//! use anon_engine::{Policy, Source, plan};
//! use anon_model::{Assigned, Identity, MemoryStore, Pseudonyms, SiteId, UidRoot};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let rules = anon_script::builtin("rsna-v17").ok_or("it is built in")?;
//! let policy = Policy::new(std::sync::Arc::new(rules), "527408119", "TRIAL-7");
//! let identity = Identity::new(SiteId::new("527408119")?, UidRoot::default())?;
//! let store = MemoryStore::new(identity)?;
//!
//! let bytes = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/files/ct_1_explicit.dcm"))?;
//! let plan = plan(&policy, Source::part10(&bytes))?;
//! let Assigned::New(names) = store.assign(plan.wanted())? else {
//!     return Err("this instance is stored already".into());
//! };
//! let output = plan.apply(&names)?;
//! assert_eq!(output.path().to_string().split('/').next(), Some("527408119-000001"));
//! assert!(output.to_vec()?.starts_with(&[0; 128]));
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! * Only [`Plan::apply`] makes a [`Deidentified`], and a [`Store`] takes nothing else.
//! * A value to which its rule cannot be applied is emptied and counted ([`Deidentified::remarks`]), or
//!   its object is refused. It is never kept.
//! * A pseudonym is durable before any byte that holds it is visible. A [`Receipt`] survives the
//!   failures that [`Durability`] names. After a crash, [`recover`](fn@recover) repairs the store, and
//!   submitting objects again is safe.
//! * All input is read under [`limits`], so hostile input is refused at little cost.
//! * Errors, events and logs hold no value of an object.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `object` | [`Received`] from a `dicom_object::FileDicomObject` |
//! | `testing` | synthetic files, a simulated disk that loses power, conformance suites |
//!
//! # Seams
//!
//! A program can implement [`Store`], [`Quarantine`], [`ObjectSource`], [`Observer`] and
//! [`disk::Disk`] itself. The feature `testing` has a conformance suite for each but `Observer`.
//!
//! A program can also decide by code what each element becomes: implement
//! [`Rules`](anon_script::Rules) and pass it to [`Policy::new`]. [`Element`](anon_script::Element)
//! says what the rules are asked, and which elements the engine decides itself.

pub mod error;
pub mod limits;
mod platform;
pub mod refusal;

mod read;

mod deid;

mod keep;

mod run;

#[cfg(feature = "testing")]
pub mod testing;

pub use anon_model::Remedy;
pub use anon_script::Tag;
pub use deid::deidentified::{Deidentified, Segment};
pub use deid::output_path::OutputPath;
pub use deid::plan::{Captured, Plan, Source, Warnings, plan};
pub use deid::policy::Policy;
pub use deid::{deidentified, eval, method, plan, policy};
#[cfg(feature = "object")]
pub use dicom_object;
pub use error::{Error, StoreError};
pub use keep::quarantine::{DirectoryQuarantine, Kept, MemoryQuarantine, Quarantine};
pub use keep::received::Received;
pub use keep::recover::{Recovered, recover};
pub use keep::spool::{Spool, Spooled};
pub use keep::store::{DirectoryStore, Durability, MemoryStore, Staged, Store, StoredObject};
pub use keep::{disk, quarantine, recover, spool, store};
pub use read::file_meta;
pub use refusal::{Category, EntryId, Refusal};
pub use run::cancel::Cancel;
pub use run::engine::{Engine, EngineBuilder, IntakeFull, Stopped, deidentify};
pub use run::event::{Event, NoObserver, Observer, Progress};
pub use run::import::{EndedEarly, ImportSummary, import};
pub use run::receipt::{Outcome, Receipt};
pub use run::source::{BytesSource, ObjectSource, SourceItem};
pub use run::{cancel, engine, event, import, receipt, source};

/// The example of README.md, as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
