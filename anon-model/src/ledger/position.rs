//! How far a ledger has come: new groups, and raised counters.

use crate::ledger::Ledger;
use crate::ledger::assign::MAX_NUMBER;
use crate::ledger::records::{Meta, PairId, PairKind};
use crate::ledger::tables::{Snapshot, Tables};
use crate::{BackendError, Space};

/// Groups that are skipped when counters are raised. No other copy of the store can have used more
/// since, so all of them are older.
const SKIPPED_GROUPS: u64 = 1 << 32;

impl<T: Tables> Ledger<T> {
    /// Returns the durable identity, counters and totals.
    pub(crate) fn durable_meta(&self) -> Result<Meta, BackendError> {
        self.snapshot()?.meta()
    }

    pub(crate) fn tables(&self) -> &T {
        &self.tables
    }

    pub(crate) fn hash_key(&self) -> &[u8; 32] {
        self.tables.hash_key()
    }

    /// Commits what waits, under a new group.
    pub(crate) fn checkpoint(&self) -> Result<(), BackendError> {
        self.write(
            |builder| {
                builder.batch.meta.group += 1;
                Ok(())
            },
            |_, ()| (),
        )
    }

    /// Raises the counters of numbered pseudonyms. The skipped numbers count as deleted.
    pub(crate) fn raise_counters(&self, numbers: [u64; 3], group: u64) -> Result<(), BackendError> {
        self.write_exclusively(
            |_, builder| {
                let meta = &mut builder.batch.meta;
                meta.group = meta.group.max(group).saturating_add(SKIPPED_GROUPS);
                let spaces = [Space::Patient, Space::Uid, Space::Accession];
                for (space, number) in spaces.into_iter().zip(numbers) {
                    let counter = meta.counter(space, PairKind::Numbered);
                    let number = number.min(MAX_NUMBER);
                    if number <= *counter {
                        continue;
                    }
                    let id = |number| PairId::new(space, PairKind::Numbered, number);
                    let skipped = (id(*counter + 1), id(number));
                    builder.batch.skipped.push(skipped);
                    *counter = number;
                }
                Ok(meta.numbered)
            },
            |state, numbered| state.meta.numbered = *numbered,
        )
        .map(|_| ())
    }
}
