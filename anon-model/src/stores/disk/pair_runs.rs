//! Pairs in runs: a row of `pairs` holds up to [`RUN_LENGTH`] pairs with consecutive ids.

use redb::ReadableTable;

use crate::BackendError;
use crate::ledger::pending::PendingPair;
use crate::ledger::records::{Pair, PairId};
use crate::stores::disk::codec::{PairRun, decode, encode, encode_run};
use crate::stores::disk::recent_ids::{HighestNumbers, highest_of};
use crate::stores::disk::schema::{RUN_LENGTH, redb_error};

pub(super) type PairTable<'t> = redb::Table<'t, u64, &'static [u8]>;

/// Writes pairs in runs. The table has no runs above `highest`.
pub(super) fn write_pairs(
    pairs: &mut PairTable<'_>,
    new: &[PendingPair],
    mut highest: HighestNumbers,
) -> Result<(), BackendError> {
    let mut by_id: Vec<&PendingPair> = new.iter().collect();
    by_id.sort_unstable_by_key(|pair| pair.id);
    let mut buffer = Vec::new();
    let are_consecutive = |a: &&PendingPair, b: &&PendingPair| a.id.0 + 1 == b.id.0;
    let runs = by_id.chunk_by(are_consecutive);
    for run in runs.flat_map(|ids| ids.chunks(RUN_LENGTH)) {
        let Some(first) = run.first().map(|pair| pair.id) else {
            continue;
        };
        if highest_of(&mut highest, first).is_some_and(|highest| first.number() > *highest) {
            encode_run(run.iter().map(|new| &new.pair), &mut buffer)?;
            pairs
                .insert(first.0, buffer.as_slice())
                .map_err(redb_error)?;
        } else {
            for new in run {
                set_pair(pairs, new.id, Some(&new.pair))?;
            }
        }
    }
    Ok(())
}

/// Sets or removes a pair in the run that has a place for it. A pair without one gets a new run.
pub(super) fn set_pair(
    pairs: &mut PairTable<'_>,
    id: PairId,
    pair: Option<&Pair>,
) -> Result<(), BackendError> {
    let mut buffer = Vec::new();
    if let Some((first, mut run)) = run_of(pairs, id)? {
        if let Some(entry) = entry_of(&mut run, first, id) {
            *entry = pair.cloned();
        }
        if run.0.iter().all(Option::is_none) {
            pairs.remove(first).map_err(redb_error)?;
        } else {
            encode(&run, &mut buffer)?;
            pairs.insert(first, buffer.as_slice()).map_err(redb_error)?;
        }
    } else if let Some(pair) = pair {
        encode_run([pair].into_iter(), &mut buffer)?;
        pairs.insert(id.0, buffer.as_slice()).map_err(redb_error)?;
    }
    Ok(())
}

/// Returns the run that has a place for an id, after the first id of the run.
pub(super) fn run_of(
    pairs: &impl ReadableTable<u64, &'static [u8]>,
    id: PairId,
) -> Result<Option<(u64, PairRun)>, BackendError> {
    let from = id.0.saturating_sub(RUN_LENGTH as u64 - 1);
    let last = pairs.range(from..=id.0).map_err(redb_error)?.next_back();
    let Some((first, run)) = last.transpose().map_err(redb_error)? else {
        return Ok(None);
    };
    let (first, mut run) = (first.value(), decode(run.value())?);
    let has_entry = entry_of(&mut run, first, id).is_some();
    Ok(has_entry.then_some((first, run)))
}

/// Returns the entry of an id in a run that starts at `first`.
pub(super) fn entry_of(run: &mut PairRun, first: u64, id: PairId) -> Option<&mut Option<Pair>> {
    run.0
        .get_mut(usize::try_from(id.0.checked_sub(first)?).ok()?)
}

/// Records that the pairs with these ids, which rise, were deleted. Runs never overlap.
pub(super) fn write_deleted(
    deleted: &mut redb::Table<'_, u64, u64>,
    ids: &[PairId],
) -> Result<(), BackendError> {
    let mut open: Option<(u64, u64)> = None;
    for id in ids {
        if let Some((_, last)) = &mut open
            && *last + 1 == id.0
        {
            *last = id.0;
            continue;
        }
        if let Some((first, last)) = open {
            deleted.insert(first, last).map_err(redb_error)?;
        }
        open = match deleted_run(deleted, *id)? {
            Some((first, last)) if last + 1 >= id.0 => Some((first, last.max(id.0))),
            _ => Some((id.0, id.0)),
        };
    }
    if let Some((first, last)) = open {
        deleted.insert(first, last).map_err(redb_error)?;
    }
    Ok(())
}

/// Returns the last run of deleted pairs that begins at an id or before it.
pub(super) fn deleted_run(
    deleted: &impl ReadableTable<u64, u64>,
    id: PairId,
) -> Result<Option<(u64, u64)>, BackendError> {
    let last = deleted.range(..=id.0).map_err(redb_error)?.next_back();
    let run = last.transpose().map_err(redb_error)?;
    Ok(run.map(|(first, last)| (first.value(), last.value())))
}
