//! A sender: puts one object after the other, and tries again where that may help.

use std::sync::Arc;

use super::export_run::ExportRun;
use super::options::ExportMode;
use super::patient_export::PatientExport;
use super::source_body::SourceBody;
use crate::{EntityTag, Error, Put, Remedy, SourceObject, Stored};

/// An object that may have to be sent. One that is dropped unserved is left.
#[derive(Debug)]
pub(super) struct SendJob {
    patient: Arc<PatientExport>,
    object: SourceObject,
    /// The tag of what is there.
    there: Option<EntityTag>,
    is_served: bool,
}

impl SendJob {
    pub(super) fn new(
        patient: Arc<PatientExport>,
        object: SourceObject,
        there: Option<EntityTag>,
    ) -> Self {
        patient.opened();
        Self {
            patient,
            object,
            there,
            is_served: false,
        }
    }
}

impl Drop for SendJob {
    fn drop(&mut self) {
        if !self.is_served {
            self.patient.count(|counts| counts.left += 1);
        }
        self.patient.closed();
    }
}

/// What came of an object.
enum SendOutcome {
    /// It was put, or would be.
    Sent(Option<Stored>),
    /// It is there, with this tag.
    Skipped(Option<EntityTag>),
}

/// Why an object was not put.
struct ObjectFailure {
    error: Error,
    /// True if it is the object that failed, not the destination.
    is_of_object: bool,
}

impl From<ObjectFailure> for Error {
    fn from(failure: ObjectFailure) -> Self {
        failure.error
    }
}

impl ExportRun<'_> {
    /// Does what is to be done with an object.
    pub(super) fn serve(&self, mut job: SendJob) {
        if self.state.is_over() {
            return;
        }
        if let Some(error) = job.patient.barred() {
            job.is_served = true;
            return self.fail(&job.patient, &job.object, &error);
        }
        let mut is_of_object = false;
        let object = job.object.clone();
        let outcome = self.tries(Some(&object.key), &mut || {
            is_of_object = false;
            self.attempt(&object, job.there.as_ref())
                .map_err(|failure| {
                    is_of_object = failure.is_of_object;
                    failure.error
                })
        });
        match outcome {
            Ok(outcome) => {
                self.answered();
                job.patient.not_denied();
                job.is_served = true;
                self.fulfil(&job.patient, &object, outcome);
            }
            // It counts itself as left.
            Err(Error::Cancelled) => {}
            Err(error) => {
                job.is_served = true;
                self.failed(&job.patient, &object, error, is_of_object);
            }
        }
    }

    fn attempt(
        &self,
        object: &SourceObject,
        there: Option<&EntityTag>,
    ) -> Result<SendOutcome, ObjectFailure> {
        if let Some(tag) = there {
            let compare = |body: &mut SourceBody<'_>| self.sink.is_tag_of(tag, object.len, body);
            if self.with_body(object, compare)? == Some(true) {
                return Ok(SendOutcome::Skipped(Some(tag.clone())));
            }
        }
        if self.options.mode == ExportMode::DryRun {
            return Ok(SendOutcome::Sent(None));
        }
        let put = |body: &mut SourceBody<'_>| self.sink.put(&object.key, object.len, body);
        let stored = self.with_body(object, put)?;
        Ok(match stored.put {
            Put::Created => SendOutcome::Sent(Some(stored)),
            Put::AlreadyThere => SendOutcome::Skipped(stored.tag),
        })
    }

    /// Lends the bytes of an object, from the first on, and sees to it that they are what was listed.
    fn with_body<T>(
        &self,
        object: &SourceObject,
        with: impl FnOnce(&mut SourceBody<'_>) -> Result<T, Error>,
    ) -> Result<T, ObjectFailure> {
        let of_object = |error| ObjectFailure {
            error,
            is_of_object: true,
        };
        let mut body = SourceBody::open(self, object).map_err(of_object)?;
        let done = with(&mut body);
        if let Some(error) = body.failure() {
            return Err(of_object(error));
        }
        match done {
            Ok(done) => {
                // One that did not need the bytes has not asked for their end.
                body.check().map_err(of_object)?;
                Ok(done)
            }
            Err(error @ (Error::Short { .. } | Error::Long { .. })) => {
                // Who listed it and who opened it saw two objects.
                tracing::debug!(%error, "the object changed");
                Err(of_object(Error::Changed))
            }
            Err(error) => Err(ObjectFailure {
                error,
                is_of_object: false,
            }),
        }
    }

    fn fulfil(&self, patient: &PatientExport, object: &SourceObject, outcome: SendOutcome) {
        let (tag, stored) = match outcome {
            SendOutcome::Sent(None) => return self.sent(patient, object, None),
            SendOutcome::Sent(Some(stored)) => (stored.tag.clone(), Some(stored)),
            SendOutcome::Skipped(tag) => (tag, None),
        };
        if self.options.mode == ExportMode::Send
            && let Some(file) = patient.journal().as_mut()
            && let Err(error) = file.record(object, tag)
        {
            let error = Arc::new(error);
            patient.note(&error);
            self.state.stop(error);
        }
        match stored {
            Some(stored) => self.sent(patient, object, stored.warning.as_deref()),
            None => self.skipped(patient, object),
        }
    }

    fn failed(
        &self,
        patient: &PatientExport,
        object: &SourceObject,
        error: Error,
        is_of_object: bool,
    ) {
        let error = Arc::new(error);
        tracing::debug!(key = %object.key, error = %error.text(), "not exported");
        patient.note(&error);
        self.fail(patient, object, &error);
        let ends = match error.remedy() {
            _ if is_of_object => false,
            Remedy::Stop => true,
            Remedy::Retry => self.exhausted(),
            Remedy::Skip => {
                self.answered();
                patient.not_denied();
                false
            }
            Remedy::SkipPatient => {
                self.answered();
                patient.denied(&error, self.options.give_up_after.get());
                false
            }
        };
        if ends {
            self.state.stop(error);
        }
    }
}
