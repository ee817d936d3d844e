//! [`RecentIds`]: the newest ids, which wait in memory to be written to `ids` together.

use std::sync::{Arc, RwLock};

use redb::{ReadOnlyTable, ReadableTable};

use crate::ledger::key_of;
use crate::ledger::pending::KeyMap;
use crate::ledger::records::{PairId, PairKind};
use crate::stores::disk::codec::{PairRun, decode};
use crate::stores::disk::schema::{INDEXED, redb_error};
use crate::{BackendError, Space};

/// The newest ids, which `ids` does not hold yet.
///
/// Their keys are random, so writing each to `ids` would be most of the cost of a commit. Their pairs
/// are appended to `pairs`, from which opening reads them again.
pub(super) struct RecentIds {
    pub(super) ids: SharedIds,
    /// The highest number of each class that is in `ids` or here.
    pub(super) highest: HighestNumbers,
}

pub(super) type SharedIds = Arc<RwLock<KeyMap<PairId>>>;

/// The highest number of each class of ids.
pub(super) type HighestNumbers = [u64; 9];

/// The classes of ids: each space with each kind.
const ID_CLASSES: [(Space, PairKind); 9] = {
    use PairKind::{Computed, External, Numbered};
    use Space::{Accession, Patient, Uid};
    [
        (Patient, Numbered),
        (Patient, Computed),
        (Patient, External),
        (Uid, Numbered),
        (Uid, Computed),
        (Uid, External),
        (Accession, Numbered),
        (Accession, Computed),
        (Accession, External),
    ]
};

/// Returns the entry for the class of an id.
pub(super) fn highest_of(highest: &mut HighestNumbers, id: PairId) -> Option<&mut u64> {
    let class = (id.space(), id.kind());
    let position = ID_CLASSES.iter().position(|known| *known == class)?;
    highest.get_mut(position)
}

/// Reads the numbers up to which `ids` is complete.
fn read_indexed(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<HighestNumbers, BackendError> {
    let mut highest = HighestNumbers::default();
    if let Some(bytes) = meta.get(INDEXED).map_err(redb_error)? {
        for (number, bytes) in highest.iter_mut().zip(bytes.value().chunks_exact(8)) {
            *number = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
        }
    }
    Ok(highest)
}

/// Reads the recent ids, and the highest number of each class, from the end of each class in `pairs`.
pub(super) fn read_recent(
    meta: &ReadOnlyTable<&'static str, &'static [u8]>,
    pairs: &ReadOnlyTable<u64, &'static [u8]>,
    hash_key: &[u8; 32],
) -> Result<(KeyMap<PairId>, HighestNumbers), BackendError> {
    let mut ids = KeyMap::default();
    let mut highest = read_indexed(meta)?;
    for ((space, kind), number) in ID_CLASSES.iter().zip(&mut highest) {
        let from = PairId::new(*space, *kind, *number + 1);
        let to = PairId::new(*space, *kind, u64::MAX);
        let range = ReadableTable::range(pairs, from.0..=to.0).map_err(redb_error)?;
        for entry in range {
            let (first, run) = entry.map_err(redb_error)?;
            let PairRun(run) = decode(run.value())?;
            for (id, pair) in (first.value()..).map(PairId).zip(run) {
                if let Some(pair) = pair {
                    ids.insert(key_of(hash_key, *space, pair.original.expose()), id);
                }
                *number = id.number();
            }
        }
    }
    Ok((ids, highest))
}
