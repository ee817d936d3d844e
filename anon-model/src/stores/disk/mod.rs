//! [`DiskStore`]: a lookup store in one file, on redb.
//!
//! ```text
//! format      "format"              → version of everything below: 3
//! meta        "hash key"            → 32 random bytes: the key of every hash below
//!             "state"               → identity, counters, counts, totals
//!             "indexed"             → for each space and kind, the number up to which `ids` is complete
//! ids         hash(space, original) → id
//! pairs       id of the first       → up to 16 pairs with consecutive ids: original, pseudonym of
//!                                     kind 2, first study that refers to it
//! names       hash(space, pseudonym)→ id; kinds 1 and 2 only
//! patients    id                    → captured values, their arrival, counts
//! studies     id of the UID         → patient, captured values, their arrival, counts, target
//! sights      (patient, arrival)    → study
//! series      id of the UID         → study, captured values, their arrival, count
//! study_series(study, series)       → –
//! instances   id of the UID         → series, fingerprint, bytes: 40 bytes; the version of the digest
//!                                     is the highest byte of the length
//! members     (series, group)       → ids of the instances that the group added
//! references  (UID, study)          → –; the study refers to the UID, and is not the first
//! accession_studies(number, study)  → –; instances of the study have the accession number
//! variants    (study, field, hash)  → a value of the field, arrival; only if instances differ
//! clashes     (kind, id)            → –; the patient, study or accession number has several values
//! offsets     id of the patient     → adopted days by which its dates move
//! adopted     id of the study's UID → –; the study was adopted, and its row stays without instances
//! remarks     id of the instance UID → number of reason, tag and cases of each; none without remarks
//! remark_totals (reason, tag)   → cases over all instances
//! deleted     first id of a run     → last id; deleted pairs of kind 0
//! deleted_names hash(space, pseudonym)→ –; deleted pseudonyms of kinds 1 and 2
//! intents     group                 → outputs to publish or replace, or directories to remove
//! rules       order                 → digest, name, text, time of acceptance
//!
//! id    = space: 2 bits | kind: 2 bits | number: 60 bits
//! kind  = 0: the pseudonym is made from the number | 1: computed from the original | 2: external
//! hash  = BLAKE3 under the hash key, first 16 bytes
//! value = version: u8 | bincode of a struct of that version
//! ```
//!
//! Format 1 had no `offsets` and no `adopted`, format 2 no `accession_studies`, `variants`, `clashes`,
//! `remarks`, `remark_totals`, `deleted` and `deleted_names`. They are added when such a file is opened
//! for writing, empty but for two: `accession_studies` gets the number of each study, and if studies
//! were removed, all numbers up to the counters that have no pair count as deleted; which external
//! pseudonyms were deleted is not known. All digests of these formats have version 1.
//!
//! Format 2 had no arrivals either, and kept the name, sex and birth date of a patient only once. When
//! it is migrated, each study gets those of its patient; studies without a Patient ID get none,
//! because those of the patient were of any of them. What clashed before is not known.
//!
//! An id determines its own pseudonym where that is a number. So a known original costs one look-up
//! in `ids`, and a new one a row of 24 bytes there and its text, appended to `pairs`. The hash is
//! keyed and 128 bits long: nobody without the file can construct two originals with one hash, and a
//! chance collision is out of the question.
//!
//! The keys of `ids` are random, and writing each at once would be most of the cost of a commit. So
//! its newest entries wait in memory, up to [`DiskOptions::index_lag`], and are written together.
//! They are not lost if the process ends: opening reads them again from `pairs`, above the numbers in
//! `indexed`.
//!
//! The file holds originals and must be as private as they are. It is created with mode 0600; a file
//! with a looser mode or another owner is refused.
//!
//! One process writes, and any number of processes read at the same time. A commit saves the state
//! of redb's allocator, so opening takes milliseconds even after a crash. With
//! [`Durability::Relaxed`] a commit waits for the operating system, not for the disk: the end of the
//! process loses nothing, a power cut can lose the last commits or damage the file.
//!
//! On a disk that is nearly full, a commit of instances fails with [`Remedy::Retry`] before the disk
//! is full: 16 MiB and a sixteenth of the file, or a sixteenth of a small disk, stay reserved. There
//! is no reserve on systems that do not report free space. If the disk fills up nevertheless, the
//! store stops; the file is intact and must be opened again.
//!
//! A file alone cannot show that it is an older copy. A [`StoreMark`], kept elsewhere, can: it has the
//! id of the store, a group that the store has committed, and ceilings that no number exceeds
//! ([`NumberGuard`]).
//!
//! [`Remedy::Retry`]: crate::Remedy::Retry

mod codec;
mod copy;
mod format_3;
mod free_space;
pub mod mark;
mod migrate;
mod pair_runs;
mod platform;
mod position;
mod recent_ids;
mod relaxed_backend;
mod schema;
mod tables;
mod view;
mod write;

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{ConcurrencyMode, Database, StorageBackend};

