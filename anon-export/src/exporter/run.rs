//! One call of [`Exporter::export`](super::Exporter::export).

use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::bounded;

use super::event::ExportError;
use super::options::Mode;
use super::sender::Job;
use super::shared::Shared;
use crate::report::ExportReport;
use crate::{Error, Part, Remedy};

impl Shared<'_> {
    pub(super) fn all(self) -> Result<ExportReport, ExportError> {
        match self.begin() {
            Ok(()) => self.patients(),
            Err(error) => {
                self.state.stop(error);
                self.state.miss_all();
            }
        }
        let (report, mut error) = self.state.finish();
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
