//! Puts stored, de-identified DICOM objects at destinations.
//!
//! It does **not** de-identify, read an object or look anything up: what it is given are names and
//! bytes that may leave the site already, and it never opens a lookup store. An account that must
//! not see originals can use it.
//!
//! ```text
//!  Source                                Exporter                              Sink
//!  public/<patient>/<study>/<series>/    list, skip what is there,  ──put──►  DirectorySink  a directory
//!      <instance>.dcm  ──objects──►      send, retry, tell          ──put──►  DicomSink      a DICOM node
//!                                           │        ▲            ◄──list──   MemorySink     tests
//!                                           ▼        │                        yours          anything
//!                                        Journal: what was sent where and when
//! ```
//!
//! An [`Exporter`] puts what a [`Source`] has at a [`Sink`], patients in parallel and objects in
//! parallel. What fails is told and does not stop the rest; an error that ends an export, such as a wrong
//! key, is told of each patient that is left; what was interrupted is finished by
//! exporting again, and a [`Journal`] makes that cheap.
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
//! A directory to another one, resumable:
//!
//! ```
//! use std::sync::Arc;
//! use anon_export::{Cancel, DirectorySink, DirectorySource, Exporter, Quiet, Selection};
//!
//! # let place = std::env::temp_dir().join(format!("anon-export-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(place.join("public"))?;
//! # let (public, out) = (place.join("public"), place.join("out"));
//! let exporter = Exporter::new(Arc::new(DirectorySink::open(out)?));
//! let source = DirectorySource::new(public);
//! let report = exporter.export(&source, &Selection::all(), &Cancel::new(), &Quiet)?;
//! assert!(report.is_complete());
//! # std::fs::remove_dir_all(place)?;
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
//! | `dicom` | `DicomSink`: DICOM nodes, over anon-net | off |
//! | `s3` | `s3::S3Sink`: S3 and servers like it; a long build, and a C compiler for ring | off |
//! | `cognito` | `cognito::Login`: credentials of a Cognito user for `s3` | off |
//!
//! # Limits
//!
//! * A part of a key has 1 to 64 characters of `A-Z a-z 0-9 _ - .` and inner spaces, and neither
//!   begins nor ends with a dot or space: it is one file name everywhere, and never a way out of its
//!   directory.
//! * A body is read once, in pieces, and never held whole, but for [`MemorySink`] and small objects
//!   for S3. Each try opens it
//!   anew, and its end is told only if the object is still what was listed.
//! * Memory: for each patient on its way one listing of the destination and one file of the journal.
//! * Calls block. Any number of threads may share a sink; [`Capabilities::parallel`] says how many help.
//!
//! # Logging
//!
//! Events of `tracing`, never a subscriber. An event or an error holds keys, which are pseudonyms,
//! lengths, statuses and SOP classes. It never holds a secret, bytes of a body, nor a key that was refused, nor what a failing
//! reader says of itself.

mod object;
pub use object::{key, sink, source};

mod destination;
#[cfg(feature = "dicom")]
pub use destination::dicom;
#[cfg(feature = "s3")]
pub use destination::s3;
#[cfg(feature = "cognito")]
pub use destination::s3::cognito;
pub use destination::{directory, memory};

pub mod exporter;
pub mod journal;

#[cfg(feature = "conformance")]
pub mod conformance;

pub mod cancel;
pub mod error;
pub mod retry;

mod platform;
mod report;

pub use cancel::Cancel;
#[cfg(feature = "dicom")]
pub use dicom::{DicomError, DicomSink};
pub use directory::DirectorySink;
pub use error::{BackendError, Error, KeyError, Remedy};
pub use exporter::{
    Counts, ExportError, ExportEvent, ExportMode, ExportOptions, ExportReport, Exporter, Observer,
    PatientReport, Quiet, Selection,
};
pub use journal::Journal;
pub use key::{KeyPart, ObjectKey};
pub use memory::MemorySink;
pub use retry::Backoff;
pub use sink::{Capabilities, EntityTag, ListedObject, Put, Sink, Stored};
pub use source::{DirectorySource, MemorySource, Source, SourceObject};

/// The example of the README is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
