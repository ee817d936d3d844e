//! [`Position`]: how far a store has come, and what keeps it from going back.

use std::fmt;
use std::sync::Arc;

use crate::stores::disk::DiskStore;
use crate::{BackendError, Remedy};

/// The context of the derived key that is the id of a store.
const ID_CONTEXT: &str = "anon-model lookup store id 1";

/// Identifies a store and its copies. It is derived from the key of the store's hashes and does not
/// reveal it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoreId(u128);

impl StoreId {
    fn of(hash_key: &[u8; 32]) -> Self {
        let derived = blake3::derive_key(ID_CONTEXT, hash_key);
        let head = derived.first_chunk().copied().unwrap_or_default();
        Self(u128::from_be_bytes(head))
    }

    /// Reads 32 hexadecimal digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        u128::from_str_radix(text, 16).ok().map(Self)
    }
}

impl fmt::Display for StoreId {
    /// Writes 32 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A number for each space of pseudonyms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Numbers {
    /// Of patients.
    pub patients: u64,
    /// Of UIDs.
    pub uids: u64,
    /// Of accession numbers.
    pub accessions: u64,
}

impl Numbers {
    const fn new([patients, uids, accessions]: [u64; 3]) -> Self {
        Self {
            patients,
            uids,
            accessions,
        }
    }

    const fn array(self) -> [u64; 3] {
        [self.patients, self.uids, self.accessions]
    }

    /// Returns the higher number of each space.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            patients: self.patients.max(other.patients),
            uids: self.uids.max(other.uids),
            accessions: self.accessions.max(other.accessions),
        }
    }

    /// Returns the sum of each space.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            patients: self.patients.saturating_add(other.patients),
            uids: self.uids.saturating_add(other.uids),
            accessions: self.accessions.saturating_add(other.accessions),
        }
    }

    /// Returns true if no number is higher than the other of its space.
    pub fn is_within(self, limits: Self) -> bool {
        self.max(limits) == limits
    }
}

/// How far a store has come, as of its last commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Position {
    /// The store.
    pub store: StoreId,
    /// Its last transaction. Never falls.
    pub group: u64,
    /// The highest number given in each space. Never falls.
    pub numbers: Numbers,
}

/// Decides how high the numbers of a store may rise.
pub trait NumberGuard: Send + Sync {
    /// Called before each commit with the highest numbers that the store has after it.
    ///
    /// # Errors
    /// If the store must not make them durable. Then nothing is committed.
    fn admit(&self, numbers: Numbers) -> Result<(), BackendError>;
}

impl DiskStore {
    /// Returns how far the store has come. What it returns survives a power cut, also with relaxed
    /// durability.
    ///
    /// # Errors
    /// If the store cannot be read, or its file cannot be synced.
    pub fn position(&self) -> Result<Position, BackendError> {
        let meta = self.ledger.durable_meta()?;
        if let Some(file) = &self.unsynced {
            file.sync_all()
                .map_err(|error| BackendError::new(Remedy::Stop, error))?;
        }
        Ok(Position {
            store: StoreId::of(self.ledger.hash_key()),
            group: meta.group,
            numbers: Numbers::new(meta.numbered),
        })
    }

    /// Commits what waits for the next commit, under a new group: every copy that was made before is
    /// older from now on.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn checkpoint(&self) -> Result<Position, BackendError> {
        self.ledger.checkpoint()?;
        self.position()
    }

    /// Raises the counters, so that no number up to `numbers` is given or adopted any more, and the
    /// group: every other copy is older than `group` and the result, whatever it committed since.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn raise_counters(&self, numbers: Numbers, group: u64) -> Result<Position, BackendError> {
        self.ledger.raise_counters(numbers.array(), group)?;
        self.position()
    }

    /// Sets the guard of the numbers. Later calls are ignored.
    pub fn set_guard(&self, guard: Arc<dyn NumberGuard>) {
        self.ledger.tables().set_guard(guard);
    }
}

/// Asks a guard about the numbers of a commit.
pub(super) fn admit(guard: &dyn NumberGuard, numbered: [u64; 3]) -> Result<(), BackendError> {
    guard.admit(Numbers::new(numbered))
}