use crate::ledger::{Access, Ledger, LedgerOpenError};
use crate::settings::Durability;
use crate::stores::delegate::delegate;
use crate::stores::disk::relaxed_backend::RelaxedBackend;
use crate::stores::disk::tables::{DiskTables, Handle};
use crate::{BackendError, Identity, IdentityMismatch};

pub use self::mark::{MarkError, StoreMark, StoreMismatch};
pub use self::position::{NumberGuard, Numbers, Position, StoreId};

/// The options of a [`DiskStore`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiskOptions {
    /// Whether a commit waits for the disk.
    pub durability: Durability,
    /// Bytes of the page cache.
    pub cache_bytes: u64,
    /// Entries of `ids` that may wait in memory before they are written together. A higher number
    /// makes commits cheaper, but opening slower, which reads them again from `pairs`.
    pub index_lag: usize,
}

impl Default for DiskOptions {
    /// Full durability, 64 MiB of cache, 131,072 entries of lag.
    fn default() -> Self {
        Self {
            durability: Durability::Full,
            cache_bytes: 64 << 20,
            index_lag: 1 << 17,
        }
    }
}

impl DiskOptions {
    /// Sets the durability.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets the size of the page cache.
    #[must_use]
    pub fn with_cache_bytes(mut self, cache_bytes: u64) -> Self {
        self.cache_bytes = cache_bytes;
        self
    }

    /// Sets how many entries of `ids` may wait in memory.
    #[must_use]
    pub fn with_index_lag(mut self, index_lag: usize) -> Self {
        self.index_lag = index_lag;
        self
    }

    fn builder(&self) -> redb::Builder {
        let mut builder = Database::builder();
        builder.set_cache_size(usize::try_from(self.cache_bytes).unwrap_or(usize::MAX));
        builder
    }
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has opened it for writing, or in a way that excludes writers.
    #[error("the lookup store is in use by another process")]
    InUse,
    /// It cannot be opened for reading because the last writer did not close it, or wrote an older
    /// format. Open it for writing once.
    #[error(
        "the lookup store was not closed: it must be opened for writing once before it can be read"
    )]
    NotClosed,
    /// Others could read the originals.
    #[error("the lookup store has mode {mode:o}, which lets others read originals: chmod 600 it")]
    Mode {
        /// The permission bits.
        mode: u32,
    },
    /// The file belongs to another user.
    #[error("the lookup store belongs to another user (uid {owner}): chown it")]
    Owner {
        /// The owner.
        owner: u32,
    },
    /// A newer version of this program wrote it.
    #[error("the lookup store has format {found}, and this program knows {known}: use a newer one")]
    Newer {
        /// The format it has.
        found: u64,
        /// The format this program writes.
        known: u64,
    },
    /// The file is not a lookup store, or is damaged.
    #[error("the file is not a lookup store")]
    Foreign,
    /// A frozen setting differs from the one the pseudonyms were made with.
    #[error(transparent)]
    Identity(#[from] IdentityMismatch),
    /// The operating system provides no random numbers.
    #[error("the operating system provides no random numbers")]
    Random,
    /// The file cannot be opened.
    #[error("the lookup store cannot be opened")]
    Io(#[source] io::Error),
    /// The store failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl From<LedgerOpenError> for OpenError {
    fn from(error: LedgerOpenError) -> Self {
        match error {
            LedgerOpenError::Identity(mismatch) => mismatch.into(),
            LedgerOpenError::Backend(error) => error.into(),
        }
    }
}

impl From<redb::Error> for OpenError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            redb::Error::RepairAborted => Self::NotClosed,
            redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => Self::Foreign,
            redb::Error::Io(error) => Self::Io(error),
            error => Self::Backend(schema::redb_error(error)),
        }
    }
}

macro_rules! from_redb {
    ($($error:ident),+) => {
        $(impl From<redb::$error> for OpenError {
            fn from(error: redb::$error) -> Self {
                redb::Error::from(error).into()
            }
        })+
    };
}

from_redb!(
    DatabaseError,
    StorageError,
    TableError,
    TransactionError,
    CommitError
);

/// A lookup store in one file. The [module page](self) describes the file.
///
/// # Examples
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("lookup.redb");
/// use anon_model::{DiskOptions, DiskStore, Identity, Phi, Pseudonyms, SiteId, Space};
/// use anon_model::UidRoot;
///
/// let identity = Identity::new(SiteId::new("99")?, UidRoot::new("1.2.3")?)?;
/// let store = DiskStore::open(&path, identity.clone(), &DiskOptions::default())?;
/// store.adopt(Space::Accession, &Phi::new("A-17".to_owned()), "41")?;
/// drop(store);
///
/// let store = DiskStore::open_read_only(&path, identity, &DiskOptions::default())?;
/// assert_eq!(store.originals("41")?.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DiskStore {
    ledger: Ledger<DiskTables>,
    /// The file, if commits do not wait for the disk.
    unsynced: Option<File>,
}

