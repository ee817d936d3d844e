//! One study: what is expected, and the rounds in which it is asked for.

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

/// How many instances are asked for in one request. 64 UIDs fit the length field of a UI.
const LIST: usize = 64;
/// How long to wait for what is on its way, after a peer has said that it did not send all: what it did
/// send was answered before.
const AFTER_FAILURE: Duration = Duration::from_millis(500);

/// What is asked for in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RetrieveRound {
    Study,
    Series,
    /// Series of which nothing is here, and of the others the instances.
    Rest,
    Lists,
    /// Some servers take no list.
    Singly,
}

impl RetrieveRound {
    /// The rounds in which a study is asked for, of which a part may be here before.
    fn of(level: QueryLevel, part_is_here: bool) -> &'static [Self] {
        match level {
            QueryLevel::Instance => &[Self::Lists, Self::Singly],
            _ if part_is_here => &[Self::Rest, Self::Lists, Self::Singly],
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

    /// What is missing, as it is asked for in this round.
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
                _ => LIST,
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

/// What a study is brought with.
pub(super) struct StudyRetrieve<'j> {
    pub(super) scu: &'j Scu,
    pub(super) node: &'j Node,
    pub(super) request: &'j RetrieveRequest,
    pub(super) instances: &'j dyn LocalInstances,
    pub(super) cancel: &'j Cancel,
}

/// How a round went.
#[derive(Default)]
struct RoundOutcome {
    /// Why something was not sent.
    error: Option<ServiceError>,
    /// The peer says that it did not send all.
    is_partial: bool,
    /// Nothing can come of asking at another level.
    is_hopeless: bool,
}

impl<'j> StudyRetrieve<'j> {
    /// Brings one study.
    pub(super) fn bring(
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
            .with_max_answers(self.request.max_answers);
        let finder = self.scu.finder(self.node, self.cancel)?;
        let mut finder = finder.with_max_answers(request.max_answers);
        let result = hierarchy::of(&mut finder, &request);
        let hierarchy = finder.release(result)?;
        if hierarchy.count() == 0 {
            return Err(ServiceError::NotFound);
        }
        Ok(hierarchy)
    }

    /// The storage classes that C-GET proposes: those of the study, if the peer says what it has of
    /// each instance, otherwise all that are taken, as many as an association has room for.
    fn classes(&self, hierarchy: &StudyHierarchy) -> Vec<Uid> {
        let RetrieveMethod::Get { sop_classes, .. } = &self.request.method else {
            return Vec::new();
        };
        let said: Option<BTreeSet<&Uid>> = hierarchy
            .instances()
            .map(|(_, instance)| instance.sop_class.as_ref())
            .collect();
        let is_there = |class: &&Uid| said.as_ref().is_none_or(|said| said.contains(class));
        let classes = sop_classes.iter().filter(is_there);
        classes.take(Contexts::MAX - 1).cloned().collect()
    }

    /// Asks until all is here, or nothing is left to try.
    fn rounds(
        &self,
        hierarchy: &StudyHierarchy,
        progress: &mut StudyProgress<'_>,
    ) -> Result<(), ServiceError> {
        progress.look()?;
        let classes = self.classes(hierarchy);
        let mut error = None;
        let rounds = RetrieveRound::of(self.request.level, progress.part_is_here());
        for round in rounds.iter().copied() {
            if progress.is_complete() {
                return Ok(());
            }
            let level = round.level();
            progress.tell(RetrieveStep::Asked { level });
            let targets = round.targets(hierarchy, progress.missing());
            let outcome = self.round(&targets, &classes, progress)?;
            let network = self.scu.timeouts().network;
            let patience = match outcome.error {
                Some(ServiceError::Cancelled) => return Err(ServiceError::Cancelled),
                None if !outcome.is_partial => network,
                _ => network.min(AFTER_FAILURE),
            };
            progress.settle(patience, self.cancel)?;
            error = outcome.error.or(error);
            if outcome.is_hopeless {
                break;
            }
        }
        if progress.is_complete() {
            return Ok(());
        }
        let after = self.scu.timeouts().network;
        Err(error.unwrap_or(ServiceError::Stalled { after }))
    }

    /// Asks for each target, on as few associations as there can be.
    ///
    /// # Errors
    /// [`ServiceError::Cancelled`], or the error of the arrivals.
    fn round(
        &self,
        targets: &[TransferTarget],
        classes: &[Uid],
        progress: &mut StudyProgress<'_>,
    ) -> Result<RoundOutcome, ServiceError> {
        let retries = self.scu.retries();
        let mut outcome = RoundOutcome::default();
        let mut open: Option<TransferAssociation<'_>> = None;
        let mut lost = 0;
        for target in targets {
            if lost > 0 && self.cancel.wait(retries.pause) {
                return Err(ServiceError::Cancelled);
            }
            let result = self.ask(&mut open, classes, target, progress);
            progress.look()?;
            match result {
                Ok(status) => {
                    lost = 0;
                    outcome.is_partial |= status != Status::SUCCESS;
                }
                Err(ServiceError::Cancelled) => {
                    outcome.error = Some(ServiceError::Cancelled);
                    break;
                }
                Err(error) => {
                    let is_refusal = matches!(error, ServiceError::Refused { .. });
                    lost = if is_refusal { 0 } else { lost + 1 };
                    // pynetdicom finds nothing by a list, and says A801 for it.
                    let of_list = matches!(target, TransferTarget::Instances { instances, .. } if instances.len() > 1);
                    outcome.is_hopeless = (is_hopeless(&error) && !(of_list && is_refusal))
                        || lost >= retries.attempts.max(1);
                    outcome.error = Some(error);
                }
            }
            if outcome.is_hopeless || progress.is_complete() {
                break;
            }
        }
        if let Some(transfer) = open {
            transfer.release();
        }
        Ok(outcome)
    }

    /// Asks for one target, on the association that is open or on another.
    fn ask<'t>(
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
        progress.begin();
        let result = transfer.ask(target, self.request.priority, progress);
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
                self.scu.mover(self.node, destination.clone(), self.cancel)
            }
            RetrieveMethod::Get {
                handler,
                transfer_syntaxes,
                ..
            } => {
                let storage = (classes, &**transfer_syntaxes);
                self.scu.getter(self.node, storage, &**handler, self.cancel)
            }
        }
    }
}

/// True if asking again, at whatever level, will end the same way.
fn is_hopeless(error: &ServiceError) -> bool {
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
