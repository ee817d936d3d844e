//! What a study is made of: its series, their instances, and how many there are (PS3.4 sections
//! C.6.2.1.2 and C.6.2.1.3).
//!
//! Counts are asked for, and where a server leaves them out, or answers a series more than once, they
//! are counted: by the instances that an IMAGE level query names.

mod filter;
mod read;

use std::fmt;
use std::ops::ControlFlow;

pub use filter::InstanceFilter;

use super::find::{Finder, Query, StudyMatch};
use super::{Cancel, Scu, ServiceError};
use crate::{InstanceUid, Node, Uid};
use read::StudyReader;

/// The most answers that are taken, if nothing else is said.
pub(super) const MAX_ANSWERS: u32 = 200_000;

/// An instance of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstanceEntry {
    /// SOP Instance UID (0008,0018).
    pub uid: InstanceUid,
    /// SOP Class UID (0008,0016), if the peer says it.
    pub sop_class: Option<Uid>,
    /// Instance Number (0020,0013), if the peer says one.
    pub number: Option<i64>,
    /// True if it is none of those wanted.
    pub excluded: bool,
}

/// A series of a study. `Debug` shows no description.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeriesEntry {
    /// Series Instance UID (0020,000E).
    pub uid: InstanceUid,
    /// Modality (0008,0060), if the peer says it.
    pub modality: Option<String>,
    /// Series Number (0020,0011), if the peer says one.
    pub number: Option<i64>,
    /// Series Description (0008,103E), if the peer says it.
    pub description: Option<String>,
    /// SOP class of its instances, if the peer says it. Where they differ, that of the first.
    pub sop_class: Option<Uid>,
    /// How many instances it has.
    pub count: usize,
    /// Its instances, if they were asked for or had to be counted; otherwise none.
    pub instances: Option<Vec<InstanceEntry>>,
    /// True if it, or each of its instances, is none of those wanted.
    pub excluded: bool,
}

impl SeriesEntry {
    /// How many of its instances are wanted.
    pub fn included(&self) -> usize {
        match &self.instances {
            _ if self.excluded => 0,
            Some(instances) => instances.iter().filter(|entry| !entry.excluded).count(),
            None => self.count,
        }
    }
}

impl fmt::Debug for SeriesEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeriesEntry")
            .field("uid", &self.uid)
            .field("modality", &self.modality.as_ref().map(String::len))
            .field("sop_class", &self.sop_class)
            .field("count", &self.count)
            .field("excluded", &self.excluded)
            .finish_non_exhaustive()
    }
}

/// A study, its series in the order of the peer's answers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StudyHierarchy {
    /// Study Instance UID (0020,000D).
    pub study: InstanceUid,
    /// Its series, each once. Those that are not wanted are there too, marked.
    pub series: Vec<SeriesEntry>,
}

impl StudyHierarchy {
    /// How many instances it has.
    pub fn count(&self) -> usize {
        self.series.iter().map(|series| series.count).sum()
    }

    /// How many of them are wanted.
    pub fn included(&self) -> usize {
        self.series.iter().map(SeriesEntry::included).sum()
    }

    /// All instances that are known, each with its series.
    pub fn instances(&self) -> impl Iterator<Item = (&SeriesEntry, &InstanceEntry)> {
        self.series.iter().flat_map(|series| {
            let instances = series.instances.iter().flatten();
            instances.map(move |instance| (series, instance))
        })
    }
}

/// How much of a study is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the information model ends there")]
pub enum Detail {
    /// Its series and their counts.
    Series,
    /// Their instances too.
    Instances,
}

/// Which study is asked for, and how much of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HierarchyRequest {
    /// Study Instance UID.
    pub study: InstanceUid,
    /// How much.
    pub detail: Detail,
    /// What is not wanted is marked. All is wanted if nothing is said.
    pub filter: InstanceFilter,
    /// The most answers that are taken, series and instances together. 200,000 if nothing is said.
    pub max_answers: u32,
}

impl HierarchyRequest {
    /// Asks for a study's series, or instances, all of which are wanted.
    pub fn new(study: InstanceUid, detail: Detail) -> Self {
        Self {
            study,
            detail,
            filter: InstanceFilter::all(),
            max_answers: MAX_ANSWERS,
        }
    }

    /// Sets what is wanted.
    #[must_use]
    pub fn with_filter(self, filter: InstanceFilter) -> Self {
        Self { filter, ..self }
    }

    /// Sets the most answers that are taken.
    #[must_use]
    pub fn with_max_answers(self, max_answers: u32) -> Self {
        Self {
            max_answers,
            ..self
        }
    }
}

impl Scu {
    /// Asks a node what a study is made of. A study that the node does not have has no series.
    ///
    /// # Errors
    /// [`ServiceError`]. Half a hierarchy is none: what was learned is dropped.
    pub fn hierarchy(
        &self,
        node: &Node,
        request: &HierarchyRequest,
        cancel: &Cancel,
    ) -> Result<StudyHierarchy, ServiceError> {
        let finder = self.finder(node, cancel)?;
        let mut finder = finder.with_max_answers(request.max_answers);
        let result = of(&mut finder, request);
        finder.release(result)
    }
}

impl Scu {
    /// Asks which studies a node has, and gives each with all of its instances to `each`, until it
    /// breaks off. One association serves all of it. How many answers may come is set in the query.
    ///
    /// # Errors
    /// [`ServiceError`]. What was found before was given to `each`.
    pub fn hierarchies(
        &self,
        node: &Node,
        query: &Query,
        cancel: &Cancel,
        each: &mut dyn FnMut(&StudyMatch, &StudyHierarchy) -> ControlFlow<()>,
    ) -> Result<(), ServiceError> {
        let finder = self.finder(node, cancel)?;
        let mut finder = finder.with_max_answers(query.max_answers());
        let mut studies = Vec::new();
        let mut result = finder.studies(query, &mut |study| studies.push(study));
        for study in studies {
            if result.is_err() {
                break;
            }
            let request = HierarchyRequest::new(study.study.clone(), Detail::Instances);
            match of(&mut finder, &request) {
                Ok(hierarchy) if each(&study, &hierarchy).is_continue() => {}
                Ok(_) => break,
                Err(error) => result = Err(error),
            }
        }
        finder.release(result.map(drop))
    }
}

/// Asks what a study is made of on an association that is open.
pub(crate) fn of(
    finder: &mut Finder<'_>,
    request: &HierarchyRequest,
) -> Result<StudyHierarchy, ServiceError> {
    let mut reader = StudyReader::new(&request.study);
    reader.series(finder)?;
    let mut series = Vec::new();
    for mut found in reader.found {
        let is_counted = found.count.filter(|_| !found.is_repeated);
        if request.detail == Detail::Instances || is_counted.is_none() {
            found.instances(finder, &request.study)?;
        }
        series.push(request.filter.entry(found));
    }
    Ok(StudyHierarchy {
        study: request.study.clone(),
        series,
    })
}
