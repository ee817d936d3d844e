//! Who is who in a DICOM de-identification project: pseudonyms, the PHI index and project settings.
//!
//! The crate assigns every original (patient key, UID, accession number) one pseudonym for ever,
//! records which instances were de-identified and the values that identified them, and holds the
//! project's settings. It does *not* read or write DICOM, does not decide which elements get a
//! pseudonym, and does not touch the de-identified files.
//!
//! ```text
//!            assign               commit                      settle
//! Wanted ────────────► Names ───► NewInstance… ───► Group ──────────────► (intent deleted)
//!  originals  not yet   pseudonyms   one durable      intent to    files are published; instances
//!             durable                transaction      publish      without a file are removed
//! ```
//!
//! [`Pseudonyms::assign`] is fast and need not be durable. [`Transactions::commit`] makes the
//! assigned pseudonyms, the index rows and the intent to publish durable in one transaction, before
//! any file is visible; [`Transactions::settle`] deletes the intent. After a crash,
//! [`Transactions::unsettled`] returns the groups whose files must be checked. Numbers only grow:
//! failed and deleted instances leave gaps, and no number is assigned to a second original. Deleted
//! numbers stay known without their originals, so that none is adopted again either.
//!
//! A lookup store implements one trait for each kind of caller, and [`LookupStore`] is their sum:
//! [`Pseudonyms`], [`Transactions`], [`PhiIndex`] (rows, and pages of a sorted and searched list),
//! [`RetrieveProgress`], [`RulesHistory`] and [`Adoption`].
//!
//! There are two stores: [`MemoryStore`], and `DiskStore` in one file on redb (feature `disk`).
//! Both are the same ledger over different tables, so they behave alike. Both pass
//! `conformance::check` (feature `conformance`), which a store of your own can run too.
//!
//! # Examples
//! ```
//! use anon_model::{
//!     Assigned, Identity, MemoryStore, NewInstance, Phi, PhiIndex, Pseudonyms, SiteId, Space,
//!     Transactions, UidRoot, Wanted,
//! };
//!
//! let identity = Identity::new(SiteId::new("527408")?, UidRoot::default())?;
//! let store = MemoryStore::new(identity)?;
//! let wanted = Wanted {
//!     patient: Phi::new("4711".to_owned()),
//!     study: Phi::new("1.2.840.1".to_owned()),
//!     series: Phi::new("1.2.840.2".to_owned()),
//!     instance: Phi::new("1.2.840.3".to_owned()),
//!     ..Wanted::default()
//! };
//! let Assigned::New(names) = store.assign(&wanted)? else { unreachable!("an empty store") };
//! assert_eq!(names.patient, "527408-000001");
//!
//! let group = store.commit(&[NewInstance {
//!     patient_key: wanted.patient.clone(),
//!     study_uid: wanted.study.clone(),
//!     series_uid: wanted.series.clone(),
//!     instance_uid: wanted.instance.clone(),
//!     names,
//!     ..NewInstance::default()
//! }])?;
//! // Here the file becomes visible under its final name.
//! store.settle(group, &[])?;
//!
//! assert_eq!(store.totals()?.instances, 1);
//! assert!(matches!(store.assign(&wanted)?, Assigned::Duplicate(_)));
//! assert_eq!(store.originals("527408-000001")?, [(Space::Patient, wanted.patient)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Identifying values
//!
//! Every incoming value that can identify a person is a [`Phi`]: `Debug` prints `Phi(..)`, there is
//! no `Display`, and every reading is an `expose()`. Errors name pseudonyms and keys, never
//! originals.
//!
//! # Features
//!
//! | feature | adds | default |
//! |---|---|---|
//! | `disk` | `DiskStore`, redb and bincode | yes |
//! | `java-index` | `java_index`: the index of the Java anonymizer, read from its workbook; calamine and zip | no |
//! | `conformance` | the suite every store must pass | no |
//!
//! # Limits
//!
//! Numbers stay below 10^15 in each space, so that every UID fits in 64 characters (PS3.5 section
//! 9.1). Memory does not grow with the store on disk; a deletion holds the ids of what it deletes.

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod error;
mod identity;
#[cfg(feature = "java-index")]
pub mod java_index;
mod ledger;
pub mod lookup;
pub mod settings;
mod stores;

pub use error::{BackendError, Remedy};
pub use identity::modality::Modality;
pub use identity::phi::Phi;
pub use identity::pseudonym::{
    AdoptError, AssignError, Assigned, Conflict, Counts, DigestVersion, Fingerprint, GivenNames,
    InstanceConflict, Names, Pseudonyms, Space, StoredInstance, StudyConflict, Wanted,
};
pub use identity::scheme::{Dates, Identity, IdentityMismatch, Scheme, Secret};
pub use identity::uid::{SiteId, Uid, UidError, UidRoot};
pub use identity::{modality, phi, pseudonym, scheme, uid};
pub use lookup::LookupStore;
pub use lookup::adoption::{Adopted, Adopting, Adoption, ExternalStudy, NotAdopted};
pub use lookup::clashes::{Clash, ClashKind, ClashValue};
pub use lookup::index::PhiIndex;
pub use lookup::page::{
    Cursor, Page, PageQuery, PatientQuery, PatientSort, SearchScope, SortDirection, StudyQuery,
    StudySort,
};
pub use lookup::remarks::{Remark, RemarkKind, RemarkReason, Remarks};
pub use lookup::retrieve_progress::RetrieveProgress;
pub use lookup::rows::{
    OutputDigest, PatientPhi, PatientRow, SeriesPhi, SeriesRow, StoredOutput, StudyPhi, StudyRow,
    Totals,
};
pub use lookup::rules_history::{RulesHistory, RulesRecord};
pub use lookup::transactions::{Deleted, Group, Intent, NewInstance, Removal, Transactions};
#[cfg(feature = "disk")]
pub use redb;
pub use settings::ProjectSettings;
#[cfg(feature = "disk")]
pub use stores::disk;
#[cfg(feature = "disk")]
pub use stores::disk::{DiskOptions, DiskStore, OpenError};
pub use stores::memory::MemoryStore;

/// The example of README.md, as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
