//! [`DiskStore`]: the lookup store in one file, on redb.
//!
//! ```text
//! format      "format"              → version of all below: 2
//! meta        "hash key"            → 32 random bytes: the key of every hash below
//!             "state"               → identity, counters, counts, totals
//!             "indexed"             → of each sort of id, the highest that is in `ids`
//! ids         hash(space, original) → id
//! pairs       id of the first       → up to 16 pairs with ids in a row: original, pseudonym if given
//!                                     from outside, first study that names it in another role
//! names       hash(space, pseudonym)→ id; only where the pseudonym does not follow from the id
//! patients    id                    → what was captured, counts
//! studies     id of the UID         → patient, what was captured, counts, target
//! sights      (patient, order)      → study
//! series      id of the UID         → study, what was captured, count
//! study_series(study, series)       → –
//! instances   id of the UID         → series, fingerprint, bytes: 40 bytes, no version
//! members     (series, group)       → ids of the instances that the group brought
//! references  (UID, study)          → –; the study names the UID in another role, and is not the
//!                                     first to do so
//! offsets     id of the patient     → days by which its dates move, as given from outside
//! adopted     id of the study's UID → –; its row was given from outside, and stays without instances
//! intents     group                 → outputs to publish, or directories to remove
//! rules       order                 → digest, name, text, when accepted
//!
//! id    = space: 2 bits | kind: 2 bits | number: 60 bits
//! hash  = BLAKE3 under the hash key, first 16 bytes
//! value = version: u8 | bincode of a struct of that version
//! ```
//!
//! Format 1 had no `offsets` and no `adopted`; they are made empty when such a file is opened for
//! writing.
//!
//! An id says its own pseudonym where that is a number, so a known original costs one look into
//! `ids`, and a new one a row of 24 bytes there and its text, appended, in `pairs`. The hash is
//! keyed and 128 bits long: whoever does not hold the file cannot make two originals meet, and
//! chance will not.
//!
//! `ids` is the only table written at random places, which would be most of the cost of a commit.
//! So its newest entries wait in memory, up to [`DiskOptions::index_lag`], and are written together.
//! They are not lost with the process: opening reads them again from `pairs`, above the marks in
//! `indexed`.
//!
//! The file holds originals and is as private as they are: it is made with mode 0600, and one with
//! a looser mode or a foreign owner is refused.
//!
//! One process writes, any number read beside it. A commit saves redb's allocator, so that opening
//! takes milliseconds after any end. With [`Durability::Relaxed`] a commit waits for the system,
//! not for the disk: the end of the process loses nothing, a power cut can lose the last commits or
//! damage the file.
//!
//! On a disk that is nearly full a commit of instances fails with [`Remedy::Retry`] while there is
//! still room for one: 16 MiB and a sixteenth of the file, or a sixteenth of a small disk. Systems
//! that do not say how much room there is have no such limit. If the disk is full all the same, the
//! store stops; it is whole, and has to be opened anew.
//!
//! [`Remedy::Retry`]: crate::Remedy::Retry

mod backend;
mod codec;
mod migrate;
mod platform;
mod room;
mod tables;

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{ConcurrencyMode, Database, StorageBackend};

use crate::ledger::{Access, Ledger, LedgerError};
use crate::settings::Durability;
use crate::stores::delegate::delegate;
use crate::stores::disk::backend::Relaxed;
use crate::stores::disk::tables::{DiskTables, Handle};
use crate::{BackendError, Identity, IdentityMismatch};

/// How a [`DiskStore`] works.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiskOptions {
    /// Whether a commit waits for the disk.
    pub durability: Durability,
    /// Bytes for the cache of pages.
    pub cache_bytes: u64,
    /// Entries of `ids` that may wait in memory before they are written together. More make
    /// commits cheaper, and opening slower: they are read again from `pairs`.
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
    /// With this durability.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// With a cache of so many bytes.
    #[must_use]
    pub fn with_cache_bytes(mut self, cache_bytes: u64) -> Self {
        self.cache_bytes = cache_bytes;
        self
    }

    /// With so many entries of `ids` that may wait in memory.
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
    /// Another process writes it, or reads it in a way that shuts writers out.
    #[error("the lookup store is in use by another process")]
    InUse,
    /// Read-only, and the last process that wrote it did not close it: open it for writing once.
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
    /// A later program wrote it.
    #[error("the lookup store has format {found}, and this program knows {known}: use a newer one")]
    Newer {
        /// The format it has.
        found: u64,
        /// The format this program writes.
        known: u64,
    },
    /// Not a lookup store, or a damaged one.
    #[error("the file is not a lookup store")]
    Foreign,
    /// A frozen setting is not what the pseudonyms were made with.
    #[error(transparent)]
    Identity(#[from] IdentityMismatch),
    /// The operating system has no random numbers to give.
    #[error("the operating system gives no random numbers")]
    Random,
    /// The file cannot be opened.
    #[error("the lookup store cannot be opened")]
    Io(#[source] io::Error),
    /// The store failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl From<LedgerError> for OpenError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Identity(mismatch) => mismatch.into(),
            LedgerError::Backend(error) => error.into(),
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
            error => Self::Backend(tables::broken(error)),
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

/// A lookup store in one file. See the [module](self) for what the file holds.
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
}

impl DiskStore {
    /// Opens a store for writing, a new one if there is no file. The directory must be there.
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
        let backend = FileBackend::new(file)?;
        let database = match options.durability {
            Durability::Full => builder.create_with_backend(backend)?,
            Durability::Relaxed => builder.create_with_backend(Relaxed(backend))?,
        };
        let path = std::path::absolute(path).map_err(OpenError::Io)?;
        Self::with_database(database, Some(path), identity, options)
    }

    /// Opens a store over storage of the caller's: for simulations. What keeps other processes
    /// away is the caller's to do, and so is starting anew if the making of a new store was cut
    /// short.
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
            Durability::Relaxed => builder.create_with_backend(Relaxed(backend))?,
        };
        Self::with_database(database, None, identity, options)
    }

    /// `path` is where the file lies, if it is one.
    fn with_database(
        database: Database,
        path: Option<PathBuf>,
        identity: Identity,
        options: &DiskOptions,
    ) -> Result<Self, OpenError> {
        migrate::bring_up(&database, tables::prepare)?;
        let tables = DiskTables::new(Handle::Write(database), options.index_lag)?.at(path);
        let ledger = Ledger::open(tables, identity, Access::Write)?;
        Ok(Self { ledger })
    }

    /// Opens a store for reading, also beside the process that writes it: every question is
    /// answered from what was committed last. Whatever would change the store fails.
    ///
    /// # Errors
    /// [`OpenError`]; [`OpenError::NotClosed`] after a crash, until a writer has opened the store.
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
        Ok(Self { ledger })
    }

    /// The identity its pseudonyms are made with.
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

/// True if there is no file, or one that was never written.
fn is_absent(path: &Path) -> Result<bool, OpenError> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_file() && metadata.len() == 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(OpenError::Io(error)),
    }
}

/// Makes an empty store under another name first: one that was cut short in the making is never
/// taken for a damaged one.
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
    // One sync of the whole, before it gets its name.
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

/// The file, a new one with mode 0600 if there is none.
fn open_file(path: &Path) -> Result<File, OpenError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = platform::private(&mut options)
        .open(path)
        .map_err(OpenError::Io)?;
    platform::check_access(&file)?;
    Ok(file)
}
