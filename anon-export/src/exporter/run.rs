//! [`Run`]: one call of [`Exporter::export`](super::Exporter::export).

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};

use super::event::{ExportError, ExportEvent, ExportReport, Observer, PatientReport};
use super::send::Job;
use super::{ExportOptions, Exporter, Mode, Selection};
use crate::retry::LONGEST_ASKED;
use crate::{Cancel, Error, Journal, Needs, ObjectKey, Part, Remedy, Sink, Source};

/// What all threads of an export share.
pub(super) struct Run<'r> {
    pub(super) sink: &'r dyn Sink,
    pub(super) source: &'r dyn Source,
    pub(super) journal: Option<&'r Journal>,
    pub(super) options: ExportOptions,
    pub(super) needs: Needs,
    pub(super) selection: &'r Selection,
    cancel: &'r Cancel,
    observer: &'r dyn Observer,
    /// Objects in a row that failed after their last attempt.
    exhausted: AtomicU32,
    halted: AtomicBool,
    end: Mutex<End>,
}

#[derive(Default)]
struct End {
    report: ExportReport,
    error: Option<Error>,
}

/// How often who waits for a further try looks whether the export is over.
const LOOK: Duration = Duration::from_millis(100);

impl<'r> Run<'r> {
    pub(super) fn new(
        exporter: &'r Exporter,
        source: &'r dyn Source,
        selection: &'r Selection,
        cancel: &'r Cancel,
        observer: &'r dyn Observer,
    ) -> Self {
        Self {
            sink: &*exporter.sink,
            source,
            journal: exporter.journal.as_deref(),
            options: exporter.options,
            needs: exporter.sink.needs(),
            selection,
            cancel,
            observer,
            exhausted: AtomicU32::new(0),
            halted: AtomicBool::new(false),
            end: Mutex::default(),
        }
    }

    pub(super) fn all(self) -> Result<ExportReport, ExportError> {
        let begun = self.begin();
        if let Err(error) = begun {
            self.stop(error);
        } else {
            self.patients();
        }
        let mut end = self
            .end
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        if end.error.is_none() && self.cancel.is_cancelled() {
            end.error = Some(Error::Cancelled);
        }
        if let (Some(journal), Mode::Send) = (self.journal, self.options.mode)
            && let Err(error) = journal.end(&end.report, end.error.as_ref())
        {
            end.error.get_or_insert(error);
        }
        let report = end.report;
        tracing::debug!(?report, error = ?end.error, "export ended");
        match end.error {
            None => Ok(report),
            Some(error) => Err(ExportError {
                error,
                report: Box::new(report),
            }),
        }
    }

    fn begin(&self) -> Result<(), Error> {
        if let (Some(journal), Mode::Send) = (self.journal, self.options.mode) {
            journal.begin()?;
        }
        self.tries(None, &mut || self.sink.check())
    }

    /// Feeds the patients to walkers, and their objects to senders.
    fn patients(&self) {
        let objects = self.options.objects.unwrap_or(self.needs.parallel).get();
        let (give, patients) = bounded::<Part>(self.options.patients.get());
        // A few more than are sent at once, so that no sender waits for a walker.
        let (send, jobs) = bounded::<Job>(objects * 2);
        thread::scope(|scope| {
            for _ in 0..self.options.patients.get() {
                let (patients, send) = (patients.clone(), send.clone());
                scope.spawn(move || {
                    for patient in patients {
                        self.walk(patient, &send);
                    }
                });
            }
            drop((patients, send));
            for _ in 0..objects {
                let jobs = jobs.clone();
                scope.spawn(move || {
                    for job in jobs {
                        self.serve(job);
                    }
                });
            }
            drop(jobs);
            if let Err(error) = self.feed(&give) {
                self.stop(error);
            }
            drop(give);
        });
    }

    fn feed(&self, give: &Sender<Part>) -> Result<(), Error> {
        let mut given = |patient: Part| {
            // Nobody takes it only if each walker has panicked.
            if self.is_over() || give.send(patient).is_err() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        if self.selection.patients().is_none() {
            return self.source.patients(&mut given);
        }
        for patient in self.selected()? {
            if given(patient).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The patients that are named and those of the studies that are named; tells those there are not.
    fn selected(&self) -> Result<Vec<Part>, Error> {
        let mut selected = BTreeSet::new();
        for patient in self.selection.patients().into_iter().flatten() {
            if self.source.has_patient(patient)? {
                selected.insert(patient.clone());
            } else {
                self.lock().report.unknown += 1;
                self.tell(&ExportEvent::UnknownPatient { patient });
            }
        }
        let mut missing: Vec<&Part> = self.selection.studies().collect();
        if missing.is_empty() {
            return Ok(selected.into_iter().collect());
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
            if missing.is_empty() || failure.is_some() || self.is_over() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        if let Some(error) = failure {
            return Err(error);
        }
        if !self.is_over() {
            for study in missing {
                self.lock().report.unknown += 1;
                self.tell(&ExportEvent::UnknownStudy { study });
            }
        }
        Ok(selected.into_iter().collect())
    }

    /// Does something until it succeeds, cannot, or was tried often enough.
    pub(super) fn tries<T>(
        &self,
        key: Option<&ObjectKey>,
        what: &mut dyn FnMut() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut attempt = 1;
        loop {
            if self.is_over() {
                return Err(Error::Cancelled);
            }
            let error = match what() {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let asked = error.retry_after();
            if error.remedy() != Remedy::Retry
                || attempt >= self.options.attempts.get()
                || asked.is_some_and(|asked| asked > LONGEST_ASKED)
            {
                return Err(error);
            }
            let wait = self.options.backoff.wait(attempt, asked);
            tracing::debug!(attempt, ?wait, error = %error.text(), "will be tried again");
            self.tell(&ExportEvent::Retrying {
                key,
                attempt,
                error: &error,
                wait,
            });
            self.pause(wait);
            attempt += 1;
        }
    }

    fn pause(&self, wait: Duration) {
        let since = Instant::now();
        while !self.is_over() {
            let rest = wait.saturating_sub(since.elapsed());
            if rest.is_zero() {
                break;
            }
            self.cancel.wait(rest.min(LOOK));
        }
    }

    /// The destination answered for an object.
    pub(super) fn answered(&self) {
        self.exhausted.store(0, Ordering::Relaxed);
    }

    /// An object failed after its last attempt. True if the destination is to be given up.
    pub(super) fn exhausted(&self) -> bool {
        let in_a_row = self.exhausted.fetch_add(1, Ordering::Relaxed) + 1;
        in_a_row >= self.options.give_up_after.get()
    }

    /// Ends the export.
    pub(super) fn stop(&self, error: Error) {
        let mut end = self.lock();
        self.halted.store(true, Ordering::Release);
        if !matches!(error, Error::Cancelled) {
            end.error.get_or_insert(error);
        }
    }

    /// True if nothing more is to be begun.
    pub(super) fn is_over(&self) -> bool {
        self.halted.load(Ordering::Acquire) || self.cancel.is_cancelled()
    }

    pub(super) fn tell(&self, event: &ExportEvent<'_>) {
        self.observer.event(event);
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

    fn lock(&self) -> MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
