//! [`ExportReport`]: the numbers of an export.

/// What became of objects.
///
/// Of a patient, and of an export that ended, `found` is the sum of `sent`, `skipped`, `failed` and
/// `left`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Objects of the source that were selected and looked at.
    pub found: u64,
    /// Objects that were put. In a dry run: that would be.
    pub sent: u64,
    /// Objects that the destination had.
    pub skipped: u64,
    /// Objects that could not be put.
    pub failed: u64,
    /// Objects that were not done with when the export ended early.
    pub left: u64,
    /// Of those sent: that the destination took with a remark.
    pub warnings: u64,
    /// Bytes of the objects sent.
    pub bytes_sent: u64,
    /// Bytes of the objects skipped.
    pub bytes_skipped: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.found += other.found;
        self.sent += other.sent;
        self.skipped += other.skipped;
        self.failed += other.failed;
        self.left += other.left;
        self.warnings += other.warnings;
        self.bytes_sent += other.bytes_sent;
        self.bytes_skipped += other.bytes_skipped;
    }
}

/// What an export did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ExportReport {
    /// What became of the objects.
    pub counts: Counts,
    /// Patients that ended; all that were selected, unless the export was cancelled.
    pub patients: u64,
    /// Of those: with an error.
    pub patients_failed: u64,
    /// Selected patients and studies that the source does not have.
    pub unknown: u64,
}

impl ExportReport {
    /// True if all that was selected is at the destination.
    pub fn is_complete(&self) -> bool {
        self.patients_failed == 0
            && self.counts.failed == 0
            && self.counts.left == 0
            && self.unknown == 0
    }
}
