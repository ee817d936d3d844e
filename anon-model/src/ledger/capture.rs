//! The values that the index captures: those of the instance that was assigned first, and the values
//! of other instances where they differ.
//!
//! Instances are committed in any order. Each has an arrival, its place in the order of assignment,
//! and the values with the lowest arrival stand in the row. So the index does not depend on the
//! order of the commits.
//!
//! An empty value never differs from another.

use std::collections::BTreeSet;
use std::mem;
use std::ops::ControlFlow;

use crate::ledger::batch_builder::BatchBuilder;
use crate::ledger::error::LedgerError;
use crate::ledger::hash;
use crate::ledger::records::{
    AccessionValue, CapturedValues, Field, PairId, PatientRecord, StudyRecord, VariantKey,
    VariantRecord,
};
use crate::ledger::tables::Snapshot;
use crate::{BackendError, ClashKind, PatientPhi, Phi, StudyPhi};

/// Rows that are read at once.
pub(super) const PAGE: usize = 256;

/// The label of hashes of variants, besides their field.
const VARIANT_LABEL: u8 = 0x40;

impl CapturedValues<'_> {
    /// Returns the patient's values for the row of the study.
    fn person(&self) -> PatientPhi {
        if self.is_of_other_patient {
            return PatientPhi::default();
        }
        PatientPhi {
            id: Phi::default(),
            ..self.patient.clone()
        }
    }
}

fn text(value: Option<&Phi<String>>) -> &str {
    value.map_or("", |value| value.expose())
}

/// Returns a person name without the delimiters of components that are left out at its end (PS3.5
/// section 6.2.1).
pub(super) fn name(phi: &PatientPhi) -> &str {
    phi.name.expose().trim_end_matches(['^', '=', ' '])
}

/// Returns the name and the birth date, as they are compared.
fn compared(phi: &PatientPhi) -> [&str; 2] {
    [name(phi), text(phi.birth_date.as_ref())]
}

fn differ(one: &str, other: &str) -> bool {
    !one.is_empty() && !other.is_empty() && one != other
}

const PATIENT_CLASHES: [ClashKind; 2] = [ClashKind::PatientNames, ClashKind::BirthDates];

impl PatientRecord {
    /// Adds the values of an instance. Returns whether its name and its birth date differ from
    /// those of other instances.
    fn add_values(&mut self, arrival: u64, phi: &PatientPhi) -> [bool; 2] {
        let mut differs = [false; 2];
        let known = compared(&self.phi).into_iter().zip(&self.compared);
        for ((differs, (first, other)), new) in differs.iter_mut().zip(known).zip(compared(phi)) {
            let known = if first.is_empty() {
                text(other.as_ref())
            } else {
                first
            };
            *differs = differ(known, new);
        }
        let replaced = (arrival < self.arrival).then(|| {
            self.arrival = arrival;
            mem::replace(&mut self.phi, phi.clone())
        });
        let other = compared(replaced.as_ref().unwrap_or(phi));
        let kept = self.compared.iter_mut().zip(compared(&self.phi));
        for ((kept, first), other) in kept.zip(other) {
            if first.is_empty() && kept.is_none() && !other.is_empty() {
                *kept = Some(Phi::new(other.to_owned()));
            }
        }
        differs
    }
}

/// Returns the values that instances of a study may differ in, but the accession numbers.
fn fields<'v>(person: Option<&'v PatientPhi>, study: &'v StudyPhi) -> [(Field, &'v str); 3] {
    let [name, birth_date] = person.map_or([""; 2], compared);
    [
        (Field::PatientName, name),
        (Field::BirthDate, birth_date),
        (Field::StudyDate, text(study.date.as_ref())),
    ]
}

impl<S: Snapshot> BatchBuilder<S> {
    /// Returns the arrival for a study that is adopted.
    pub(crate) fn next_arrival(&mut self) -> u64 {
        self.batch.meta.first_seen += 1;
        self.batch.meta.first_seen
    }

    /// Adds a study and its patient to the index, or the values of a further instance. Returns the
    /// arrival of the study's first instance before this one, if the index held the study.
    pub(crate) fn capture(
        &mut self,
        patient: PairId,
        study: PairId,
        values: &CapturedValues<'_>,
    ) -> Result<Option<u64>, BackendError> {
        let Some(record) = self.study(study)? else {
            self.capture_patient(patient, values)?;
            self.add_study(patient, study, values)?;
            return Ok(None);
        };
        if record.patient != patient {
            return Err(LedgerError::Contradiction.into());
        }
        let before = record.first_seen;
        let variants = add_study_values(record, values);
        if values.arrival < before {
            let rows = &mut self.batch.patient_studies;
            rows.insert((patient, before), None);
            rows.insert((patient, values.arrival), Some(study));
        }
        self.capture_patient(patient, values)?;
        for (field, text, arrival) in variants {
            self.add_variant(study, field, text, None, arrival)?;
            if field == Field::StudyDate && self.has_two_variants(study, field)? {
                self.add_clash(ClashKind::StudyDates, study)?;
            }
        }
        Ok(Some(before))
    }

