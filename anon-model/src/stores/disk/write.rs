//! Writes a batch to the tables.

use std::collections::BTreeMap;

use redb::{Key as RedbKey, TableDefinition, Value, WriteTransaction};

use crate::BackendError;
use crate::ledger::records::{Key, PairId};
use crate::ledger::tables::Batch;
use crate::stores::disk::codec::{GroupMembers, InstanceBytes, Row, encode, instance_bytes};
use crate::stores::disk::pair_runs::{set_pair, write_deleted, write_pairs};
use crate::stores::disk::recent_ids::HighestNumbers;
use crate::stores::disk::schema::{
    ACCESSION_STUDIES, ADOPTED, CLASHES, DELETED, DELETED_NAMES, IDS, INSTANCES, INTENTS, MEMBERS,
    META, NAMES, OFFSETS, PAIRS, PATIENT_STUDIES, PATIENTS, REFERENCES, REMARK_TOTALS, REMARKS,
    RULES, SERIES, STATE, STUDIES, STUDY_SERIES, VARIANTS, redb_error,
};

/// Writes a batch. The table `pairs` has no runs above `highest`.
pub(super) fn write_batch(
    write: &WriteTransaction,
    batch: &Batch,
    highest: HighestNumbers,
) -> Result<(), BackendError> {
    write_pending(write, batch, highest)?;
    let skipped = batch.skipped.iter();
    write_plain(
        write,
        DELETED,
        skipped.map(|(first, last)| (first.0, Some(last.0))),
    )?;
    write_rows(write, PATIENTS, &batch.patients)?;
    write_rows(write, STUDIES, &batch.studies)?;
    write_rows(write, SERIES, &batch.series)?;
    let studies = batch
        .patient_studies
        .iter()
        .map(|((patient, first_seen), study)| {
            ((patient.0, *first_seen), study.map(|study| study.0))
        });
    write_plain(write, PATIENT_STUDIES, studies)?;
    let series = batch
        .study_series
        .iter()
        .map(|((study, series), row)| ((study.0, series.0), *row));
    write_plain(write, STUDY_SERIES, series)?;
    let instances = batch
        .instances
        .iter()
        .map(|(id, record)| (id.0, record.as_ref().map(instance_bytes)));
    write_instances(write, instances)?;
    write_members(write, batch)?;
    let references = batch.pending.references().iter();
    write_plain(
        write,
        REFERENCES,
        references.map(|(uid, study)| ((uid.0, study.0), Some(()))),
    )?;
    write_captured(write, batch)?;
    let offsets = batch.offsets.iter().map(|(id, days)| (id.0, *days));
    write_plain(write, OFFSETS, offsets)?;
    let adopted = batch.adopted.iter().map(|(id, row)| (id.0, *row));
    write_plain(write, ADOPTED, adopted)?;
    write_rows(write, REMARKS, &batch.remarks)?;
    let totals = batch.remark_totals.iter();
    write_plain(
        write,
        REMARK_TOTALS,
        totals.map(|(key, total)| (*key, *total)),
    )?;
    write_rows(write, INTENTS, &batch.intents)?;
    let mut buffer = Vec::new();
    if let Some((number, rules)) = &batch.rules {
        encode(rules, &mut buffer)?;
        let mut table = write.open_table(RULES).map_err(redb_error)?;
        table
            .insert(number, buffer.as_slice())
            .map_err(redb_error)?;
    }
    encode(&batch.meta, &mut buffer)?;
    let mut meta = write.open_table(META).map_err(redb_error)?;
    meta.insert(STATE, buffer.as_slice()).map_err(redb_error)?;
    Ok(())
}

/// Writes in what instances differ.
fn write_captured(write: &WriteTransaction, batch: &Batch) -> Result<(), BackendError> {
    let studies = batch.accession_studies.iter();
    let studies = studies.map(|((accession, study), row)| ((accession.0, study.0), *row));
    write_plain(write, ACCESSION_STUDIES, studies)?;
    let clashes = batch.clashes.iter();
    let clashes = clashes.map(|((kind, id), row)| ((*kind as u8, id.0), *row));
    write_plain(write, CLASHES, clashes)?;
    if batch.variants.is_empty() {
        return Ok(());
    }
    let mut variants = write.open_table(VARIANTS).map_err(redb_error)?;
    let mut buffer = Vec::new();
    for ((study, field, hash), row) in &batch.variants {
        let key = (study.0, *field, *hash);
        if let Some(row) = row {
            encode(row, &mut buffer)?;
            variants
                .insert(key, buffer.as_slice())
                .map_err(redb_error)?;
        } else {
            variants.remove(key).map_err(redb_error)?;
        }
    }
    Ok(())
}

