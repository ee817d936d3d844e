//! [`Reservations`]: the relations of instances that are assigned but not committed. A contradicting
//! instance that arrives meanwhile is refused.

use std::collections::HashMap;

use crate::Fingerprint;
use crate::ledger::records::PairId;

/// What an id is related to, such as the patient of a study.
#[derive(Debug, Clone, Copy)]
struct Relation<V> {
    to: V,
    /// The instances that reserve the relation. It ends with the last of them.
    instances: u32,
}

/// The ids of an instance and of its parents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InstanceIds {
    pub(crate) patient: PairId,
    pub(crate) study: PairId,
    pub(crate) series: PairId,
    pub(crate) instance: PairId,
}

/// The relations of all instances that are assigned but not committed.
#[derive(Debug, Default)]
pub(crate) struct Reservations {
    studies: HashMap<PairId, Relation<PairId>>,
    series: HashMap<PairId, Relation<PairId>>,
    instances: HashMap<PairId, Relation<Reserved>>,
}

/// An instance that is assigned but not committed.
#[derive(Debug, Clone, Copy)]
struct Reserved {
    series: PairId,
    fingerprint: Fingerprint,
    /// Its place in the order of assignment.
    arrival: u64,
}

impl Reservations {
    pub(crate) fn patient_of(&self, study: PairId) -> Option<PairId> {
        self.studies.get(&study).map(|relation| relation.to)
    }

    pub(crate) fn study_of(&self, series: PairId) -> Option<PairId> {
        self.series.get(&series).map(|relation| relation.to)
    }

    pub(crate) fn series_of(&self, instance: PairId) -> Option<(PairId, Fingerprint)> {
        let reserved = self.instances.get(&instance)?.to;
        Some((reserved.series, reserved.fingerprint))
    }

    /// Returns the place of an instance in the order of assignment.
    pub(crate) fn arrival_of(&self, instance: PairId) -> Option<u64> {
        Some(self.instances.get(&instance)?.to.arrival)
    }

    /// Returns true if one of the instances belongs to this patient.
    pub(crate) fn has_patient(&self, patient: PairId) -> bool {
        self.studies.values().any(|relation| relation.to == patient)
    }

    /// Returns true if one of the instances uses this UID for itself, its series or its study.
    pub(crate) fn has_uid(&self, uid: PairId) -> bool {
        self.studies.contains_key(&uid)
            || self.series.contains_key(&uid)
            || self.instances.contains_key(&uid)
    }

    /// Reserves the relations of an instance. The caller has checked that they contradict no other.
    pub(crate) fn add(&mut self, ids: InstanceIds, fingerprint: Fingerprint, arrival: u64) {
        reserve(&mut self.studies, ids.study, ids.patient);
        reserve(&mut self.series, ids.series, ids.study);
        let reserved = Reserved {
            series: ids.series,
            fingerprint,
            arrival,
        };
        reserve(&mut self.instances, ids.instance, reserved);
    }

    /// Releases the relations of an instance that is committed or abandoned.
    pub(crate) fn remove(&mut self, study: PairId, series: PairId, instance: PairId) {
        // A second call for one instance must not release the relations of other instances.
        if self.instances.contains_key(&instance) {
            release(&mut self.instances, instance);
            release(&mut self.series, series);
            release(&mut self.studies, study);
        }
    }
}

fn reserve<V>(relations: &mut HashMap<PairId, Relation<V>>, from: PairId, to: V) {
    let relation = relations.entry(from);
    relation.or_insert(Relation { to, instances: 0 }).instances += 1;
}

fn release<V>(relations: &mut HashMap<PairId, Relation<V>>, from: PairId) {
    if let Some(relation) = relations.get_mut(&from) {
        relation.instances -= 1;
        if relation.instances == 0 {
            relations.remove(&from);
        }
    }
}
