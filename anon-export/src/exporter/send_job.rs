//! [`SendJob`]: an object on its way to a sender.

use std::sync::Arc;

use super::decide::Decision;
use super::patient_export::PatientExport;
use crate::{Origin, SourceObject};

/// An object that may have to be sent. Counts as left if it is dropped before it is processed.
#[derive(Debug)]
pub(super) struct SendJob {
    pub(super) patient: Arc<PatientExport>,
    pub(super) object: SourceObject,
    /// Which original it was made from, if known.
    pub(super) origin: Option<Origin>,
    pub(super) decision: Decision,
    pub(super) is_processed: bool,
}

impl SendJob {
    pub(super) fn new(
        patient: Arc<PatientExport>,
        object: SourceObject,
        origin: Option<Origin>,
        decision: Decision,
    ) -> Self {
        patient.job_started();
        Self {
            patient,
            object,
            origin,
            decision,
            is_processed: false,
        }
    }
}

impl Drop for SendJob {
    fn drop(&mut self) {
        if !self.is_processed {
            self.patient.count(|counts| counts.left += 1);
        }
        self.patient.job_finished();
    }
}
