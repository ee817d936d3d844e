//! The patient worker: lists a patient at the destination, then decides about each of its objects.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use crossbeam_channel::Sender;

use super::decide::{Decision, DestinationState, decide};
use super::event::{ExportEvent, PatientReport};
use super::export_run::ExportRun;
use super::options::{Existing, ExportMode};
use super::patient_export::PatientExport;
use super::send_job::SendJob;
use crate::journal::{Extent, PatientJournal};
use crate::{
    Error, Journal, KeyPart, ListedObject, ObjectKey, Origin, Remedy, SourceObject, Stored,
};

/// A destination's listing of one patient.
enum Listing {
    /// The destination cannot list.
    Unavailable,
    Objects(HashMap<ObjectKey, ListedObject>),
}

impl Listing {
    fn of(&self, key: &ObjectKey) -> DestinationState<'_> {
        match self {
            Self::Unavailable => DestinationState::Unknown,
            Self::Objects(all) => all
                .get(key)
                .map_or(DestinationState::Missing, DestinationState::Present),
        }
    }
}

impl ExportRun<'_> {
    /// Exports a patient. Returns when the senders have finished its objects.
    pub(super) fn export_patient(&self, id: KeyPart, send: &Sender<SendJob>) {
        if self.state.is_cancelled() {
            return;
        }
        if self.state.is_over() {
            return self.state.report_not_started(id);
        }
        self.state
            .emit(&ExportEvent::PatientStarted { patient: &id });
        let journal = match self.journal.map(|journal| journal.patient(&id)).transpose() {
            Ok(journal) => journal,
            Err(error) => {
                // No object was counted yet.
                self.state.stop(error);
                return self.state.report_not_started(id);
            }
        };
        let patient = Arc::new(PatientExport::new(id.clone(), journal));
        let mut is_complete = true;
        let mut extent = Extent::Part;
        match self.export_objects(&id, &patient, send) {
            Ok(exported) => extent = exported,
            Err(Error::Cancelled) => is_complete = false,
            Err(error) => {
                let error = Arc::new(error);
                patient.record_error(&error);
                let stops = match error.remedy() {
                    Remedy::Stop => true,
                    Remedy::Retry => self.count_exhausted(),
                    Remedy::Skip | Remedy::SkipPatient => false,
                };
                if stops {
                    self.state.stop(error);
                }
            }
        }
        let mut report = patient.wait_for_senders();
        if report.error.is_none() && (!is_complete || report.counts.left > 0) {
            report.error = self.state.error();
        }
        let file = patient.journal().take();
        if let (Some(journal), Some(file)) = (self.journal, file)
            && let Err(error) = self.close(journal, file, &report, extent)
        {
            let error = Arc::new(error);
            report.error.get_or_insert_with(|| Arc::clone(&error));
            self.state.stop(error);
        }
        self.state.ended(&report);
    }

    /// Records the result of a patient and makes its record durable.
    fn close(
        &self,
        journal: &Journal,
        mut file: PatientJournal,
        report: &PatientReport,
        extent: Extent,
    ) -> Result<(), Error> {
        if self.options.mode == ExportMode::Send {
            file.end(&report.counts, report.error.as_deref(), extent)?;
        }
        journal.close(file)
    }

    /// Sends or skips the selected objects of a patient. Returns whether that were all.
    fn export_objects(
        &self,
        id: &KeyPart,
        patient: &Arc<PatientExport>,
        send: &Sender<SendJob>,
    ) -> Result<Extent, Error> {
        let listing = match self.listing(id) {
            Ok(listing) => listing,
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            // Without a listing it is unknown which objects are missing: none of them is sent.
            Err(error) => {
                self.state.source.objects(id, &mut |object| {
                    if self.is_selected(&object) {
                        patient.count_found();
                        self.report_failed(patient, &object, &error);
                    }
                    ControlFlow::Continue(())
                })?;
                return Err(error);
            }
        };
        let origins = self.origins(id)?;
        let mut is_complete = true;
        let mut extent = Extent::Whole;
        self.state.source.objects(id, &mut |object| {
            if self.state.is_over() {
                is_complete = false;
                return ControlFlow::Break(());
            }
            if self.is_selected(&object) {
                patient.count_found();
                let origin = origins.get(&object.key).copied();
                let at_destination = listing.of(&object.key);
                self.skip_or_send(patient, object, origin, at_destination, send);
            } else {
                extent = Extent::Part;
            }
            ControlFlow::Continue(())
        })?;
        if is_complete {
            Ok(extent)
        } else {
            Err(Error::Cancelled)
        }
    }

    fn is_selected(&self, object: &SourceObject) -> bool {
        let [patient, study, ..] = object.key.parts();
        self.state.selection.has(patient, study)
    }

    /// Counts a failed object, with its own error or its patient's.
    pub(super) fn report_failed(
        &self,
        patient: &PatientExport,
        object: &SourceObject,
        error: &Error,
    ) {
        patient.count(|counts| counts.failed += 1);
        let (key, len) = (&object.key, object.len);
        self.state.emit(&ExportEvent::Failed { key, len, error });
    }

    /// Returns the known origins of a patient's objects. Read before the files: a file that is
    /// replaced meanwhile may be newer than its origin, and is sent again by the next export.
    fn origins(&self, id: &KeyPart) -> Result<HashMap<ObjectKey, Origin>, Error> {
        let mut all = HashMap::new();
        if let Some(origins) = self.origins {
            origins.of_patient(id, &mut |key, origin| {
                all.insert(key, origin);
                ControlFlow::Continue(())
            })?;
        }
        Ok(all)
    }

    fn listing(&self, id: &KeyPart) -> Result<Listing, Error> {
        // A node that lost its data may list none. Others can tell what they would lose.
        let can_tell = self.capabilities.keeps || self.capabilities.origins;
        if self.options.existing == Existing::SendAgain && !can_tell {
            return Ok(Listing::Unavailable);
        }
        let listed = self.with_retries(None, &mut || {
            let mut all = HashMap::new();
            self.sink.list(id, &mut |listed| {
                all.insert(listed.key.clone(), listed);
                if self.state.is_over() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })?;
            Ok(all)
        });
        match listed {
            // An incomplete listing is not used.
            Ok(_) if self.state.is_over() => Err(Error::Cancelled),
            Ok(all) => Ok(Listing::Objects(all)),
            Err(Error::NoListing) => Ok(Listing::Unavailable),
            Err(error) => Err(error),
        }
    }

    /// Skips an object or passes it to the senders.
    fn skip_or_send(
        &self,
        patient: &Arc<PatientExport>,
        object: SourceObject,
        origin: Option<Origin>,
        at_destination: DestinationState<'_>,
        send: &Sender<SendJob>,
    ) {
        let decision = {
            let journal = patient.journal();
            let entry = journal.as_ref().and_then(|file| file.get(&object.key));
            decide(&object, origin, at_destination, entry, self.policy())
        };
        let is_dry = self.options.mode == ExportMode::DryRun;
        match decision {
            Decision::Skip => {
                self.record_known_origin(patient, &object, origin);
                return self.report_skipped(patient, &object);
            }
            Decision::Send(_) if is_dry => return self.report_sent(patient, &object, None),
            _ => {}
        }
        let job = SendJob::new(Arc::clone(patient), object, origin, decision);
        // The send fails only if every sender has panicked. Then dropping the job counts it as
        // left.
        drop(send.send(job));
    }

    /// Records the origin of an object that is at the destination as the journal says, if the journal
    /// does not know it: a version before, or an account without origins, has sent the object.
    fn record_known_origin(
        &self,
        patient: &PatientExport,
        object: &SourceObject,
        origin: Option<Origin>,
    ) {
        if origin.is_none() || self.options.mode == ExportMode::DryRun {
            return;
        }
        let mut journal = patient.journal();
        let Some(file) = journal.as_mut() else { return };
        let entry = file.get(&object.key);
        let Some(entry) = entry.filter(|entry| entry.origin().is_none()) else {
            return;
        };
        let tag = entry.tag().cloned();
        if let Err(error) = file.record(object, origin, tag, false) {
            self.fail_journal(patient, error);
        }
    }

    /// Ends the export: what was sent cannot be recorded.
    pub(super) fn fail_journal(&self, patient: &PatientExport, error: Error) {
        let error = Arc::new(error);
        patient.record_error(&error);
        self.state.stop(error);
    }

    pub(super) fn report_skipped(&self, patient: &PatientExport, object: &SourceObject) {
        let (key, len) = (&object.key, object.len);
        patient.count(|counts| {
            counts.skipped += 1;
            counts.bytes_skipped += len;
        });
        self.state.emit(&ExportEvent::Skipped { key, len });
    }

    pub(super) fn report_sent(
        &self,
        patient: &PatientExport,
        object: &SourceObject,
        stored: Option<&Stored>,
    ) {
        let (key, len) = (&object.key, object.len);
        let warning = stored.and_then(|it| it.warning.as_deref());
        let rewritten = stored.and_then(|it| it.rewritten);
        patient.count(|counts| {
            counts.sent += 1;
            counts.bytes_sent += len;
            counts.warnings += u64::from(warning.is_some());
            counts.rewritten += u64::from(rewritten.is_some());
        });
        self.state.emit(&ExportEvent::Sent {
            key,
            len,
            warning,
            rewritten,
        });
    }
}
