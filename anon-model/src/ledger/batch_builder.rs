//! [`BatchBuilder`]: builds a batch. Its reads see the changes that the batch already has.

use std::collections::BTreeSet;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use crate::ledger::error::LedgerError;
use crate::ledger::pending::KeyMap;
use crate::ledger::records::{
    CapturedValues, InstanceRecord, Key, PairId, PatientRecord, RemarksRecord, SeriesRecord,
    StudyRecord,
};
use crate::ledger::tables::{Batch, Snapshot};
use crate::{BackendError, NewInstance};

/// The result of adding an instance to the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Addition {
    /// The index already held it.
    Known,
    /// It is new.
    New {
        /// The arrival of its study's first instance before this one, if the index held the study.
        before: Option<u64>,
    },
}

/// Patients and accession numbers of studies that were removed.
#[derive(Default)]
pub(super) struct Unchecked {
    pub(super) patients: BTreeSet<PairId>,
    pub(super) accessions: BTreeSet<PairId>,
}

pub(crate) struct BatchBuilder<S> {
    pub(crate) snapshot: Arc<S>,
    pub(crate) batch: Batch,
    pub(super) hash_key: [u8; 32],
    pub(super) unchecked: Unchecked,
    /// Ids that were looked up for this batch.
    ids: KeyMap<PairId>,
}

macro_rules! row {
    ($name:ident, $record:ty, $rows:ident, $read:ident) => {
        /// Returns the row for changing. `None` if it does not exist.
        pub(crate) fn $name(&mut self, id: PairId) -> Result<Option<&mut $record>, BackendError> {
            match self.batch.$rows.entry(id) {
                Entry::Occupied(entry) => Ok(entry.into_mut().as_mut()),
                Entry::Vacant(entry) => match self.snapshot.$read(id)? {
                    Some(record) => Ok(entry.insert(Some(record)).as_mut()),
                    None => Ok(None),
                },
            }
        }
    };
}

impl<S: Snapshot> BatchBuilder<S> {
    pub(crate) fn new(snapshot: Arc<S>, batch: Batch, hash_key: [u8; 32]) -> Self {
        Self {
            snapshot,
            batch,
            hash_key,
            unchecked: Unchecked::default(),
            ids: KeyMap::default(),
        }
    }

    row!(patient, PatientRecord, patients, patient);
    row!(study, StudyRecord, studies, study);
    row!(series, SeriesRecord, series, series);

    /// Returns the id of an original. `None` if it has no pseudonym.
    pub(crate) fn id(&mut self, key: Key) -> Result<Option<PairId>, BackendError> {
        if let Some(id) = self
            .ids
            .get(&key)
            .copied()
            .or_else(|| self.batch.pending.id(key))
        {
            return Ok(Some(id));
        }
        let id = self.snapshot.id(key)?;
        if let Some(id) = id {
            self.ids.insert(key, id);
        }
        Ok(id)
    }

    /// Returns an instance of the index.
    pub(crate) fn instance(&self, id: PairId) -> Result<Option<InstanceRecord>, BackendError> {
        match self.batch.instances.get(&id) {
            Some(member) => Ok(*member),
            None if self.batch.pending.is_new(id) => Ok(None),
            None => self.snapshot.instance(id),
        }
    }

    /// Adds an instance with this arrival to the index, and what is captured of it.
    pub(crate) fn add(
        &mut self,
        ids: [PairId; 4],
        arrival: u64,
        new: &NewInstance,
    ) -> Result<Addition, BackendError> {
        let [patient, study, series, instance] = ids;
        if let Some(known) = self.instance(instance)? {
            if known.series != series || !known.fingerprint.agrees_with(&new.fingerprint) {
                return Err(LedgerError::Contradiction.into());
            }
            return Ok(Addition::Known);
        }
        let values = CapturedValues {
            arrival,
            patient: &new.patient,
            study: &new.study,
            is_of_other_patient: new.names.filed_under.is_some(),
        };
        let before = self.capture(patient, study, &values)?;
        self.add_series(study, series, arrival, new)?;
        let member = InstanceRecord {
            series,
            fingerprint: new.fingerprint,
            bytes: new.output_bytes,
        };
        self.batch.instances.insert(instance, Some(member));
        self.batch.members.entry(series).or_default().push(instance);
        self.set_remarks(instance, RemarksRecord::of(&new.remarks))?;
        self.count(patient, study, series, 1)?;
        self.batch.meta.totals.instances += 1;
        self.batch.meta.totals.bytes += new.output_bytes;
        Ok(Addition::New { before })
    }

    fn add_series(
        &mut self,
        study: PairId,
        series: PairId,
        arrival: u64,
        new: &NewInstance,
    ) -> Result<(), BackendError> {
        if let Some(record) = self.series(series)? {
            if record.study != study {
                return Err(LedgerError::Contradiction.into());
            }
            if arrival < record.arrival {
                record.phi.clone_from(&new.series);
                record.arrival = arrival;
            }
            return Ok(());
        }
        let patient = self.study(study)?.map(|record| {
            record.series += 1;
            record.patient
        });
        let patient = patient.ok_or(LedgerError::MissingRow)?;
        self.patient(patient)?
            .ok_or(LedgerError::MissingRow)?
            .series += 1;
        let record = SeriesRecord {
            study,
            phi: new.series.clone(),
            arrival,
            instances: 0,
        };
        self.batch.series.insert(series, Some(record));
        self.batch.study_series.insert((study, series), Some(()));
        self.batch.meta.totals.series += 1;
        Ok(())
    }

