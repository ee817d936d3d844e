//! Combines the responses of queries at series and image level.

use std::collections::{BTreeMap, BTreeSet};

use super::InstanceEntry;
use crate::InstanceUid;
use crate::Uid;
use crate::identifier::{Identifier, Tag, tag};
use crate::service::ServiceError;
use crate::service::find::{Finder, belongs_to};

/// The responses for one series.
#[derive(Debug)]
pub(super) struct FoundSeries {
    pub(super) uid: InstanceUid,
    pub(super) modality: Option<String>,
    pub(super) number: Option<i64>,
    pub(super) description: Option<String>,
    pub(super) sop_class: Option<Uid>,
    /// The count of the response. 0 becomes `None`, because no series is empty.
    pub(super) count: Option<usize>,
    /// Whether the series was returned several times. Servers that send one response per instance
    /// do that, and their counts are unreliable.
    pub(super) is_repeated: bool,
    pub(super) instances: Option<Vec<InstanceEntry>>,
}

impl FoundSeries {
    fn of(uid: InstanceUid, response: &Identifier) -> Self {
        let count = response.number(tag::INSTANCES_IN_SERIES);
        Self {
            uid,
            modality: response.bounded_text(tag::MODALITY, 16),
            number: response.number(tag::SERIES_NUMBER),
            description: response.bounded_text(tag::SERIES_DESCRIPTION, 64),
            sop_class: response.class(tag::SOP_CLASS),
            count: count.filter(|count| *count != 0),
            is_repeated: false,
            instances: None,
        }
    }

    /// Queries and counts the instances. Returns the number of responses without a valid SOP
    /// Instance UID.
    pub(super) fn instances(
        &mut self,
        finder: &mut Finder<'_>,
        study: &InstanceUid,
    ) -> Result<usize, ServiceError> {
        let keys = [tag::SOP_INSTANCE, tag::SOP_CLASS, tag::INSTANCE_NUMBER];
        let mut identifier = identifier(b"IMAGE", study, &keys);
        identifier.set(tag::SERIES_UID, self.uid.expose().as_bytes());
        let mut seen = BTreeSet::new();
        let mut instances = Vec::new();
        let mut unusable = 0;
        finder.find(&identifier, &mut |response| {
            let is_ours = belongs_to(response, tag::STUDY_UID, study)
                && belongs_to(response, tag::SERIES_UID, &self.uid);
            match response.uid(tag::SOP_INSTANCE) {
                Some(uid) if is_ours && seen.insert(uid.clone()) => {
                    instances.push(InstanceEntry {
                        uid,
                        sop_class: response.class(tag::SOP_CLASS),
                        number: response.number(tag::INSTANCE_NUMBER),
                        excluded: false,
                    });
                }
                None if is_ours => unusable += 1,
                _ => {}
            }
        })?;
        self.instances = Some(instances);
        Ok(unusable)
    }
}

/// The series of a study, collected from responses.
#[derive(Debug)]
pub(super) struct StudyReader<'s> {
    study: &'s InstanceUid,
    pub(super) found: Vec<FoundSeries>,
    /// Responses without a valid Series Instance UID.
    pub(super) unusable: usize,
    positions: BTreeMap<InstanceUid, usize>,
}

impl<'s> StudyReader<'s> {
    pub(super) fn new(study: &'s InstanceUid) -> Self {
        Self {
            study,
            found: Vec::new(),
            unusable: 0,
            positions: BTreeMap::new(),
        }
    }

    /// Queries the series.
    pub(super) fn series(&mut self, finder: &mut Finder<'_>) -> Result<(), ServiceError> {
        let keys = [
            tag::SERIES_UID,
            tag::SERIES_NUMBER,
            tag::SERIES_DESCRIPTION,
            tag::MODALITY,
            tag::SOP_CLASS,
            tag::INSTANCES_IN_SERIES,
        ];
        let identifier = identifier(b"SERIES", self.study, &keys);
        finder.find(&identifier, &mut |response| self.add(response))?;
        Ok(())
    }

    fn add(&mut self, response: &Identifier) {
        if !belongs_to(response, tag::STUDY_UID, self.study) {
            return;
        }
        let Some(uid) = response.uid(tag::SERIES_UID) else {
            self.unusable += 1;
            return;
        };
        let known = self
            .positions
            .get(&uid)
            .and_then(|at| self.found.get_mut(*at));
        if let Some(series) = known {
            series.is_repeated = true;
            return;
        }
        self.positions.insert(uid.clone(), self.found.len());
        self.found.push(FoundSeries::of(uid, response));
    }
}

fn identifier(level: &[u8], study: &InstanceUid, keys: &[Tag]) -> Identifier {
    let mut identifier = Identifier::new();
    identifier.set(tag::LEVEL, level);
    for key in keys {
        identifier.set(*key, b"");
    }
    identifier.set(tag::STUDY_UID, study.expose().as_bytes());
    identifier
}
