//! Reading clashes, and the studies that hold a pseudonym.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::ledger::Ledger;
use crate::ledger::capture::{PAGE, name};
use crate::ledger::error::LedgerError;
use crate::ledger::records::{Field, PairId, StudyRecord, VariantRecord};
use crate::ledger::tables::{Snapshot, Tables};
use crate::{BackendError, Clash, ClashKind, ClashValue, Phi, Space, StudyRow};

impl<T: Tables> Ledger<T> {
    pub(crate) fn clash_count(&self, kind: ClashKind) -> Result<u64, BackendError> {
        let mut count = 0;
        each_clash(&*self.snapshot()?, kind, &mut |_| {
            count += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(count)
    }

    pub(crate) fn clashes(
        &self,
        visit: &mut dyn FnMut(Clash) -> ControlFlow<()>,
    ) -> Result<(), BackendError> {
        let snapshot = self.snapshot()?;
        for kind in ClashKind::ALL {
            let mut ended = false;
            each_clash(&*snapshot, kind, &mut |id| {
                let clash = self.clash(&snapshot, kind, id)?;
                let next = visit(clash);
                ended = next.is_break();
                Ok(next)
            })?;
            if ended {
                break;
            }
        }
        Ok(())
    }

    fn clash(
        &self,
        snapshot: &T::Snapshot,
        kind: ClashKind,
        id: PairId,
    ) -> Result<Clash, BackendError> {
        let pseudonym = self.durable_name(snapshot, id)?;
        let mut patient = None;
        let mut values = ClashValues::default();
        match kind {
            ClashKind::PatientNames => {
                self.patient_values(snapshot, id, Field::PatientName, &mut values)?;
                patient = Some(pseudonym.clone());
            }
            ClashKind::BirthDates => {
                self.patient_values(snapshot, id, Field::BirthDate, &mut values)?;
                patient = Some(pseudonym.clone());
            }
            ClashKind::Accessions | ClashKind::StudyDates => {
                let field = if kind == ClashKind::Accessions {
                    Field::Accession
                } else {
                    Field::StudyDate
                };
                let record = snapshot.study(id)?.ok_or(LedgerError::MissingRow)?;
                patient = Some(self.durable_name(snapshot, record.patient)?);
                self.study_values(snapshot, (id, &record), field, &mut values)?;
            }
            ClashKind::AccessionPatients => {
                self.accession_values(snapshot, id, &mut values)?;
            }
        }
        Ok(Clash {
            kind,
            pseudonym,
            patient,
            values: values.values,
            has_more: values.has_more,
        })
    }

    /// Adds the values of all studies of a patient.
    fn patient_values(
        &self,
        snapshot: &T::Snapshot,
        patient: PairId,
        field: Field,
        values: &mut ClashValues,
    ) -> Result<(), BackendError> {
        let mut after = None;
        loop {
            let page = snapshot.studies(patient, after, PAGE)?;
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            after = Some(*last);
            for (_, study) in page {
                let record = snapshot.study(study)?.ok_or(LedgerError::MissingRow)?;
                self.study_values(snapshot, (study, &record), field, values)?;
            }
            if values.has_more {
                return Ok(());
            }
        }
    }

    /// Adds the values of a study.
    fn study_values(
        &self,
        snapshot: &T::Snapshot,
        (study, record): (PairId, &StudyRecord),
        field: Field,
        values: &mut ClashValues,
    ) -> Result<(), BackendError> {
        let name = self.durable_name(snapshot, study)?;
        let variants = sorted_variants(snapshot, study, field)?;
        let own = own_value(record, field);
        if variants.is_empty() && !own.expose().is_empty() {
            values.add(&own, None, &name, |value| value.original == own);
        }
        for VariantRecord { text, pair, .. } in variants {
            let pseudonym = pair.map(|pair| self.durable_name(snapshot, pair));
            values.add(&text, pseudonym.transpose()?, &name, |value| {
                value.original == text
            });
        }
        Ok(())
    }

    /// Adds the patients of an accession number.
    fn accession_values(
        &self,
        snapshot: &T::Snapshot,
        accession: PairId,
        values: &mut ClashValues,
    ) -> Result<(), BackendError> {
        let mut after = None;
        loop {
            let page = snapshot.accession_studies(accession, after, PAGE)?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(*last);
            for study in page {
                let Some(record) = snapshot.study(study)? else {
                    continue;
                };
                let patient = self.durable_name(snapshot, record.patient)?;
                let row = snapshot.patient(record.patient)?;
                let id = row.map(|row| row.phi.id).unwrap_or_default();
                let name = self.durable_name(snapshot, study)?;
                let same = Some(patient.clone());
                values.add(&id, Some(patient), &name, |value| value.pseudonym == same);
            }
            if values.has_more {
                return Ok(());
            }
        }
    }

    pub(crate) fn studies_with(
        &self,
        space: Space,
        pseudonym: &str,
        visit: &mut dyn FnMut(StudyRow) -> ControlFlow<()>,
    ) -> Result<(), BackendError> {
        let snapshot = self.snapshot()?;
        let Some(id) = self.durable_id(&snapshot, space, pseudonym)? else {
            return Ok(());
        };
        let mut seen = BTreeSet::new();
        let mut show = |study: PairId| {
            if !seen.insert(study) {
                return Ok(ControlFlow::Continue(()));
            }
            let row = self.study_row(&snapshot, study)?;
            Ok::<_, BackendError>(row.map_or(ControlFlow::Continue(()), &mut *visit))
        };
        if space == Space::Patient {
            return each(
                |after| snapshot.studies(id, after, PAGE),
                |(first_seen, study)| (first_seen, study),
                &mut show,
            );
        }
        let first = match space {
            Space::Uid => study_of_uid(&*snapshot, id)?,
            Space::Patient | Space::Accession => None,
        };
        let referrer = snapshot.pair(id)?.and_then(|pair| pair.referrer);
        for study in first.into_iter().chain(referrer) {
            if show(study)?.is_break() {
                return Ok(());
            }
        }
        let next = |after| match space {
            Space::Accession => snapshot.accession_studies(id, after, PAGE),
            Space::Patient | Space::Uid => snapshot.referring(id, after, PAGE),
        };
        each(next, |study| (study, study), &mut show)
    }
}

/// Calls `visit` with each row of a list that is read in pages.
fn each<R: Copy, K>(
    page: impl Fn(Option<K>) -> Result<Vec<R>, BackendError>,
    split: impl Fn(R) -> (K, PairId),
    visit: &mut dyn FnMut(PairId) -> Result<ControlFlow<()>, BackendError>,
) -> Result<(), BackendError> {
    let mut after = None;
    loop {
        let rows = page(after.take())?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            let (key, id) = split(row);
            after = Some(key);
            if visit(id)?.is_break() {
                return Ok(());
            }
        }
    }
}

/// Returns the study whose own UID this is, or that of one of its series or instances.
fn study_of_uid<S: Snapshot>(snapshot: &S, uid: PairId) -> Result<Option<PairId>, BackendError> {
    if snapshot.study(uid)?.is_some() {
        return Ok(Some(uid));
    }
    let series = match snapshot.instance(uid)? {
        Some(instance) => instance.series,
        None => uid,
    };
    Ok(snapshot.series(series)?.map(|series| series.study))
}

fn each_clash<S: Snapshot>(
    snapshot: &S,
    kind: ClashKind,
    visit: &mut dyn FnMut(PairId) -> Result<ControlFlow<()>, BackendError>,
) -> Result<(), BackendError> {
    each(
        |after| snapshot.clashes(kind, after, PAGE),
        |id| (id, id),
        visit,
    )
}

/// The most values of a study that are read. A list shows fewer.
const MAX_VARIANTS: usize = 1000;

/// Returns the values of a study in a field, by arrival. Empty if its instances have one value.
pub(super) fn sorted_variants<S: Snapshot>(
    snapshot: &S,
    study: PairId,
    field: Field,
) -> Result<Vec<VariantRecord>, BackendError> {
    let variants = snapshot.variants(study, field, None, MAX_VARIANTS)?;
    let mut variants: Vec<_> = variants.into_iter().map(|(_, variant)| variant).collect();
    // The values of one instance have the same arrival. The order of hashes is another in each store.
    let place = |variant: &VariantRecord| (variant.arrival, variant.pair);
    variants.sort_by(|a, b| (place(a), a.text.expose()).cmp(&(place(b), b.text.expose())));
    Ok(variants)
}

/// Returns the value of a study's first instance.
fn own_value(record: &StudyRecord, field: Field) -> Phi<String> {
    match field {
        Field::PatientName => Phi::new(name(&record.person).to_owned()),
        Field::BirthDate => record.person.birth_date.clone().unwrap_or_default(),
        Field::Accession => record.phi.accession.clone().unwrap_or_default(),
        Field::StudyDate => record.phi.date.clone().unwrap_or_default(),
    }
}

/// The values of a clash that were found so far.
#[derive(Default)]
struct ClashValues {
    values: Vec<ClashValue>,
    has_more: bool,
}

impl ClashValues {
    /// Adds a value of a study. `is_same` tells whether it is a value that was found before.
    fn add(
        &mut self,
        original: &Phi<String>,
        pseudonym: Option<String>,
        study: &str,
        is_same: impl Fn(&ClashValue) -> bool,
    ) {
        if let Some(known) = self.values.iter_mut().find(|value| is_same(value)) {
            if known.studies.len() == Clash::MAX_VALUES {
                self.has_more = true;
            } else if known.studies.last().is_none_or(|last| last != study) {
                known.studies.push(study.to_owned());
            }
            return;
        }
        if self.values.len() == Clash::MAX_VALUES {
            self.has_more = true;
            return;
        }
        self.values.push(ClashValue {
            original: original.clone(),
            pseudonym,
            studies: vec![study.to_owned()],
        });
    }
}
