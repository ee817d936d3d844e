//! [`Receipt`]: what became of an object.

use crate::deid::output_path::OutputPath;
use crate::deid::plan::Warnings;
use crate::refusal::{Category, EntryId};

pub use crate::keep::received::Received;

/// What became of an object.
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
}

/// What became of an object. Whatever it says is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is de-identified and stored.
    Stored {
        /// Where, below the store's root.
        path: OutputPath,
        /// The patient's anonymous id.
        patient: String,
    },
    /// The same instance was stored before.
    Duplicate {
        /// Where it is stored.
        path: OutputPath,
        /// The patient's anonymous id.
        patient: String,
    },
    /// It is none of ours.
    Ignored {
        /// Why.
        reason: String,
    },
    /// It is refused, and in quarantine.
    Quarantined {
        /// The category.
        category: Category,
        /// Why, in words for a data manager.
        reason: String,
        /// Its entry.
        entry: EntryId,
        /// The SOP class, for [`Category::InvalidStorageClass`].
        sop_class: Option<String>,
    },
}

impl Outcome {
    /// `stored`, `duplicate`, `ignored` or `quarantined`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Stored { .. } => "stored",
            Self::Duplicate { .. } => "duplicate",
            Self::Ignored { .. } => "ignored",
            Self::Quarantined { .. } => "quarantined",
        }
    }
}
