//! The tables of the file, and how an empty store is created.

use redb::{ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction};

use crate::ledger::records::{Meta, PairId, PairKind, RemarkKey};
use crate::stores::disk::OpenError;
use crate::stores::disk::codec::{InstanceBytes, decode, encode};
use crate::{BackendError, Remedy, Space};

pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
pub(super) const IDS: TableDefinition<'_, u128, u64> = TableDefinition::new("ids");
pub(super) const PAIRS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("pairs");
pub(super) const NAMES: TableDefinition<'_, u128, u64> = TableDefinition::new("names");
pub(super) const PATIENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("patients");
pub(super) const STUDIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("studies");
pub(super) const PATIENT_STUDIES: TableDefinition<'_, (u64, u64), u64> =
    TableDefinition::new("sights");
pub(super) const SERIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("series");
pub(super) const STUDY_SERIES: TableDefinition<'_, (u64, u64), ()> =
    TableDefinition::new("study_series");
pub(super) const INSTANCES: TableDefinition<'_, u64, &InstanceBytes> =
    TableDefinition::new("instances");
pub(super) const MEMBERS: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("members");
pub(super) const REFERENCES: TableDefinition<'_, (u64, u64), ()> =
    TableDefinition::new("references");
/// Since format 2.
pub(super) const OFFSETS: TableDefinition<'_, u64, i32> = TableDefinition::new("offsets");
/// Since format 2.
pub(super) const ADOPTED: TableDefinition<'_, u64, ()> = TableDefinition::new("adopted");
/// Since format 3.
pub(super) const REMARKS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("remarks");
/// Since format 3.
pub(super) const REMARK_TOTALS: TableDefinition<'_, RemarkKey, u64> =
    TableDefinition::new("remark_totals");
/// Since format 3: the first and the last id of each run of deleted pairs of kind 0.
pub(super) const DELETED: TableDefinition<'_, u64, u64> = TableDefinition::new("deleted");
/// Since format 3: the hashes of deleted pseudonyms of kinds 1 and 2.
pub(super) const DELETED_NAMES: TableDefinition<'_, u128, ()> =
    TableDefinition::new("deleted_names");
/// Since format 3.
pub(super) const ACCESSION_STUDIES: TableDefinition<'_, (u64, u64), ()> =
    TableDefinition::new("accession_studies");
/// Since format 3.
pub(super) const VARIANTS: TableDefinition<'_, (u64, u8, u128), &[u8]> =
    TableDefinition::new("variants");
/// Since format 3.
pub(super) const CLASHES: TableDefinition<'_, (u8, u64), ()> = TableDefinition::new("clashes");
pub(super) const INTENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("intents");
pub(super) const RULES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rules");

pub(super) const STATE: &str = "state";
/// The most pairs in a row of `pairs`. They fill half a page: with more, reading one pair costs more
/// and the file gets hardly smaller.
pub(super) const RUN_LENGTH: usize = 16;

pub(super) const HASH_KEY: &str = "hash key";
pub(super) const INDEXED: &str = "indexed";

/// Wraps an error of redb. Its messages name tables and files, never values.
pub(super) fn redb_error(error: impl Into<redb::Error>) -> BackendError {
    BackendError::new(Remedy::Stop, error.into())
}

/// Creates the tables of an empty store.
pub(super) fn prepare(write: &WriteTransaction) -> Result<(), OpenError> {
    let mut hash_key = [0_u8; 32];
    getrandom::fill(&mut hash_key).map_err(|_| OpenError::Random)?;
    let mut buffer = Vec::new();
    encode(&Meta::default(), &mut buffer).map_err(BackendError::from)?;
    let mut meta = write.open_table(META)?;
    meta.insert(HASH_KEY, hash_key.as_slice())?;
    meta.insert(STATE, buffer.as_slice())?;
    drop(meta);
    write.open_table(IDS)?;
    write.open_table(PAIRS)?;
    write.open_table(NAMES)?;
    write.open_table(PATIENTS)?;
    write.open_table(STUDIES)?;
    write.open_table(PATIENT_STUDIES)?;
    write.open_table(SERIES)?;
    write.open_table(STUDY_SERIES)?;
    write.open_table(INSTANCES)?;
    write.open_table(MEMBERS)?;
    write.open_table(REFERENCES)?;
    write.open_table(INTENTS)?;
    write.open_table(RULES)?;
    add_adopted(write)?;
    to_format_3(write)
}

/// Migrates format 1 to 2: adds two empty tables.
pub(super) fn add_adopted(write: &WriteTransaction) -> Result<(), OpenError> {
    write.open_table(OFFSETS)?;
    write.open_table(ADOPTED)?;
    Ok(())
}

/// Adds the tables of format 3: empty, but for those of deleted pairs.
pub(super) fn to_format_3(write: &WriteTransaction) -> Result<(), OpenError> {
    write.open_table(REMARKS)?;
    write.open_table(REMARK_TOTALS)?;
    write.open_table(ACCESSION_STUDIES)?;
    write.open_table(VARIANTS)?;
    write.open_table(CLASHES)?;
    add_deleted(write)
}

/// Adds the tables of deleted pairs.
///
/// Format 2 did not record which pairs were deleted. If a study was ever removed, each number up to
/// the counters that has no pair may be a deleted one, so all of them count as deleted.
fn add_deleted(write: &WriteTransaction) -> Result<(), OpenError> {
    write.open_table(DELETED_NAMES)?;
    let mut deleted = write.open_table(DELETED)?;
    let meta = write.open_table(META)?;
    let Some(state) = meta.get(STATE)? else {
        return Ok(());
    };
    let state: Meta = decode(state.value()).map_err(BackendError::from)?;
    if write.open_table(STUDIES)?.len()? == state.first_seen {
        return Ok(());
    }
    let spaces = [Space::Patient, Space::Uid, Space::Accession];
    for (space, highest) in spaces.into_iter().zip(state.numbered) {
        let id = |number| PairId::new(space, PairKind::Numbered, number).0;
        if highest > 0 {
            deleted.insert(id(1), id(highest))?;
        }
    }
    Ok(())
}
