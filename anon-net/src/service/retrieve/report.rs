//! The events and reports of a retrieve.

use std::collections::BTreeMap;
use std::fmt;

use super::QueryLevel;
use crate::dimse::SubOperations;
use crate::service::ServiceError;
use crate::{InstanceUid, Uid};

/// Error Comment (0000,0902): a failure in the words of the peer (PS3.7 Annex C).
///
/// It may quote an identifying value, so it must not be logged. `Debug` shows its length.
#[derive(Clone, PartialEq, Eq)]
pub struct ErrorComment(String);

impl ErrorComment {
    /// Returns the comment without outer blanks and control characters. `None` if nothing is left.
    pub(super) fn of(comment: &str) -> Option<Self> {
        let words = comment.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        let kept: String = words.chars().filter(|c| !c.is_control()).collect();
        (!kept.is_empty()).then_some(Self(kept))
    }

    /// Returns the words of the peer.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ErrorComment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ErrorComment({} characters)", self.0.chars().count())
    }
}

/// The result of retrieving a study: `expected` is the sum of `stored`, `quarantined`, `excluded`
/// and the number of `missing`. `Debug` shows no UID.
#[derive(Debug)]
#[non_exhaustive]
pub struct StudyReport {
    /// Study Instance UID.
    pub study: InstanceUid,
    /// Instances in the peer's responses to the queries.
    pub expected: usize,
    /// Stored instances, including those stored before.
    pub stored: usize,
    /// Quarantined instances.
    pub quarantined: usize,
    /// Excluded instances.
    pub excluded: usize,
    /// The number of excluded instances for each storage SOP class that the peer returned.
    pub excluded_classes: BTreeMap<Uid, usize>,
    /// Missing instances that the peer reported as failed.
    pub failed: usize,
    /// Responses to the queries without a valid UID. Their instances are in no other count.
    pub unusable: usize,
    /// Instances that did not arrive.
    pub missing: Vec<InstanceUid>,
    /// Why the study is not complete. `None` if it is.
    pub error: Option<ServiceError>,
    /// What the peer said of its last failure. `None` if the study is complete.
    pub comment: Option<ErrorComment>,
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
            unusable: 0,
            missing: Vec::new(),
            error: Some(error),
            comment: None,
        }
    }

    /// Returns true if every instance is stored, quarantined or excluded.
    pub fn is_complete(&self) -> bool {
        self.error.is_none()
    }
}

/// A step in retrieving a study.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum RetrieveStep {
    /// The instances of the study were queried.
    Expected {
        /// The number of instances.
        instances: usize,
        /// How many of them are excluded.
        excluded: usize,
    },
    /// A round of requests starts.
    Requested {
        /// The level of the requests.
        level: QueryLevel,
    },
    /// The counters of a response.
    Counted(SubOperations),
    /// Instances arrived.
    Arrived {
        /// Stored instances.
        stored: usize,
        /// Quarantined instances.
        quarantined: usize,
        /// Missing instances.
        missing: usize,
    },
    /// The study is finished.
    Done,
}

/// An event during a retrieve.
#[derive(Debug)]
#[non_exhaustive]
pub struct RetrieveEvent {
    /// The position of the study in the list, starting at 0.
    pub study: usize,
    /// The step.
    pub step: RetrieveStep,
}
