//! Copies stored, de-identified DICOM objects to destinations.
//!
//! It does **not** de-identify or look up identities. Its input is names and bytes that may already
//! leave the site, and it never opens a lookup store. It copies objects unchanged, and parses one
//! only to rewrite it for a DICOM node that does not accept its transfer syntax. An account without
//! access to original values can run it.
//!
//! ```text
//!  Source                                Exporter                              Sink
//!  public/<patient>/<study>/<series>/    list, skip existing,   ──put──►  DirectorySink  a directory
//!      <instance>.dcm  ──objects──►      send, retry, report    ──put──►  DicomSink      a DICOM node
//!                                           │        ▲            ◄──list──   MemorySink     tests
//!  Origins ──which original──►              ▼        │                        yours          anything
//!                                        Journal: what was sent where and when
//! ```
//!
//! An [`Exporter`] copies the objects of a [`Source`] to a [`Sink`], several patients and objects
//! in parallel. An object that fails is reported, and the export continues. An error that ends the
//! export, such as wrong credentials, is reported for each remaining patient. Exporting again
//! finishes an interrupted export, and a [`Journal`] makes that cheap.
//!
//! An object at the destination is replaced only by one of the same original. Which original an object
//! was made from is told by its [`Origin`], two keyed digests of the caller ([`Origins`]). They stand in
//! the journal and, at sinks that keep them, with the object. Where an origin is not known, only an
//! object with equal bytes counts as sent; any other one fails, unless [`Overwrite::Any`] is asked for.
//!
//! A [`Sink`] makes three promises, and the suite of feature `conformance` tests them:
//!
//! * **All or nothing.** After [`Sink::put`] the destination has every byte of the object, or is
//!   unchanged. A body that is too short, too long or fails leaves no trace.
//! * **Repeating is safe.** Putting the same object again returns [`Put::AlreadyThere`]. Other
//!   bytes under the same key replace the old ones in one step, or are refused ([`IfThere`]).
//! * **Listings are accurate.** [`Sink::list`] returns what the destination has of a patient, so
//!   that an interrupted export continues without sending everything again.
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
//! let mut keys = Vec::new();
//! sink.list(key.patient(), &mut |listed| {
//!     keys.push(listed.key.to_string());
//!     ControlFlow::Continue(())
//! })?;
//! assert_eq!(keys, ["527408119-000001/1.2.3.1/1.2.3.2/1.2.3.3.dcm"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Copying one directory to another, resumable:
//!
//! ```
//! use std::sync::Arc;
//! use anon_export::{Cancel, DirectorySink, DirectorySource, Exporter, Quiet, Selection};
//!
//! # let directory = std::env::temp_dir().join(format!("anon-export-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(directory.join("public"))?;
//! # let (public, out) = (directory.join("public"), directory.join("out"));
//! let exporter = Exporter::new(Arc::new(DirectorySink::open(out)?));
//! let source = DirectorySource::new(public);
//! let report = exporter.export(&source, &Selection::all(), &Cancel::new(), &Quiet)?;
//! assert!(report.is_complete());
//! # std::fs::remove_dir_all(directory)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A sink of your own
//!
//! Implement [`Sink`]. Return a [`BackendError`] with its [`Remedy`] for failures that only your
//! sink knows. Then run the suite on it:
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
//! | `conformance` | `conformance::check` and `check_source`, the suites | off |
//! | `dicom` | `DicomSink`: DICOM nodes, by anon-net | off |
//! | `s3` | `s3::S3Sink`: S3 and compatible servers; a long build that needs a C compiler for ring | off |
//! | `cognito` | `cognito::Login`: credentials of a Cognito user for `s3` | off |
//!
//! # Limits
//!
//! * A part of a key has 1 to 64 characters of `A-Z a-z 0-9 _ - .` and inner spaces. It neither
//!   begins nor ends with a dot or a space. It is a valid file name on every system and cannot
//!   leave its directory.
//! * A body is read once, in pieces. Only [`MemorySink`] and, for small objects, S3 hold a whole
//!   body. Each attempt opens the object again, and the body reports its end only if the object is
//!   still as it was listed.
//! * Memory: the origins, one listing of the destination and one journal file for each patient in
//!   progress.
//! * Calls block. Any number of threads may share a sink; [`Capabilities::parallel`] says how many
//!   are useful.
//!
//! # Logging
//!
//! The crate emits `tracing` events and installs no subscriber. Events and errors hold keys (which
//! are pseudonyms), lengths, statuses and SOP classes. They never hold a secret, bytes of a body, a
//! rejected key, or the text of a reader's error.

mod object;
pub use object::{key, origin, sink, source};

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
    Counts, Existing, ExportError, ExportEvent, ExportMode, ExportOptions, ExportReport, Exporter,
    Observer, Overwrite, PatientReport, Quiet, Selection,
};
pub use journal::Journal;
pub use key::{KeyPart, ObjectKey};
pub use memory::MemorySink;
pub use origin::{Origin, Origins};
pub use retry::Backoff;
pub use sink::{Capabilities, EntityTag, IfThere, ListedObject, Put, PutOptions, Sink, Stored};
pub use source::{DirectorySource, MemorySource, Source, SourceObject};

/// Runs the README's example as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
