//! What is told of a retrieve, while it goes on and at its end.

use std::collections::BTreeMap;

use super::QueryLevel;
use crate::dimse::SubOperations;
use crate::service::ServiceError;
use crate::{InstanceUid, Uid};

/// What became of a study: `expected` is the sum of `stored`, `quarantined`, `excluded` and what is
/// missing. `Debug` shows no UID.
#[derive(Debug)]
#[non_exhaustive]
pub struct StudyReport {
    /// Study Instance UID.
    pub study: InstanceUid,
    /// Instances that the peer named.
    pub expected: usize,
    /// Those that are stored, some of them since before.
    pub stored: usize,
    /// Those that are in quarantine.
    pub quarantined: usize,
    /// Those that are not wanted.
    pub excluded: usize,
    /// Of those that are not wanted, how many there are of each storage SOP class, as far as the peer
    /// says it.
    pub excluded_classes: BTreeMap<Uid, usize>,
    /// Of those missing, the ones that the peer says it could not send.
    pub failed: usize,
    /// Those that did not arrive.
    pub missing: Vec<InstanceUid>,
    /// Why it is not complete; none if it is.
    pub error: Option<ServiceError>,
}

impl StudyReport {
    pub(super) fn failed(study: InstanceUid, error: ServiceError) -> Self {
        Self {
            study,
            expected: 0,
            stored: 0,
            quarantined: 0,
            excluded: 0,
            excluded_classes: BTreeMap::new(),
            failed: 0,
            missing: Vec::new(),
            error: Some(error),
        }
    }

    /// True if every instance is stored, quarantined or not wanted.
    pub fn is_complete(&self) -> bool {
        self.error.is_none()
    }
}

/// What happens to a study.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum RetrieveStep {
    /// The peer named its instances.
    Expected {
        /// How many there are.
        instances: usize,
        /// How many of them are not wanted.
        excluded: usize,
    },
    /// Something is asked for.
    Asked {
        /// At which level.
        level: QueryLevel,
    },
    /// The peer counts.
    Counted(SubOperations),
    /// Instances arrived.
    Arrived {
        /// How many are stored.
        stored: usize,
        /// How many are in quarantine.
        quarantined: usize,
        /// How many are missing.
        missing: usize,
    },
    /// It is done with.
    Done,
}

/// What happens while studies are brought here.
#[derive(Debug)]
#[non_exhaustive]
pub struct RetrieveEvent {
    /// The place of the study in the list, from 0.
    pub study: usize,
    /// What happens.
    pub step: RetrieveStep,
}
