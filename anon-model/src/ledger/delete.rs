//! Deletion: rows, and the pseudonyms nobody else uses.

use std::sync::Arc;

use crate::ledger::Ledger;
use crate::ledger::draft::Draft;
use crate::ledger::fault::Fault;
use crate::ledger::records::{IntentRecord, Kind, PairId};
use crate::ledger::state::State;
use crate::ledger::tables::{Snapshot, Tables};
use crate::{BackendError, Deleted, Group, Removal, Space, Totals};

/// Rows read at once.
const PAGE: usize = 1000;

/// Lists of instances read at once: each has as many as a group brought.
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
        self.write_alone(
            |state, draft| {
                let Some(id) = self.durable_id(&draft.snapshot, space, pseudonym)? else {
                    return Ok(None);
                };
                let Some((patient, studies)) = find(&draft.snapshot, id)? else {
                    return Ok(None);
                };
                self.delete_studies(state, draft, patient, &studies)
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
        state: &State<T::Snapshot>,
        draft: &mut Draft<T::Snapshot>,
        patient: PairId,
        studies: &[PairId],
    ) -> Result<Deleted, BackendError> {
        if studies.iter().any(|study| is_busy(state, *study)) {
            return Err(Fault::Busy.into());
        }
        let before = draft.batch.meta.totals;
        let patient_name = self.durable_name(&draft.snapshot, patient)?;
        let mut directories = Vec::new();
        for study in studies {
            let name = self.durable_name(&draft.snapshot, *study)?;
            directories.push([patient_name.clone(), name]);
            let ids = delete_rows(draft, *study)?;
            if draft.study(*study)?.is_some() {
                // One that was given from outside stays without instances.
                draft.remove_study(patient, *study)?;
            }
            for id in ids {
                if !is_used(state, draft, id, studies)? {
                    self.delete_pair(draft, id)?;
                }
            }
        }
        let gone = draft.patient(patient)?.is_none();
        if gone && patient != PairId::NO_PATIENT && !state.flight.holds_patient(patient) {
            self.delete_pair(draft, patient)?;
        }
        draft.batch.meta.group += 1;
        let group = draft.batch.meta.group;
        let intent = IntentRecord::Remove(directories.clone());
        draft.batch.intents.insert(group, Some(intent));
        let after = draft.batch.meta.totals;
        Ok(Deleted {
            removal: Removal {
                group: Group(group),
                directories,
            },
            totals: Totals {
                // Rows without instances are not in the totals, and are lost all the same.
                patients: u64::from(gone && patient != PairId::NO_PATIENT),
                studies: studies.len() as u64,
                series: before.series - after.series,
                instances: before.instances - after.instances,
                bytes: before.bytes - after.bytes,
            },
        })
    }

    fn delete_pair(&self, draft: &mut Draft<T::Snapshot>, id: PairId) -> Result<(), BackendError> {
        let pair = draft.snapshot.pair(id)?.ok_or(Fault::Dangling)?;
        let key = self.key(id.space(), pair.original.expose());
        let name = match id.kind() {
            Kind::Numbered => None,
            Kind::Computed | Kind::Given => {
                Some(self.name_key(id.space(), &self.pair_name(id, &pair)?))
            }
        };
        if id.space() == Space::Patient && draft.snapshot.offset(id)?.is_some() {
            // Its number may come back for another original, and must bring nothing along.
            draft.batch.offsets.insert(id, None);
        }
        draft.batch.removed_pairs.push((id, key, name));
        let count = draft.batch.meta.count(id.space());
        *count = count.saturating_sub(1);
        Ok(())
    }
}

fn is_busy<S: Snapshot>(state: &State<S>, study: PairId) -> bool {
    state.flight.patient_of(study).is_some()
        || state.open.values().any(|intent| match intent {
            IntentRecord::Publish(outputs) => outputs.iter().any(|output| output.study == study),
            IntentRecord::Remove(_) => false,
        })
}

/// Takes all rows of a study out. The ids of its UIDs, each once.
fn delete_rows<S: Snapshot>(
    draft: &mut Draft<S>,
    study: PairId,
) -> Result<Vec<PairId>, BackendError> {
    let snapshot = Arc::clone(&draft.snapshot);
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
                    if draft.remove(series, instance)? {
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

/// True if a UID still has a role in the index or in flight, or a study outside `deleted` refers to it.
fn is_used<S: Snapshot>(
    state: &State<S>,
    draft: &mut Draft<S>,
    uid: PairId,
    deleted: &[PairId],
) -> Result<bool, BackendError> {
    if state.flight.holds_uid(uid)
        || draft.study(uid)?.is_some()
        || draft.series(uid)?.is_some()
        || draft.instance(uid)?.is_some()
    {
        return Ok(true);
    }
    let given = Arc::clone(&draft.batch.given);
    let noted = given
        .references()
        .range((uid, PairId(0))..=(uid, PairId(u64::MAX)));
    // A pair that is not durable has no rows: it is never asked for here.
    let first = draft.snapshot.pair(uid)?.and_then(|pair| pair.referrer);
    let mut referring: Vec<PairId> = noted.map(|(_, study)| *study).chain(first).collect();
    let mut after = None;
    loop {
        for study in referring.drain(..) {
            let lives = draft.study(study)?.is_some() || state.flight.patient_of(study).is_some();
            if lives && !deleted.contains(&study) {
                return Ok(true);
            }
        }
        referring = draft.snapshot.referring(uid, after, PAGE)?;
        after = referring.last().copied();
        if referring.is_empty() {
            return Ok(false);
        }
    }
}
