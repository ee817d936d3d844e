//! [`StudyMatch`]: a study that a query found.

use std::fmt;

use crate::identifier::{Identifier, tag};
use crate::{InstanceUid, Uid};

/// A study that a query found: what the peer says of it, without padding; empty or none where it says
/// nothing. `Debug` shows counts and SOP classes.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StudyMatch {
    /// Study Instance UID (0020,000D).
    pub study: InstanceUid,
    /// Patient ID (0010,0020).
    pub patient_id: String,
    /// Patient's Name (0010,0010), as it is written: components joined by `^`.
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
    /// The study of an answer; none if it has no study instance UID.
    pub(crate) fn of(answer: &Identifier) -> Option<Self> {
        let text = |tag| answer.text(tag).unwrap_or_default();
        let classes = answer.texts(tag::SOP_CLASSES);
        Some(Self {
            study: answer.uid(tag::STUDY_UID)?,
            patient_id: text(tag::PATIENT_ID),
            patient_name: text(tag::PATIENT_NAME),
            sex: text(tag::SEX),
            birth_date: text(tag::BIRTH_DATE),
            accession: text(tag::ACCESSION),
            date: text(tag::STUDY_DATE),
            description: text(tag::STUDY_DESCRIPTION),
            modalities: answer.texts(tag::MODALITIES),
            sop_classes: classes.iter().filter_map(|c| Uid::new(c).ok()).collect(),
            series: answer.number(tag::SERIES_IN_STUDY),
            instances: answer.number(tag::INSTANCES_IN_STUDY),
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
