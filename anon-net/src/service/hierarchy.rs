//! The series and instances of a study, and their number (PS3.4 sections C.6.2.1.2 and C.6.2.1.3).
//!
//! The number of instances is requested from the peer. If the peer does not return it, or returns a
//! series several times, the instances are counted with an IMAGE level query.

mod filter;
mod read;

use std::fmt;
use std::ops::ControlFlow;

pub use filter::InstanceFilter;

use super::find::{Finder, Query, StudyMatch};
use super::{Cancel, Scu, ServiceError};
use crate::{InstanceUid, Node, Uid};
use read::StudyReader;

/// The default limit of responses.
pub(super) const MAX_RESPONSES: u32 = 200_000;

/// An instance of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstanceEntry {
    /// SOP Instance UID (0008,0018).
    pub uid: InstanceUid,
    /// SOP Class UID (0008,0016). `None` if the peer does not return it.
    pub sop_class: Option<Uid>,
    /// Instance Number (0020,0013). `None` if the peer does not return it.
    pub number: Option<i64>,
    /// Whether the filter excludes it.
    pub excluded: bool,
}

/// A series of a study. `Debug` does not show the description.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeriesEntry {
    /// Series Instance UID (0020,000E).
    pub uid: InstanceUid,
    /// Modality (0008,0060). `None` if the peer does not return it.
    pub modality: Option<String>,
    /// Series Number (0020,0011). `None` if the peer does not return it.
    pub number: Option<i64>,
    /// Series Description (0008,103E). `None` if the peer does not return it.
    pub description: Option<String>,
    /// SOP class of its instances, of the first one if they differ. `None` if the peer does not
    /// return it.
    pub sop_class: Option<Uid>,
    /// The number of instances.
    pub count: usize,
    /// The instances. `None` if they were neither requested nor needed for the count.
    pub instances: Option<Vec<InstanceEntry>>,
    /// Whether the filter excludes the series, or each of its instances.
    pub excluded: bool,
}

impl SeriesEntry {
    /// Returns the number of instances that the filter includes.
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

/// A study with its series in the order of the responses.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StudyHierarchy {
    /// Study Instance UID (0020,000D).
    pub study: InstanceUid,
    /// The series, each once. Includes the excluded ones, which are marked.
    pub series: Vec<SeriesEntry>,
    /// Responses without a valid UID of their series or instance. They are in no other count.
    pub unusable: usize,
}

impl StudyHierarchy {
    /// Returns the number of instances.
    pub fn count(&self) -> usize {
        self.series.iter().map(|series| series.count).sum()
    }

    /// Returns the number of instances that the filter includes.
    pub fn included(&self) -> usize {
        self.series.iter().map(SeriesEntry::included).sum()
    }

    /// Returns all known instances, each with its series.
    pub fn instances(&self) -> impl Iterator<Item = (&SeriesEntry, &InstanceEntry)> {
        self.series.iter().flat_map(|series| {
            let instances = series.instances.iter().flatten();
            instances.map(move |instance| (series, instance))
        })
    }
}

/// How much of a study is queried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the information model ends there")]
pub enum Detail {
    /// The series and their numbers of instances.
    Series,
    /// The series and their instances.
    Instances,
}

/// The study to query, and the level of detail.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HierarchyRequest {
    /// Study Instance UID.
    pub study: InstanceUid,
    /// The level of detail.
    pub detail: Detail,
    /// Marks what to exclude. The default includes everything.
    pub filter: InstanceFilter,
    /// The limit of responses at series and image level together. Default: 200,000.
    pub max_responses: u32,
}

impl HierarchyRequest {
    /// Creates a request that includes everything.
    pub fn new(study: InstanceUid, detail: Detail) -> Self {
        Self {
            study,
            detail,
            filter: InstanceFilter::all(),
            max_responses: MAX_RESPONSES,
        }
    }

    /// Sets the filter.
    #[must_use]
    pub fn with_filter(self, filter: InstanceFilter) -> Self {
        Self { filter, ..self }
    }

    /// Sets the limit of responses.
    #[must_use]
    pub fn with_max_responses(self, max_responses: u32) -> Self {
        Self {
            max_responses,
            ..self
        }
    }
}

impl Scu {
    /// Queries the series and instances of a study. The result has no series if the node does not
    /// have the study.
    ///
    /// # Errors
    /// [`ServiceError`]. Partial results are dropped.
    pub fn hierarchy(
        &self,
        node: &Node,
        request: &HierarchyRequest,
        cancel: &Cancel,
    ) -> Result<StudyHierarchy, ServiceError> {
        let finder = self.finder(node, cancel)?;
        let mut finder = finder.with_max_responses(request.max_responses);
        let result = query_located(&mut finder, request);
        finder.release(result)
    }
}

impl Scu {
    /// Queries the studies of a node, and passes each with all of its instances to `each`, until
    /// that returns `Break`. Uses one association. The limit of responses is set in the query.
    ///
    /// # Errors
    /// [`ServiceError`]. The studies queried before the error were passed to `each`.
    pub fn hierarchies(
        &self,
        node: &Node,
        query: &Query,
        cancel: &Cancel,
        each: &mut dyn FnMut(&StudyMatch, &StudyHierarchy) -> ControlFlow<()>,
    ) -> Result<(), ServiceError> {
        let finder = self.finder(node, cancel)?;
        let mut finder = finder.with_max_responses(query.max_responses());
        let mut studies = Vec::new();
        let mut result = finder.studies(query, &mut |study| studies.push(study));
        for study in studies {
            if result.is_err() {
                break;
            }
            let request = HierarchyRequest::new(study.study.clone(), Detail::Instances);
            finder.set_patient(&study.patient_id);
            match query_hierarchy(&mut finder, &request) {
                Ok(hierarchy) if each(&study, &hierarchy).is_continue() => {}
                Ok(_) => break,
                Err(error) => result = Err(error),
            }
        }
        finder.release(result.map(drop))
    }
}

/// Queries the patient of a study if the requests need it, then its series and instances, on an open
/// association.
pub(crate) fn query_located(
    finder: &mut Finder<'_>,
    request: &HierarchyRequest,
) -> Result<StudyHierarchy, ServiceError> {
    if finder.locate(&request.study)? {
        query_hierarchy(finder, request)
    } else {
        Ok(StudyHierarchy {
            study: request.study.clone(),
            series: Vec::new(),
            unusable: 0,
        })
    }
}

/// Queries the series and instances of a study whose patient is known, on an open association.
fn query_hierarchy(
    finder: &mut Finder<'_>,
    request: &HierarchyRequest,
) -> Result<StudyHierarchy, ServiceError> {
    let mut reader = StudyReader::new(&request.study);
    reader.series(finder)?;
    let mut unusable = reader.unusable;
    let mut series = Vec::new();
    for mut found in reader.found {
        let is_counted = found.count.filter(|_| !found.is_repeated);
        if request.detail == Detail::Instances || is_counted.is_none() {
            unusable += found.instances(finder, &request.study)?;
        }
        series.push(request.filter.entry(found));
    }
    Ok(StudyHierarchy {
        study: request.study.clone(),
        series,
        unusable,
    })
}
