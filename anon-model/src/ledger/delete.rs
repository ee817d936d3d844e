//! Deleting studies: their rows, and the pseudonyms that no other study uses.

use std::sync::Arc;

use crate::ledger::Ledger;
use crate::ledger::batch_builder::BatchBuilder;
use crate::ledger::error::LedgerError;
use crate::ledger::records::{IntentRecord, PairId, PairKind};
use crate::ledger::state::LedgerState;
use crate::ledger::tables::{Snapshot, Tables};
use crate::{BackendError, Deleted, Group, Removal, Space, Totals};

/// Rows that are read at once.
const PAGE: usize = 1000;

/// Lists of instances that are read at once. Each has as many instances as a group added.
const GROUPS: usize = 16;

impl<T: Tables> Ledger<T> {
    pub(crate) fn delete_study(&self, pseudonym: &str) -> Result<Option<Deleted>, BackendError> {
        self.delete(Space::Uid, pseudonym, |snapshot, id| {
            Ok(snapshot.study(id)?.map(|record| (record.patient, vec![id])))
        })
    }

    pub(crate) fn delete_patient(&self, pseudonym: &str) -> Result<Option<Deleted>, BackendError> {
        self.delete(Space::Patient, pseudonym, |snapshot, id| {
            if snapshot.patient(id)?.is_none() {
                return Ok(None);
            }
            let mut studies = Vec::new();
            let mut after = None;
            loop {
                let page = snapshot.studies(id, after, PAGE)?;
                let Some((last, _)) = page.last() else { break };
                after = Some(*last);
                studies.extend(page.into_iter().map(|(_, study)| study));
            }
            Ok(Some((id, studies)))
        })
    }

    fn delete(
        &self,
        space: Space,
        pseudonym: &str,
        find: impl FnOnce(&T::Snapshot, PairId) -> Result<Option<(PairId, Vec<PairId>)>, BackendError>,
    ) -> Result<Option<Deleted>, BackendError> {
        self.write_exclusively(
            |state, builder| {
                let Some(id) = self.durable_id(&builder.snapshot, space, pseudonym)? else {
                    return Ok(None);
                };
                let Some((patient, studies)) = find(&builder.snapshot, id)? else {
                    return Ok(None);
                };
                self.delete_studies(state, builder, patient, &studies)
                    .map(Some)
            },
            |state, deleted| {
                if let Some(Deleted { removal, .. }) = deleted {
                    let record = IntentRecord::Remove(removal.directories.clone());
                    state.open.insert(removal.group.0, record);
                }
            },
        )
    }

    fn delete_studies(
        &self,
        state: &LedgerState<T::Snapshot>,
        builder: &mut BatchBuilder<T::Snapshot>,
        patient: PairId,
        studies: &[PairId],
    ) -> Result<Deleted, BackendError> {
        if studies.iter().any(|study| is_busy(state, *study)) {
            return Err(LedgerError::Busy.into());
        }
        let before = builder.batch.meta.totals;
        let patient_name = self.durable_name(&builder.snapshot, patient)?;
        let mut directories = Vec::new();
        for study in studies {
            let name = self.durable_name(&builder.snapshot, *study)?;
            directories.push([patient_name.clone(), name]);
            let ids = delete_rows(builder, *study)?;
            if builder.study(*study)?.is_some() {
                // The row of an adopted study stays when its last instance is removed.
                builder.remove_study(patient, *study)?;
            }
            for id in ids {
                if !is_used(state, builder, id, studies)? {
                    self.delete_pair(builder, id)?;
                }
            }
        }
        builder.check_what_is_left()?;
        let is_last = builder.patient(patient)?.is_none();
        if is_last && patient != PairId::NO_PATIENT && !state.reservations.has_patient(patient) {
            self.delete_pair(builder, patient)?;
        }
        builder.batch.meta.group += 1;
        let group = builder.batch.meta.group;
        let intent = IntentRecord::Remove(directories.clone());
        builder.batch.intents.insert(group, Some(intent));
        let after = builder.batch.meta.totals;
        Ok(Deleted {
            removal: Removal {
                group: Group(group),
                directories,
            },
            totals: Totals {
                patients: before.patients - after.patients,
                studies: before.studies - after.studies,
                series: before.series - after.series,
                instances: before.instances - after.instances,
                bytes: before.bytes - after.bytes,
            },
        })
    }

