//! Commits: one batch, one transaction.

use std::sync::{Arc, MutexGuard, PoisonError};

use crate::ledger::Ledger;
use crate::ledger::draft::Draft;
use crate::ledger::fault::Fault;
use crate::ledger::records::{IntentRecord, Meta, Output, PairId};
use crate::ledger::state::State;
use crate::ledger::tables::{Batch, Tables};
use crate::{BackendError, Group, NewInstance, Phi, RulesRecord, Space};

/// What a batch was made of that has to come back if it cannot be written.
pub(super) struct Taken<S> {
    pub(super) draft: Draft<S>,
    settled: Vec<u64>,
}

impl<T: Tables> Ledger<T> {
    /// Writes a batch while others go on giving pseudonyms.
    fn write<R>(
        &self,
        edit: impl FnOnce(&mut Draft<T::Snapshot>) -> Result<R, BackendError>,
        then: impl FnOnce(&mut State<T::Snapshot>, &R),
    ) -> Result<R, BackendError> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = take(&mut *self.lock_to_change()?);
        let written = edit(&mut taken.draft).and_then(|answer| {
            self.tables.apply(&taken.draft.batch)?;
            Ok(answer)
        });
        let mut state = self.state.lock().map_err(|_| Fault::Poisoned)?;
        self.conclude(&mut state, taken, written, then)
    }

    /// Writes a batch that removes rows: nobody may look at them meanwhile.
    pub(crate) fn write_alone<R>(
        &self,
        edit: impl FnOnce(&mut State<T::Snapshot>, &mut Draft<T::Snapshot>) -> Result<R, BackendError>,
        then: impl FnOnce(&mut State<T::Snapshot>, &R),
    ) -> Result<R, BackendError> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state: MutexGuard<'_, _> = self.lock_to_change()?;
        let mut taken = take(&mut state);
        let written = edit(&mut state, &mut taken.draft).and_then(|answer| {
            self.tables.apply(&taken.draft.batch)?;
            Ok(answer)
        });
        self.conclude(&mut state, taken, written, then)
    }

    pub(super) fn conclude<R>(
        &self,
        state: &mut State<T::Snapshot>,
        taken: Taken<T::Snapshot>,
        written: Result<R, BackendError>,
        then: impl FnOnce(&mut State<T::Snapshot>, &R),
    ) -> Result<R, BackendError> {
        let Taken { draft, settled } = taken;
        match written {
            Ok(answer) => {
                let snapshot = self
                    .tables
                    .snapshot()
                    .inspect_err(|_| state.broken = true)?;
                state.written(snapshot);
                keep(&mut state.meta, &draft.batch);
                then(state, &answer);
                Ok(answer)
            }
            Err(error) => {
                state.pending.put_back(&draft.batch.given);
                state.committing = Arc::default();
                state.settled.extend(settled);
                Err(error)
            }
        }
    }

    pub(crate) fn ready(&self, bytes: u64) -> Result<(), BackendError> {
        self.tables.ready(bytes)
    }

    pub(crate) fn commit(&self, group: &[NewInstance]) -> Result<Group, BackendError> {
        let edit = |draft: &mut Draft<T::Snapshot>| {
            draft.batch.meta.group += 1;
            let number = draft.batch.meta.group;
            let outputs: Result<Vec<_>, _> = group.iter().map(|new| self.add(draft, new)).collect();
            let outputs = outputs?;
            if !outputs.is_empty() {
                let intent = IntentRecord::Publish(outputs.clone());
                draft.batch.intents.insert(number, Some(intent));
            }
            Ok((number, outputs))
        };
        let then = |state: &mut State<T::Snapshot>, (number, outputs): &(u64, Vec<Output>)| {
            for output in outputs {
                state
                    .flight
                    .remove(output.study, output.series, output.instance);
            }
            if !outputs.is_empty() {
                state
                    .open
                    .insert(*number, IntentRecord::Publish(outputs.clone()));
            }
        };
        let (number, _) = self.write(edit, then)?;
        Ok(Group(number))
    }

    fn add(
        &self,
        draft: &mut Draft<T::Snapshot>,
        new: &NewInstance,
    ) -> Result<Output, BackendError> {
        let mut uid = |uid: &Phi<String>| {
            let id = draft.id(self.key(Space::Uid, uid.expose()))?;
            id.ok_or(BackendError::from(Fault::Unassigned))
        };
        let study = uid(&new.study_uid)?;
        let series = uid(&new.series_uid)?;
        let instance = uid(&new.instance_uid)?;
        let patient = if new.patient_key.expose().is_empty() {
            PairId::NO_PATIENT
        } else {
            let key = self.key(Space::Patient, new.patient_key.expose());
            draft.id(key)?.ok_or(Fault::Unassigned)?
        };
        // Only the first instance of a study is asked: what it captured stays.
        let accession = match &new.study.accession {
            Some(accession) if draft.study(study)?.is_none() => {
                draft.id(self.key(Space::Accession, accession.expose()))?
            }
            _ => None,
        };
        let added = draft.add([patient, study, series, instance], accession, new)?;
        Ok(Output {
            patient,
            study,
            series,
            instance,
            added,
        })
    }

    pub(crate) fn settle(&self, group: Group, unpublished: &[usize]) -> Result<(), BackendError> {
        let intent = {
            let mut state = self.lock_to_change()?;
            if unpublished.is_empty() {
                if state.open.remove(&group.0).is_some() {
                    state.settled.push(group.0);
                }
                return Ok(());
            }
            state.open.get(&group.0).cloned()
        };
        let Some(intent) = intent else { return Ok(()) };
        let IntentRecord::Publish(outputs) = intent else {
            return Err(Fault::Positions.into());
        };
        let missing: Option<Vec<Output>> = unpublished
            .iter()
            .map(|place| outputs.get(*place).copied())
            .collect();
        let missing = missing.ok_or(Fault::Positions)?;
        self.write_alone(
            |_, draft| {
                for output in missing.iter().filter(|output| output.added) {
                    draft.remove(output.series, output.instance)?;
                }
                draft.batch.intents.insert(group.0, None);
                Ok(())
            },
            |state, ()| {
                state.open.remove(&group.0);
            },
        )
    }

    pub(crate) fn flush(&self) -> Result<(), BackendError> {
        let waits = {
            let state = self.lock_to_change()?;
            !(state.pending.is_empty() && state.committing.is_empty() && state.settled.is_empty())
        };
        if waits {
            self.write(|_| Ok(()), |_, ()| ())?;
        }
        Ok(())
    }

    pub(crate) fn accept_rules(&self, rules: &RulesRecord) -> Result<(), BackendError> {
        self.write(
            |draft| {
                use crate::ledger::tables::Snapshot as _;
                let last = draft.snapshot.rules()?.pop();
                if last.is_none_or(|last| last.digest != rules.digest) {
                    draft.batch.meta.rules += 1;
                    draft.batch.rules = Some((draft.batch.meta.rules, rules.clone()));
                }
                Ok(())
            },
            |_, ()| (),
        )
    }

    pub(crate) fn expect_instances(
        &self,
        study_uid: &Phi<String>,
        target: u64,
    ) -> Result<i64, BackendError> {
        use crate::ledger::tables::Snapshot as _;
        let (snapshot, _) = self.view()?;
        let all = i64::try_from(target).unwrap_or(i64::MAX);
        let Some(id) = snapshot.id(self.key(Space::Uid, study_uid.expose()))? else {
            return Ok(all);
        };
        let Some(record) = snapshot.study(id)? else {
            return Ok(all);
        };
        let stored = if record.target == target {
            record.instances
        } else {
            self.write(
                |draft| {
                    Ok(draft.study(id)?.map_or(0, |record| {
                        record.target = target;
                        record.instances
                    }))
                },
                |_, _| (),
            )?
        };
        Ok(all.saturating_sub(i64::try_from(stored).unwrap_or(i64::MAX)))
    }
}

/// Takes what waits into a draft.
pub(super) fn take<S: crate::ledger::tables::Snapshot>(state: &mut State<S>) -> Taken<S> {
    state.committing = Arc::new(std::mem::take(&mut state.pending));
    let settled = std::mem::take(&mut state.settled);
    let batch = Batch {
        given: Arc::clone(&state.committing),
        intents: settled.iter().map(|group| (*group, None)).collect(),
        meta: state.meta.clone(),
        ..Batch::default()
    };
    Taken {
        draft: Draft::new(Arc::clone(&state.snapshot), batch),
        settled,
    }
}

/// Takes over what only a batch changes. Counters and counts have moved on since it was begun.
fn keep(meta: &mut Meta, batch: &Batch) {
    meta.group = batch.meta.group;
    meta.sight = batch.meta.sight;
    meta.rules = batch.meta.rules;
    meta.totals = batch.meta.totals;
    for (id, ..) in &batch.removed_pairs {
        let count = meta.count(id.space());
        *count = count.saturating_sub(1);
    }
}
