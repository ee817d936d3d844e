//! [`SendJob`]: an object on its way to a sender.

use std::sync::Arc;

use super::patient_export::PatientExport;
use crate::{EntityTag, SourceObject};

/// An object that may have to be sent. Counts as left if it is dropped before it is processed.
#[derive(Debug)]
pub(super) struct SendJob {
    pub(super) patient: Arc<PatientExport>,
    pub(super) object: SourceObject,
    /// The tag in the destination's listing.
    pub(super) listed_tag: Option<EntityTag>,
    pub(super) is_processed: bool,
}

impl SendJob {
    pub(super) fn new(
        patient: Arc<PatientExport>,
        object: SourceObject,
        listed_tag: Option<EntityTag>,
    ) -> Self {
        patient.job_started();
        Self {
            patient,
            object,
            listed_tag,
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
