//! [`Receipt`]: how the processing of an object ended.

use anon_model::Remarks;

use crate::deid::output_path::OutputPath;
use crate::deid::plan::Warnings;
use crate::keep::store::Staged;
use crate::refusal::{Category, EntryId};

pub use crate::keep::received::Received;

/// The result of processing an object.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// How the processing of the object ended.
    pub outcome: Outcome,
    /// The length of the object as received, in bytes.
    pub bytes_in: u64,
    /// The length of the output, in bytes; 0 if none was written.
    pub bytes_out: u64,
    /// Conditions that did not stop the object but should be reported.
    pub warnings: Warnings,
    /// What a data manager should know about a stored object. Empty for any other outcome.
    pub remarks: Remarks,
}

impl Receipt {
    /// Returns the receipt of an object that is staged and will be stored.
    pub(crate) fn of_staged(
        staged: &Staged,
        patient: String,
        bytes_in: u64,
        warnings: Warnings,
    ) -> Self {
        Self {
            outcome: Outcome::Stored {
                path: staged.path().clone(),
                patient,
            },
            bytes_in,
            bytes_out: staged.bytes(),
            warnings,
            remarks: Remarks::default(),
        }
    }
}

/// How the processing of an object ended. What it says is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The object is de-identified and stored.
    Stored {
        /// Its path in the store.
        path: OutputPath,
        /// The pseudonym of its patient.
        patient: String,
    },
    /// The same instance was stored before.
    Duplicate {
        /// Its path in the store.
        path: OutputPath,
        /// The pseudonym of its patient.
        patient: String,
    },
    /// It is not a DICOM object, and need not be one: a hidden file, an archive, a file without any
    /// sign of DICOM that nobody named.
    Ignored {
        /// Why it is ignored.
        reason: String,
        /// True if it is an archive, which may hold objects that are not read.
        archive: bool,
    },
    /// The object is refused, and in quarantine.
    Quarantined {
        /// The category of the refusal.
        category: Category,
        /// Why it is refused, for a data manager.
        reason: String,
        /// Its quarantine entry.
        entry: EntryId,
        /// The SOP class, for [`Category::InvalidStorageClass`].
        sop_class: Option<String>,
    },
}

impl Outcome {
    /// Returns `stored`, `duplicate`, `ignored` or `quarantined`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Stored { .. } => "stored",
            Self::Duplicate { .. } => "duplicate",
            Self::Ignored { .. } => "ignored",
            Self::Quarantined { .. } => "quarantined",
        }
    }
}
