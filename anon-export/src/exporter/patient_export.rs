//! [`PatientExport`]: the state of a patient in progress, shared by its worker and the senders.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::event::PatientReport;
use crate::journal::PatientJournal;
use crate::report::Counts;
use crate::{Error, KeyPart};

/// The state of a patient in progress.
#[derive(Debug)]
pub(super) struct PatientExport {
    state: Mutex<PatientState>,
    changed: Condvar,
    journal: Mutex<Option<PatientJournal>>,
}

#[derive(Debug)]
struct PatientState {
    report: PatientReport,
    /// Objects at the senders.
    in_progress: u64,
    /// Consecutive objects that the destination denied.
    denied: u32,
    /// The reason why no further object is attempted.
    given_up: Option<Arc<Error>>,
}

impl PatientExport {
    pub(super) fn new(patient: KeyPart, journal: Option<PatientJournal>) -> Self {
        let report = PatientReport {
            patient,
            counts: Counts::default(),
            error: None,
        };
        Self {
            state: Mutex::new(PatientState {
                report,
                in_progress: 0,
                denied: 0,
                given_up: None,
            }),
            changed: Condvar::new(),
            journal: Mutex::new(journal),
        }
    }

    fn lock(&self) -> MutexGuard<'_, PatientState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns its journal, if there is one and the patient is not finished.
    pub(super) fn journal(&self) -> MutexGuard<'_, Option<PatientJournal>> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count_found(&self) {
        self.lock().report.counts.found += 1;
    }

    pub(super) fn count(&self, with: impl FnOnce(&mut Counts)) {
        with(&mut self.lock().report.counts);
    }

    pub(super) fn record_error(&self, error: &Arc<Error>) {
        let mut state = self.lock();
        state.report.error.get_or_insert_with(|| Arc::clone(error));
    }

    /// Counts a denied object. After `max_denied` in a row no further object is attempted.
    pub(super) fn count_denied(&self, error: &Arc<Error>, max_denied: u32) {
        let mut state = self.lock();
        state.denied = state.denied.saturating_add(1);
        if state.denied >= max_denied {
            state.given_up.get_or_insert_with(|| Arc::clone(error));
        }
    }

    /// Resets the count of denied objects.
    pub(super) fn reset_denied(&self) {
        self.lock().denied = 0;
    }

    /// Returns the reason why no further object is attempted, if there is one.
    pub(super) fn given_up(&self) -> Option<Arc<Error>> {
        self.lock().given_up.clone()
    }

    /// Counts an object that is passed to the senders.
    pub(super) fn job_started(&self) {
        self.lock().in_progress += 1;
    }

    /// Counts an object that a sender has finished.
    pub(super) fn job_finished(&self) {
        self.lock().in_progress -= 1;
        self.changed.notify_all();
    }

    /// Waits until the senders have finished and returns the report.
    pub(super) fn wait_for_senders(&self) -> PatientReport {
        let state = self.lock();
        let waited = self
            .changed
            .wait_while(state, |state| state.in_progress > 0);
        waited
            .unwrap_or_else(PoisonError::into_inner)
            .report
            .clone()
    }
}