    /// Adds `change`, 1 or -1, to the instance counts of series, study and patient.
    fn count(
        &mut self,
        patient: PairId,
        study: PairId,
        series: PairId,
        change: i64,
    ) -> Result<(), BackendError> {
        let changed = |count: u64| count.saturating_add_signed(change);
        let record = self.series(series)?.ok_or(LedgerError::MissingRow)?;
        record.instances = changed(record.instances);
        let record = self.study(study)?.ok_or(LedgerError::MissingRow)?;
        record.instances = changed(record.instances);
        let record = self.patient(patient)?.ok_or(LedgerError::MissingRow)?;
        record.instances = changed(record.instances);
        Ok(())
    }

    /// Removes an instance from the index, and those of its parents that are then empty. Returns
    /// false if the index does not hold it.
    pub(crate) fn remove(
        &mut self,
        series: PairId,
        instance: PairId,
    ) -> Result<bool, BackendError> {
        let member = match self.instance(instance)? {
            Some(member) if member.series == series => member,
            _ => return Ok(false),
        };
        let study = self.series(series)?.ok_or(LedgerError::MissingRow)?.study;
        let patient = self.study(study)?.ok_or(LedgerError::MissingRow)?.patient;
        self.batch.instances.insert(instance, None);
        self.remove_remarks(instance)?;
        self.count(patient, study, series, -1)?;
        let totals = &mut self.batch.meta.totals;
        totals.instances = totals.instances.saturating_sub(1);
        totals.bytes = totals.bytes.saturating_sub(member.bytes);
        self.remove_if_empty(patient, study, series)?;
        Ok(true)
    }

    /// Replaces what the index holds of an instance alone. Returns what it held; `None` if it does
    /// not hold the instance.
    pub(crate) fn replace(
        &mut self,
        instance: PairId,
        member: InstanceRecord,
        remarks: Option<RemarksRecord>,
    ) -> Result<Option<(InstanceRecord, Option<RemarksRecord>)>, BackendError> {
        let Some(before) = self.instance(instance)? else {
            return Ok(None);
        };
        if before.series != member.series {
            return Err(LedgerError::Contradiction.into());
        }
        self.batch.instances.insert(instance, Some(member));
        let totals = &mut self.batch.meta.totals;
        totals.bytes = totals.bytes.saturating_sub(before.bytes) + member.bytes;
        let remarks_before = self.remove_remarks(instance)?;
        self.set_remarks(instance, remarks)?;
        Ok(Some((before, remarks_before)))
    }

    fn set_remarks(
        &mut self,
        instance: PairId,
        record: Option<RemarksRecord>,
    ) -> Result<(), BackendError> {
        if let Some(record) = record {
            self.change_remark_totals(&record, u64::saturating_add)?;
            self.batch.remarks.insert(instance, Some(record));
        }
        Ok(())
    }

    /// Removes and returns the remarks on an instance.
    fn remove_remarks(&mut self, instance: PairId) -> Result<Option<RemarksRecord>, BackendError> {
        let record = match self.batch.remarks.get(&instance) {
            Some(row) => row.clone(),
            None => self.snapshot.remarks(instance)?,
        };
        if let Some(record) = &record {
            self.change_remark_totals(record, u64::saturating_sub)?;
            self.batch.remarks.insert(instance, None);
        }
        Ok(record)
    }

    fn change_remark_totals(
        &mut self,
        record: &RemarksRecord,
        change: fn(u64, u64) -> u64,
    ) -> Result<(), BackendError> {
        for (key, count) in &record.0 {
            let total = match self.batch.remark_totals.get(key) {
                Some(total) => total.unwrap_or(0),
                None => self.snapshot.remark_total(*key)?,
            };
            let total = change(total, *count);
            let row = (total > 0).then_some(total);
            self.batch.remark_totals.insert(*key, row);
        }
        Ok(())
    }

    fn remove_if_empty(
        &mut self,
        patient: PairId,
        study: PairId,
        series: PairId,
    ) -> Result<(), BackendError> {
        if self
            .series(series)?
            .ok_or(LedgerError::MissingRow)?
            .instances
            > 0
        {
            return Ok(());
        }
        self.batch.series.insert(series, None);
        self.batch.removed_series.push(series);
        self.batch.study_series.insert((study, series), None);
        self.study(study)?.ok_or(LedgerError::MissingRow)?.series -= 1;
        self.patient(patient)?
            .ok_or(LedgerError::MissingRow)?
            .series -= 1;
        self.batch.meta.totals.series -= 1;
        let empty = self.study(study)?.ok_or(LedgerError::MissingRow)?.instances == 0;
        if empty && !self.is_adopted(study)? {
            self.remove_study(patient, study)?;
        }
        Ok(())
    }

    /// Removes a study without instances, and its patient if this was the last study.
    pub(crate) fn remove_study(
        &mut self,
        patient: PairId,
        study: PairId,
    ) -> Result<(), BackendError> {
        let first_seen = self
            .study(study)?
            .ok_or(LedgerError::MissingRow)?
            .first_seen;
        if self.is_adopted(study)? {
            self.batch.adopted.insert(study, None);
        }
        self.remove_captured(study)?;
        self.batch.studies.insert(study, None);
        let totals = &mut self.batch.meta.totals;
        totals.studies = totals.studies.saturating_sub(1);
        self.batch
            .patient_studies
            .insert((patient, first_seen), None);
        let record = self.patient(patient)?.ok_or(LedgerError::MissingRow)?;
        record.studies -= 1;
        if record.studies == 0 {
            self.batch.patients.insert(patient, None);
            let totals = &mut self.batch.meta.totals;
            totals.patients = totals.patients.saturating_sub(1);
        }
        Ok(())
    }

    fn is_adopted(&self, study: PairId) -> Result<bool, BackendError> {
        match self.batch.adopted.get(&study) {
            Some(row) => Ok(row.is_some()),
            None => self.snapshot.is_adopted(study),
        }
    }
}