impl DiskStore {
    /// Opens a store for writing. Creates the file if it does not exist, but not its directory.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &Path, identity: Identity, options: &DiskOptions) -> Result<Self, OpenError> {
        if is_absent(path)? {
            create(path, &identity, options)?;
        }
        let file = open_file(path)?;
        let mut builder = options.builder();
        builder.set_concurrency_mode(ConcurrencyMode::SingleWriter);
        // The same handle as the database's: closing another one could release its lock.
        let unsynced = match options.durability {
            Durability::Full => None,
            Durability::Relaxed => Some(file.try_clone().map_err(OpenError::Io)?),
        };
        let backend = FileBackend::new(file)?;
        let database = match options.durability {
            Durability::Full => builder.create_with_backend(backend)?,
            Durability::Relaxed => builder.create_with_backend(RelaxedBackend(backend))?,
        };
        let path = std::path::absolute(path).map_err(OpenError::Io)?;
        let store = Self::with_database(database, Some(path), identity, options)?;
        Ok(Self { unsynced, ..store })
    }

    /// Opens a store on the caller's storage, for simulations. The caller must exclude other
    /// processes, and must start with empty storage again if a crash interrupted the first open.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_with_backend(
        backend: impl StorageBackend,
        identity: Identity,
        options: &DiskOptions,
    ) -> Result<Self, OpenError> {
        let builder = options.builder();
        let database = match options.durability {
            Durability::Full => builder.create_with_backend(backend)?,
            Durability::Relaxed => builder.create_with_backend(RelaxedBackend(backend))?,
        };
        Self::with_database(database, None, identity, options)
    }

    /// `path` is that of the file. `None` for other storage.
    fn with_database(
        database: Database,
        path: Option<PathBuf>,
        identity: Identity,
        options: &DiskOptions,
    ) -> Result<Self, OpenError> {
        migrate::migrate(&database, schema::prepare)?;
        let tables = DiskTables::new(Handle::Write(database), options.index_lag)?.at(path);
        let ledger = Ledger::open(tables, identity, Access::Write)?;
        Ok(Self {
            ledger,
            unsynced: None,
        })
    }

    /// Opens a store for reading, also while another process writes it. Each call reads the last
    /// commit. Calls that would change the store fail.
    ///
    /// # Errors
    /// [`OpenError`]; [`OpenError::NotClosed`] after a crash, until the store was opened for writing.
    pub fn open_read_only(
        path: &Path,
        identity: Identity,
        options: &DiskOptions,
    ) -> Result<Self, OpenError> {
        let file = File::open(path).map_err(OpenError::Io)?;
        platform::check_access(&file)?;
        drop(file);
        let mut builder = options.builder();
        builder.set_concurrency_mode(ConcurrencyMode::SingleWriter);
        let database = builder.open_read_only(path)?;
        {
            use redb::ReadableDatabase;
            let formats = database.begin_read()?.open_table(migrate::FORMATS)?;
            let found = formats.get("format")?.map_or(0, |version| version.value());
            if found > migrate::FORMAT {
                let known = migrate::FORMAT;
                return Err(OpenError::Newer { found, known });
            }
            if found < migrate::FORMAT {
                return Err(OpenError::NotClosed);
            }
        }
        let tables = DiskTables::new(Handle::Read(database), options.index_lag)?;
        let ledger = Ledger::open(tables, identity, Access::Read)?;
        Ok(Self {
            ledger,
            unsynced: None,
        })
    }

    /// Returns the identity that the pseudonyms are made with.
    pub fn identity(&self) -> &Identity {
        self.ledger.identity()
    }
}

impl fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskStore")
            .field("identity", self.identity())
            .finish_non_exhaustive()
    }
}

delegate!(DiskStore);

/// Returns true if the file does not exist or is empty.
fn is_absent(path: &Path) -> Result<bool, OpenError> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_file() && metadata.len() == 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(OpenError::Io(error)),
    }
}

/// Creates an empty store under a temporary name and renames it, so that a crash leaves no half-made
/// file under `path`.
fn create(path: &Path, identity: &Identity, options: &DiskOptions) -> Result<(), OpenError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(OpenError::Io(error)),
        _ => {}
    }
    let file = open_file(&new)?;
    let backend = FileBackend::new(file.try_clone().map_err(OpenError::Io)?)?;
    // One sync of the whole file before the rename replaces one for each commit.
    let relaxed = options.clone().with_durability(Durability::Relaxed);
    drop(DiskStore::open_with_backend(
        backend,
        identity.clone(),
        &relaxed,
    )?);
    file.sync_all().map_err(OpenError::Io)?;
    std::fs::rename(&new, path).map_err(OpenError::Io)?;
    platform::sync_directory_of(path).map_err(OpenError::Io)
}

/// Opens the file. Creates it with mode 0600 if it does not exist.
fn open_file(path: &Path) -> Result<File, OpenError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = platform::private(&mut options)
        .open(path)
        .map_err(OpenError::Io)?;
    platform::check_access(&file)?;
    Ok(file)
}
