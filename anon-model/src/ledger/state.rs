//! [`LedgerState`]: what a ledger holds in memory. Its size does not depend on that of the store.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use crate::BackendError;
use crate::ledger::pending::Pending;
use crate::ledger::records::{IntentRecord, Key, Meta, Pair, PairId};
use crate::ledger::reservations::Reservations;
use crate::ledger::tables::Snapshot;

/// The snapshot of a ledger. Only one that reads beside a writer gives it up between calls.
pub(crate) struct HeldSnapshot<S>(Option<Arc<S>>);

impl<S> HeldSnapshot<S> {
    /// Gives the snapshot up, until the next call takes another one. A snapshot keeps the writer from
    /// using the space of older rows again.
    pub(crate) fn release(&mut self) {
        self.0 = None;
    }
}

impl<S> Deref for HeldSnapshot<S> {
    type Target = Arc<S>;

    fn deref(&self) -> &Arc<S> {
        let snapshot = self.0.as_ref();
        snapshot.expect("a ledger that gave up its snapshot takes one when it is locked")
    }
}

pub(crate) struct LedgerState<S> {
    pub(crate) snapshot: HeldSnapshot<S>,
    /// Counters and counts include pairs that are not durable yet; totals do not.
    pub(crate) meta: Meta,
    /// The pairs of the next commit.
    pub(crate) pending: Pending,
    /// The pairs of the commit that is being written.
    pub(crate) committing: Arc<Pending>,
    pub(crate) reservations: Reservations,
    /// Groups that are settled. The next commit deletes their intents.
    pub(crate) settled: Vec<u64>,
    /// Groups that are committed and not settled.
    pub(crate) open: BTreeMap<u64, IntentRecord>,
    /// True once this state may differ from the tables.
    pub(crate) broken: bool,
    /// True if any patient has adopted days by which its dates move.
    has_offsets: bool,
}

impl<S: Snapshot> LedgerState<S> {
    pub(crate) fn new(snapshot: Arc<S>, meta: Meta) -> Result<Self, BackendError> {
        let open = snapshot.intents()?.into_iter().collect();
        let has_offsets = snapshot.has_offsets()?;
        Ok(Self {
            has_offsets,
            snapshot: HeldSnapshot(Some(snapshot)),
            meta,
            pending: Pending::default(),
            committing: Arc::default(),
            reservations: Reservations::default(),
            settled: Vec::new(),
            open,
            broken: false,
        })
    }

    /// Returns the id of an original.
    pub(crate) fn id(&mut self, key: Key) -> Result<Option<PairId>, BackendError> {
        let recent = self.pending.id(key).or_else(|| self.committing.id(key));
        match recent {
            Some(id) => Ok(Some(id)),
            None => self.snapshot.id(key),
        }
    }

    /// Returns the id that belongs to the key of a pseudonym. Numbered pseudonyms have no key.
    pub(crate) fn name(&self, key: Key) -> Result<Option<PairId>, BackendError> {
        let recent = self.pending.name(key).or_else(|| self.committing.name(key));
        match recent {
            Some(id) => Ok(Some(id)),
            None => self.snapshot.name(key),
        }
    }

    /// Returns the pair with an id.
    pub(crate) fn pair(&self, id: PairId) -> Result<Option<Pair>, BackendError> {
        let recent = self.pending.pair(id).or_else(|| self.committing.pair(id));
        match recent {
            Some(pair) => Ok(Some(pair.clone())),
            None => self.snapshot.pair(id),
        }
    }

    /// Returns the patient of a study, reserved or in the index.
    pub(crate) fn patient_of(&mut self, study: PairId) -> Result<Option<PairId>, BackendError> {
        if let Some(patient) = self.reservations.patient_of(study) {
            return Ok(Some(patient));
        }
        Ok(self.snapshot.study(study)?.map(|record| record.patient))
    }

    /// Returns the days by which a patient's dates move, if they were adopted.
    pub(crate) fn offset(&mut self, patient: PairId) -> Result<Option<i32>, BackendError> {
        if !self.has_offsets {
            return Ok(None);
        }
        self.snapshot.offset(patient)
    }

    /// Notes that days were adopted.
    pub(crate) fn offsets_changed(&mut self) {
        self.has_offsets = true;
    }

    /// Returns the study of a series, reserved or in the index.
    pub(crate) fn study_of(&mut self, series: PairId) -> Result<Option<PairId>, BackendError> {
        if let Some(study) = self.reservations.study_of(series) {
            return Ok(Some(study));
        }
        Ok(self.snapshot.series(series)?.map(|record| record.study))
    }

    /// Returns the next place in the order of assignment.
    pub(crate) fn next_arrival(&mut self) -> u64 {
        self.meta.first_seen += 1;
        self.meta.first_seen
    }

    /// Records that a study refers to a UID, unless that is recorded already.
    pub(crate) fn add_reference(&mut self, uid: PairId, study: PairId) -> Result<(), BackendError> {
        let known = self.pending.references().contains(&(uid, study))
            || self.committing.references().contains(&(uid, study))
            || self.snapshot.refers(uid, study)?;
        if !known {
            self.pending.add_reference(uid, study);
        }
        Ok(())
    }

    /// Returns true if the files of a deleted study are still being removed from this directory.
    pub(crate) fn is_being_removed(&self, patient: &str, study: &str) -> bool {
        self.open.values().any(|intent| match intent {
            IntentRecord::Publish(_) | IntentRecord::Replace(_) => false,
            IntentRecord::Remove(directories) => directories
                .iter()
                .any(|[of, directory]| of == patient && directory == study),
        })
    }

    /// Replaces the snapshot by one that includes the commit just written.
    pub(crate) fn written(&mut self, snapshot: S) {
        self.snapshot = HeldSnapshot(Some(Arc::new(snapshot)));
        self.committing = Arc::default();
    }

    /// Reads what another process has written.
    pub(crate) fn refresh(&mut self, snapshot: S) -> Result<(), BackendError> {
        self.meta = snapshot.meta()?;
        self.open = snapshot.intents()?.into_iter().collect();
        self.snapshot = HeldSnapshot(Some(Arc::new(snapshot)));
        Ok(())
    }
}
