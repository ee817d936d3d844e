//! [`LeftOut`]: the responses to a query that cannot be used, and why.

/// The number of responses that were left out, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LeftOut {
    /// They have no Study Instance UID.
    pub without_study_uid: u32,
    /// Their Study Instance UID is not a UID (PS3.5 section 9.1).
    pub invalid_study_uid: u32,
    /// They are of another study than requested.
    pub other_study: u32,
    /// They have another accession number than requested.
    pub other_accession: u32,
    /// They have another patient ID than requested.
    pub other_patient: u32,
    /// They have no series of a modality that was requested.
    pub other_modality: u32,
}

/// Why a response is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeftOutReason {
    WithoutStudyUid,
    InvalidStudyUid,
    OtherStudy,
    OtherAccession,
    OtherModality,
}

impl LeftOut {
    /// Returns the sum of all reasons.
    pub fn total(&self) -> u32 {
        self.parts().into_iter().fold(0, u32::saturating_add)
    }

    /// Adds the responses that another query left out.
    pub fn add(&mut self, other: &Self) {
        let sums = [
            (&mut self.without_study_uid, other.without_study_uid),
            (&mut self.invalid_study_uid, other.invalid_study_uid),
            (&mut self.other_study, other.other_study),
            (&mut self.other_accession, other.other_accession),
            (&mut self.other_patient, other.other_patient),
            (&mut self.other_modality, other.other_modality),
        ];
        for (sum, more) in sums {
            *sum = sum.saturating_add(more);
        }
    }

    fn parts(&self) -> [u32; 6] {
        [
            self.without_study_uid,
            self.invalid_study_uid,
            self.other_study,
            self.other_accession,
            self.other_patient,
            self.other_modality,
        ]
    }

    pub(super) fn count(&mut self, reason: LeftOutReason) {
        let count = match reason {
            LeftOutReason::WithoutStudyUid => &mut self.without_study_uid,
            LeftOutReason::InvalidStudyUid => &mut self.invalid_study_uid,
            LeftOutReason::OtherStudy => &mut self.other_study,
            LeftOutReason::OtherAccession => &mut self.other_accession,
            LeftOutReason::OtherModality => &mut self.other_modality,
        };
        *count = count.saturating_add(1);
    }
}