    fn capture_patient(
        &mut self,
        patient: PairId,
        values: &CapturedValues<'_>,
    ) -> Result<(), BackendError> {
        // The patient without an id stands for many people, so it has nobody's values.
        let has_values = patient != PairId::NO_PATIENT && !values.is_of_other_patient;
        let Some(record) = self.patient(patient)? else {
            let mut record = PatientRecord {
                arrival: u64::MAX,
                ..PatientRecord::default()
            };
            if has_values {
                record.phi.clone_from(values.patient);
                record.arrival = values.arrival;
            }
            self.batch.patients.insert(patient, Some(record));
            self.batch.meta.totals.patients += 1;
            return Ok(());
        };
        if !has_values {
            return Ok(());
        }
        let differs = record.add_values(values.arrival, values.patient);
        for (kind, differs) in PATIENT_CLASHES.into_iter().zip(differs) {
            if differs {
                self.add_clash(kind, patient)?;
            }
        }
        Ok(())
    }

    fn add_study(
        &mut self,
        patient: PairId,
        study: PairId,
        values: &CapturedValues<'_>,
    ) -> Result<(), BackendError> {
        self.patient(patient)?
            .ok_or(LedgerError::MissingRow)?
            .studies += 1;
        self.batch.meta.totals.studies += 1;
        let record = StudyRecord {
            patient,
            first_seen: values.arrival,
            phi: values.study.clone(),
            person: values.person(),
            accessions: Vec::new(),
            series: 0,
            instances: 0,
            target: 0,
        };
        self.batch.studies.insert(study, Some(record));
        self.batch
            .patient_studies
            .insert((patient, values.arrival), Some(study));
        Ok(())
    }

    /// Captures the accession numbers of an instance. `before` is the result of [`capture`].
    ///
    /// [`capture`]: Self::capture
    pub(crate) fn capture_accessions(
        &mut self,
        study: PairId,
        arrival: u64,
        before: Option<u64>,
        values: &[AccessionValue],
    ) -> Result<(), BackendError> {
        let is_first = before.is_none_or(|before| arrival < before);
        if values.is_empty() && !is_first {
            return Ok(());
        }
        let record = self.study(study)?.ok_or(LedgerError::MissingRow)?;
        let patient = record.patient;
        let known = if is_first {
            mem::replace(&mut record.accessions, values.to_vec())
        } else {
            record.accessions.clone()
        };
        let is_one = known.is_empty() && before.is_none() || known == values;
        if values.len() > 1 || !is_one {
            let known = known.into_iter().map(|value| (value, before));
            let new = values.iter().cloned().map(|value| (value, Some(arrival)));
            for (value, of) in known.chain(new) {
                let of = of.unwrap_or(arrival);
                self.add_variant(study, Field::Accession, value.text, value.pair, of)?;
            }
            if self.has_two_variants(study, Field::Accession)? {
                self.add_clash(ClashKind::Accessions, study)?;
            }
        }
        for accession in values.iter().filter_map(|value| value.pair) {
            self.add_accession_study(accession, study, patient)?;
        }
        Ok(())
    }

    fn add_accession_study(
        &mut self,
        accession: PairId,
        study: PairId,
        patient: PairId,
    ) -> Result<(), BackendError> {
        let row = self.batch.accession_studies.get(&(accession, study));
        let is_known = if let Some(row) = row {
            row.is_some()
        } else {
            let before = study.0.checked_sub(1).map(PairId);
            let next = self.snapshot.accession_studies(accession, before, 1)?;
            next.first() == Some(&study)
        };
        if is_known {
            return Ok(());
        }
        self.batch
            .accession_studies
            .insert((accession, study), Some(()));
        if self.is_clash(ClashKind::AccessionPatients, accession)? {
            return Ok(());
        }
        // There is no clash yet, so all other studies have one patient.
        let mut other = patient;
        self.each_study(accession, &mut |known, of| {
            if known == study {
                return ControlFlow::Continue(());
            }
            other = of;
            ControlFlow::Break(())
        })?;
        if other != patient {
            self.add_clash(ClashKind::AccessionPatients, accession)?;
        }
        Ok(())
    }

