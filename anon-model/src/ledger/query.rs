//! Reading the index.

use std::ops::ControlFlow;

use crate::ledger::Ledger;
use crate::ledger::clashes::sorted_variants;
use crate::ledger::error::LedgerError;
use crate::ledger::records::{
    AccessionValue, Field, IntentRecord, PairId, StudyRecord, VariantRecord,
};
use crate::ledger::tables::{Snapshot, Tables};
use crate::{
    BackendError, Group, Intent, PatientPhi, PatientRow, Phi, Remark, RemarkReason, Remarks,
    Removal, RulesRecord, SeriesRow, Space, StoredInstance, StudyPhi, StudyRow, Totals,
};

/// Rows that are read at once, which bounds the memory of a visit.
const PAGE: usize = 256;

impl<T: Tables> Ledger<T> {
    pub(crate) fn unsettled(&self) -> Result<Vec<Intent>, BackendError> {
        let state = self.lock()?;
        let mut intents = Vec::new();
        for (group, intent) in &state.open {
            let outputs = intent.outputs();
            if outputs.is_empty() {
                continue;
            }
            let mut paths = Vec::with_capacity(outputs.len());
            for output in outputs {
                let ids = [output.patient, output.study, output.series, output.instance];
                let mut path: [String; 4] = Default::default();
                for (name, id) in path.iter_mut().zip(ids) {
                    *name = self.durable_name(&state.snapshot, id)?;
                }
                paths.push(path);
            }
            intents.push(Intent {
                group: Group(*group),
                outputs: paths,
                replaces: match intent {
                    IntentRecord::Replace(replacement) => Some(replacement.digest),
                    IntentRecord::Publish(_) | IntentRecord::Remove(_) => None,
                },
            });
        }
        Ok(intents)
    }

    pub(crate) fn unsettled_removals(&self) -> Result<Vec<Removal>, BackendError> {
        let state = self.lock()?;
        Ok(state
            .open
            .iter()
            .filter_map(|(group, intent)| match intent {
                IntentRecord::Remove(directories) => Some(Removal {
                    group: Group(*group),
                    directories: directories.clone(),
                }),
                IntentRecord::Publish(_) | IntentRecord::Replace(_) => None,
            })
            .collect())
    }

    pub(crate) fn totals(&self) -> Result<Totals, BackendError> {
        Ok(self.lock()?.meta.totals)
    }

    /// Returns the remarks on all instances. Reasons of later versions are left out.
    pub(crate) fn remarks(&self) -> Result<Remarks, BackendError> {
        let mut remarks = Remarks::default();
        for ((code, tag), count) in self.snapshot()?.remark_totals()? {
            if let Some(reason) = RemarkReason::of_code(code) {
                remarks.add_cases(Remark { reason, tag, count });
            }
        }
        Ok(remarks)
    }

    pub(crate) fn is_frozen(&self) -> Result<bool, BackendError> {
        Ok(self.lock()?.meta.is_frozen())
    }

    fn uid_id(
        &self,
        snapshot: &T::Snapshot,
        uid: &Phi<String>,
    ) -> Result<Option<PairId>, BackendError> {
        snapshot.id(self.key(Space::Uid, uid.expose()))
    }

    fn study_of_uid(&self, uid: &Phi<String>) -> Result<Option<StudyRecord>, BackendError> {
        let snapshot = self.snapshot()?;
        match self.uid_id(&snapshot, uid)? {
            Some(id) => snapshot.study(id),
            None => Ok(None),
        }
    }

    pub(crate) fn has_instance(&self, uid: &Phi<String>) -> Result<bool, BackendError> {
        let snapshot = self.snapshot()?;
        match self.uid_id(&snapshot, uid)? {
            Some(id) => Ok(snapshot.instance(id)?.is_some()),
            None => Ok(false),
        }
    }

