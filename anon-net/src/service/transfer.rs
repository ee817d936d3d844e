//! What C-MOVE and C-GET have in common (PS3.4 sections C.4.2 and C.4.3).

mod association;

use std::fmt;

pub(crate) use association::{TransferAssociation, TransferObserver};

use super::ServiceError;
use crate::InstanceUid;
use crate::dimse::{Response, Status, SubOperations};
use crate::identifier::{Identifier, tag};
use crate::text::Charset;

/// What to retrieve: a study, one of its series, or instances of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the information model has these levels"
)]
pub enum TransferTarget {
    /// A whole study.
    Study {
        /// Study Instance UID.
        study: InstanceUid,
    },
    /// A whole series.
    Series {
        /// Study Instance UID.
        study: InstanceUid,
        /// Series Instance UID.
        series: InstanceUid,
    },
    /// Some instances of a series, at least one. Most servers support a list, and all support one
    /// instance at a time.
    Instances {
        /// Study Instance UID.
        study: InstanceUid,
        /// Series Instance UID.
        series: InstanceUid,
        /// SOP Instance UIDs.
        instances: Vec<InstanceUid>,
    },
}

impl TransferTarget {
    /// Returns the identifier of the request. It contains unique keys only (PS3.4 section
    /// C.4.2.1.4): with the patient root also the Patient ID.
    pub(crate) fn identifier(&self, patient: Option<&PatientId>) -> Identifier {
        let mut identifier = Identifier::new();
        if let Some(patient) = patient.map(PatientId::expose) {
            let charset = Charset::for_texts([patient]);
            if let Some(term) = charset.term() {
                identifier.set(tag::CHARSET, term.as_bytes());
            }
            identifier.set(tag::PATIENT_ID, &charset.encode(patient));
        }
        let mut set = |tag, uid: &InstanceUid| identifier.set(tag, uid.expose().as_bytes());
        let level: &[u8] = match self {
            Self::Study { study } => {
                set(tag::STUDY_UID, study);
                b"STUDY"
            }
            Self::Series { study, series } => {
                set(tag::STUDY_UID, study);
                set(tag::SERIES_UID, series);
                b"SERIES"
            }
            Self::Instances {
                study,
                series,
                instances,
            } => {
                set(tag::STUDY_UID, study);
                set(tag::SERIES_UID, series);
                let list: Vec<&str> = instances.iter().map(InstanceUid::expose).collect();
                identifier.set(tag::SOP_INSTANCE, list.join("\\").as_bytes());
                b"IMAGE"
            }
        };
        identifier.set(tag::LEVEL, level);
        identifier
    }
}

/// The Patient ID (0010,0020) of a target. `Debug` shows its length.
#[derive(Clone, PartialEq, Eq)]
pub struct PatientId(String);

impl PatientId {
    /// Creates a Patient ID, as a peer returned it.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// Returns the ID.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PatientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PatientId({} characters)", self.0.chars().count())
    }
}

/// Why a peer refuses or fails a C-MOVE or C-GET (PS3.4 Tables C.4-2 and C.4-3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransferFailure {
    /// Out of resources: unable to calculate the number of matches. A701.
    #[error("it is out of resources: it cannot calculate the number of matches")]
    CannotCount,
    /// Out of resources: unable to perform sub-operations. A702.
    #[error("it is out of resources: it cannot perform sub-operations")]
    CannotSend,
    /// Move destination unknown. A801. Some servers send C000 instead.
    #[error("it does not know the AE title of the destination")]
    DestinationUnknown,
    /// The identifier does not match the SOP class. A900.
    #[error("the identifier does not match the SOP class")]
    Mismatch,
    /// SOP class not supported. 0122.
    #[error("it does not support the SOP class")]
    ClassNotSupported,
    /// Not authorized. 0124.
    #[error("we are not authorized")]
    NotAuthorized,
    /// Unable to process. Cxxx.
    #[error("it is unable to process the request")]
    UnableToProcess,
    /// Another failure status.
    #[error("the status is not defined")]
    Other,
}

impl TransferFailure {
    /// Returns the failure that a status stands for. `None` for success, warning, cancel and
    /// pending.
    pub const fn of(status: Status) -> Option<Self> {
        Some(match status.code() {
            0x0000 | 0xB000..=0xBFFF | 0xFE00 | 0xFF00 | 0xFF01 => return None,
            0xA701 => Self::CannotCount,
            0xA702 | 0xA700 => Self::CannotSend,
            0xA801 => Self::DestinationUnknown,
            0xA900..=0xA9FF => Self::Mismatch,
            0x0122 => Self::ClassNotSupported,
            0x0124 => Self::NotAuthorized,
            0xC000..=0xCFFF => Self::UnableToProcess,
            _ => Self::Other,
        })
    }
}

/// The result of a C-MOVE or C-GET that was not refused. `Debug` shows no UID.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransferReport {
    /// Success (0000) or a warning (B000), which means that some sub-operations failed.
    pub status: Status,
    /// The counters of the final response. They are not always correct.
    pub counts: SubOperations,
    /// Failed SOP Instance UID List (0008,0058).
    pub failed: Vec<InstanceUid>,
}

impl TransferReport {
    /// Returns the result for a final response.
    pub(crate) fn of(response: &Response, failed: Vec<InstanceUid>) -> Result<Self, ServiceError> {
        let (operation, status) = (response.operation, response.status);
        let is_done = TransferFailure::of(status).is_none() && status != Status::CANCELLED;
        if !is_done {
            return Err(ServiceError::Refused { operation, status });
        }
        let counts = response.counts;
        Ok(Self {
            status,
            counts,
            failed,
        })
    }
}
