//! Adopting studies that another program de-identified: pairs, rows and offsets, in one batch.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use crate::ledger::Ledger;
use crate::ledger::assign::{MAX_NUMBER, check_form};
use crate::ledger::error::LedgerError;
use crate::ledger::pending::PendingPair;
use crate::ledger::records::{AccessionValue, CapturedValues, Meta, Pair, PairId, PairKind};
use crate::ledger::state::LedgerState;
use crate::ledger::tables::{Snapshot, Tables};
use crate::ledger::transaction::begin;
use crate::{AdoptError, Adopted, Adopting, BackendError, ExternalStudy, NotAdopted, Phi, Space};

/// The UID counter rises to a multiple of this, at least this far above every adopted number.
const UID_STEP: u64 = 1_000_000;

/// Studies that are read at once.
const PAGE: usize = 256;

/// The changes of the studies that were checked so far, which neither tables nor state hold yet.
#[derive(Default)]
struct AdoptionPlan {
    /// The pseudonym of each pending pair.
    names: BTreeMap<PairId, String>,
    /// The patient of each new study.
    patients: BTreeMap<PairId, PairId>,
    rows: Vec<PlannedRow>,
    /// The days by which the dates of each patient move.
    offsets: BTreeMap<PairId, i32>,
}

/// A study that gets a row in the index.
struct PlannedRow {
    patient: PairId,
    study: PairId,
    accession: Option<PairId>,
    /// The position of the study in the request.
    position: usize,
}

/// The id of a pair: known already, or free for a new pair.
enum PairLookup {
    Known(PairId),
    Free(PairId),
}

impl PairLookup {
    const fn id(&self) -> PairId {
        match self {
            Self::Known(id) | Self::Free(id) => *id,
        }
    }
}

/// A study that contradicts nothing the store knows.
struct CheckedStudy {
    patient: PairLookup,
    study: PairLookup,
    accession: Option<PairLookup>,
    /// True if the index has a row of the study.
    has_row: bool,
    /// Days to record for the patient, if they are not recorded yet.
    offset: Option<i32>,
}

