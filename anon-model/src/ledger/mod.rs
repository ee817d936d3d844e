//! [`Ledger`]: the logic of pseudonyms and index, over tables that only store rows.
//!
//! Both stores are a ledger over their own [`Tables`], so they behave alike. One lock guards the
//! state in memory. It is not held while a commit is written, so pseudonyms can be assigned while
//! the disk works. A second lock admits one commit at a time.

mod adopt_studies;
mod assign;
mod batch_builder;
mod capture;
mod clashes;
pub(crate) mod delete;
mod error;
mod outputs;
pub(crate) mod pending;
#[cfg(feature = "disk")]
mod position;
mod query;
pub(crate) mod records;
mod reservations;
mod state;
pub(crate) mod tables;
mod transaction;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::ledger::error::LedgerError;
use crate::ledger::records::{Key, Pair, PairId, PairKind};
use crate::ledger::state::LedgerState;
use crate::ledger::tables::{Snapshot, Tables};
use crate::{BackendError, Identity, IdentityMismatch, Space};

/// Whether a ledger may change its tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Write,
    /// Another process may write. Only a store on disk is opened this way.
    Read,
}

/// Why a ledger cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerOpenError {
    #[error(transparent)]
    Identity(#[from] IdentityMismatch),
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// Pseudonyms and index, over tables.
pub(crate) struct Ledger<T: Tables> {
    tables: T,
    identity: Identity,
    access: Access,
    state: Mutex<LedgerState<T::Snapshot>>,
    /// Held from the start of a commit to its end.
    writing: Mutex<()>,
}

impl<T: Tables> fmt::Debug for Ledger<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("identity", &self.identity)
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

impl<T: Tables> Ledger<T> {
    pub(crate) fn open(
        tables: T,
        identity: Identity,
        access: Access,
    ) -> Result<Self, LedgerOpenError> {
        let snapshot = tables.snapshot()?;
        let mut meta = snapshot.meta()?;
        let requested = identity.record();
        if meta.is_frozen() {
            if let Some(mismatch) = meta.identity.difference(&requested) {
                return Err(mismatch.into());
            }
        } else {
            meta.identity = requested;
        }
        let state = LedgerState::new(Arc::new(snapshot), meta)?;
        Ok(Self {
            tables,
            identity,
            access,
            state: Mutex::new(state),
            writing: Mutex::new(()),
        })
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Returns the key of an original.
    fn key(&self, space: Space, original: &str) -> Key {
        self.hash(space_label(space), original)
    }

    /// Returns the key of a pseudonym.
    fn name_key(&self, space: Space, pseudonym: &str) -> Key {
        self.hash(space_label(space) | 0x80, pseudonym)
    }

    fn hash(&self, label: u8, text: &str) -> Key {
        hash(self.tables.hash_key(), label, text)
    }

    fn lock(&self) -> Result<MutexGuard<'_, LedgerState<T::Snapshot>>, BackendError> {
        let mut state = self.state.lock().map_err(|_| LedgerError::Poisoned)?;
        if state.broken {
            return Err(LedgerError::Broken.into());
        }
        if self.access == Access::Read {
            // Another process may have written since the last read.
            state.refresh(self.tables.snapshot()?)?;
        }
        Ok(state)
    }

    fn lock_to_change(&self) -> Result<MutexGuard<'_, LedgerState<T::Snapshot>>, BackendError> {
        match self.access {
            Access::Write => self.lock(),
            Access::Read => Err(LedgerError::ReadOnly.into()),
        }
    }

    /// Returns a view of the durable rows.
    fn snapshot(&self) -> Result<Arc<T::Snapshot>, BackendError> {
        Ok(Arc::clone(&self.lock()?.snapshot))
    }

    /// Returns the pseudonym of a durable pair.
    fn durable_name(&self, snapshot: &T::Snapshot, id: PairId) -> Result<String, BackendError> {
        if id.kind() == PairKind::Numbered {
            return Ok(self.identity.numbered(id.space(), id.number()));
        }
        let pair = snapshot.pair(id)?.ok_or(LedgerError::MissingRow)?;
        self.pair_name(id, &pair)
    }

    fn pair_name(&self, id: PairId, pair: &Pair) -> Result<String, BackendError> {
        let name = match id.kind() {
            PairKind::Numbered => Some(self.identity.numbered(id.space(), id.number())),
            PairKind::Computed => self.identity.computed(id.space(), pair.original.expose()),
            PairKind::External => pair.external.clone(),
        };
        name.ok_or_else(|| LedgerError::MissingRow.into())
    }
}

impl<T: Tables> Drop for Ledger<T> {
    fn drop(&mut self) {
        if self.access == Access::Read {
            return;
        }
        if let Err(error) = self.flush() {
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, "the lookup store could not be flushed on close");
        }
    }
}

/// Hashes a text with the label of its space.
fn hash(hash_key: &[u8; 32], label: u8, text: &str) -> Key {
    let mut hasher = blake3::Hasher::new_keyed(hash_key);
    hasher.update(&[label]);
    hasher.update(text.as_bytes());
    let mut key = [0_u8; 16];
    key.copy_from_slice(hasher.finalize().as_bytes().split_at(16).0);
    Key::from_le_bytes(key)
}

/// Returns the key of an original.
#[cfg(feature = "disk")]
pub(crate) fn key_of(hash_key: &[u8; 32], space: Space, original: &str) -> Key {
    hash(hash_key, space_label(space), original)
}

const fn space_label(space: Space) -> u8 {
    match space {
        Space::Patient => 0,
        Space::Uid => 1,
        Space::Accession => 2,
    }
}
