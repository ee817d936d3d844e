//! [`RetrieveProgress`]: how much of a study has arrived.

use std::fmt;

use crate::{BackendError, Phi};

/// How much of a study has arrived, asked by original UIDs as a retrieve knows them.
pub trait RetrieveProgress: Send + Sync + fmt::Debug {
    /// Returns true if the index holds the instance with this original SOP Instance UID.
    ///
    /// # Errors
    /// If the store fails.
    fn has_instance(&self, instance_uid: &Phi<String>) -> Result<bool, BackendError>;

    /// Returns the number of stored instances of a study; 0 if the index does not hold it.
    ///
    /// # Errors
    /// If the store fails.
    fn stored_instances(&self, study_uid: &Phi<String>) -> Result<u64, BackendError>;

    /// Returns true if the series holds at least `target` instances. False if the index holds no
    /// such series of this study.
    ///
    /// # Errors
    /// If the store fails.
    fn series_complete(
        &self,
        study_uid: &Phi<String>,
        series_uid: &Phi<String>,
        target: u64,
    ) -> Result<bool, BackendError>;

    /// Records that a retrieve expects `target` instances of a study. Returns how many are missing;
    /// negative if more are stored than expected.
    ///
    /// For a study that the index does not hold nothing is recorded, and all are missing.
    ///
    /// # Errors
    /// If the store fails.
    fn expect_instances(&self, study_uid: &Phi<String>, target: u64) -> Result<i64, BackendError>;

    /// Returns true if a retrieve asked for the study and all instances it expected are stored.
    /// False for studies that arrived any other way, as in V17.
    ///
    /// # Errors
    /// If the store fails.
    fn study_imported(&self, study_uid: &Phi<String>) -> Result<bool, BackendError>;
}
