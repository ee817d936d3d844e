//! [`Run`]: one call of [`Exporter::export`](super::Exporter::export).

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use crossbeam_channel::bounded;

use super::event::{ExportError, ExportEvent, ExportReport};
use super::roll::Roll;
use super::send::Job;
use super::{ExportOptions, Exporter, Mode};
use crate::retry::LONGEST_ASKED;
use crate::{Error, Journal, Needs, ObjectKey, Part, Remedy, Sink};

/// What all threads of an export share.
pub(super) struct Run<'r> {
    pub(super) sink: &'r dyn Sink,
    pub(super) journal: Option<&'r Journal>,
    pub(super) options: ExportOptions,
    pub(super) needs: Needs,
    pub(super) roll: Roll<'r>,
    /// Objects in a row that failed after their last attempt.
    exhausted: AtomicU32,
}

impl<'r> Run<'r> {
    pub(super) fn new(exporter: &'r Exporter, roll: Roll<'r>) -> Self {
        Self {
            sink: &*exporter.sink,
            journal: exporter.journal.as_deref(),
            options: exporter.options,
            needs: exporter.sink.needs(),
            roll,
            exhausted: AtomicU32::new(0),
        }
    }

    pub(super) fn all(self) -> Result<ExportReport, ExportError> {
        match self.begin() {
            Ok(()) => self.patients(),
            Err(error) => {
                self.roll.stop(error);
                self.roll.miss_all();
            }
        }
        let (report, mut error) = self.roll.finish();
        if let (Some(journal), Mode::Send) = (self.journal, self.options.mode)
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
        if let (Some(journal), Mode::Send) = (self.journal, self.options.mode) {
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
            let called = self.roll.call(&mut |patient| {
                // Nobody takes it only if each walker has panicked.
                if give.send(patient).is_err() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            if let Err(error) = called {
                self.roll.stop(error);
            }
            drop(give);
        });
    }

    /// Does something until it succeeds, cannot, or was tried often enough.
    pub(super) fn tries<T>(
        &self,
        key: Option<&ObjectKey>,
        what: &mut dyn FnMut() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut attempt = 1;
        loop {
            if self.roll.is_over() {
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
            self.roll.tell(&ExportEvent::Retrying {
                key,
                attempt,
                error: &error,
                wait,
            });
            self.roll.pause(wait);
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
