//! [`ExportRun`]: one call of [`Exporter::export`].

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use crossbeam_channel::bounded;

use super::Exporter;
use super::decide::Policy;
use super::event::{ExportError, ExportEvent};
use super::options::{ExportMode, ExportOptions};
use super::send_job::SendJob;
use super::state::ExportState;
use crate::report::ExportReport;
use crate::retry::LONGEST_ASKED;
use crate::{Capabilities, Error, Journal, KeyPart, ObjectKey, Origins, Remedy, Sink};

/// The state of one export, shared by its threads.
pub(super) struct ExportRun<'r> {
    pub(super) sink: &'r dyn Sink,
    pub(super) journal: Option<&'r Journal>,
    pub(super) origins: Option<&'r dyn Origins>,
    pub(super) options: ExportOptions,
    pub(super) capabilities: Capabilities,
    pub(super) state: ExportState<'r>,
    /// Consecutive objects that failed after their last attempt.
    exhausted: AtomicU32,
}

impl<'r> ExportRun<'r> {
    pub(super) fn new(exporter: &'r Exporter, state: ExportState<'r>) -> Self {
        Self {
            sink: &*exporter.sink,
            journal: exporter.journal.as_deref(),
            origins: exporter.origins.as_deref(),
            options: exporter.options,
            capabilities: exporter.sink.capabilities(),
            state,
            exhausted: AtomicU32::new(0),
        }
    }

    pub(super) fn policy(&self) -> Policy {
        Policy {
            capabilities: self.capabilities,
            existing: self.options.existing,
            overwrite: self.options.overwrite,
        }
    }

    /// Calls `attempt_once` until it succeeds, fails permanently, or has been tried often enough.
    pub(super) fn with_retries<T>(
        &self,
        key: Option<&ObjectKey>,
        attempt_once: &mut dyn FnMut() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut attempt = 1;
        loop {
            if self.state.is_over() {
                return Err(Error::Cancelled);
            }
            let error = match attempt_once() {
                Ok(value) => return Ok(value),
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
            self.state.emit(&ExportEvent::Retrying {
                key,
                attempt,
                error: &error,
                wait,
            });
            self.state.pause(wait);
            attempt += 1;
        }
    }

    /// Resets the count of consecutive failures.
    pub(super) fn reset_exhausted(&self) {
        self.exhausted.store(0, Ordering::Relaxed);
    }

    /// Counts an object that failed after its last attempt. Returns true if the destination has to
    /// be given up.
    pub(super) fn count_exhausted(&self) -> bool {
        let consecutive = self.exhausted.fetch_add(1, Ordering::Relaxed) + 1;
        consecutive >= self.options.give_up_after.get()
    }
}

impl ExportRun<'_> {
    pub(super) fn run(self) -> Result<ExportReport, ExportError> {
        match self.begin() {
            Ok(()) => self.export_patients(),
            Err(error) => {
                self.state.stop(error);
                self.state.report_all_not_started();
            }
        }
        let (report, mut error) = self.state.finish();
        if let (Some(journal), ExportMode::Send) = (self.journal, self.options.mode)
            && let Err(failure) = journal.end(&report, error.as_deref())
        {
            error.get_or_insert(Arc::new(failure));
        }
        tracing::debug!(?report, ?error, "export ended");
        match error {
            None => Ok(report),
            Some(error) => Err(ExportError::new(error, report)),
        }
    }

    fn begin(&self) -> Result<(), Error> {
        if let (Some(journal), ExportMode::Send) = (self.journal, self.options.mode) {
            journal.begin()?;
        }
        match self.with_retries(None, &mut || self.sink.check()) {
            // Access may be denied to the whole destination but allowed for single patients.
            Err(error) if error.remedy() == Remedy::SkipPatient => Ok(()),
            checked => checked,
        }
    }

    /// Passes the patients to the patient workers, and these pass objects to the senders. When an
    /// error ends the export, the patient workers report the remaining patients.
    fn export_patients(&self) {
        let objects = self
            .options
            .objects
            .unwrap_or(self.capabilities.parallel)
            .get();
        let (send_patient, patients) = bounded::<KeyPart>(self.options.patients.get());
        // Twice the number of senders, so that no sender waits for a patient worker.
        let (send, jobs) = bounded::<SendJob>(objects * 2);
        thread::scope(|scope| {
            for _ in 0..self.options.patients.get() {
                let (patients, send) = (patients.clone(), send.clone());
                scope.spawn(move || {
                    for patient in patients {
                        self.export_patient(patient, &send);
                    }
                });
            }
            drop((patients, send));
            for _ in 0..objects {
                let jobs = jobs.clone();
                scope.spawn(move || {
                    for job in jobs {
                        self.process(job);
                    }
                });
            }
            drop(jobs);
            let listed = self.state.for_each_patient(&mut |patient| {
                // The send fails only if every patient worker has panicked.
                if send_patient.send(patient).is_err() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            if let Err(error) = listed {
                self.state.stop(error);
            }
            drop(send_patient);
        });
    }
}
