//! One study: what is expected, and the rounds in which it is asked for.

use std::collections::BTreeSet;
use std::time::Duration;

use super::tally::Tally;
use super::{Arrivals, Level, RetrieveRequest, Step, StudyReport, Via};
use crate::dimse::Status;
use crate::service::hierarchy::{self, Detail, HierarchyRequest, StudyHierarchy};
use crate::service::transfer::{Target, Transfer, TransferFailure};
use crate::service::{Cancel, Scu, ServiceError};
use crate::{Contexts, Error, InstanceUid, Node, Remedy, Uid};

/// How many instances are asked for in one request. 64 UIDs fit the length field of a UI.
const LIST: usize = 64;
/// How long to wait for what is on its way, after a peer has said that it did not send all: what it did
/// send was answered before.
const AFTER_FAILURE: Duration = Duration::from_millis(500);

/// What is asked for in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    Study,
    Series,
    /// Series of which nothing is here, and of the others the instances.
    Rest,
    Lists,
    /// Some servers take no list.
    Singly,
}

impl Round {
    /// The rounds in which a study is asked for, of which a part may be here before.
    fn of(level: Level, part_is_here: bool) -> &'static [Self] {
        match level {
            Level::Instance => &[Self::Lists, Self::Singly],
            _ if part_is_here => &[Self::Rest, Self::Lists, Self::Singly],
            Level::Series => &[Self::Series, Self::Lists, Self::Singly],
            Level::Study => &[Self::Study, Self::Series, Self::Lists, Self::Singly],
        }
    }

    fn level(self) -> Level {
        match self {
            Self::Study => Level::Study,
            Self::Series | Self::Rest => Level::Series,
            Self::Lists | Self::Singly => Level::Instance,
        }
    }

    /// What is missing, as it is asked for in this round.
    fn targets(self, hierarchy: &StudyHierarchy, missing: &[InstanceUid]) -> Vec<Target> {
        let study = &hierarchy.study;
        if self == Self::Study {
            let study = study.clone();
            return vec![Target::Study { study }];
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
                Self::Rest => !of_series.is_empty() && of_series.len() == series.wanted(),
                _ => false,
            };
            if is_whole {
                let (study, series) = (study.clone(), series.uid.clone());
                targets.push(Target::Series { study, series });
            } else {
                targets.extend(of_series.chunks(chunk).map(|uids| Target::Instances {
                    study: study.clone(),
                    series: series.uid.clone(),
                    instances: uids.iter().map(|uid| (*uid).clone()).collect(),
                }));
            }
        }
        targets
    }
}

/// What a study is brought with.
pub(super) struct Job<'j> {
    pub(super) scu: &'j Scu,
    pub(super) node: &'j Node,
    pub(super) request: &'j RetrieveRequest,
    pub(super) arrivals: &'j dyn Arrivals,
    pub(super) cancel: &'j Cancel,
}

/// How a round went.
#[derive(Default)]
struct Outcome {
    /// Why something was not sent.
    error: Option<ServiceError>,
    /// The peer says that it did not send all.
    is_partial: bool,
    /// Nothing can come of asking at another level.
    is_hopeless: bool,
}

impl<'j> Job<'j> {
    /// Brings one study.
    pub(super) fn bring(
        &self,
        study: &'j InstanceUid,
        on_step: &mut dyn FnMut(Step),
    ) -> StudyReport {
        let hierarchy = match self.hierarchy(study) {
            Ok(hierarchy) => hierarchy,
            Err(error) => return StudyReport::failed(study.clone(), error),
        };
        let mut tally = Tally::new(study, self.arrivals, &hierarchy, on_step);
        let error = self.rounds(&hierarchy, &mut tally).err();
        let report = tally.report(error);
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
            .with_wanted(self.request.wanted.clone())
            .with_max_answers(self.request.max_answers);
        let finder = self.scu.finder(self.node, self.cancel)?;
        let mut finder = finder.with_max_answers(request.max_answers);
        let result = hierarchy::of(&mut finder, &request);
        let hierarchy = finder.end(result)?;
        if hierarchy.count() == 0 {
            return Err(ServiceError::NotFound);
        }
        Ok(hierarchy)
    }

    /// The storage classes that C-GET proposes: those of the study, if the peer says what it has of
    /// each instance, otherwise all that are taken, as many as an association has room for.
    fn classes(&self, hierarchy: &StudyHierarchy) -> Vec<Uid> {
        let Via::Get { sop_classes, .. } = &self.request.via else {
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
        tally: &mut Tally<'_>,
    ) -> Result<(), ServiceError> {
        tally.look()?;
        let classes = self.classes(hierarchy);
        let mut error = None;
        let rounds = Round::of(self.request.level, tally.part_is_here());
        for round in rounds.iter().copied() {
            if tally.is_complete() {
                return Ok(());
            }
            let level = round.level();
            tally.tell(Step::Asked { level });
            let targets = round.targets(hierarchy, tally.missing());
            let outcome = self.round(&targets, &classes, tally)?;
            let network = self.scu.timeouts().network;
            let patience = match outcome.error {
                Some(ServiceError::Cancelled) => return Err(ServiceError::Cancelled),
                None if !outcome.is_partial => network,
                _ => network.min(AFTER_FAILURE),
            };
            tally.settle(patience, self.cancel)?;
            error = outcome.error.or(error);
            if outcome.is_hopeless {
                break;
            }
        }
        if tally.is_complete() {
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
        targets: &[Target],
        classes: &[Uid],
        tally: &mut Tally<'_>,
    ) -> Result<Outcome, ServiceError> {
        let retries = self.scu.retries();
        let mut outcome = Outcome::default();
        let mut open: Option<Transfer<'_>> = None;
        let mut lost = 0;
        for target in targets {
            if lost > 0 && self.cancel.wait(retries.pause) {
                return Err(ServiceError::Cancelled);
            }
            let result = self.ask(&mut open, classes, target, tally);
            tally.look()?;
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
                    let of_list = matches!(target, Target::Instances { instances, .. } if instances.len() > 1);
                    outcome.is_hopeless = (is_hopeless(&error) && !(of_list && is_refusal))
                        || lost >= retries.attempts.max(1);
                    outcome.error = Some(error);
                }
            }
            if outcome.is_hopeless || tally.is_complete() {
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
        open: &mut Option<Transfer<'t>>,
        classes: &[Uid],
        target: &Target,
        tally: &mut Tally<'_>,
    ) -> Result<Status, ServiceError> {
        let mut transfer = match open.take() {
            Some(transfer) => transfer,
            None => self.open(classes)?,
        };
        tally.begin();
        let result = transfer.ask(target, self.request.priority, tally);
        if matches!(
            result,
            Ok(_) | Err(ServiceError::Refused { .. } | ServiceError::Cancelled)
        ) {
            *open = Some(transfer);
        }
        let end = result?;
        tally.failed.extend(end.failed);
        Ok(end.status)
    }

    fn open(&self, classes: &[Uid]) -> Result<Transfer<'_>, ServiceError> {
        match &self.request.via {
            Via::Move { destination } => {
                self.scu.mover(self.node, destination.clone(), self.cancel)
            }
            Via::Get {
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
