//! Retrieves one study: queries the expected instances, and requests them in rounds.

use std::collections::BTreeSet;
use std::time::Duration;

use super::progress::StudyProgress;
use super::{
    LocalInstances, QueryLevel, RetrieveMethod, RetrieveRequest, RetrieveStep, StudyReport,
};
use crate::dimse::Status;
use crate::service::hierarchy::{self, Detail, HierarchyRequest, StudyHierarchy};
use crate::service::transfer::{TransferAssociation, TransferFailure, TransferTarget};
use crate::service::{Cancel, Scu, ServiceError};
use crate::{Contexts, Error, InstanceUid, Node, Remedy, Uid};

/// The most instances of one request. 64 UIDs fit the length field of VR UI.
const MAX_LIST: usize = 64;
/// How long to wait for instances on their way after the peer reported failures. It has already
/// received our responses for the instances it did send.
const AFTER_FAILURE: Duration = Duration::from_millis(500);

/// What a round of requests asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RetrieveRound {
    Study,
    Series,
    /// Whole series without any instance here, and single instances of the others.
    Rest,
    Lists,
    /// Some servers do not support lists of UIDs.
    Singly,
}

impl RetrieveRound {
    /// Returns the rounds for a study. `is_partly_here` tells whether some of its instances have
    /// already arrived.
    fn of(level: QueryLevel, is_partly_here: bool) -> &'static [Self] {
        match level {
            QueryLevel::Instance => &[Self::Lists, Self::Singly],
            _ if is_partly_here => &[Self::Rest, Self::Lists, Self::Singly],
            QueryLevel::Series => &[Self::Series, Self::Lists, Self::Singly],
            QueryLevel::Study => &[Self::Study, Self::Series, Self::Lists, Self::Singly],
        }
    }

    fn level(self) -> QueryLevel {
        match self {
            Self::Study => QueryLevel::Study,
            Self::Series | Self::Rest => QueryLevel::Series,
            Self::Lists | Self::Singly => QueryLevel::Instance,
        }
    }

    /// Returns the targets of this round's requests for the missing instances.
    fn targets(self, hierarchy: &StudyHierarchy, missing: &[InstanceUid]) -> Vec<TransferTarget> {
        let study = &hierarchy.study;
        if self == Self::Study {
            let study = study.clone();
            return vec![TransferTarget::Study { study }];
        }
        let missing: BTreeSet<&InstanceUid> = missing.iter().collect();
        let mut targets = Vec::new();
        for series in &hierarchy.series {
            let of_series = series.instances.iter().flatten().map(|entry| &entry.uid);
            let of_series: Vec<&InstanceUid> =
                of_series.filter(|uid| missing.contains(*uid)).collect();
            let chunk = match self {
                Self::Singly => 1,
                _ => MAX_LIST,
            };
            let is_whole = match self {
                Self::Series => !of_series.is_empty(),
                Self::Rest => !of_series.is_empty() && of_series.len() == series.included(),
                _ => false,
            };
            if is_whole {
                let (study, series) = (study.clone(), series.uid.clone());
                targets.push(TransferTarget::Series { study, series });
            } else {
                targets.extend(
                    of_series
                        .chunks(chunk)
                        .map(|uids| TransferTarget::Instances {
                            study: study.clone(),
                            series: series.uid.clone(),
                            instances: uids.iter().map(|uid| (*uid).clone()).collect(),
                        }),
                );
            }
        }
        targets
    }
}

/// The parameters for retrieving studies.
pub(super) struct StudyRetrieve<'j> {
    pub(super) scu: &'j Scu,
    pub(super) node: &'j Node,
    pub(super) request: &'j RetrieveRequest,
    pub(super) instances: &'j dyn LocalInstances,
    pub(super) cancel: &'j Cancel,
}

/// The result of a round.
#[derive(Default)]
struct RoundOutcome {
    /// Why a target was not sent.
    error: Option<ServiceError>,
    /// The peer reported that it did not send all instances.
    is_partial: bool,
    /// Requests at other levels would fail in the same way.
    is_permanent: bool,
}

impl<'j> StudyRetrieve<'j> {
    /// Retrieves one study.
    pub(super) fn retrieve(
        &self,
        study: &'j InstanceUid,
        on_step: &mut dyn FnMut(RetrieveStep),
    ) -> StudyReport {
        let hierarchy = match self.hierarchy(study) {
            Ok(hierarchy) => hierarchy,
            Err(error) => return StudyReport::failed(study.clone(), error),
        };
        let mut progress = StudyProgress::new(study, self.instances, &hierarchy, on_step);
        let error = self.rounds(&hierarchy, &mut progress).err();
        let report = progress.report(error);
        tracing::debug!(
            node = %self.node,
            expected = report.expected,
            stored = report.stored,
            quarantined = report.quarantined,
            excluded = report.excluded,
            missing = report.missing.len(),
            "a study was retrieved"
        );
        report
    }

    fn hierarchy(&self, study: &InstanceUid) -> Result<StudyHierarchy, ServiceError> {
        let request = HierarchyRequest::new(study.clone(), Detail::Instances)
            .with_filter(self.request.filter.clone())
            .with_max_responses(self.request.max_responses);
        let finder = self.scu.finder(self.node, self.cancel)?;
        let mut finder = finder.with_max_responses(request.max_responses);
        let result = hierarchy::query_hierarchy(&mut finder, &request);
        let hierarchy = finder.release(result)?;
        if hierarchy.count() == 0 {
            return Err(ServiceError::NotFound);
        }
        Ok(hierarchy)
    }

