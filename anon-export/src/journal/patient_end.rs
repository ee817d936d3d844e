//! [`PatientEnd`]: the result of an export of one patient.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{MAX_ERROR, error_of, line, one_line, seconds, time};
use crate::Error;
use crate::report::Counts;

/// The end of an export of a patient.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PatientEnd {
    /// When it ended.
    pub when: SystemTime,
    /// The counts of its objects. Bytes, warnings and rewritten objects are not recorded.
    pub counts: Counts,
    /// The first error, as a text without originals.
    pub error: Option<String>,
}

impl PatientEnd {
    pub(super) fn new(when: SystemTime, counts: &Counts, error: Option<&Error>) -> Self {
        Self {
            when,
            counts: *counts,
            error: error.map(|error| one_line(&error.text(), MAX_ERROR)),
        }
    }

    /// Returns true if nothing failed and nothing is left.
    pub fn is_complete(&self) -> bool {
        self.error.is_none() && self.counts.failed == 0 && self.counts.left == 0
    }

    pub(super) fn write(&self) -> String {
        let Counts {
            found,
            sent,
            skipped,
            failed,
            left,
            ..
        } = self.counts;
        let numbers = [found, sent, skipped, failed, left].map(|number| number.to_string());
        let when = seconds(self.when);
        let mut fields = vec!["ended", &*when];
        fields.extend(numbers.iter().map(String::as_str));
        fields.push(self.error.as_deref().unwrap_or("-"));
        line::write(&fields)
    }

    /// Reads the fields of a line. `None` if they are another kind of line.
    pub(super) fn read(fields: &[&str]) -> Option<Self> {
        let ["ended", when, found, sent, skipped, failed, left, error] = fields else {
            return None;
        };
        let counts = Counts {
            found: found.parse().ok()?,
            sent: sent.parse().ok()?,
            skipped: skipped.parse().ok()?,
            failed: failed.parse().ok()?,
            left: left.parse().ok()?,
            ..Counts::default()
        };
        Some(Self {
            when: time(when).unwrap_or(UNIX_EPOCH),
            counts,
            error: error_of(error),
        })
    }
}
