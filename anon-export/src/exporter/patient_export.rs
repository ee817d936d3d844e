//! [`PatientExport`]: a patient while it is exported, shared by its walker and the senders.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::event::PatientReport;
use crate::journal::PatientJournal;
use crate::report::Counts;
use crate::{Error, KeyPart};

/// A patient while it is exported.
#[derive(Debug)]
pub(super) struct PatientExport {
    state: Mutex<PatientState>,
    changed: Condvar,
    journal: Mutex<Option<PatientJournal>>,
}

#[derive(Debug)]
struct PatientState {
    report: PatientReport,
    /// Objects that senders are not done with.
    open: u64,
    /// Objects in a row that the destination denied.
    denied: u32,
    /// Why no more of them are tried.
    barred: Option<Arc<Error>>,
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
                open: 0,
                denied: 0,
                barred: None,
            }),
            changed: Condvar::new(),
            journal: Mutex::new(journal),
        }
    }

    fn lock(&self) -> MutexGuard<'_, PatientState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its file of the journal, if there is one and the patient has not ended.
    pub(super) fn journal(&self) -> MutexGuard<'_, Option<PatientJournal>> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn found(&self) {
        self.lock().report.counts.found += 1;
    }

    pub(super) fn count(&self, with: impl FnOnce(&mut Counts)) {
        with(&mut self.lock().report.counts);
    }

    pub(super) fn note(&self, error: &Arc<Error>) {
        let mut state = self.lock();
        state.report.error.get_or_insert_with(|| Arc::clone(error));
    }

    /// The destination denied an object; after so many in a row no other one is tried.
    pub(super) fn denied(&self, error: &Arc<Error>, most: u32) {
        let mut state = self.lock();
        state.denied = state.denied.saturating_add(1);
        if state.denied >= most {
            state.barred.get_or_insert_with(|| Arc::clone(error));
        }
    }

    /// The destination did not deny an object.
    pub(super) fn not_denied(&self) {
        self.lock().denied = 0;
    }

    /// Why no more objects are tried, if so.
    pub(super) fn barred(&self) -> Option<Arc<Error>> {
        self.lock().barred.clone()
    }

    /// An object goes to the senders.
    pub(super) fn opened(&self) {
        self.lock().open += 1;
    }

    /// A sender is done with one.
    pub(super) fn closed(&self) {
        self.lock().open -= 1;
        self.changed.notify_all();
    }

    /// Waits for the senders.
    pub(super) fn wait(&self) -> PatientReport {
        let state = self.lock();
        let waited = self.changed.wait_while(state, |state| state.open > 0);
        waited
            .unwrap_or_else(PoisonError::into_inner)
            .report
            .clone()
    }
}