    pub(crate) fn stored_instance(
        &self,
        uid: &Phi<String>,
    ) -> Result<Option<StoredInstance>, BackendError> {
        let snapshot = self.snapshot()?;
        let Some(id) = self.uid_id(&snapshot, uid)? else {
            return Ok(None);
        };
        let Some(record) = snapshot.instance(id)? else {
            return Ok(None);
        };
        let series = snapshot.series(record.series)?;
        let study = series.ok_or(LedgerError::MissingRow)?.study;
        let patient = snapshot
            .study(study)?
            .ok_or(LedgerError::MissingRow)?
            .patient;
        let mut names: [String; 4] = Default::default();
        for (name, id) in names.iter_mut().zip([patient, study, record.series, id]) {
            *name = self.durable_name(&snapshot, id)?;
        }
        Ok(Some(StoredInstance {
            names,
            fingerprint: record.fingerprint,
        }))
    }

    pub(crate) fn stored_instances(&self, uid: &Phi<String>) -> Result<u64, BackendError> {
        Ok(self.study_of_uid(uid)?.map_or(0, |record| record.instances))
    }

    pub(crate) fn study_imported(&self, uid: &Phi<String>) -> Result<bool, BackendError> {
        Ok(self
            .study_of_uid(uid)?
            .is_some_and(|record| record.target > 0 && record.instances >= record.target))
    }

    pub(crate) fn series_complete(
        &self,
        study_uid: &Phi<String>,
        series_uid: &Phi<String>,
        target: u64,
    ) -> Result<bool, BackendError> {
        let snapshot = self.snapshot()?;
        let Some(study) = self.uid_id(&snapshot, study_uid)? else {
            return Ok(false);
        };
        let Some(series) = self.uid_id(&snapshot, series_uid)? else {
            return Ok(false);
        };
        Ok(snapshot
            .series(series)?
            .is_some_and(|record| record.study == study && record.instances >= target))
    }

    pub(crate) fn patients(
        &self,
        visit: &mut dyn FnMut(PatientRow) -> ControlFlow<()>,
    ) -> Result<(), BackendError> {
        let snapshot = self.snapshot()?;
        each_patient(&*snapshot, &mut |id| {
            let row = self
                .patient_row(&snapshot, id)?
                .ok_or(LedgerError::MissingRow)?;
            Ok(visit(row))
        })
    }

    fn patient_row(
        &self,
        snapshot: &T::Snapshot,
        id: PairId,
    ) -> Result<Option<PatientRow>, BackendError> {
        let Some(record) = snapshot.patient(id)? else {
            return Ok(None);
        };
        Ok(Some(PatientRow {
            pseudonym: self.durable_name(snapshot, id)?,
            phi: record.phi,
            studies: record.studies,
            series: record.series,
            instances: record.instances,
        }))
    }

    pub(crate) fn patient(&self, pseudonym: &str) -> Result<Option<PatientRow>, BackendError> {
        let snapshot = self.snapshot()?;
        match self.durable_id(&snapshot, Space::Patient, pseudonym)? {
            Some(id) => self.patient_row(&snapshot, id),
            None => Ok(None),
        }
    }

