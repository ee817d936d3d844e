//! Queries with the patient root (PS3.4 section C.6.1).
//!
//! A peer without relational queries takes a query at study level only for one patient, and without
//! other attributes of the patient (PS3.4 section C.4.1.3.1.1). If it refuses a query, the patients
//! are queried first.

use std::collections::BTreeSet;
use std::fmt;

use super::{FindReport, Finder, Query, StudyMatch};
use crate::InstanceUid;
use crate::dimse::Operation;
use crate::identifier::tag;
use crate::service::ServiceError;
use crate::service::root::Root;
use crate::service::transfer::PatientId;

/// What is known so far about the peer's patients, on one association.
#[derive(Debug, Default)]
pub(super) struct KnownPatients {
    /// The peer has refused a query at study level with keys of the patient.
    are_required: bool,
    /// All patients.
    all: Option<Vec<FoundPatient>>,
}

/// A patient in a response. `Debug` shows nothing of it.
#[derive(Clone)]
struct FoundPatient {
    id: String,
    name: String,
    birth_date: String,
    sex: String,
}

impl fmt::Debug for FoundPatient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FoundPatient").finish_non_exhaustive()
    }
}

impl FoundPatient {
    /// Fills in patient attributes that the study-level response lacks.
    fn complete(&self, study: &mut StudyMatch) {
        for (value, known) in [
            (&mut study.patient_id, &self.id),
            (&mut study.patient_name, &self.name),
            (&mut study.birth_date, &self.birth_date),
            (&mut study.sex, &self.sex),
        ] {
            if value.is_empty() {
                value.clone_from(known);
            }
        }
    }
}

impl Finder<'_> {
    /// Runs a query with the patient root.
    pub(super) fn studies_of_patients(
        &mut self,
        query: &Query,
        on_match: &mut dyn FnMut(StudyMatch),
    ) -> Result<FindReport, ServiceError> {
        if !self.patients.are_required {
            match self.studies_of_request(query, &query.identifier(), on_match) {
                // A700 is a limit of the server, not of the query.
                Err(ServiceError::Refused { status, .. }) if status.code() != 0xA700 => {
                    self.patients.are_required = true;
                }
                result => return result,
            }
        }
        let mut report = FindReport::default();
        for patient in self.patients(query)? {
            self.count_request()?;
            let identifier = query.identifier_of_patient(&patient.id);
            let found = self.studies_of_request(query, &identifier, &mut |mut study| {
                patient.complete(&mut study);
                on_match(study);
            })?;
            report.studies += found.studies;
            report.responses = report.responses.saturating_add(found.responses);
            report.left_out.add(&found.left_out);
            if query.is_of_one_study() && report.studies > 0 {
                break;
            }
        }
        Ok(report)
    }

    /// Counts the request for a patient against the limit of responses. An archive may have any
    /// number of patients, and most have no study that matches.
    fn count_request(&mut self) -> Result<(), ServiceError> {
        self.taken = self.taken.saturating_add(1);
        if self.taken > self.max_responses {
            return Err(ServiceError::TooMany {
                operation: Operation::Find,
                limit: self.max_responses,
            });
        }
        Ok(())
    }

    /// Queries the patients that a query matches. Those without an ID cannot be queried further,
    /// and an ID with a wildcard would match other patients (PS3.4 section C.2.2.2.4).
    fn patients(&mut self, query: &Query) -> Result<Vec<FoundPatient>, ServiceError> {
        let identifier = query.patient_identifier();
        let is_all = [tag::PATIENT_NAME, tag::PATIENT_ID]
            .iter()
            .all(|tag| identifier.value(*tag).is_none_or(<[u8]>::is_empty));
        if let (true, Some(all)) = (is_all, &self.patients.all) {
            return Ok(all.clone());
        }
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        let mut left_out: usize = 0;
        self.find(&identifier, &mut |response| {
            let text = |tag, most| response.bounded_text(tag, most).unwrap_or_default();
            let id = text(tag::PATIENT_ID, 65);
            let is_key =
                !id.is_empty() && !id.contains(|c: char| "\\*?".contains(c) || c.is_control());
            left_out += usize::from(!is_key);
            if is_key && seen.insert(id.clone()) {
                found.push(FoundPatient {
                    id,
                    name: text(tag::PATIENT_NAME, 324),
                    birth_date: text(tag::BIRTH_DATE, 16),
                    sex: text(tag::SEX, 16),
                });
            }
        })?;
        if left_out > 0 {
            tracing::warn!(left_out, "patients cannot be queried by their IDs");
        }
        if is_all {
            self.patients.all = Some(found.clone());
        }
        Ok(found)
    }

    /// Finds the patient of a study, for the requests below the study level. Returns false if the
    /// peer does not have the study.
    pub(crate) fn locate(&mut self, study: &InstanceUid) -> Result<bool, ServiceError> {
        if self.root == Root::Study {
            return Ok(true);
        }
        self.patient = self.patient_of(study)?;
        Ok(self.patient.is_some())
    }

    /// Queries the Patient ID of a study. `None` if the peer does not have the study.
    pub(crate) fn patient_of(
        &mut self,
        study: &InstanceUid,
    ) -> Result<Option<PatientId>, ServiceError> {
        let mut found = None;
        self.studies(&Query::new().with_study(study.clone()), &mut |study| {
            found = Some(PatientId::new(study.patient_id));
        })?;
        Ok(found)
    }

    /// Names the patient of the study that is queried next.
    pub(crate) fn set_patient(&mut self, patient: &str) {
        self.patient = Some(PatientId::new(patient));
    }

    /// Returns the patient of the study that was queried last, if requests have to name it.
    pub(crate) fn patient(&self) -> Option<&PatientId> {
        self.patient.as_ref().filter(|_| self.root == Root::Patient)
    }
}
