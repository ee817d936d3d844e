//! [`StudyProgress`]: what of a study arrived, and what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::{InstanceState, LocalInstances, RetrieveStep, StudyReport};
use crate::dimse::SubOperations;
use crate::service::hierarchy::StudyHierarchy;
use crate::service::responses::Activity;
use crate::service::transfer::TransferObserver;
use crate::service::{Cancel, ServiceError};
use crate::{BackendError, Error, InstanceUid, Uid};

/// How long arrivals are let be before they are counted again: counting costs a look-up for each
/// instance that is missing.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

/// What of a study arrived.
pub(super) struct StudyProgress<'a> {
    study: &'a InstanceUid,
    local: &'a dyn LocalInstances,
    on_step: &'a mut dyn FnMut(RetrieveStep),
    expected: usize,
    stored: usize,
    quarantined: usize,
    excluded: usize,
    excluded_classes: BTreeMap<Uid, usize>,
    /// Those of the excluded that are never asked for.
    never: usize,
    missing: Vec<InstanceUid>,
    /// Named by the peer as not sent.
    pub(super) failed: BTreeSet<InstanceUid>,
    seen: u64,
    looked: Instant,
    /// The most sub-operations that the peer counted for what is asked for now.
    counted: u32,
    failure: Option<BackendError>,
}

impl<'a> StudyProgress<'a> {
    pub(super) fn new(
        study: &'a InstanceUid,
        local: &'a dyn LocalInstances,
        hierarchy: &StudyHierarchy,
        on_step: &'a mut dyn FnMut(RetrieveStep),
    ) -> Self {
        let mut missing = Vec::new();
        let mut excluded = 0;
        let mut excluded_classes = BTreeMap::new();
        for (_, instance) in hierarchy.instances() {
            if instance.excluded {
                excluded += 1;
                if let Some(class) = &instance.sop_class {
                    *excluded_classes.entry(class.clone()).or_default() += 1;
                }
            } else {
                missing.push(instance.uid.clone());
            }
        }
        let expected = missing.len() + excluded;
        on_step(RetrieveStep::Expected {
            instances: expected,
            excluded,
        });
        Self {
            study,
            local,
            on_step,
            expected,
            stored: 0,
            quarantined: 0,
            excluded,
            excluded_classes,
            never: excluded,
            missing,
            failed: BTreeSet::new(),
            seen: 0,
            looked: Instant::now(),
            counted: 0,
            failure: None,
        }
    }

    pub(super) fn missing(&self) -> &[InstanceUid] {
        &self.missing
    }

    pub(super) fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// True if some of it arrived, and not all.
    pub(super) fn part_is_here(&self) -> bool {
        !self.missing.is_empty() && self.missing.len() + self.never < self.expected
    }

    pub(super) fn tell(&mut self, step: RetrieveStep) {
        (self.on_step)(step);
    }

    /// Something else is asked for: its counters begin anew.
    pub(super) fn begin(&mut self) {
        self.counted = 0;
    }

    /// Counts what arrived. True if something did.
    ///
    /// # Errors
    /// [`ServiceError::Association`] with the error of the arrivals.
    pub(super) fn look(&mut self) -> Result<bool, ServiceError> {
        if let Some(error) = self.failure.take() {
            return Err(Error::Backend(error).into());
        }
        self.count().map_err(|error| Error::Backend(error).into())
    }

    fn count(&mut self) -> Result<bool, BackendError> {
        // Before the states: what arrives between the two is looked for once more, not never.
        self.seen = self.local.changes();
        self.looked = Instant::now();
        let states = self.local.states(self.study, &self.missing)?;
        let mut states = states.into_iter();
        let before = self.missing.len();
        self.missing.retain(|_| {
            let count = match states.next() {
                Some(InstanceState::Stored) => &mut self.stored,
                Some(InstanceState::Quarantined) => &mut self.quarantined,
                Some(InstanceState::Excluded) => &mut self.excluded,
                Some(InstanceState::Missing) | None => return true,
            };
            *count += 1;
            false
        });
        let missing = self.missing.len();
        if missing == before {
            return Ok(false);
        }
        (self.on_step)(RetrieveStep::Arrived {
            stored: self.stored,
            quarantined: self.quarantined,
            missing,
        });
        Ok(true)
    }

    /// Waits until all is here, or nothing arrives for so long.
    ///
    /// # Errors
    /// [`ServiceError::Cancelled`], or the error of the arrivals.
    pub(super) fn settle(&mut self, limit: Duration, cancel: &Cancel) -> Result<(), ServiceError> {
        let mut since = Instant::now();
        loop {
            if self.look()? {
                since = Instant::now();
            }
            let rest = limit.saturating_sub(since.elapsed());
            if self.is_complete() || rest.is_zero() {
                return Ok(());
            }
            if cancel.is_cancelled() {
                return Err(ServiceError::Cancelled);
            }
            self.local.wait(self.seen, rest.min(BETWEEN_LOOKS));
        }
    }

    pub(super) fn report(self, error: Option<ServiceError>) -> StudyReport {
        let failed = self.missing.iter().filter(|uid| self.failed.contains(*uid));
        StudyReport {
            study: self.study.clone(),
            expected: self.expected,
            stored: self.stored,
            quarantined: self.quarantined,
            excluded: self.excluded,
            excluded_classes: self.excluded_classes,
            failed: failed.count(),
            error: error.filter(|_| !self.missing.is_empty()),
            missing: self.missing,
        }
    }
}

impl TransferObserver for StudyProgress<'_> {
    /// A peer goes on while it has done more than ever before: that ends some time, unlike responses.
    fn on_counts(&mut self, counts: SubOperations) -> bool {
        let done = [counts.completed, counts.failed, counts.warning];
        let done = done.iter().flatten().map(|count| u32::from(*count)).sum();
        let is_more = done > self.counted;
        self.counted = self.counted.max(done);
        self.tell(RetrieveStep::Counted(counts));
        is_more | matches!(self.poll(), Activity::Progress)
    }

    fn poll(&mut self) -> Activity {
        let is_due = self.looked.elapsed() >= BETWEEN_LOOKS;
        if !is_due || self.local.changes() == self.seen {
            return Activity::None;
        }
        match self.count() {
            Ok(true) => Activity::Progress,
            Ok(false) => Activity::None,
            Err(error) => {
                self.failure = Some(error);
                Activity::Stop
            }
        }
    }
}
