//! [`ExportState`]: the selected patients, the events and the report of an export.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::event::{ExportError, ExportEvent, Observer, PatientReport};
use super::options::Selection;
use crate::report::{Counts, ExportReport};
use crate::{Cancel, Error, KeyPart, Source};

/// The selected patients, the events and the report of an export.
pub(super) struct ExportState<'e> {
    pub(super) source: &'e dyn Source,
    pub(super) selection: &'e Selection,
    cancel: &'e Cancel,
    observer: &'e dyn Observer,
    is_stopped: AtomicBool,
    summary: Mutex<ExportSummary>,
}

#[derive(Default)]
struct ExportSummary {
    report: ExportReport,
    error: Option<Arc<Error>>,
}

/// How often a waiting thread checks whether the export has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

impl<'e> ExportState<'e> {
    pub(super) fn new(
        source: &'e dyn Source,
        selection: &'e Selection,
        cancel: &'e Cancel,
        observer: &'e dyn Observer,
    ) -> Self {
        Self {
            source,
            selection,
            cancel,
            observer,
            is_stopped: AtomicBool::new(false),
            summary: Mutex::default(),
        }
    }

    /// Calls `each` with the selected patients, until it breaks or the export is cancelled. Reports
    /// selected patients that do not exist.
    pub(super) fn for_each_patient(
        &self,
        each: &mut dyn FnMut(KeyPart) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let mut unless_cancelled = |patient| {
            if self.cancel.is_cancelled() {
                ControlFlow::Break(())
            } else {
                each(patient)
            }
        };
        if self.selection.patients().is_none() {
            return self.source.patients(&mut unless_cancelled);
        }
        for patient in self.selected()? {
            if unless_cancelled(patient).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Returns the selected patients and the patients of the selected studies. Reports those that
    /// do not exist.
    fn selected(&self) -> Result<BTreeSet<KeyPart>, Error> {
        let mut selected = BTreeSet::new();
        for patient in self.selection.patients().into_iter().flatten() {
            if self.source.has_patient(patient)? {
                selected.insert(patient.clone());
            } else {
                self.lock().report.unknown += 1;
                self.emit(&ExportEvent::UnknownPatient { patient });
            }
        }
        let mut missing: Vec<&KeyPart> = self.selection.studies().collect();
        if missing.is_empty() {
            return Ok(selected);
        }
        let mut failure = None;
        self.source.patients(&mut |patient| {
            missing.retain(|study| match self.source.has_study(&patient, study) {
                Ok(false) => true,
                Ok(true) => {
                    selected.insert(patient.clone());
                    false
                }
                Err(error) => {
                    failure.get_or_insert(error);
                    true
                }
            });
            if missing.is_empty() || failure.is_some() || self.cancel.is_cancelled() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        if let Some(error) = failure {
            return Err(error);
        }
        if !self.cancel.is_cancelled() {
            for study in missing {
                self.lock().report.unknown += 1;
                self.emit(&ExportEvent::UnknownStudy { study });
            }
        }
        Ok(selected)
    }

    /// Reports every selected patient as not started.
    pub(super) fn report_all_not_started(&self) {
        let listed = self.for_each_patient(&mut |patient| {
            self.report_not_started(patient);
            ControlFlow::Continue(())
        });
        if let Err(error) = listed {
            self.stop(error);
        }
    }

    /// Reports a patient that was not started before an error ended the export.
    pub(super) fn report_not_started(&self, patient: KeyPart) {
        let error = self.error();
        self.ended(&PatientReport {
            patient,
            counts: Counts::default(),
            error,
        });
    }

    /// Reports a finished patient and adds it to the report.
    pub(super) fn ended(&self, report: &PatientReport) {
        {
            let mut summary = self.lock();
            summary.report.counts.add(&report.counts);
            summary.report.patients += 1;
            summary.report.patients_failed += u64::from(report.error.is_some());
        }
        self.emit(&ExportEvent::PatientEnded { report });
    }

    /// Ends the export. The first error is kept.
    pub(super) fn stop(&self, error: impl Into<Arc<Error>>) {
        let error = error.into();
        let mut summary = self.lock();
        self.is_stopped.store(true, Ordering::Release);
        if !matches!(*error, Error::Cancelled) {
            summary.error.get_or_insert(error);
        }
    }

    /// Returns the error that ended the export.
    pub(super) fn error(&self) -> Option<Arc<Error>> {
        self.lock().error.clone()
    }

    /// Returns true if the export has ended: nothing new may be started.
    pub(super) fn is_over(&self) -> bool {
        self.is_stopped.load(Ordering::Acquire) || self.is_cancelled()
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Waits until `wait` has passed or the export has ended.
    pub(super) fn pause(&self, wait: Duration) {
        let since = Instant::now();
        while !self.is_over() {
            let rest = wait.saturating_sub(since.elapsed());
            if rest.is_zero() {
                break;
            }
            self.cancel.wait(rest.min(POLL_INTERVAL));
        }
    }

    pub(super) fn emit(&self, event: &ExportEvent<'_>) {
        self.observer.event(event);
    }

    /// Returns the report, and the error if the export ended early.
    pub(super) fn finish(self) -> (ExportReport, Option<Arc<Error>>) {
        let cancelled = self.cancel.is_cancelled();
        let summary = self.summary.into_inner();
        let ExportSummary { report, error } = summary.unwrap_or_else(PoisonError::into_inner);
        let error = error.or_else(|| cancelled.then(|| Arc::new(Error::Cancelled)));
        (report, error)
    }

    fn lock(&self) -> MutexGuard<'_, ExportSummary> {
        self.summary.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ExportError {
    pub(super) fn new(error: Arc<Error>, report: ExportReport) -> Self {
        let report = Box::new(report);
        Self { error, report }
    }
}
