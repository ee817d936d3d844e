//! The sender: puts objects one after the other and retries where that may help.

use std::sync::Arc;

use super::decide::{Decision, OnConflict};
use super::export_run::ExportRun;
use super::options::ExportMode;
use super::patient_export::PatientExport;
use super::send_job::SendJob;
use super::source_body::SourceBody;
use crate::{EntityTag, Error, Put, PutOptions, Remedy, SourceObject, Stored};

/// The result of an attempt.
enum SendOutcome {
    /// The object was sent. `None` in a dry run.
    Sent(Option<Stored>),
    /// The destination already has it, with this tag.
    Skipped(Option<EntityTag>),
}

/// Why an attempt failed.
struct AttemptError {
    error: Error,
    /// True if the object caused the failure, not the destination.
    is_object_error: bool,
}

impl AttemptError {
    fn of_destination(error: Error) -> Self {
        Self {
            error,
            is_object_error: false,
        }
    }
}

impl From<AttemptError> for Error {
    fn from(failure: AttemptError) -> Self {
        failure.error
    }
}

impl ExportRun<'_> {
    /// Sends or skips an object.
    pub(super) fn process(&self, mut job: SendJob) {
        if self.state.is_over() {
            return;
        }
        if let Some(error) = job.patient.given_up() {
            job.is_processed = true;
            return self.report_failed(&job.patient, &job.object, &error);
        }
        let mut is_object_error = false;
        let outcome = self.with_retries(Some(&job.object.key), &mut || {
            is_object_error = false;
            self.attempt(&job).map_err(|failure| {
                is_object_error = failure.is_object_error;
                failure.error
            })
        });
        match outcome {
            Ok(outcome) => {
                self.reset_exhausted();
                job.patient.reset_denied();
                job.is_processed = true;
                self.finish_object(&job, outcome);
            }
            // Dropping the job counts it as left.
            Err(Error::Cancelled) => {}
            Err(error) => {
                job.is_processed = true;
                self.fail_object(&job.patient, &job.object, error, is_object_error);
            }
        }
    }

    fn attempt(&self, job: &SendJob) -> Result<SendOutcome, AttemptError> {
        let mut decision = job.decision.clone();
        let mut listed_tag = None;
        loop {
            decision = match decision {
                Decision::Skip => return Ok(SendOutcome::Skipped(listed_tag)),
                Decision::Send(on_conflict) => return self.put(job, &on_conflict),
                Decision::Refuse(refusal) => {
                    return Err(AttemptError::of_destination(refusal.into()));
                }
                Decision::Compare(tag, otherwise) => {
                    let len = job.object.len;
                    let compare = |body: &mut SourceBody<'_>| self.sink.is_tag_of(&tag, len, body);
                    if self.with_body(&job.object, compare)? == Some(true) {
                        return Ok(SendOutcome::Skipped(Some(tag)));
                    }
                    *otherwise
                }
                Decision::Ask(inquiry, otherwise) => {
                    let theirs = self.sink.origin_of(&job.object.key);
                    let theirs = theirs.map_err(AttemptError::of_destination)?;
                    let decision = theirs.map(|theirs| inquiry.decide(theirs, self.policy()));
                    listed_tag = inquiry.into_tag();
                    decision.unwrap_or(*otherwise)
                }
            };
        }
    }

    fn put(&self, job: &SendJob, on_conflict: &OnConflict) -> Result<SendOutcome, AttemptError> {
        if self.options.mode == ExportMode::DryRun {
            return Ok(SendOutcome::Sent(None));
        }
        let SourceObject { key, len, .. } = &job.object;
        let options = PutOptions::new(job.origin, on_conflict.if_there());
        let put = |body: &mut SourceBody<'_>| self.sink.put_with(key, *len, body, &options);
        let stored = self.with_body(&job.object, put)?;
        Ok(match stored.put {
            Put::Created => SendOutcome::Sent(Some(stored)),
            Put::AlreadyThere => SendOutcome::Skipped(stored.tag),
        })
    }

    /// Calls `with` with the bytes of an object, and fails if the object changed since it was
    /// listed.
    fn with_body<T>(
        &self,
        object: &SourceObject,
        with: impl FnOnce(&mut SourceBody<'_>) -> Result<T, Error>,
    ) -> Result<T, AttemptError> {
        let object_error = |error| AttemptError {
            error,
            is_object_error: true,
        };
        let mut body = SourceBody::open(self, object).map_err(object_error)?;
        let result = with(&mut body);
        if let Some(error) = body.take_error() {
            return Err(object_error(error));
        }
        match result {
            Ok(value) => {
                // The sink may not have read the body to its end.
                body.check().map_err(object_error)?;
                Ok(value)
            }
            Err(error @ (Error::Short { .. } | Error::Long { .. })) => {
                // The opened object differs from the listed one.
                tracing::debug!(%error, "the object changed");
                Err(object_error(Error::Changed))
            }
            Err(error) => Err(AttemptError::of_destination(error)),
        }
    }

    fn finish_object(&self, job: &SendJob, outcome: SendOutcome) {
        let (patient, object) = (&*job.patient, &job.object);
        let (tag, stored) = match outcome {
            SendOutcome::Sent(None) => return self.report_sent(patient, object, None),
            SendOutcome::Sent(Some(stored)) => (stored.tag.clone(), Some(stored)),
            SendOutcome::Skipped(tag) => (tag, None),
        };
        if self.options.mode == ExportMode::Send
            && let Some(file) = patient.journal().as_mut()
            && let Err(error) = file.record(object, job.origin, tag, stored.is_some())
        {
            self.fail_journal(patient, error);
        }
        match stored {
            Some(stored) => self.report_sent(patient, object, Some(&stored)),
            None => self.report_skipped(patient, object),
        }
    }

    fn fail_object(
        &self,
        patient: &PatientExport,
        object: &SourceObject,
        error: Error,
        is_object_error: bool,
    ) {
        let error = Arc::new(error);
        tracing::debug!(key = %object.key, error = %error.text(), "not exported");
        patient.record_error(&error);
        self.report_failed(patient, object, &error);
        let stops = match error.remedy() {
            _ if is_object_error => false,
            Remedy::Stop => true,
            Remedy::Retry => self.count_exhausted(),
            Remedy::Skip => {
                self.reset_exhausted();
                patient.reset_denied();
                false
            }
            Remedy::SkipPatient => {
                self.reset_exhausted();
                patient.count_denied(&error, self.options.give_up_after.get());
                false
            }
        };
        if stops {
            self.state.stop(error);
        }
    }
}
