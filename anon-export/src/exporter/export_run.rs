//! [`ExportRun`]: what all threads of an export share.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use crossbeam_channel::bounded;

use super::Exporter;
use super::event::{ExportError, ExportEvent};
use super::options::{ExportMode, ExportOptions};
use super::sender::SendJob;
use super::state::ExportState;
use crate::report::ExportReport;
use crate::retry::LONGEST_ASKED;
use crate::{Capabilities, Error, Journal, KeyPart, ObjectKey, Remedy, Sink};

/// The state that all threads of one export share.
pub(super) struct ExportRun<'r> {
    pub(super) sink: &'r dyn Sink,
    pub(super) journal: Option<&'r Journal>,
    pub(super) options: ExportOptions,
    pub(super) capabilities: Capabilities,
    pub(super) state: ExportState<'r>,
    /// Objects in a row that failed after their last attempt.
    exhausted: AtomicU32,
}

impl<'r> ExportRun<'r> {
    pub(super) fn new(exporter: &'r Exporter, state: ExportState<'r>) -> Self {
        Self {
            sink: &*exporter.sink,
            journal: exporter.journal.as_deref(),
            options: exporter.options,
            capabilities: exporter.sink.capabilities(),
            state,
            exhausted: AtomicU32::new(0),
        }
    }

    /// Does something until it succeeds, cannot, or was tried often enough.
    pub(super) fn tries<T>(
        &self,
        key: Option<&ObjectKey>,
        what: &mut dyn FnMut() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut attempt = 1;
        loop {
            if self.state.is_over() {
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
            self.state.tell(&ExportEvent::Retrying {
                key,
                attempt,
                error: &error,
                wait,
            });
            self.state.pause(wait);
            attempt += 1;
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
}

impl ExportRun<'_> {
    pub(super) fn all(self) -> Result<ExportReport, ExportError> {
        match self.begin() {
            Ok(()) => self.patients(),
            Err(error) => {
                self.state.stop(error);
                self.state.miss_all();
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
        match self.tries(None, &mut || self.sink.check()) {
            // Who may not look at all may still do what is asked for, one patient at a time.
            Err(error) if error.remedy() == Remedy::SkipPatient => Ok(()),
            checked => checked,
        }
    }

    /// Feeds the patients to walkers, and their objects to senders. When an error ends the export, the
    /// walkers tell the rest.
    fn patients(&self) {
        let objects = self
            .options
            .objects
            .unwrap_or(self.capabilities.parallel)
            .get();
        let (give, patients) = bounded::<KeyPart>(self.options.patients.get());
        // A few more than are sent at once, so that no sender waits for a walker.
        let (send, jobs) = bounded::<SendJob>(objects * 2);
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
            let called = self.state.call(&mut |patient| {
                // Nobody takes it only if each walker has panicked.
                if give.send(patient).is_err() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            if let Err(error) = called {
                self.state.stop(error);
            }
            drop(give);
        });
    }
}