    /// Returns the storage classes that C-GET proposes: those of the study if the peer returned the
    /// class of each instance. Otherwise all classes of the request, as many as an association can
    /// propose.
    fn classes(&self, hierarchy: &StudyHierarchy) -> Vec<Uid> {
        let RetrieveMethod::Get { sop_classes, .. } = &self.request.method else {
            return Vec::new();
        };
        let known: Option<BTreeSet<&Uid>> = hierarchy
            .instances()
            .map(|(_, instance)| instance.sop_class.as_ref())
            .collect();
        let is_there = |class: &&Uid| known.as_ref().is_none_or(|known| known.contains(class));
        let classes = sop_classes.iter().filter(is_there);
        classes.take(Contexts::MAX - 1).cloned().collect()
    }

    /// Sends requests in rounds until all instances are here or no round is left.
    fn rounds(
        &self,
        hierarchy: &StudyHierarchy,
        progress: &mut StudyProgress<'_>,
    ) -> Result<(), ServiceError> {
        progress.update()?;
        let classes = self.classes(hierarchy);
        let mut error = None;
        let rounds = RetrieveRound::of(self.request.level, progress.is_partly_here());
        for round in rounds.iter().copied() {
            if progress.is_complete() {
                return Ok(());
            }
            let level = round.level();
            progress.report_step(RetrieveStep::Requested { level });
            let targets = round.targets(hierarchy, progress.missing());
            let outcome = self.round(&targets, &classes, progress)?;
            let network = self.scu.timeouts().network;
            let timeout = match outcome.error {
                Some(ServiceError::Cancelled) => return Err(ServiceError::Cancelled),
                None if !outcome.is_partial => network,
                _ => network.min(AFTER_FAILURE),
            };
            progress.wait_for_rest(timeout, self.cancel)?;
            error = outcome.error.or(error);
            if outcome.is_permanent {
                break;
            }
        }
        if progress.is_complete() {
            return Ok(());
        }
        let after = self.scu.timeouts().network;
        Err(error.unwrap_or(ServiceError::Stalled { after }))
    }

    /// Requests each target, on as few associations as possible.
    ///
    /// # Errors
    /// [`ServiceError::Cancelled`], and the error of [`LocalInstances`].
    fn round(
        &self,
        targets: &[TransferTarget],
        classes: &[Uid],
        progress: &mut StudyProgress<'_>,
    ) -> Result<RoundOutcome, ServiceError> {
        let retries = self.scu.retries();
        let mut outcome = RoundOutcome::default();
        let mut open: Option<TransferAssociation<'_>> = None;
        let mut failures = 0;
        for target in targets {
            if failures > 0 && self.cancel.wait(retries.pause) {
                return Err(ServiceError::Cancelled);
            }
            let result = self.request_target(&mut open, classes, target, progress);
            progress.update()?;
            match result {
                Ok(status) => {
                    failures = 0;
                    outcome.is_partial |= status != Status::SUCCESS;
                }
                Err(ServiceError::Cancelled) => {
                    outcome.error = Some(ServiceError::Cancelled);
                    break;
                }
                Err(error) => {
                    let is_refusal = matches!(error, ServiceError::Refused { .. });
                    failures = if is_refusal { 0 } else { failures + 1 };
                    // pynetdicom does not support lists, and answers them with A801.
                    let of_list = matches!(target, TransferTarget::Instances { instances, .. } if instances.len() > 1);
                    outcome.is_permanent = (is_permanent(&error) && !(of_list && is_refusal))
                        || failures >= retries.attempts.max(1);
                    outcome.error = Some(error);
                }
            }
            if outcome.is_permanent || progress.is_complete() {
                break;
            }
        }
        if let Some(transfer) = open {
            transfer.release();
        }
        Ok(outcome)
    }

    /// Requests one target, on the open association or a new one.
    fn request_target<'t>(
        &'t self,
        open: &mut Option<TransferAssociation<'t>>,
        classes: &[Uid],
        target: &TransferTarget,
        progress: &mut StudyProgress<'_>,
    ) -> Result<Status, ServiceError> {
        let mut transfer = match open.take() {
            Some(transfer) => transfer,
            None => self.open(classes)?,
        };
        progress.start_request();
        let result = transfer.request(target, self.request.priority, progress);
        if matches!(
            result,
            Ok(_) | Err(ServiceError::Refused { .. } | ServiceError::Cancelled)
        ) {
            *open = Some(transfer);
        }
        let end = result?;
        progress.failed.extend(end.failed);
        Ok(end.status)
    }

    fn open(&self, classes: &[Uid]) -> Result<TransferAssociation<'_>, ServiceError> {
        match &self.request.method {
            RetrieveMethod::Move { destination } => {
                self.scu
                    .open_move(self.node, destination.clone(), self.cancel)
            }
            RetrieveMethod::Get {
                handler,
                transfer_syntaxes,
                ..
            } => {
                let storage = (classes, &**transfer_syntaxes);
                self.scu
                    .open_get(self.node, storage, &**handler, self.cancel)
            }
        }
    }
}

/// Returns true if requests at any level would fail in the same way.
fn is_permanent(error: &ServiceError) -> bool {
    match error {
        ServiceError::Refused { status, .. } => matches!(
            TransferFailure::of(*status),
            Some(
                TransferFailure::DestinationUnknown
                    | TransferFailure::NotAuthorized
                    | TransferFailure::ClassNotSupported
            )
        ),
        ServiceError::ContextRefused { .. } => true,
        ServiceError::Association(error @ Error::Rejected { .. }) => error.remedy() == Remedy::Stop,
        _ => false,
    }
}