    /// Calls `visit` with each study that has an accession number, and its patient.
    fn each_study(
        &self,
        accession: PairId,
        visit: &mut dyn FnMut(PairId, PairId) -> ControlFlow<()>,
    ) -> Result<(), BackendError> {
        let rows = (accession, PairId(0))..=(accession, PairId(u64::MAX));
        let new = self.batch.accession_studies.range(rows);
        let mut studies: Vec<PairId> = new.map(|((_, study), _)| *study).collect();
        let mut after = None;
        loop {
            for study in studies.drain(..) {
                let row = self.batch.accession_studies.get(&(accession, study));
                if row.is_some_and(Option::is_none) {
                    continue;
                }
                if let Some(patient) = self.patient_of(study)?
                    && visit(study, patient).is_break()
                {
                    return Ok(());
                }
            }
            studies = self.snapshot.accession_studies(accession, after, PAGE)?;
            after = studies.last().copied();
            if studies.is_empty() {
                return Ok(());
            }
        }
    }

    /// Returns the patient of a study of the index.
    fn patient_of(&self, study: PairId) -> Result<Option<PairId>, BackendError> {
        Ok(match self.batch.studies.get(&study) {
            Some(row) => row.as_ref().map(|record| record.patient),
            None => self.snapshot.study(study)?.map(|record| record.patient),
        })
    }

    fn add_variant(
        &mut self,
        study: PairId,
        field: Field,
        text: Phi<String>,
        pair: Option<PairId>,
        arrival: u64,
    ) -> Result<(), BackendError> {
        if text.expose().is_empty() {
            return Ok(());
        }
        let label = VARIANT_LABEL | field as u8;
        let key: VariantKey = (
            study,
            field as u8,
            hash(&self.hash_key, label, text.expose()),
        );
        let known = match self.batch.variants.get(&key) {
            Some(row) => row.clone(),
            None => self.snapshot.variant(key)?,
        };
        let record = VariantRecord {
            text,
            pair: pair.or(known.as_ref().and_then(|known| known.pair)),
            arrival: known
                .as_ref()
                .map_or(arrival, |known| arrival.min(known.arrival)),
        };
        if known.as_ref() != Some(&record) {
            self.batch.variants.insert(key, Some(record));
        }
        Ok(())
    }

    /// Returns true if the instances of a study have at least two values of a field.
    fn has_two_variants(&self, study: PairId, field: Field) -> Result<bool, BackendError> {
        let rows = (study, field as u8, 0)..=(study, field as u8, u128::MAX);
        let new = self.batch.variants.range(rows).map(|((.., hash), _)| *hash);
        let mut hashes: BTreeSet<_> = new.take(2).collect();
        let written = self.snapshot.variants(study, field, None, 2)?;
        hashes.extend(written.into_iter().map(|(hash, _)| hash));
        Ok(hashes.len() > 1)
    }

    pub(super) fn is_clash(&self, kind: ClashKind, id: PairId) -> Result<bool, BackendError> {
        match self.batch.clashes.get(&(kind, id)) {
            Some(row) => Ok(row.is_some()),
            None => self.snapshot.is_clash(kind, id),
        }
    }

    fn add_clash(&mut self, kind: ClashKind, id: PairId) -> Result<(), BackendError> {
        if !self.is_clash(kind, id)? {
            self.batch.clashes.insert((kind, id), Some(()));
        }
        Ok(())
    }

    fn set_clash(
        &mut self,
        kind: ClashKind,
        id: PairId,
        clashes: bool,
    ) -> Result<(), BackendError> {
        if clashes {
            return self.add_clash(kind, id);
        }
        if self.is_clash(kind, id)? {
            self.batch.clashes.insert((kind, id), None);
        }
        Ok(())
    }

    /// Removes what is kept of the values of a study that is removed.
    pub(super) fn remove_captured(&mut self, study: PairId) -> Result<(), BackendError> {
        let record = self.study(study)?.ok_or(LedgerError::MissingRow)?;
        let (patient, first_seen) = (record.patient, record.first_seen);
        let pairs = record.accessions.iter().filter_map(|value| value.pair);
        let mut accessions: BTreeSet<PairId> = pairs.collect();
        for field in Field::ALL {
            let mut after = None;
            loop {
                let page = self.snapshot.variants(study, field, after, PAGE)?;
                let Some((last, _)) = page.last() else { break };
                after = Some(*last);
                for (hash, variant) in page {
                    accessions.extend(variant.pair);
                    self.batch.variants.insert((study, field as u8, hash), None);
                }
            }
        }
        for accession in accessions {
            self.batch
                .accession_studies
                .insert((accession, study), None);
            self.unchecked.accessions.insert(accession);
        }
        self.set_clash(ClashKind::Accessions, study, false)?;
        self.set_clash(ClashKind::StudyDates, study, false)?;
        let record = self.patient(patient)?.ok_or(LedgerError::MissingRow)?;
        // A later instance gave them if the first one was filed here under another patient's id.
        let had_values =
            record.arrival >= first_seen || record.compared.iter().any(Option::is_some);
        if had_values || self.has_patient_clash(patient)? {
            self.unchecked.patients.insert(patient);
        }
        Ok(())
    }

