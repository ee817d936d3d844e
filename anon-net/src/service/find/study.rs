//! [`StudyMatch`]: a study that a query found.

use std::fmt;

use crate::identifier::{Identifier, tag};
use crate::{InstanceUid, Uid};

/// The most values of a list that are kept.
const MAX_VALUES: usize = 64;

/// A study that a query found: what the peer says of it, without padding and no longer than the
/// standard lets values be; empty or none where it says
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
        let text = |tag, most| answer.short(tag, most).unwrap_or_default();
        let list = |tag| answer.texts(tag).into_iter().take(MAX_VALUES);
        let modalities = list(tag::MODALITIES).map(|code| code.chars().take(16).collect());
        let classes = list(tag::SOP_CLASSES).filter_map(|class| Uid::new(&class).ok());
        Some(Self {
            study: answer.uid(tag::STUDY_UID)?,
            patient_id: text(tag::PATIENT_ID, 64),
            patient_name: text(tag::PATIENT_NAME, 324),
            sex: text(tag::SEX, 16),
            birth_date: text(tag::BIRTH_DATE, 16),
            accession: text(tag::ACCESSION, 65),
            date: text(tag::STUDY_DATE, 16),
            description: text(tag::STUDY_DESCRIPTION, 64),
            modalities: modalities.collect(),
            sop_classes: classes.collect(),
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
