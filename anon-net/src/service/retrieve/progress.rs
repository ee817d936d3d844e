//! [`StudyProgress`]: which instances of a study have arrived and which are missing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::{ErrorComment, InstanceState, LocalInstances, RetrieveStep, StudyReport};
use crate::dimse::{Response, Status, StatusClass, SubOperations};
use crate::service::hierarchy::StudyHierarchy;
use crate::service::responses::Activity;
use crate::service::transfer::{PatientId, TransferObserver};
use crate::service::{Cancel, ServiceError};
use crate::{BackendError, Error, InstanceUid, Uid};

/// The shortest time between two counts of arrivals. A count looks up each missing instance.
const UPDATE_INTERVAL: Duration = Duration::from_millis(250);

/// The progress of retrieving a study.
pub(super) struct StudyProgress<'a> {
    pub(super) study: &'a InstanceUid,
    local: &'a dyn LocalInstances,
    on_step: &'a mut dyn FnMut(RetrieveStep),
    expected: usize,
    stored: usize,
    quarantined: usize,
    excluded: usize,
    excluded_classes: BTreeMap<Uid, usize>,
    /// The excluded instances that are never requested.
    never_requested: usize,
    missing: Vec<InstanceUid>,
    /// The Patient ID of the study, once it is known. It is queried only if requests have to name it.
    pub(super) patient: Option<PatientId>,
    unusable: usize,
    /// Instances that the peer reported as failed.
    pub(super) failed: BTreeSet<InstanceUid>,
    seen_changes: u64,
    updated: Instant,
    /// The highest number of sub-operations that the peer has counted for the current request.
    most_counted: u32,
    /// The Error Comment of the last final response with a failure status.
    comment: Option<ErrorComment>,
    /// The last failure status that we answered to a C-STORE request of a C-GET.
    pub(super) answered: Option<Status>,
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
            never_requested: excluded,
            missing,
            patient: None,
            unusable: hierarchy.unusable,
            failed: BTreeSet::new(),
            seen_changes: 0,
            updated: Instant::now(),
            most_counted: 0,
            comment: None,
            answered: None,
            failure: None,
        }
    }

    pub(super) fn missing(&self) -> &[InstanceUid] {
        &self.missing
    }

    pub(super) fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// Returns true if some instances have arrived, but not all.
    pub(super) fn is_partly_here(&self) -> bool {
        !self.missing.is_empty() && self.missing.len() + self.never_requested < self.expected
    }

    pub(super) fn report_step(&mut self, step: RetrieveStep) {
        (self.on_step)(step);
    }

    /// Resets the peer's counters for a new request.
    pub(super) fn start_request(&mut self) {
        self.most_counted = 0;
    }

    /// Counts what has arrived. Returns true if anything has.
    ///
    /// # Errors
    /// [`ServiceError::Association`] with the error of [`LocalInstances`].
    pub(super) fn update(&mut self) -> Result<bool, ServiceError> {
        if let Some(error) = self.failure.take() {
            return Err(Error::Backend(error).into());
        }
        self.count().map_err(|error| Error::Backend(error).into())
    }

    fn count(&mut self) -> Result<bool, BackendError> {
        // Read before the states: an arrival between the two calls is counted next time.
        self.seen_changes = self.local.changes();
        self.updated = Instant::now();
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

    /// Waits until all instances are here, or none arrives within `limit`.
    ///
    /// # Errors
    /// [`ServiceError::Cancelled`], and the error of [`LocalInstances`].
    pub(super) fn wait_for_rest(
        &mut self,
        limit: Duration,
        cancel: &Cancel,
    ) -> Result<(), ServiceError> {
        let mut since = Instant::now();
        loop {
            if self.update()? {
                since = Instant::now();
            }
            let rest = limit.saturating_sub(since.elapsed());
            if self.is_complete() || rest.is_zero() {
                return Ok(());
            }
            if cancel.is_cancelled() {
                return Err(ServiceError::Cancelled);
            }
            self.local
                .wait(self.seen_changes, rest.min(UPDATE_INTERVAL));
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
            unusable: self.unusable,
            error: error.filter(|_| !self.missing.is_empty()),
            comment: self.comment.filter(|_| !self.missing.is_empty()),
            missing: self.missing,
        }
    }
}

impl TransferObserver for StudyProgress<'_> {
    /// A response is progress only if it counts more finished sub-operations than any before it.
    /// This number is bounded, the number of responses is not.
    fn on_counts(&mut self, counts: SubOperations) -> bool {
        let done = [counts.completed, counts.failed, counts.warning];
        let done = done.iter().flatten().map(|count| u32::from(*count)).sum();
        let is_more = done > self.most_counted;
        self.most_counted = self.most_counted.max(done);
        self.report_step(RetrieveStep::Counted(counts));
        is_more | matches!(self.poll(), Activity::Progress)
    }

    fn on_final(&mut self, response: &Response) {
        if response.status.class() != StatusClass::Success {
            let comment = response.comment.as_deref().and_then(ErrorComment::of);
            self.comment = comment.or(self.comment.take());
        }
    }

    fn on_store_failure(&mut self, status: Status) {
        self.answered = Some(status);
    }

    fn poll(&mut self) -> Activity {
        let is_due = self.updated.elapsed() >= UPDATE_INTERVAL;
        if !is_due || self.local.changes() == self.seen_changes {
            return Activity::Idle;
        }
        match self.count() {
            Ok(true) => Activity::Progress,
            Ok(false) => Activity::Idle,
            Err(error) => {
                self.failure = Some(error);
                Activity::Stop
            }
        }
    }
}
