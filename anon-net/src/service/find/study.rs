//! [`StudyMatch`]: a study found by a query.

use std::fmt;

use super::left_out::LeftOutReason;
use crate::identifier::{Identifier, tag};
use crate::{InstanceUid, Uid};

/// The most values that are kept of a multi-valued element.
const MAX_VALUES: usize = 64;

/// A study found by a query. The values are those of the response, without padding and cut to the
/// length that the standard allows. They are empty or `None` if the response does not have them.
/// `Debug` shows counts and SOP classes.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StudyMatch {
    /// Study Instance UID (0020,000D).
    pub study: InstanceUid,
    /// Patient ID (0010,0020).
    pub patient_id: String,
    /// Patient's Name (0010,0010), with components separated by `^`.
    pub patient_name: String,
    /// Patient's Sex (0010,0040).
    pub sex: String,
    /// Patient's Birth Date (0010,0030).
    pub birth_date: String,
    /// Accession Number (0008,0050).
    pub accession: String,
    /// Study Date (0008,0020).
    pub date: String,
    /// Study Description (0008,1030).
    pub description: String,
    /// Modalities in Study (0008,0061).
    pub modalities: Vec<String>,
    /// SOP Classes in Study (0008,0062).
    pub sop_classes: Vec<Uid>,
    /// Number of Study Related Series (0020,1206).
    pub series: Option<u32>,
    /// Number of Study Related Instances (0020,1208).
    pub instances: Option<u32>,
}

impl StudyMatch {
    /// Returns the study of a response, or why the response cannot be used.
    pub(super) fn of(response: &Identifier) -> Result<Self, LeftOutReason> {
        let study = response.uid(tag::STUDY_UID);
        let study = study.ok_or_else(|| match response.text(tag::STUDY_UID) {
            Some(_) => LeftOutReason::InvalidStudyUid,
            None => LeftOutReason::WithoutStudyUid,
        })?;
        let text = |tag, most| response.bounded_text(tag, most).unwrap_or_default();
        let list = |tag| response.texts(tag).into_iter().take(MAX_VALUES);
        let modalities = list(tag::MODALITIES).map(|code| code.chars().take(16).collect());
        let classes = list(tag::SOP_CLASSES).filter_map(|class| Uid::new(&class).ok());
        Ok(Self {
            study,
            // One more than a valid value has, so that a longer one never equals a valid one.
            patient_id: text(tag::PATIENT_ID, 65),
            patient_name: text(tag::PATIENT_NAME, 324),
            sex: text(tag::SEX, 16),
            birth_date: text(tag::BIRTH_DATE, 16),
            accession: text(tag::ACCESSION, 65),
            date: text(tag::STUDY_DATE, 16),
            description: text(tag::STUDY_DESCRIPTION, 64),
            modalities: modalities.collect(),
            sop_classes: classes.collect(),
            series: response.number(tag::SERIES_IN_STUDY),
            instances: response.number(tag::INSTANCES_IN_STUDY),
        })
    }
}

impl fmt::Debug for StudyMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StudyMatch")
            .field("modalities", &self.modalities.len())
            .field("sop_classes", &self.sop_classes)
            .field("series", &self.series)
            .field("instances", &self.instances)
            .finish_non_exhaustive()
    }
}
