//! The ledger: every rule about pseudonyms and the index, over tables that only keep rows.
//!
//! Both stores are a ledger over their own [`Tables`], so that they cannot differ in what they
//! mean. One lock guards the state in memory; it is not held while a commit is written, so that
//! pseudonyms are given while the disk works. One more lock lets one commit at a time through.

pub(crate) mod delete;
mod draft;
mod fault;
mod flight;
mod give;
pub(crate) mod pending;
mod query;
pub(crate) mod records;
mod state;
pub(crate) mod tables;
mod take_over;
mod write;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::ledger::fault::Fault;
use crate::ledger::records::{Key, Meta, PairId};
use crate::ledger::state::State;
use crate::ledger::tables::{Snapshot, Tables};
use crate::{BackendError, Identity, IdentityMismatch, Space};

/// Whether a ledger may change its tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Write,
    /// Another process writes. Only a store on disk has readers.
    Read,
}

/// Why a ledger cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerError {
    #[error(transparent)]
    Identity(#[from] IdentityMismatch),
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// Pseudonyms and index over tables.
pub(crate) struct Ledger<T: Tables> {
    tables: T,
    identity: Identity,
    access: Access,
    state: Mutex<State<T::Snapshot>>,
    /// Held from the beginning of a commit to its end.
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
    pub(crate) fn open(tables: T, identity: Identity, access: Access) -> Result<Self, LedgerError> {
        let snapshot = tables.snapshot()?;
        let mut meta = snapshot.meta()?;
        let asked = identity.record();
        if meta.is_frozen() {
            if let Some(mismatch) = meta.identity.difference(&asked) {
                return Err(mismatch.into());
            }
        } else {
            meta.identity = asked;
        }
        let state = State::new(Arc::new(snapshot), meta)?;
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

    /// The key of an original in its space.
    fn key(&self, space: Space, original: &str) -> Key {
        self.hash(space_label(space), original)
    }

    /// The key of a pseudonym in its space.
    fn name_key(&self, space: Space, pseudonym: &str) -> Key {
        self.hash(space_label(space) | 0x80, pseudonym)
    }

    fn hash(&self, label: u8, text: &str) -> Key {
        hash(self.tables.hash_key(), label, text)
    }

    fn lock(&self) -> Result<MutexGuard<'_, State<T::Snapshot>>, BackendError> {
        let mut state = self.state.lock().map_err(|_| Fault::Poisoned)?;
        if state.broken {
            return Err(Fault::Broken.into());
        }
        if self.access == Access::Read {
            // Another process writes: what was read before may be old.
            state.refresh(self.tables.snapshot()?)?;
        }
        Ok(state)
    }

    fn lock_to_change(&self) -> Result<MutexGuard<'_, State<T::Snapshot>>, BackendError> {
        match self.access {
            Access::Write => self.lock(),
            Access::Read => Err(Fault::ReadOnly.into()),
        }
    }

    /// What is durable, with the totals that go with it.
    fn view(&self) -> Result<(Arc<T::Snapshot>, Meta), BackendError> {
        let state = self.lock()?;
        Ok((Arc::clone(&state.snapshot), state.meta.clone()))
    }

    /// The pseudonym of a durable pair.
    fn durable_name(&self, snapshot: &T::Snapshot, id: PairId) -> Result<String, BackendError> {
        if id.kind() == records::Kind::Numbered {
            return Ok(self.identity.numbered(id.space(), id.number()));
        }
        let pair = snapshot.pair(id)?.ok_or(Fault::Dangling)?;
        self.pair_name(id, &pair)
    }

    fn pair_name(&self, id: PairId, pair: &records::Pair) -> Result<String, BackendError> {
        let name = match id.kind() {
            records::Kind::Numbered => Some(self.identity.numbered(id.space(), id.number())),
            records::Kind::Computed => self.identity.computed(id.space(), pair.original.expose()),
            records::Kind::Given => pair.given.clone(),
        };
        name.ok_or_else(|| Fault::Dangling.into())
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

/// A text in its space, hashed under a key.
fn hash(hash_key: &[u8; 32], label: u8, text: &str) -> Key {
    let mut hasher = blake3::Hasher::new_keyed(hash_key);
    hasher.update(&[label]);
    hasher.update(text.as_bytes());
    let mut key = [0_u8; 16];
    key.copy_from_slice(hasher.finalize().as_bytes().split_at(16).0);
    Key::from_le_bytes(key)
}

/// The key of an original in its space.
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
