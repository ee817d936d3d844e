//! Puts stored, de-identified DICOM objects at destinations.
//!
//! It does **not** de-identify, read an object or look anything up: what it is given are names and
//! bytes that may leave the site already, and it never opens a lookup store. An account that must
//! not see originals can use it.
//!
//! ```text
//!                     ObjectKey                      Sink
//!  public/<patient>/<study>/<series>/<instance>.dcm ──put──► DirectorySink   a directory
//!                         ▲                         ──put──► MemorySink      tests, small programs
//!                         └──────────list───────────         yours           anything else
//! ```
//!
//! A [`Sink`] promises three things, and the suite of feature `conformance` tests them:
//!
//! * **Whole or nothing.** After [`Sink::put`] the object is there with every byte, or the
//!   destination is as it was. A body that ends early, runs over or fails leaves no trace.
//! * **Repeating is safe.** The same object put again is [`Put::AlreadyThere`]; other bytes under the
//!   same key (a damaged copy, new rules) are replaced in one step.
//! * **The destination tells the truth.** [`Sink::list`] says what is there under a patient, so that
//!   an interrupted export can be finished without sending all of it again.
//!
//! # Example
//!
//! ```
//! use std::ops::ControlFlow;
//! use anon_export::{MemorySink, ObjectKey, Put, Sink};
//!
//! let sink = MemorySink::new();
//! let key = ObjectKey::new(["527408119-000001", "1.2.3.1", "1.2.3.2", "1.2.3.3"])?;
//! let object = b"an object of 21 bytes".as_slice();
//!
//! assert_eq!(sink.put(&key, object.len() as u64, &mut &*object)?.put, Put::Created);
//! assert_eq!(sink.put(&key, object.len() as u64, &mut &*object)?.put, Put::AlreadyThere);
//!
//! let mut there = Vec::new();
//! sink.list(key.patient(), &mut |listed| {
//!     there.push(listed.key.to_string());
//!     ControlFlow::Continue(())
//! })?;
//! assert_eq!(there, ["527408119-000001/1.2.3.1/1.2.3.2/1.2.3.3.dcm"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A sink of your own
//!
//! Implement [`Sink`], return a [`BackendError`] with its [`Remedy`] for what only you can know, and
//! run the suite on it:
//!
//! ```
//! # #[cfg(feature = "conformance")]
//! anon_export::conformance::check(|| anon_export::MemorySink::new());
//! ```
//!
//! # Features
//!
//! | feature | adds | default |
//! |---|---|---|
//! | `conformance` | `conformance::check`, the suite above | off |
//!
//! # Limits
//!
//! * A part of a key has 1 to 64 characters of `A-Z a-z 0-9 _ - .` and inner spaces, and neither
//!   begins nor ends with a dot or space: it is one file name everywhere, and never a way out of its
//!   directory.
//! * A body is read once, in pieces, and never held whole, but for [`MemorySink`].
//! * Calls block. Any number of threads may share a sink; [`Needs::parallel`] says how many help.
//!
//! # Logging
//!
//! Events of `tracing`, never a subscriber. An event or an error holds keys, which are pseudonyms,
//! and lengths. It never holds bytes of a body, nor a key that was refused, nor what a failing
//! reader says of itself.

pub mod sink;
pub mod source;

pub mod exporter;
pub mod journal;

#[cfg(feature = "dicom")]
pub mod dicom;
pub mod directory;
pub mod memory;

#[cfg(feature = "s3")]
pub mod s3;

#[cfg(feature = "cognito")]
pub mod cognito;

pub mod cancel;
pub mod retry;

#[cfg(feature = "conformance")]
pub mod conformance;

pub mod error;

mod layout;
mod platform;

pub use cancel::Cancel;
#[cfg(feature = "dicom")]
pub use dicom::{DicomError, DicomSink};
pub use directory::DirectorySink;
pub use error::{BackendError, Error, KeyError, Remedy};
pub use exporter::{
    Counts, ExportError, ExportEvent, ExportOptions, ExportReport, Exporter, Mode, Observer,
    PatientReport, Quiet, Selection,
};
pub use journal::Journal;
pub use memory::MemorySink;
pub use retry::Backoff;
pub use sink::{Listed, Needs, ObjectKey, Part, Put, Sink, Stored, Tag};
pub use source::{DirectorySource, MemorySource, Source, SourceObject};
