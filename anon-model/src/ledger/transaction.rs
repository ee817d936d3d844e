//! Commits: a batch is written in one transaction.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use crate::ledger::Ledger;
use crate::ledger::batch_builder::{Addition, BatchBuilder};
use crate::ledger::error::LedgerError;
use crate::ledger::records::{
    AccessionValue, CapturedValues, InstanceRecord, IntentRecord, Meta, OutputRecord, PairId,
    RemarksRecord, ReplacementRecord,
};
use crate::ledger::state::LedgerState;
use crate::ledger::tables::{Batch, Snapshot, Tables};
use crate::{BackendError, Group, NewInstance, Phi, RulesRecord, Space};

/// A batch that is being built, and what to restore if it cannot be written.
pub(super) struct Transaction<S> {
    pub(super) builder: BatchBuilder<S>,
    /// The groups whose intents the batch deletes.
    settled: Vec<u64>,
}

impl<T: Tables> Ledger<T> {
    /// Writes a batch. Other threads can assign pseudonyms meanwhile.
    pub(super) fn write<R>(
        &self,
        edit: impl FnOnce(&mut BatchBuilder<T::Snapshot>) -> Result<R, BackendError>,
        then: impl FnOnce(&mut LedgerState<T::Snapshot>, &R),
    ) -> Result<R, BackendError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut transaction = begin(&mut *self.lock_to_change()?, self.tables.hash_key());
        let written = edit(&mut transaction.builder).and_then(|result| {
            self.tables.apply(&transaction.builder.batch)?;
            Ok(result)
        });
        let mut state = self.state.lock().map_err(|_| LedgerError::Poisoned)?;
        self.finish(&mut state, transaction, written, then)
    }

    /// Writes a batch that removes rows. Other threads wait, so that none of them uses such a row.
    pub(crate) fn write_exclusively<R>(
        &self,
        edit: impl FnOnce(
            &mut LedgerState<T::Snapshot>,
            &mut BatchBuilder<T::Snapshot>,
        ) -> Result<R, BackendError>,
        then: impl FnOnce(&mut LedgerState<T::Snapshot>, &R),
    ) -> Result<R, BackendError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state: MutexGuard<'_, _> = self.lock_to_change()?;
        let mut transaction = begin(&mut state, self.tables.hash_key());
        let written = edit(&mut state, &mut transaction.builder).and_then(|result| {
            self.tables.apply(&transaction.builder.batch)?;
            Ok(result)
        });
        self.finish(&mut state, transaction, written, then)
    }

    /// Ends a transaction after the tables were written, or were not.
    pub(super) fn finish<R>(
        &self,
        state: &mut LedgerState<T::Snapshot>,
        transaction: Transaction<T::Snapshot>,
        written: Result<R, BackendError>,
        then: impl FnOnce(&mut LedgerState<T::Snapshot>, &R),
    ) -> Result<R, BackendError> {
        let Transaction { builder, settled } = transaction;
        match written {
            Ok(result) => {
                let snapshot = self
                    .tables
                    .snapshot()
                    .inspect_err(|_| state.broken = true)?;
                state.written(snapshot);
                update_meta(&mut state.meta, &builder.batch);
                then(state, &result);
                Ok(result)
            }
            Err(error) => {
                state.pending.restore(&builder.batch.pending);
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
        let edit = |builder: &mut BatchBuilder<T::Snapshot>| {
            builder.batch.meta.group += 1;
            let number = builder.batch.meta.group;
            let mut replacing = group.iter().filter_map(|new| Some((new, new.replaces?)));
            let intent = match replacing.next() {
                None => IntentRecord::Publish(self.add_all(builder, group)?),
                Some((new, digest)) if group.len() == 1 => self.replace(builder, new, digest)?,
                Some(_) => return Err(LedgerError::Contradiction.into()),
            };
            if !intent.outputs().is_empty() {
                builder.batch.intents.insert(number, Some(intent.clone()));
            }
            Ok((number, intent))
        };
        let then = |state: &mut LedgerState<T::Snapshot>,
                    (number, intent): &(u64, IntentRecord)| {
            for output in intent.outputs() {
                state
                    .reservations
                    .remove(output.study, output.series, output.instance);
            }
            if !intent.outputs().is_empty() {
                state.open.insert(*number, intent.clone());
            }
        };
        let (number, _) = self.write(edit, then)?;
        Ok(Group(number))
    }

    /// Adds the instances of a group to the index.
    fn add_all(
        &self,
        builder: &mut BatchBuilder<T::Snapshot>,
        group: &[NewInstance],
    ) -> Result<Vec<OutputRecord>, BackendError> {
        let outputs: Result<Vec<OutputRecord>, _> =
            group.iter().map(|new| self.ids(builder, new)).collect();
        let mut outputs = outputs?;
        let arrivals = self.arrivals(builder, &outputs)?;
        // The instance of each study whose accession numbers were captured last, with its arrival.
        let mut captured: HashMap<PairId, (u64, &NewInstance)> = HashMap::new();
        for ((output, arrival), new) in outputs.iter_mut().zip(arrivals).zip(group) {
            let ids = [output.patient, output.study, output.series, output.instance];
            let Addition::New { before } = builder.add(ids, arrival, new)? else {
                output.added = false;
                continue;
            };
            let is_first = before.is_none_or(|before| arrival < before);
            let last = captured.get(&output.study);
            let is_known = last.is_some_and(|(earlier, last)| {
                *earlier <= arrival && last.accessions == new.accessions
            });
            if is_first || !is_known {
                captured.insert(output.study, (arrival, new));
                let values = self.accessions(builder, new)?;
                builder.capture_accessions(output.study, arrival, before, &values)?;
            }
        }
        Ok(outputs)
    }

    /// Replaces an instance of the index. The values of its study stay those that were captured
    /// first, and its own are added to them.
    fn replace(
        &self,
        builder: &mut BatchBuilder<T::Snapshot>,
        new: &NewInstance,
        digest: [u8; 16],
    ) -> Result<IntentRecord, BackendError> {
        let output = OutputRecord {
            added: false,
            ..self.ids(builder, new)?
        };
        let member = InstanceRecord {
            series: output.series,
            fingerprint: new.fingerprint,
            bytes: new.output_bytes,
        };
        let remarks = RemarksRecord::of(&new.remarks);
        let held = builder.replace(output.instance, member, remarks)?;
        let (before, remarks) = held.ok_or(LedgerError::Contradiction)?;
        let arrival = self.arrivals(builder, &[output])?.pop();
        let values = CapturedValues {
            arrival: arrival.ok_or(LedgerError::Unassigned)?,
            patient: &new.patient,
            study: &new.study,
            is_of_other_patient: new.names.filed_under.is_some(),
        };
        let first = builder.capture(output.patient, output.study, &values)?;
        let accessions = self.accessions(builder, new)?;
        builder.capture_accessions(output.study, values.arrival, first, &accessions)?;
        Ok(IntentRecord::Replace(ReplacementRecord {
            output,
            digest,
            before,
            remarks,
        }))
    }

    /// Returns the ids of an instance.
    fn ids(
        &self,
        builder: &mut BatchBuilder<T::Snapshot>,
        new: &NewInstance,
    ) -> Result<OutputRecord, BackendError> {
        let mut uid = |uid: &Phi<String>| {
            let id = builder.id(self.key(Space::Uid, uid.expose()))?;
            id.ok_or(BackendError::from(LedgerError::Unassigned))
        };
        let study = uid(&new.study_uid)?;
        let series = uid(&new.series_uid)?;
        let instance = uid(&new.instance_uid)?;
        let patient = if new.patient_key.expose().is_empty() {
            PairId::NO_PATIENT
        } else {
            let key = self.key(Space::Patient, new.patient_key.expose());
            builder.id(key)?.ok_or(LedgerError::Unassigned)?
        };
        Ok(OutputRecord {
            patient,
            study,
            series,
            instance,
            added: true,
        })
    }

    /// Returns the place of each instance in the order of assignment.
    fn arrivals(
        &self,
        builder: &mut BatchBuilder<T::Snapshot>,
        outputs: &[OutputRecord],
    ) -> Result<Vec<u64>, BackendError> {
        let mut state = self.lock_to_change()?;
        let arrivals = outputs.iter().map(|output| {
            let reserved = state.reservations.arrival_of(output.instance);
            // Abandoned before it was committed: it comes last.
            reserved.unwrap_or_else(|| state.next_arrival())
        });
        let arrivals = arrivals.collect();
        builder.batch.meta.first_seen = state.meta.first_seen;
        Ok(arrivals)
    }

    /// Returns the accession numbers of an instance, with their pairs.
    fn accessions(
        &self,
        builder: &mut BatchBuilder<T::Snapshot>,
        new: &NewInstance,
    ) -> Result<Vec<AccessionValue>, BackendError> {
        let value = |text: &Phi<String>| {
            Ok(AccessionValue {
                pair: builder.id(self.key(Space::Accession, text.expose()))?,
                text: text.clone(),
            })
        };
        new.accessions.iter().map(value).collect()
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
        let missing: Option<Vec<OutputRecord>> = unpublished
            .iter()
            .map(|position| intent.outputs().get(*position).copied())
            .collect();
        let missing = missing.ok_or(LedgerError::UnknownPositions)?;
        self.write_exclusively(
            |_, builder| {
                for output in missing.iter().filter(|output| output.added) {
                    builder.remove(output.series, output.instance)?;
                }
                if let IntentRecord::Replace(replacement) = &intent {
                    let ReplacementRecord {
                        before, remarks, ..
                    } = replacement.clone();
                    builder.replace(replacement.output.instance, before, remarks)?;
                }
                builder.check_what_is_left()?;
                builder.batch.intents.insert(group.0, None);
                Ok(())
            },
            |state, ()| {
                state.open.remove(&group.0);
            },
        )
    }

    pub(crate) fn flush(&self) -> Result<(), BackendError> {
        let has_changes = {
            let state = self.lock_to_change()?;
            !(state.pending.is_empty() && state.committing.is_empty() && state.settled.is_empty())
        };
        if has_changes {
            self.write(|_| Ok(()), |_, ()| ())?;
        }
        Ok(())
    }

    pub(crate) fn accept_rules(&self, rules: &RulesRecord) -> Result<(), BackendError> {
        self.write(
            |builder| {
                let last = builder.snapshot.rules()?.pop();
                if last.is_none_or(|last| last.digest != rules.digest) {
                    builder.batch.meta.rules += 1;
                    builder.batch.rules = Some((builder.batch.meta.rules, rules.clone()));
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
        let snapshot = self.snapshot()?;
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
                |builder| {
                    Ok(builder.study(id)?.map_or(0, |record| {
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

/// Starts a transaction with the pairs and settled groups that are not written yet.
pub(super) fn begin<S: Snapshot>(
    state: &mut LedgerState<S>,
    hash_key: &[u8; 32],
) -> Transaction<S> {
    state.committing = Arc::new(std::mem::take(&mut state.pending));
    let settled = std::mem::take(&mut state.settled);
    let batch = Batch {
        pending: Arc::clone(&state.committing),
        intents: settled.iter().map(|group| (*group, None)).collect(),
        meta: state.meta.clone(),
        ..Batch::default()
    };
    Transaction {
        builder: BatchBuilder::new(Arc::clone(&state.snapshot), batch, *hash_key),
        settled,
    }
}

/// Copies the values that only a batch changes. Counters and counts may have risen since it began.
fn update_meta(meta: &mut Meta, batch: &Batch) {
    meta.group = batch.meta.group;
    meta.first_seen = meta.first_seen.max(batch.meta.first_seen);
    meta.rules = batch.meta.rules;
    meta.totals = batch.meta.totals;
    for (id, ..) in &batch.removed_pairs {
        let count = meta.count(id.space());
        *count = count.saturating_sub(1);
    }
}
