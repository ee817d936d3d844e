//! A walker: lists a patient at the destination, then looks at each of its objects.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use crossbeam_channel::Sender;

use super::decide::{Decision, DestinationState, decide};
use super::event::ExportEvent;
use super::export_run::ExportRun;
use super::options::ExportMode;
use super::patient_export::PatientExport;
use super::sender::SendJob;
use crate::{Error, KeyPart, ListedObject, ObjectKey, Remedy, SourceObject};

/// What a destination has of one patient.
enum Listing {
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
    /// Exports a patient: returns when the senders are done with it.
    pub(super) fn walk(&self, id: KeyPart, send: &Sender<SendJob>) {
        if self.state.is_cancelled() {
            return;
        }
        if self.state.is_over() {
            return self.state.missed(id);
        }
        self.state
            .tell(&ExportEvent::PatientStarted { patient: &id });
        let journal = match self.journal.map(|journal| journal.patient(&id)).transpose() {
            Ok(journal) => journal,
            Err(error) => {
                // Nothing of it is done, and nothing counted.
                self.state.stop(error);
                return self.state.missed(id);
            }
        };
        let patient = Arc::new(PatientExport::new(id.clone(), journal));
        let mut is_whole = true;
        match self.objects(&id, &patient, send) {
            Ok(()) => {}
            Err(Error::Cancelled) => is_whole = false,
            Err(error) => {
                let error = Arc::new(error);
                patient.note(&error);
                let ends = match error.remedy() {
                    Remedy::Stop => true,
                    Remedy::Retry => self.exhausted(),
                    Remedy::Skip | Remedy::SkipPatient => false,
                };
                if ends {
                    self.state.stop(error);
                }
            }
        }
        let mut report = patient.wait();
        if report.error.is_none() && (!is_whole || report.counts.left > 0) {
            report.error = self.state.error();
        }
        let file = patient.journal().take();
        if let (Some(journal), Some(file)) = (self.journal, file)
            && let Err(error) = journal.close(file)
        {
            let error = Arc::new(error);
            report.error.get_or_insert_with(|| Arc::clone(&error));
            self.state.stop(error);
        }
        self.state.ended(&report);
    }

    fn objects(
        &self,
        id: &KeyPart,
        patient: &Arc<PatientExport>,
        send: &Sender<SendJob>,
    ) -> Result<(), Error> {
        let listing = match self.listing(id) {
            Ok(listing) => listing,
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            // What is there is unknown, and so is what is missing: none of it is touched.
            Err(error) => {
                self.state.source.objects(id, &mut |object| {
                    if self.is_selected(&object) {
                        patient.found();
                        self.fail(patient, &object, &error);
                    }
                    ControlFlow::Continue(())
                })?;
                return Err(error);
            }
        };
        let mut is_whole = true;
        self.state.source.objects(id, &mut |object| {
            if self.state.is_over() {
                is_whole = false;
                return ControlFlow::Break(());
            }
            if self.is_selected(&object) {
                patient.found();
                let there = listing.of(&object.key);
                self.look_at(patient, object, there, send);
            }
            ControlFlow::Continue(())
        })?;
        if is_whole {
            Ok(())
        } else {
            Err(Error::Cancelled)
        }
    }

    fn is_selected(&self, object: &SourceObject) -> bool {
        let [patient, study, ..] = object.key.parts();
        self.state.selection.has(patient, study)
    }

    /// An object fails: tried, or with what was said of its patient.
    pub(super) fn fail(&self, patient: &PatientExport, object: &SourceObject, error: &Error) {
        patient.count(|counts| counts.failed += 1);
        let (key, len) = (&object.key, object.len);
        self.state.tell(&ExportEvent::Failed { key, len, error });
    }

    fn listing(&self, id: &KeyPart) -> Result<Listing, Error> {
        let listed = self.tries(None, &mut || {
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
            // Half a listing is none.
            Ok(_) if self.state.is_over() => Err(Error::Cancelled),
            Ok(all) => Ok(Listing::Objects(all)),
            Err(Error::NoListing) => Ok(Listing::Unavailable),
            Err(error) => Err(error),
        }
    }

    /// Skips an object, or gives it to the senders.
    fn look_at(
        &self,
        patient: &Arc<PatientExport>,
        object: SourceObject,
        there: DestinationState<'_>,
        send: &Sender<SendJob>,
    ) {
        let decision = {
            let journal = patient.journal();
            let entry = journal.as_ref().and_then(|file| file.get(&object.key));
            decide(&object, there, entry, self.capabilities)
        };
        let is_dry = self.options.mode == ExportMode::DryRun;
        match decision {
            Decision::Skip => return self.skipped(patient, &object),
            Decision::Send if is_dry => return self.sent(patient, &object, None),
            Decision::Send | Decision::Compare(_) => {}
        }
        let tag = match decision {
            Decision::Compare(tag) => Some(tag),
            _ => None,
        };
        let job = SendJob::new(Arc::clone(patient), object, tag);
        // Nobody takes it only if each sender has panicked; the job counts itself then.
        drop(send.send(job));
    }

    pub(super) fn skipped(&self, patient: &PatientExport, object: &SourceObject) {
        let (key, len) = (&object.key, object.len);
        patient.count(|counts| {
            counts.skipped += 1;
            counts.bytes_skipped += len;
        });
        self.state.tell(&ExportEvent::Skipped { key, len });
    }

    pub(super) fn sent(
        &self,
        patient: &PatientExport,
        object: &SourceObject,
        warning: Option<&str>,
    ) {
        let (key, len) = (&object.key, object.len);
        patient.count(|counts| {
            counts.sent += 1;
            counts.bytes_sent += len;
            counts.warnings += u64::from(warning.is_some());
        });
        self.state.tell(&ExportEvent::Sent { key, len, warning });
    }
}
