//! Migrates format 2 to 3: what the index captures has an arrival, and the values of a patient stand
//! with each study.

use redb::{ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction};

use crate::ledger::records::{Meta, PairId, PatientRecord};
use crate::stores::disk::OpenError;
use crate::stores::disk::codec::{Row, decode, encode, rows_2};
use crate::stores::disk::schema::{
    self, ACCESSION_STUDIES, META, PATIENT_STUDIES, PATIENTS, SERIES, STATE, STUDIES,
};
use crate::{BackendError, PatientPhi, Phi};

/// Adds the new tables, and rewrites the rows of the index.
pub(super) fn migrate(write: &WriteTransaction) -> Result<(), OpenError> {
    schema::to_format_3(write)?;
    rewrite_patients(write)?;
    rewrite_studies(write)?;
    rewrite(write, SERIES, |_, bytes| {
        Ok(rows_2::series(bytes).map_err(BackendError::from)?)
    })?;
    count_rows(write)
}

fn rewrite_patients(write: &WriteTransaction) -> Result<(), OpenError> {
    let studies = write.open_table(PATIENT_STUDIES)?;
    rewrite(write, PATIENTS, |id, bytes| {
        let mut patient = rows_2::patient(bytes).map_err(BackendError::from)?;
        if PairId(id) == PairId::NO_PATIENT {
            // The values of one of many people.
            patient.phi = PatientPhi::default();
        }
        let first = studies.range((id, 0)..=(id, u64::MAX))?.next();
        let first = first.transpose()?.map(|(key, _)| key.value().1);
        patient.arrival = first.unwrap_or(u64::MAX);
        Ok(patient)
    })
}

/// Gives each study the values of its patient, which the index showed for it. They may be those of
/// another study; that cannot be told any more. Studies of the patient without an id get none.
fn rewrite_studies(write: &WriteTransaction) -> Result<(), OpenError> {
    let patients = write.open_table(PATIENTS)?;
    let mut accessions = write.open_table(ACCESSION_STUDIES)?;
    rewrite(write, STUDIES, |id, bytes| {
        let mut study = rows_2::study(bytes).map_err(BackendError::from)?;
        if let Some(patient) = patients.get(study.patient.0)? {
            let patient: PatientRecord = decode(patient.value()).map_err(BackendError::from)?;
            study.person = patient.phi;
            study.person.id = Phi::default();
        }
        for pair in study.accessions.iter().filter_map(|value| value.pair) {
            accessions.insert((pair.0, id), ())?;
        }
        Ok(study)
    })
}

/// Replaces each row of a table.
fn rewrite<R: Row>(
    write: &WriteTransaction,
    table: TableDefinition<'_, u64, &[u8]>,
    mut migrated: impl FnMut(u64, &[u8]) -> Result<R, OpenError>,
) -> Result<(), OpenError> {
    let mut table = write.open_table(table)?;
    let mut buffer = Vec::new();
    let mut from = Some(0);
    while let Some(first) = from {
        // Read in pages: a table cannot be changed while it is read.
        let mut rows = Vec::new();
        for entry in table.range(first..)?.take(PAGE) {
            let (id, bytes) = entry?;
            rows.push((id.value(), migrated(id.value(), bytes.value())?));
        }
        from = rows.last().and_then(|(last, _)| last.checked_add(1));
        for (id, row) in &rows {
            encode(row, &mut buffer).map_err(BackendError::from)?;
            table.insert(id, buffer.as_slice())?;
        }
    }
    Ok(())
}

/// Rows that are rewritten at once.
const PAGE: usize = 1000;

/// The totals count the rows of the index, with and without instances.
fn count_rows(write: &WriteTransaction) -> Result<(), OpenError> {
    let mut meta = write.open_table(META)?;
    let state = meta.get(STATE)?.map(|row| row.value().to_vec());
    let Some(state) = state else { return Ok(()) };
    let mut state: Meta = decode(&state).map_err(BackendError::from)?;
    state.totals.patients = write.open_table(PATIENTS)?.len()?;
    state.totals.studies = write.open_table(STUDIES)?.len()?;
    let mut buffer = Vec::new();
    encode(&state, &mut buffer).map_err(BackendError::from)?;
    meta.insert(STATE, buffer.as_slice())?;
    Ok(())
}