    pub(crate) fn studies(
        &self,
        visit: &mut dyn FnMut(StudyRow) -> ControlFlow<()>,
    ) -> Result<(), BackendError> {
        let snapshot = self.snapshot()?;
        each_patient(&*snapshot, &mut |patient| {
            let mut after = None;
            loop {
                let page = snapshot.studies(patient, after, PAGE)?;
                let Some((last, _)) = page.last() else {
                    return Ok(ControlFlow::Continue(()));
                };
                after = Some(*last);
                for (_, study) in page {
                    let row = self
                        .study_row(&snapshot, study)?
                        .ok_or(LedgerError::MissingRow)?;
                    if visit(row).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
        })
    }

    pub(super) fn study_row(
        &self,
        snapshot: &T::Snapshot,
        id: PairId,
    ) -> Result<Option<StudyRow>, BackendError> {
        let Some(record) = snapshot.study(id)? else {
            return Ok(None);
        };
        let patient = snapshot
            .patient(record.patient)?
            .ok_or(LedgerError::MissingRow)?;
        let pair = snapshot.pair(id)?.ok_or(LedgerError::MissingRow)?;
        let (accession, original) = self.accession_cells(snapshot, id, &record)?;
        Ok(Some(StudyRow {
            patient: self.durable_name(snapshot, record.patient)?,
            patient_phi: own_or(record.person, patient.phi),
            phi: StudyPhi {
                accession: original,
                ..record.phi
            },
            accession,
            study: self.pair_name(id, &pair)?,
            study_uid: pair.original,
            series: record.series,
            instances: record.instances,
            target: record.target,
            first_seen: record.first_seen,
        }))
    }

    /// Returns the pseudonyms and the originals of a study's accession numbers: those of its first
    /// instance, then those of the others.
    fn accession_cells(
        &self,
        snapshot: &T::Snapshot,
        study: PairId,
        record: &StudyRecord,
    ) -> Result<(Option<String>, Option<Phi<String>>), BackendError> {
        let mut values = record.accessions.clone();
        let mut original = record.phi.accession.clone();
        for variant in sorted_variants(snapshot, study, Field::Accession)? {
            let VariantRecord { text, pair, .. } = variant;
            if let Some(known) = values.iter_mut().find(|known| known.text == text) {
                known.pair = known.pair.or(pair);
                continue;
            }
            let mut shown = original.take().unwrap_or_default().into_exposed();
            if !shown.is_empty() {
                shown.push('\\');
            }
            shown.push_str(text.expose());
            original = Some(Phi::new(shown));
            values.push(AccessionValue { text, pair });
        }
        let mut names = Vec::new();
        for pair in values.iter().filter_map(|value| value.pair) {
            names.push(self.durable_name(snapshot, pair)?);
        }
        let names = (!names.is_empty()).then(|| names.join("\\"));
        Ok((names, original))
    }

    pub(crate) fn study(&self, pseudonym: &str) -> Result<Option<StudyRow>, BackendError> {
        let snapshot = self.snapshot()?;
        match self.durable_id(&snapshot, Space::Uid, pseudonym)? {
            Some(id) => self.study_row(&snapshot, id),
            None => Ok(None),
        }
    }

    pub(crate) fn series(
        &self,
        study: &str,
        visit: &mut dyn FnMut(SeriesRow) -> ControlFlow<()>,
    ) -> Result<(), BackendError> {
        let snapshot = self.snapshot()?;
        let Some(study) = self.durable_id(&snapshot, Space::Uid, study)? else {
            return Ok(());
        };
        let mut after = None;
        loop {
            let page = snapshot.series_of(study, after, PAGE)?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(*last);
            for id in page {
                let record = snapshot.series(id)?.ok_or(LedgerError::MissingRow)?;
                let pair = snapshot.pair(id)?.ok_or(LedgerError::MissingRow)?;
                let row = SeriesRow {
                    series: self.pair_name(id, &pair)?,
                    series_uid: pair.original,
                    phi: record.phi,
                    instances: record.instances,
                };
                if visit(row).is_break() {
                    return Ok(());
                }
            }
        }
    }

    pub(crate) fn rules_history(&self) -> Result<Vec<RulesRecord>, BackendError> {
        self.snapshot()?.rules()
    }
}

/// Returns the patient's values as recorded with the study; missing ones come from the patient's
/// row.
fn own_or(own: PatientPhi, patient: PatientPhi) -> PatientPhi {
    let or = |own: Option<Phi<String>>, patient: Option<Phi<String>>| {
        own.filter(|value| !value.expose().is_empty()).or(patient)
    };
    PatientPhi {
        id: patient.id,
        name: or(Some(own.name), None).unwrap_or(patient.name),
        sex: or(own.sex, patient.sex),
        birth_date: or(own.birth_date, patient.birth_date),
        ethnic_group: or(own.ethnic_group, patient.ethnic_group),
    }
}

fn each_patient<S: Snapshot>(
    snapshot: &S,
    visit: &mut dyn FnMut(PairId) -> Result<ControlFlow<()>, BackendError>,
) -> Result<(), BackendError> {
    let mut after = None;
    loop {
        let page = snapshot.patients(after, PAGE)?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some(*last);
        for id in page {
            if visit(id)?.is_break() {
                return Ok(());
            }
        }
    }
}
