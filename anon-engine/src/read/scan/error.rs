//! [`ScanError`]: why an object cannot be read or rewritten.

use dicom_core::Tag;

use crate::read::dictionary;
use crate::read::input::ReadError;
use crate::refusal::{Category, Refusal};

/// Why an object cannot be read or rewritten. Holds a constant text and an offset, never a value of
/// the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScanError {
    pub(crate) category: Category,
    pub(crate) problem: &'static str,
    pub(crate) tag: Option<Tag>,
    pub(crate) at: u64,
    /// True if a higher limit of memory could help.
    pub(crate) needs_memory: bool,
}

impl ScanError {
    pub(crate) fn new(problem: &'static str, tag: Option<Tag>, at: u64) -> Self {
        Self {
            category: Category::DicomReadError,
            problem,
            tag,
            at,
            needs_memory: false,
        }
    }

    /// Returns the error for an element whose rule cannot be applied.
    pub(crate) fn rule(problem: &'static str, tag: Tag, at: u64) -> Self {
        Self {
            category: Category::StorageError,
            problem,
            tag: Some(tag),
            at,
            needs_memory: false,
        }
    }

    /// Returns the error for an object whose plan reaches its limit of memory.
    pub(crate) fn memory(problem: &'static str, tag: Tag, at: u64) -> Self {
        Self {
            needs_memory: true,
            ..Self::rule(problem, tag, at)
        }
    }

    pub(crate) fn input(failed: ReadError, at: u64) -> Self {
        let problem = match failed {
            ReadError::UnexpectedEnd => "the file ends in the middle of an element",
            ReadError::Io(_) => "the file cannot be read",
        };
        Self::new(problem, None, at)
    }
}

impl From<ScanError> for Refusal {
    fn from(error: ScanError) -> Self {
        let tag = error.tag.filter(|tag| dictionary::is_listed(*tag));
        let place = match (tag, error.tag) {
            (Some(tag), _) => format!("element {tag}, byte {}", error.at),
            (None, Some(_)) => format!("an unknown element at byte {}", error.at),
            (None, None) => format!("byte {}", error.at),
        };
        let mut refusal = Self::new(error.category, format!("{} ({place})", error.problem));
        refusal.tag = tag;
        refusal.offset = Some(error.at);
        refusal.needs_memory = error.needs_memory;
        refusal
    }
}