    fn delete_pair(
        &self,
        builder: &mut BatchBuilder<T::Snapshot>,
        id: PairId,
    ) -> Result<(), BackendError> {
        let pair = builder.snapshot.pair(id)?.ok_or(LedgerError::MissingRow)?;
        let key = self.key(id.space(), pair.original.expose());
        let name = match id.kind() {
            PairKind::Numbered => None,
            PairKind::Computed | PairKind::External => {
                Some(self.name_key(id.space(), &self.pair_name(id, &pair)?))
            }
        };
        if id.space() == Space::Patient && builder.snapshot.offset(id)?.is_some() {
            // Nothing of a deleted patient stays but its number.
            builder.batch.offsets.insert(id, None);
        }
        builder.batch.removed_pairs.push((id, key, name));
        let count = builder.batch.meta.count(id.space());
        *count = count.saturating_sub(1);
        Ok(())
    }
}

fn is_busy<S: Snapshot>(state: &LedgerState<S>, study: PairId) -> bool {
    state.reservations.patient_of(study).is_some()
        || state.open.values().any(|intent| {
            let mut outputs = intent.outputs().iter();
            outputs.any(|output| output.study == study)
        })
}

/// Removes all rows of a study. Returns the ids of its UIDs, each once.
fn delete_rows<S: Snapshot>(
    builder: &mut BatchBuilder<S>,
    study: PairId,
) -> Result<Vec<PairId>, BackendError> {
    let snapshot = Arc::clone(&builder.snapshot);
    let mut ids = vec![study];
    let mut after = None;
    loop {
        let page = snapshot.series_of(study, after, PAGE)?;
        let Some(last) = page.last() else { break };
        after = Some(*last);
        for series in page {
            ids.push(series);
            let mut after = None;
            loop {
                let page = snapshot.members(series, after, GROUPS)?;
                let Some((last, _)) = page.last() else { break };
                after = Some(*last);
                for instance in page.into_iter().flat_map(|(_, instances)| instances) {
                    if builder.remove(series, instance)? {
                        ids.push(instance);
                    }
                }
            }
        }
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// Returns true if the index or a reservation still uses a UID, or a study that is not in `deleted`
/// refers to it.
fn is_used<S: Snapshot>(
    state: &LedgerState<S>,
    builder: &mut BatchBuilder<S>,
    uid: PairId,
    deleted: &[PairId],
) -> Result<bool, BackendError> {
    if state.reservations.has_uid(uid)
        || builder.study(uid)?.is_some()
        || builder.series(uid)?.is_some()
        || builder.instance(uid)?.is_some()
    {
        return Ok(true);
    }
    let pending = Arc::clone(&builder.batch.pending);
    let referrers = pending
        .references()
        .range((uid, PairId(0))..=(uid, PairId(u64::MAX)));
    // Only durable pairs have rows to delete, so the pair is in the snapshot.
    let first = builder.snapshot.pair(uid)?.and_then(|pair| pair.referrer);
    let mut referring: Vec<PairId> = referrers.map(|(_, study)| *study).chain(first).collect();
    let mut after = None;
    loop {
        for study in referring.drain(..) {
            let exists =
                builder.study(study)?.is_some() || state.reservations.patient_of(study).is_some();
            if exists && !deleted.contains(&study) {
                return Ok(true);
            }
        }
        referring = builder.snapshot.referring(uid, after, PAGE)?;
        after = referring.last().copied();
        if referring.is_empty() {
            return Ok(false);
        }
    }
}
