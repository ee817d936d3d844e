//! [`State`]: what a ledger holds in memory. Its size does not grow with the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::BackendError;
use crate::ledger::flight::Flight;
use crate::ledger::pending::Pending;
use crate::ledger::records::{IntentRecord, Key, Meta, Pair, PairId};
use crate::ledger::tables::Snapshot;

pub(crate) struct State<S> {
    pub(crate) snapshot: Arc<S>,
    /// Counters and counts as given, totals as durable.
    pub(crate) meta: Meta,
    /// Given, and part of the next commit.
    pub(crate) pending: Pending,
    /// Part of the commit that is being written.
    pub(crate) committing: Arc<Pending>,
    pub(crate) flight: Flight,
    /// Settled, and to be forgotten with the next commit.
    pub(crate) settled: Vec<u64>,
    /// Committed and not settled.
    pub(crate) open: BTreeMap<u64, IntentRecord>,
    /// True once memory and tables may differ.
    pub(crate) broken: bool,
    /// True if any patient has days of its own by which its dates move.
    has_offsets: bool,
}

impl<S: Snapshot> State<S> {
    pub(crate) fn new(snapshot: Arc<S>, meta: Meta) -> Result<Self, BackendError> {
        let open = snapshot.intents()?.into_iter().collect();
        let has_offsets = snapshot.has_offsets()?;
        Ok(Self {
            has_offsets,
            snapshot,
            meta,
            pending: Pending::default(),
            committing: Arc::default(),
            flight: Flight::default(),
            settled: Vec::new(),
            open,
            broken: false,
        })
    }

    /// The id of an original.
    pub(crate) fn id(&mut self, key: Key) -> Result<Option<PairId>, BackendError> {
        let near = self.pending.id(key).or_else(|| self.committing.id(key));
        match near {
            Some(id) => Ok(Some(id)),
            None => self.snapshot.id(key),
        }
    }

    /// The id of a pseudonym that does not follow from its id.
    pub(crate) fn name(&self, key: Key) -> Result<Option<PairId>, BackendError> {
        let near = self.pending.name(key).or_else(|| self.committing.name(key));
        match near {
            Some(id) => Ok(Some(id)),
            None => self.snapshot.name(key),
        }
    }

    /// A pair by its id.
    pub(crate) fn pair(&self, id: PairId) -> Result<Option<Pair>, BackendError> {
        let near = self.pending.pair(id).or_else(|| self.committing.pair(id));
        match near {
            Some(pair) => Ok(Some(pair.clone())),
            None => self.snapshot.pair(id),
        }
    }

    /// The patient of a study, in flight or in the index.
    pub(crate) fn patient_of(&mut self, study: PairId) -> Result<Option<PairId>, BackendError> {
        if let Some(patient) = self.flight.patient_of(study) {
            return Ok(Some(patient));
        }
        Ok(self.snapshot.study(study)?.map(|record| record.patient))
    }

    /// Days by which a patient's dates move, where they were given from outside.
    pub(crate) fn offset(&mut self, patient: PairId) -> Result<Option<i32>, BackendError> {
        if !self.has_offsets {
            return Ok(None);
        }
        self.snapshot.offset(patient)
    }

    /// Days were given.
    pub(crate) fn offsets_changed(&mut self) {
        self.has_offsets = true;
    }

    /// The study of a series, in flight or in the index.
    pub(crate) fn study_of(&mut self, series: PairId) -> Result<Option<PairId>, BackendError> {
        if let Some(study) = self.flight.study_of(series) {
            return Ok(Some(study));
        }
        Ok(self.snapshot.series(series)?.map(|record| record.study))
    }

    /// Notes that a study is the first to refer to a UID: the pair at this place of the pending.
    pub(crate) fn refer_first(&mut self, place: usize, study: PairId) {
        self.pending.refer_first(place, study);
    }

    /// Notes that a study refers to a UID, unless that is noted already.
    pub(crate) fn refer(&mut self, uid: PairId, study: PairId) -> Result<(), BackendError> {
        let noted = self.pending.references().contains(&(uid, study))
            || self.committing.references().contains(&(uid, study))
            || self.snapshot.refers(uid, study)?;
        if !noted {
            self.pending.refer(uid, study);
        }
        Ok(())
    }

    /// What was written is found in the tables from here on.
    pub(crate) fn written(&mut self, snapshot: S) {
        self.snapshot = Arc::new(snapshot);
        self.committing = Arc::default();
    }

    /// Takes over what another process has written.
    pub(crate) fn refresh(&mut self, snapshot: S) -> Result<(), BackendError> {
        self.meta = snapshot.meta()?;
        self.open = snapshot.intents()?.into_iter().collect();
        self.snapshot = Arc::new(snapshot);
        Ok(())
    }
}