impl<T: Tables> Ledger<T> {
    pub(crate) fn adopt_studies(
        &self,
        studies: &[ExternalStudy],
        used: &[(Space, String)],
        adopting: Adopting,
    ) -> Result<Vec<Result<Adopted, NotAdopted>>, BackendError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.lock_to_change()?;
        let (pairs, meta) = (state.pending.len(), state.meta.clone());
        let mut plan = AdoptionPlan::default();
        let results = self.plan_all(&mut state, &mut plan, studies, used);
        let undo = |state: &mut LedgerState<T::Snapshot>| {
            state.pending.truncate(pairs);
            state.meta = meta.clone();
        };
        let results = match results {
            Ok(results) => results,
            Err(error) => {
                undo(&mut state);
                return Err(error);
            }
        };
        let adopts = match adopting {
            Adopting::AllOrNothing => results.iter().all(Result::is_ok),
            Adopting::WhatCanBe => true,
            Adopting::Nothing => false,
        };
        if !adopts {
            undo(&mut state);
            return Ok(results);
        }
        let changes = state.meta != meta || !plan.rows.is_empty() || !plan.offsets.is_empty();
        if changes {
            let written = self.write_plan(&mut state, &plan, studies);
            if let Err(error) = written {
                undo(&mut state);
                return Err(error);
            }
        }
        Ok(results)
    }

    fn write_plan(
        &self,
        state: &mut LedgerState<T::Snapshot>,
        plan: &AdoptionPlan,
        studies: &[ExternalStudy],
    ) -> Result<(), BackendError> {
        let mut transaction = begin(state, self.tables.hash_key());
        let builder = &mut transaction.builder;
        let mut edit = || {
            for row in &plan.rows {
                let given = studies.get(row.position).ok_or(LedgerError::MissingRow)?;
                let values = CapturedValues {
                    arrival: builder.next_arrival(),
                    patient: &given.patient,
                    study: &given.study,
                    is_of_other_patient: false,
                };
                let before = builder.capture(row.patient, row.study, &values)?;
                let original = given.study.accession.iter();
                let accessions = original.filter(|text| !text.expose().is_empty());
                let accessions = accessions.map(|text| AccessionValue {
                    text: text.clone(),
                    pair: row.accession,
                });
                let accessions: Vec<_> = accessions.collect();
                builder.capture_accessions(row.study, values.arrival, before, &accessions)?;
                builder.batch.adopted.insert(row.study, Some(()));
            }
            let offsets = plan.offsets.iter().map(|(id, days)| (*id, Some(*days)));
            builder.batch.offsets.extend(offsets);
            self.tables.apply(&builder.batch)
        };
        let written = edit();
        self.finish(state, transaction, written, |state, ()| {
            if !plan.offsets.is_empty() {
                state.offsets_changed();
            }
        })
    }

    fn plan_all(
        &self,
        state: &mut LedgerState<T::Snapshot>,
        plan: &mut AdoptionPlan,
        studies: &[ExternalStudy],
        used: &[(Space, String)],
    ) -> Result<Vec<Result<Adopted, NotAdopted>>, BackendError> {
        for pending in state.pending.pairs() {
            let name = self.pair_name(pending.id, &pending.pair)?;
            plan.names.insert(pending.id, name);
        }
        let mut results = Vec::with_capacity(studies.len());
        for (position, given) in studies.iter().enumerate() {
            results.push(match self.check_study(state, plan, given) {
                Ok(checked) => Ok(self.add_to_plan(state, plan, position, given, &checked)),
                Err(CheckError::NotAdopted(why)) => Err(why),
                Err(CheckError::Backend(error)) => return Err(error),
            });
            // For refused studies too: the other program has used their numbers.
            self.raise_counter(&mut state.meta, Space::Patient, &given.patient_name);
            self.raise_counter(&mut state.meta, Space::Uid, &given.study_name);
            self.raise_counter(&mut state.meta, Space::Accession, &given.accession_name);
        }
        for (space, name) in used {
            self.raise_counter(&mut state.meta, *space, name);
        }
        Ok(results)
    }

    /// Checks that a study contradicts nothing the store knows. Changes nothing.
    fn check_study(
        &self,
        state: &mut LedgerState<T::Snapshot>,
        plan: &AdoptionPlan,
        given: &ExternalStudy,
    ) -> Result<CheckedStudy, CheckError> {
        let (key, name) = (&given.patient_key, given.patient_name.as_str());
        let patient = self.look_up_pair(state, plan, Space::Patient, key, name)?;
        let study =
            self.look_up_pair(state, plan, Space::Uid, &given.study_uid, &given.study_name)?;
        let original = given.study.accession.as_ref();
        let accession = match original.filter(|original| !original.expose().is_empty()) {
            Some(original) if !given.accession_name.is_empty() => {
                let name = given.accession_name.as_str();
                Some(self.look_up_pair(state, plan, Space::Accession, original, name)?)
            }
            _ => None,
        };
        let known = match &study {
            PairLookup::Known(id) => match plan.patients.get(id) {
                Some(patient) => Some(*patient),
                None => state.patient_of(*id)?,
            },
            PairLookup::Free(_) => None,
        };
        if let Some(known) = known
            && known != patient.id()
        {
            let known = self.planned_name(state, plan, known)?;
            return Err(NotAdopted::StudyOfOtherPatient { known }.into());
        }
        let offset = self.offset_of(state, plan, &patient, given)?;
        Ok(CheckedStudy {
            patient,
            study,
            accession,
            has_row: known.is_some(),
            offset,
        })
    }

    /// Returns the days to record for a patient, if they are not recorded yet.
    fn offset_of(
        &self,
        state: &mut LedgerState<T::Snapshot>,
        plan: &AdoptionPlan,
        patient: &PairLookup,
        given: &ExternalStudy,
    ) -> Result<Option<i32>, CheckError> {
        let (id, days) = (patient.id(), given.study.date_offset);
        if id == PairId::NO_PATIENT {
            return Ok(None);
        }
        if let PairLookup::Free(_) = patient {
            return Ok(Some(days));
        }
        if state.reservations.has_patient(id) {
            return Err(BackendError::from(LedgerError::Busy).into());
        }
        let recorded = match plan.offsets.get(&id) {
            Some(days) => Some(*days),
            None => state.offset(id)?,
        };
        let other = match recorded {
            Some(recorded) => Some(recorded).filter(|recorded| *recorded != days),
            None => other_offset(&**state.snapshot, id, days)?,
        };
        match (other, recorded) {
            (Some(held), _) => {
                let patient = self.planned_name(state, plan, id)?;
                Err(NotAdopted::OtherOffset { patient, held }.into())
            }
            (None, Some(_)) => Ok(None),
            (None, None) => Ok(Some(days)),
        }
    }

    /// Returns the id of a known pair, or a free id for a new one.
    ///
    /// # Errors
    /// If the pair contradicts a known pair or its pseudonym is not valid.
    fn look_up_pair(
        &self,
        state: &mut LedgerState<T::Snapshot>,
        plan: &AdoptionPlan,
        space: Space,
        original: &Phi<String>,
        name: &str,
    ) -> Result<PairLookup, CheckError> {
        let refused = |problem| CheckError::from(NotAdopted::Pair { space, problem });
        let form = |problem| refused(AdoptError::Form { problem });
        check_form(space, name).map_err(refused)?;
        if original.expose().is_empty() {
            return match space {
                Space::Patient if name == self.identity.default_patient() => {
                    Ok(PairLookup::Known(PairId::NO_PATIENT))
                }
                Space::Patient => Err(refused(AdoptError::OriginalTaken {
                    pseudonym: self.identity.default_patient(),
                })),
                Space::Uid | Space::Accession => {
                    Err(form("an empty original cannot have a pseudonym"))
                }
            };
        }
        let key = self.key(space, original.expose());
        if let Some(id) = state.id(key)? {
            let pseudonym = self.planned_name(state, plan, id)?;
            return if pseudonym == name {
                Ok(PairLookup::Known(id))
            } else {
                Err(refused(AdoptError::OriginalTaken { pseudonym }))
            };
        }
        self.look_up_name(state, plan, space, original, name)
    }

    /// Looks up a pseudonym that its original does not have yet.
    fn look_up_name(
        &self,
        state: &mut LedgerState<T::Snapshot>,
        plan: &AdoptionPlan,
        space: Space,
        original: &Phi<String>,
        name: &str,
    ) -> Result<PairLookup, CheckError> {
        let refused = |problem| CheckError::from(NotAdopted::Pair { space, problem });
        let taken = || {
            refused(AdoptError::PseudonymTaken {
                pseudonym: name.to_owned(),
            })
        };
        let deleted = || {
            refused(AdoptError::PseudonymDeleted {
                pseudonym: name.to_owned(),
            })
        };
        let Some(number) = self.identity.number(space, name) else {
            if state.name(self.name_key(space, name))?.is_some() {
                return Err(taken());
            }
            if self.is_deleted(state, space, original, name)? {
                return Err(deleted());
            }
            let kind = self.unnumbered(space, original, name);
            let next = *state.meta.counter(space, kind) + 1;
            return Ok(PairLookup::Free(PairId::new(space, kind, next)));
        };
        if number > MAX_NUMBER - 2 * UID_STEP {
            return Err(refused(AdoptError::Form {
                problem: "the number in the pseudonym is too high",
            }));
        }
        let id = PairId::new(space, PairKind::Numbered, number);
        let is_used = plan.names.contains_key(&id) || state.snapshot.pair(id)?.is_some();
        if is_used || id == PairId::NO_PATIENT {
            return Err(taken());
        }
        if state.snapshot.is_deleted(id)? {
            return Err(deleted());
        }
        Ok(PairLookup::Free(id))
    }

    pub(super) fn unnumbered(&self, space: Space, original: &Phi<String>, name: &str) -> PairKind {
        match self.identity.computed(space, original.expose()) {
            Some(computed) if computed == name => PairKind::Computed,
            _ => PairKind::External,
        }
    }

    fn planned_name(
        &self,
        state: &LedgerState<T::Snapshot>,
        plan: &AdoptionPlan,
        id: PairId,
    ) -> Result<String, BackendError> {
        match plan.names.get(&id) {
            Some(name) => Ok(name.clone()),
            None => self.name_of(state, id),
        }
    }

    /// Adds the new pairs, offset and row of a study to the pending pairs and the plan.
    fn add_to_plan(
        &self,
        state: &mut LedgerState<T::Snapshot>,
        plan: &mut AdoptionPlan,
        position: usize,
        given: &ExternalStudy,
        checked: &CheckedStudy,
    ) -> Adopted {
        let mut adopted = Adopted::Known;
        let pairs = [
            (
                Some(&checked.patient),
                Some(&given.patient_key),
                &given.patient_name,
            ),
            (
                Some(&checked.study),
                Some(&given.study_uid),
                &given.study_name,
            ),
            (
                checked.accession.as_ref(),
                given.study.accession.as_ref(),
                &given.accession_name,
            ),
        ];
        for pair in pairs {
            if let (Some(PairLookup::Free(id)), Some(original), name) = pair {
                self.push_pair(state, *id, original, name);
                plan.names.insert(*id, name.clone());
                adopted = Adopted::New;
            }
        }
        let (patient, study) = (checked.patient.id(), checked.study.id());
        if let Some(days) = checked.offset {
            plan.offsets.insert(patient, days);
            adopted = Adopted::New;
        }
        if !checked.has_row {
            let accession = checked.accession.as_ref().map(PairLookup::id);
            plan.patients.insert(study, patient);
            plan.rows.push(PlannedRow {
                patient,
                study,
                accession,
                position,
            });
            adopted = Adopted::New;
        }
        adopted
    }

    fn push_pair(
        &self,
        state: &mut LedgerState<T::Snapshot>,
        id: PairId,
        original: &Phi<String>,
        name: &str,
    ) {
        let (space, kind) = (id.space(), id.kind());
        let counter = state.meta.counter(space, kind);
        *counter = id.number().max(*counter);
        *state.meta.count(space) += 1;
        state.pending.push(PendingPair {
            id,
            key: self.key(space, original.expose()),
            pair: Pair {
                original: original.clone(),
                external: (kind == PairKind::External).then(|| name.to_owned()),
                referrer: None,
            },
            name: (kind != PairKind::Numbered).then(|| self.name_key(space, name)),
        });
    }

    /// Raises a counter so that it never reaches a number that the other program has used.
    fn raise_counter(&self, meta: &mut Meta, space: Space, name: &str) {
        let Some(number) = self.identity.number(space, name) else {
            return;
        };
        if number > MAX_NUMBER - 2 * UID_STEP {
            // Our counter starts at 1 and never gets there.
            return;
        }
        let above = match space {
            Space::Uid => (number / UID_STEP + 2) * UID_STEP,
            Space::Patient | Space::Accession => number,
        };
        let counter = meta.counter(space, PairKind::Numbered);
        *counter = above.max(*counter);
    }
}

/// Returns the days by which a study of the patient was moved, if they differ from `days`.
fn other_offset<S: Snapshot>(
    snapshot: &S,
    patient: PairId,
    days: i32,
) -> Result<Option<i32>, BackendError> {
    let mut after = None;
    loop {
        let page = snapshot.studies(patient, after, PAGE)?;
        let Some((last, _)) = page.last() else {
            return Ok(None);
        };
        after = Some(*last);
        for (_, study) in page {
            let record = snapshot.study(study)?.ok_or(LedgerError::MissingRow)?;
            if record.phi.date_offset != days {
                return Ok(Some(record.phi.date_offset));
            }
        }
    }
}

/// Why a study cannot be adopted.
enum CheckError {
    NotAdopted(NotAdopted),
    Backend(BackendError),
}

impl From<NotAdopted> for CheckError {
    fn from(why: NotAdopted) -> Self {
        Self::NotAdopted(why)
    }
}

impl From<BackendError> for CheckError {
    fn from(error: BackendError) -> Self {
        Self::Backend(error)
    }
}
