//! [`ExportReport`]: the counts of an export.

/// The results of the objects of a patient or of an export.
///
/// At the end, `found` is the sum of `sent`, `skipped`, `failed` and `left`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Selected objects that were found in the source.
    pub found: u64,
    /// Objects that were sent. In a dry run: that would be sent.
    pub sent: u64,
    /// Objects that the destination already had.
    pub skipped: u64,
    /// Objects that could not be sent.
    pub failed: u64,
    /// Objects that were not processed because the export ended early.
    pub left: u64,
    /// Sent objects that the destination accepted with a warning.
    pub warnings: u64,
    /// Sent objects that were rewritten into another uncompressed transfer syntax, because the
    /// destination accepts no other.
    pub rewritten: u64,
    /// Bytes of the sent objects.
    pub bytes_sent: u64,
    /// Bytes of the skipped objects.
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
        self.rewritten += other.rewritten;
        self.bytes_sent += other.bytes_sent;
        self.bytes_skipped += other.bytes_skipped;
    }
}

/// The result of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ExportReport {
    /// The counts of the objects.
    pub counts: Counts,
    /// Patients that were finished. All selected patients, unless the export was cancelled.
    pub patients: u64,
    /// Patients with an error.
    pub patients_failed: u64,
    /// Selected patients and studies that the source does not have.
    pub unknown: u64,
}

impl ExportReport {
    /// Returns true if everything that was selected is at the destination.
    pub fn is_complete(&self) -> bool {
        self.patients_failed == 0
            && self.counts.failed == 0
            && self.counts.left == 0
            && self.unknown == 0
    }
}