fn write_instances(
    write: &WriteTransaction,
    rows: impl Iterator<Item = (u64, Option<InstanceBytes>)>,
) -> Result<(), BackendError> {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    let mut table = write.open_table(INSTANCES).map_err(redb_error)?;
    for (id, bytes) in rows {
        match bytes {
            Some(bytes) => table.insert(id, &bytes).map_err(redb_error)?,
            None => table.remove(id).map_err(redb_error)?,
        };
    }
    Ok(())
}

fn write_members(write: &WriteTransaction, batch: &Batch) -> Result<(), BackendError> {
    if batch.members.is_empty() && batch.removed_series.is_empty() {
        return Ok(());
    }
    let mut members = write.open_table(MEMBERS).map_err(redb_error)?;
    for series in &batch.removed_series {
        let lists = (series.0, 0)..=(series.0, u64::MAX);
        members.retain_in(lists, |_, _| false).map_err(redb_error)?;
    }
    let mut buffer = Vec::new();
    for (series, instances) in &batch.members {
        encode(&GroupMembers(instances.clone()), &mut buffer)?;
        let key = (series.0, batch.meta.group);
        members.insert(key, buffer.as_slice()).map_err(redb_error)?;
    }
    Ok(())
}

fn write_pending(
    write: &WriteTransaction,
    batch: &Batch,
    highest: HighestNumbers,
) -> Result<(), BackendError> {
    let new = batch.pending.pairs();
    if new.is_empty() && batch.removed_pairs.is_empty() {
        return Ok(());
    }
    let mut pairs = write.open_table(PAIRS).map_err(redb_error)?;
    let mut names = write.open_table(NAMES).map_err(redb_error)?;
    write_pairs(&mut pairs, new, highest)?;
    let mut by_name: Vec<(Key, PairId)> = new
        .iter()
        .filter_map(|pair| Some((pair.name?, pair.id)))
        .collect();
    by_name.sort_unstable();
    for (name, id) in by_name {
        names.insert(name, id.0).map_err(redb_error)?;
    }
    if batch.removed_pairs.is_empty() {
        return Ok(());
    }
    let mut ids = write.open_table(IDS).map_err(redb_error)?;
    for (id, key, name) in &batch.removed_pairs {
        ids.remove(key).map_err(redb_error)?;
        set_pair(&mut pairs, *id, None)?;
        if let Some(name) = name {
            names.remove(name).map_err(redb_error)?;
        }
    }
    let numbered = batch
        .removed_pairs
        .iter()
        .filter(|(.., name)| name.is_none());
    let mut ids: Vec<PairId> = numbered.map(|(id, ..)| *id).collect();
    ids.sort_unstable();
    write_deleted(&mut write.open_table(DELETED).map_err(redb_error)?, &ids)?;
    let mut names: Vec<Key> = batch
        .removed_pairs
        .iter()
        .filter_map(|(.., name)| *name)
        .collect();
    names.sort_unstable();
    write_plain(
        write,
        DELETED_NAMES,
        names.into_iter().map(|name| (name, Some(()))),
    )
}

/// Writes rows that the codec encodes.
fn write_rows<K: Copy + Into<u64>, R: Row>(
    write: &WriteTransaction,
    table: TableDefinition<'_, u64, &[u8]>,
    rows: &BTreeMap<K, Option<R>>,
) -> Result<(), BackendError> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut table = write.open_table(table).map_err(redb_error)?;
    let mut buffer = Vec::new();
    for (id, row) in rows {
        if let Some(row) = row {
            encode(row, &mut buffer)?;
            table
                .insert((*id).into(), buffer.as_slice())
                .map_err(redb_error)?;
        } else {
            table.remove((*id).into()).map_err(redb_error)?;
        }
    }
    Ok(())
}

/// Writes rows that redb encodes itself.
pub(super) fn write_plain<K, V>(
    write: &WriteTransaction,
    table: TableDefinition<'_, K, V>,
    rows: impl Iterator<Item = (K, Option<V>)>,
) -> Result<(), BackendError>
where
    K: for<'a> RedbKey<SelfType<'a> = K> + 'static,
    V: for<'a> Value<SelfType<'a> = V> + 'static,
{
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    let mut table = write.open_table(table).map_err(redb_error)?;
    for (key, value) in rows {
        match value {
            Some(value) => {
                table.insert(key, value).map_err(redb_error)?;
            }
            None => {
                table.remove(key).map_err(redb_error)?;
            }
        }
    }
    Ok(())
}
