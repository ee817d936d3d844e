//! [`ExportState`]: the patients that are selected, and what is told of each.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::event::{ExportError, ExportEvent, Observer, PatientReport};
use super::options::Selection;
use crate::report::{Counts, ExportReport};
use crate::{Cancel, Error, KeyPart, Source};

/// The patients that are selected, and what is told of each: all of them, unless the export is cancelled.
pub(super) struct ExportState<'e> {
    pub(super) source: &'e dyn Source,
    pub(super) selection: &'e Selection,
    cancel: &'e Cancel,
    observer: &'e dyn Observer,
    halted: AtomicBool,
    end: Mutex<ExportSummary>,
}

#[derive(Default)]
struct ExportSummary {
    report: ExportReport,
    error: Option<Arc<Error>>,
}

/// How often who waits looks whether the export is over.
const LOOK: Duration = Duration::from_millis(100);

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
            halted: AtomicBool::new(false),
            end: Mutex::default(),
        }
    }

    /// Calls `each` with the patients that are selected, until it breaks off or the end is wished; tells
    /// those there are not.
    pub(super) fn call(
        &self,
        each: &mut dyn FnMut(KeyPart) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let mut called = |patient| {
            if self.cancel.is_cancelled() {
                ControlFlow::Break(())
            } else {
                each(patient)
            }
        };
        if self.selection.patients().is_none() {
            return self.source.patients(&mut called);
        }
        for patient in self.selected()? {
            if called(patient).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The patients that are named and those of the studies that are named; tells those there are not.
    fn selected(&self) -> Result<BTreeSet<KeyPart>, Error> {
        let mut selected = BTreeSet::new();
        for patient in self.selection.patients().into_iter().flatten() {
            if self.source.has_patient(patient)? {
                selected.insert(patient.clone());
            } else {
                self.lock().report.unknown += 1;
                self.tell(&ExportEvent::UnknownPatient { patient });
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
                self.tell(&ExportEvent::UnknownStudy { study });
            }
        }
        Ok(selected)
    }

    /// Tells of every patient that nothing is done for it.
    pub(super) fn miss_all(&self) {
        let called = self.call(&mut |patient| {
            self.missed(patient);
            ControlFlow::Continue(())
        });
        if let Err(error) = called {
            self.stop(error);
        }
    }

    /// A patient was not begun when an error ended the export.
    pub(super) fn missed(&self, patient: KeyPart) {
        let error = self.error();
        self.ended(&PatientReport {
            patient,
            counts: Counts::default(),
            error,
        });
    }

    /// A patient is done with.
    pub(super) fn ended(&self, report: &PatientReport) {
        {
            let mut end = self.lock();
            end.report.counts.add(&report.counts);
            end.report.patients += 1;
            end.report.patients_failed += u64::from(report.error.is_some());
        }
        self.tell(&ExportEvent::PatientEnded { report });
    }

    /// Ends the export: the first error is why.
    pub(super) fn stop(&self, error: impl Into<Arc<Error>>) {
        let error = error.into();
        let mut end = self.lock();
        self.halted.store(true, Ordering::Release);
        if !matches!(*error, Error::Cancelled) {
            end.error.get_or_insert(error);
        }
    }

    /// What ended the export.
    pub(super) fn error(&self) -> Option<Arc<Error>> {
        self.lock().error.clone()
    }

    /// True if nothing more is to be begun.
    pub(super) fn is_over(&self) -> bool {
        self.halted.load(Ordering::Acquire) || self.is_cancelled()
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Waits, but not for what is over.
    pub(super) fn pause(&self, wait: Duration) {
        let since = Instant::now();
        while !self.is_over() {
            let rest = wait.saturating_sub(since.elapsed());
            if rest.is_zero() {
                break;
            }
            self.cancel.wait(rest.min(LOOK));
        }
    }

    pub(super) fn tell(&self, event: &ExportEvent<'_>) {
        self.observer.event(event);
    }

    /// What was done; and why it is not all.
    pub(super) fn finish(self) -> (ExportReport, Option<Arc<Error>>) {
        let cancelled = self.cancel.is_cancelled();
        let end = self.end.into_inner();
        let ExportSummary { report, error } = end.unwrap_or_else(PoisonError::into_inner);
        let error = error.or_else(|| cancelled.then(|| Arc::new(Error::Cancelled)));
        (report, error)
    }

    fn lock(&self) -> MutexGuard<'_, ExportSummary> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ExportError {
    pub(super) fn new(error: Arc<Error>, report: ExportReport) -> Self {
        let report = Box::new(report);
        Self { error, report }
    }
}
