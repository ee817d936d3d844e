//! Answers at series and image level, put together.

use std::collections::{BTreeMap, BTreeSet};

use super::InstanceEntry;
use crate::InstanceUid;
use crate::Uid;
use crate::identifier::{Identifier, Tag, tag};
use crate::service::ServiceError;
use crate::service::find::{Finder, is_of};

/// What answers at series level say of one series.
#[derive(Debug)]
pub(super) struct FoundSeries {
    pub(super) uid: InstanceUid,
    pub(super) modality: Option<String>,
    pub(super) number: Option<i64>,
    pub(super) description: Option<String>,
    pub(super) sop_class: Option<Uid>,
    /// As the peer says; 0 is as good as none, since no series is empty.
    pub(super) count: Option<usize>,
    /// True if it was answered more than once, as by servers that answer for each instance: a count
    /// cannot be believed then.
    pub(super) is_repeated: bool,
    pub(super) instances: Option<Vec<InstanceEntry>>,
}

impl FoundSeries {
    fn of(uid: InstanceUid, answer: &Identifier) -> Self {
        let count = answer.number(tag::INSTANCES_IN_SERIES);
        Self {
            uid,
            modality: answer.short(tag::MODALITY, 16),
            number: answer.number(tag::SERIES_NUMBER),
            description: answer.short(tag::SERIES_DESCRIPTION, 64),
            sop_class: answer.class(tag::SOP_CLASS),
            count: count.filter(|count| *count != 0),
            is_repeated: false,
            instances: None,
        }
    }

    /// Asks for the instances, and counts them.
    pub(super) fn instances(
        &mut self,
        finder: &mut Finder<'_>,
        study: &InstanceUid,
    ) -> Result<(), ServiceError> {
        let keys = [tag::SOP_INSTANCE, tag::SOP_CLASS, tag::INSTANCE_NUMBER];
        let mut identifier = identifier(b"IMAGE", study, &keys);
        identifier.set(tag::SERIES_UID, self.uid.expose().as_bytes());
        let mut seen = BTreeSet::new();
        let mut instances = Vec::new();
        finder.ask(&identifier, &mut |answer| {
            let is_ours =
                is_of(answer, tag::STUDY_UID, study) && is_of(answer, tag::SERIES_UID, &self.uid);
            match answer.uid(tag::SOP_INSTANCE) {
                Some(uid) if is_ours && seen.insert(uid.clone()) => {
                    instances.push(InstanceEntry {
                        uid,
                        sop_class: answer.class(tag::SOP_CLASS),
                        number: answer.number(tag::INSTANCE_NUMBER),
                        excluded: false,
                    });
                }
                _ => {}
            }
        })?;
        self.instances = Some(instances);
        Ok(())
    }
}

/// The series of a study, as answers come.
#[derive(Debug)]
pub(super) struct StudyReader<'s> {
    study: &'s InstanceUid,
    pub(super) found: Vec<FoundSeries>,
    at: BTreeMap<InstanceUid, usize>,
}

impl<'s> StudyReader<'s> {
    pub(super) fn new(study: &'s InstanceUid) -> Self {
        Self {
            study,
            found: Vec::new(),
            at: BTreeMap::new(),
        }
    }

    /// Asks for the series.
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
        finder.ask(&identifier, &mut |answer| self.add(answer))?;
        Ok(())
    }

    fn add(&mut self, answer: &Identifier) {
        let Some(uid) = answer.uid(tag::SERIES_UID) else {
            return;
        };
        if !is_of(answer, tag::STUDY_UID, self.study) {
            return;
        }
        let known = self.at.get(&uid).and_then(|at| self.found.get_mut(*at));
        if let Some(series) = known {
            series.is_repeated = true;
            return;
        }
        self.at.insert(uid.clone(), self.found.len());
        self.found.push(FoundSeries::of(uid, answer));
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
