//! De-identifies DICOM objects: read, plan, assign, apply, store, commit.
//!
//! Takes a DICOM object as bytes, a file or a data set with its transfer syntax, does what a rule
//! set says, and gives the de-identified object in the transfer syntax it came in. What it cannot
//! deal with goes to quarantine, untouched, with a reason.
//!
//! It is not a DICOM toolkit: it decodes no pixels, transcodes nothing, and cleans no burned-in
//! text. It does not print, and reads neither settings nor environment.
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
//! | [`Engine::process`] | one object on the caller's thread; the receipt says it is durable | the committer's |
//! | [`Engine::submit`], [`import`](fn@import) | many objects with the engine's workers, bounded in bytes | workers |
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
//! # What holds
//!
//! * Only [`Plan::apply`] makes a [`Deidentified`], and a [`Store`] takes nothing else.
//! * A value that a rule cannot deal with is emptied, or its object refused; it is never kept.
//! * A pseudonym is durable before any byte that holds it is visible. A [`Receipt`] survives what
//!   [`Durability`] says. After a crash, [`recover`](fn@recover) repairs, and doing it all again is safe.
//! * Everything from outside is read under [`limits`]: hostile input is refused, and costs little.
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
//! [`Store`], [`Quarantine`], [`ObjectSource`], [`Observer`] and [`disk::Disk`] are traits that a
//! program can bring its own of; each has a conformance suite or a table of what must hold.

mod apply;
pub mod cancel;
pub mod deidentified;
mod dict;
pub mod disk;
pub mod engine;
pub mod error;
pub mod eval;
pub mod event;
pub mod file_meta;
pub mod import;
mod inflate;
mod input;
mod intake;
pub mod limits;
pub mod method;
mod pixel;
pub mod plan;
mod platform;
pub mod policy;
pub mod quarantine;
pub mod receipt;
pub mod recover;
pub mod refusal;
mod scan;
pub mod source;
pub mod spool;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
mod worker;

pub use anon_model::Remedy;
pub use anon_script::Tag;
pub use cancel::Cancel;
pub use deidentified::{Deidentified, OutputPath, Segment};
#[cfg(feature = "object")]
pub use dicom_object;
pub use engine::{Engine, EngineBuilder, Full, Stopped, deidentify};
pub use error::Error;
pub use event::{Event, NoObserver, Observer, Progress};
pub use import::{EndedEarly, Summary, import};
pub use plan::{Captured, Plan, Source, Warnings, plan};
pub use policy::Policy;
pub use quarantine::{DirectoryQuarantine, EntryId, Kept, MemoryQuarantine, Quarantine};
pub use receipt::{Outcome, Receipt, Received};
pub use recover::{Recovered, recover};
pub use refusal::{Category, Refusal};
pub use source::{BytesSource, Item, ObjectSource};
pub use spool::{Spool, Spooled};
pub use store::{DirectoryStore, Durability, MemoryStore, Staged, Store, StoreError};
