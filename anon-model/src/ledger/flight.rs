//! [`Flight`]: what holds between assign and commit, so that contradicting instances in flight are
//! refused.

use std::collections::HashMap;

use crate::Fingerprint;
use crate::ledger::records::PairId;

/// A relation that some instances in flight hold.
#[derive(Debug, Clone, Copy)]
struct Held<V> {
    to: V,
    /// Instances that hold it. The last one gone takes it along.
    by: u32,
}

/// The place of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) patient: PairId,
    pub(crate) study: PairId,
    pub(crate) series: PairId,
    pub(crate) instance: PairId,
}

/// The relations of the instances in flight.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    studies: HashMap<PairId, Held<PairId>>,
    series: HashMap<PairId, Held<PairId>>,
    instances: HashMap<PairId, Held<(PairId, Fingerprint)>>,
}

impl Flight {
    pub(crate) fn patient_of(&self, study: PairId) -> Option<PairId> {
        self.studies.get(&study).map(|held| held.to)
    }

    pub(crate) fn study_of(&self, series: PairId) -> Option<PairId> {
        self.series.get(&series).map(|held| held.to)
    }

    pub(crate) fn series_of(&self, instance: PairId) -> Option<(PairId, Fingerprint)> {
        self.instances.get(&instance).map(|held| held.to)
    }

    /// True if an instance in flight is one of this patient.
    pub(crate) fn holds_patient(&self, patient: PairId) -> bool {
        self.studies.values().any(|held| held.to == patient)
    }

    /// True if a UID has a role in an instance in flight.
    pub(crate) fn holds_uid(&self, uid: PairId) -> bool {
        self.studies.contains_key(&uid)
            || self.series.contains_key(&uid)
            || self.instances.contains_key(&uid)
    }

    /// An instance takes off. Its relations do not contradict those that are held: the caller has
    /// looked.
    pub(crate) fn add(&mut self, place: Place, fingerprint: Fingerprint) {
        hold(&mut self.studies, place.study, place.patient);
        hold(&mut self.series, place.series, place.study);
        hold(
            &mut self.instances,
            place.instance,
            (place.series, fingerprint),
        );
    }

    /// An instance has landed, or will not.
    pub(crate) fn remove(&mut self, study: PairId, series: PairId, instance: PairId) {
        // An instance that never took off holds nothing: letting go twice must not let go of what
        // others hold.
        if self.instances.contains_key(&instance) {
            release(&mut self.instances, instance);
            release(&mut self.series, series);
            release(&mut self.studies, study);
        }
    }
}

fn hold<V>(relations: &mut HashMap<PairId, Held<V>>, from: PairId, to: V) {
    relations.entry(from).or_insert(Held { to, by: 0 }).by += 1;
}

fn release<V>(relations: &mut HashMap<PairId, Held<V>>, from: PairId) {
    if let Some(held) = relations.get_mut(&from) {
        held.by -= 1;
        if held.by == 0 {
            relations.remove(&from);
        }
    }
}
