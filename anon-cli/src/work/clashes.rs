//! Counts clashes: values of the index that should be one and are several.

use anon_model::{BackendError, ClashKind, PhiIndex};

use crate::project::record::Clashes;

/// Counts the clashes of a project.
pub(crate) fn count(lookups: &dyn PhiIndex) -> Result<Clashes, BackendError> {
    Ok(Clashes {
        patient_names: lookups.clash_count(ClashKind::PatientNames)?,
        birth_dates: lookups.clash_count(ClashKind::BirthDates)?,
        accessions: lookups.clash_count(ClashKind::Accessions)?,
        study_dates: lookups.clash_count(ClashKind::StudyDates)?,
        accession_patients: lookups.clash_count(ClashKind::AccessionPatients)?,
    })
}

/// Counts the clashes that a run adds. Those of other work that runs beside it are counted too.
#[derive(Debug)]
pub(crate) struct NewClashes(Option<Clashes>);

impl NewClashes {
    /// Called when the run starts. A store that fails is noticed by the run itself.
    pub(crate) fn start(lookups: &dyn PhiIndex) -> Self {
        Self(count(lookups).ok())
    }

    /// Called when the run has ended.
    pub(crate) fn end(self, lookups: &dyn PhiIndex) -> Clashes {
        match (self.0, count(lookups)) {
            (Some(before), Ok(now)) => now.since(&before),
            _ => Clashes::default(),
        }
    }
}