    fn has_patient_clash(&self, patient: PairId) -> Result<bool, BackendError> {
        for kind in PATIENT_CLASHES {
            if self.is_clash(kind, patient)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes the values and clashes of patients and accession numbers those of the studies that are
    /// left. Called when the last study was removed from the batch.
    pub(crate) fn check_what_is_left(&mut self) -> Result<(), BackendError> {
        let unchecked = mem::take(&mut self.unchecked);
        for accession in unchecked.accessions {
            if !self.is_clash(ClashKind::AccessionPatients, accession)? {
                continue;
            }
            let mut patients = BTreeSet::new();
            self.each_study(accession, &mut |_, patient| {
                patients.insert(patient);
                if patients.len() > 1 {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            })?;
            let clashes = patients.len() > 1;
            self.set_clash(ClashKind::AccessionPatients, accession, clashes)?;
        }
        for patient in unchecked.patients {
            if self.patient(patient)?.is_none() {
                for kind in PATIENT_CLASHES {
                    self.set_clash(kind, patient, false)?;
                }
            } else if patient != PairId::NO_PATIENT {
                self.check_patient(patient)?;
            }
        }
        Ok(())
    }

    fn check_patient(&mut self, patient: PairId) -> Result<(), BackendError> {
        let id = self.patient(patient)?.map(|record| record.phi.id.clone());
        let mut found = PatientRecord {
            arrival: u64::MAX,
            ..PatientRecord::default()
        };
        let mut clashes = [false; 2];
        let mut after = None;
        loop {
            let page = self.snapshot.studies(patient, after, PAGE)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            for (_, study) in page {
                for (arrival, phi) in self.persons_of(study)? {
                    let differs = found.add_values(arrival, &phi);
                    for (clashes, differs) in clashes.iter_mut().zip(differs) {
                        *clashes |= differs;
                    }
                }
            }
            if clashes == [true; 2] {
                break;
            }
        }
        if let Some(record) = self.patient(patient)? {
            record.phi = found.phi;
            record.phi.id = id.unwrap_or_default();
            (record.arrival, record.compared) = (found.arrival, found.compared);
        }
        for (kind, clashes) in PATIENT_CLASHES.into_iter().zip(clashes) {
            self.set_clash(kind, patient, clashes)?;
        }
        Ok(())
    }

    /// Returns the values that the instances of a study have of their patient, with their arrivals.
    /// Empty if the study is removed.
    fn persons_of(&self, study: PairId) -> Result<Vec<(u64, PatientPhi)>, BackendError> {
        let record = match self.batch.studies.get(&study) {
            Some(row) => row.clone(),
            None => self.snapshot.study(study)?,
        };
        let Some(record) = record else {
            return Ok(Vec::new());
        };
        let mut persons = vec![(record.first_seen, record.person)];
        for field in [Field::PatientName, Field::BirthDate] {
            for (_, variant) in self.snapshot.variants(study, field, None, PAGE)? {
                let mut phi = PatientPhi::default();
                match field {
                    Field::PatientName => phi.name = variant.text,
                    _ => phi.birth_date = Some(variant.text),
                }
                // Compared only: a value alone is not the first.
                persons.push((u64::MAX, phi));
            }
        }
        Ok(persons)
    }
}

/// Adds the values of a further instance to the row of its study. Returns the values to record as
/// variants, with their arrivals.
fn add_study_values(
    record: &mut StudyRecord,
    values: &CapturedValues<'_>,
) -> Vec<(Field, Phi<String>, u64)> {
    let mut variants = Vec::new();
    let person = (!values.is_of_other_patient).then_some(values.patient);
    let is_first = values.arrival < record.first_seen;
    let new = fields(person, values.study).into_iter();
    for ((field, known), (_, new)) in fields(Some(&record.person), &record.phi)
        .into_iter()
        .zip(new)
    {
        // Records nothing if only the later instance lacks the value.
        if known != new && (is_first || !new.is_empty()) {
            variants.push((field, Phi::new(known.to_owned()), record.first_seen));
            variants.push((field, Phi::new(new.to_owned()), values.arrival));
        }
    }
    if is_first {
        record.first_seen = values.arrival;
        record.phi.clone_from(values.study);
        record.person = values.person();
    }
    variants
}
