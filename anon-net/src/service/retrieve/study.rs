//! Retrieves one study: queries the expected instances, and requests them in rounds.

use std::collections::BTreeSet;
use std::time::Duration;

use super::progress::StudyProgress;
use super::refusals::Refusals;
use super::round::RetrieveRound;
use super::{LocalInstances, RetrieveMethod, RetrieveRequest, RetrieveStep, StudyReport};
use crate::dimse::Status;
use crate::service::hierarchy::{self, Detail, HierarchyRequest, StudyHierarchy};
use crate::service::transfer::{PatientId, TransferAssociation, TransferFailure, TransferTarget};
use crate::service::{Cancel, Scu, ServiceError};
use crate::{Contexts, Error, InstanceUid, Node, Remedy, Uid};

/// How long to wait for instances on their way after the peer reported failures. It has already
/// received our responses for the instances it did send.
const AFTER_FAILURE: Duration = Duration::from_millis(500);

/// The longest pause before a request that follows refusals, in pauses of [`Retries`].
///
/// [`Retries`]: crate::service::Retries
const MAX_PAUSES: u32 = 3;

/// The most storage classes that one association proposes. The rest of the contexts is for the
/// C-GET itself.
const MAX_CLASSES: usize = Contexts::MAX - 2;

/// The parameters for retrieving studies.
pub(super) struct StudyRetrieve<'j> {
    pub(super) scu: &'j Scu,
    pub(super) node: &'j Node,
    pub(super) request: &'j RetrieveRequest,
    pub(super) instances: &'j dyn LocalInstances,
    pub(super) cancel: &'j Cancel,
}

/// The state of a study between its requests.
struct Attempt<'a, 'p> {
    progress: &'a mut StudyProgress<'p>,
    refusals: Refusals,
    /// A full wait after a successful response has passed, and instances are still missing.
    has_waited: bool,
}

/// The result of a round.
#[derive(Default)]
struct RoundOutcome {
    /// Why a target was not sent.
    error: Option<ServiceError>,
    /// The peer reported that it did not send all instances.
    is_partial: bool,
    /// Further requests would fail in the same way.
    is_permanent: bool,
}

impl<'j> StudyRetrieve<'j> {
    /// Retrieves one study.
    pub(super) fn retrieve(
        &self,
        study: &'j InstanceUid,
        on_step: &mut dyn FnMut(RetrieveStep),
    ) -> StudyReport {
        let (hierarchy, patient) = match self.hierarchy(study) {
            Ok(found) => found,
            Err(error) => return StudyReport::failed(study.clone(), error),
        };
        let mut progress = StudyProgress::new(study, self.instances, &hierarchy, on_step);
        progress.patient = patient;
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

    /// Queries the study. Returns its Patient ID too, if the C-FIND requests named it.
    fn hierarchy(
        &self,
        study: &InstanceUid,
    ) -> Result<(StudyHierarchy, Option<PatientId>), ServiceError> {
        let request = HierarchyRequest::new(study.clone(), Detail::Instances)
            .with_filter(self.request.filter.clone())
            .with_max_responses(self.request.max_responses);
        let finder = self.scu.finder(self.node, self.cancel)?;
        let mut finder = finder.with_max_responses(request.max_responses);
        let result = hierarchy::query_located(&mut finder, &request);
        let patient = finder.patient().cloned();
        let hierarchy = finder.release(result)?;
        if hierarchy.count() == 0 {
            return Err(ServiceError::NotFound);
        }
        Ok((hierarchy, patient))
    }

    /// Queries the Patient ID of a study. A peer can accept the study root for C-FIND and only the
    /// patient root for C-MOVE or C-GET.
    fn patient(&self, study: &InstanceUid) -> Result<PatientId, ServiceError> {
        let finder = self.scu.finder(self.node, self.cancel)?;
        let mut finder = finder.with_max_responses(self.request.max_responses);
        let result = finder.patient_of(study);
        finder.release(result)?.ok_or(ServiceError::NotFound)
    }

    fn is_get(&self) -> bool {
        matches!(self.request.method, RetrieveMethod::Get { .. })
    }

    /// Returns the storage classes to propose for a C-GET, by association: those of the study if
    /// the peer returned the class of each instance, otherwise all classes of the request, those of
    /// the study first. One association without a class for a C-MOVE.
    fn batches(&self, hierarchy: &StudyHierarchy) -> Vec<Vec<Uid>> {
        let RetrieveMethod::Get { sop_classes, .. } = &self.request.method else {
            return vec![Vec::new()];
        };
        let classes = hierarchy.instances().map(|(_, it)| it.sop_class.as_ref());
        let classes: BTreeSet<Option<&Uid>> = classes.collect();
        let (first, mut rest): (Vec<&Uid>, Vec<&Uid>) = sop_classes
            .iter()
            .partition(|class| classes.contains(&Some(*class)));
        if !classes.contains(&None) {
            rest.clear();
        }
        let all: Vec<Uid> = first.into_iter().chain(rest).cloned().collect();
        if all.is_empty() {
            return vec![all];
        }
        all.chunks(MAX_CLASSES).map(<[Uid]>::to_vec).collect()
    }

    /// Sends requests in rounds until all instances are here or no round is left.
    fn rounds(
        &self,
        hierarchy: &StudyHierarchy,
        progress: &mut StudyProgress<'_>,
    ) -> Result<(), ServiceError> {
        progress.update()?;
        let batches = self.batches(hierarchy);
        let rounds = RetrieveRound::of(self.request.level, progress.is_partly_here());
        let mut attempt = Attempt {
            progress,
            refusals: Refusals::new(batches.len()),
            has_waited: false,
        };
        let mut error = None;
        let requests = rounds
            .iter()
            .flat_map(|round| batches.iter().map(move |classes| (*round, classes)));
        for (round, classes) in requests {
            let is_single = round == RetrieveRound::Singly;
            if attempt.progress.is_complete() {
                return Ok(());
            }
            if is_single && attempt.refusals.forbid_single_instances() {
                break;
            }
            let level = round.level();
            attempt
                .progress
                .report_step(RetrieveStep::Requested { level });
            let targets = round.targets(hierarchy, attempt.progress.missing());
            let outcome = self.round(&targets, classes, &mut attempt)?;
            self.wait_after(&outcome, &mut attempt)?;
            error = outcome.error.or(error);
            if outcome.is_permanent {
                break;
            }
        }
        if attempt.progress.is_complete() {
            return Ok(());
        }
        Err(self.incomplete(error, attempt.progress))
    }

    /// Waits for instances on their way after a round.
    ///
    /// # Errors
    /// [`ServiceError::Cancelled`], and the error of [`LocalInstances`].
    fn wait_after(
        &self,
        outcome: &RoundOutcome,
        attempt: &mut Attempt<'_, '_>,
    ) -> Result<(), ServiceError> {
        let network = self.scu.timeouts().network;
        let is_success = outcome.error.is_none() && !outcome.is_partial;
        let limit = match outcome.error {
            Some(ServiceError::Cancelled) => return Err(ServiceError::Cancelled),
            // Each instance was processed before the C-STORE response that the peer waited for.
            _ if self.is_get() => Duration::ZERO,
            // Some peers answer first and send later. One that has sent nothing in all this time
            // does not.
            _ if is_success && !attempt.has_waited => network,
            _ => network.min(AFTER_FAILURE),
        };
        attempt.progress.wait_for_rest(limit, self.cancel)?;
        attempt.has_waited |= is_success;
        Ok(())
    }

    /// Returns why instances are missing after the last round.
    fn incomplete(
        &self,
        error: Option<ServiceError>,
        progress: &StudyProgress<'_>,
    ) -> ServiceError {
        let after = self.scu.timeouts().network;
        let answered = progress.answered;
        match error {
            // Peers answer A702 to a C-GET of which no sub-operation succeeded.
            Some(ServiceError::Refused { status, .. })
                if self.is_get() && status.code() == 0xA702 =>
            {
                ServiceError::NotSent { answered }
            }
            Some(error) => error,
            None if self.is_get() => ServiceError::NotSent { answered },
            None => ServiceError::Stalled { after },
        }
    }

    /// Requests each target, on as few associations as possible.
    ///
    /// # Errors
    /// [`ServiceError::Cancelled`], and the error of [`LocalInstances`].
    fn round(
        &self,
        targets: &[TransferTarget],
        classes: &[Uid],
        attempt: &mut Attempt<'_, '_>,
    ) -> Result<RoundOutcome, ServiceError> {
        let retries = self.scu.retries();
        let mut outcome = RoundOutcome::default();
        let mut open: Option<TransferAssociation<'_>> = None;
        let mut failures: u32 = 0;
        let mut lists_are_refused = false;
        for target in targets {
            if lists_are_refused && is_list(target) {
                continue;
            }
            let pauses = failures.max(attempt.refusals.in_a_row()).min(MAX_PAUSES);
            if pauses > 0 && self.cancel.wait(retries.pause * pauses) {
                return Err(ServiceError::Cancelled);
            }
            let before = attempt.progress.missing().len();
            let result = self.request_target(&mut open, classes, target, attempt.progress);
            attempt.progress.update()?;
            let has_arrivals = attempt.progress.missing().len() < before;
            if has_arrivals {
                attempt.refusals.arrived();
            } else {
                self.count(&result, target, &mut attempt.refusals);
            }
            // pynetdicom does not support lists, and answers them with A801.
            let is_refused_list =
                is_list(target) && matches!(result, Err(ServiceError::Refused { .. }));
            lists_are_refused |= is_refused_list;
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
                    outcome.is_permanent = (is_permanent(&error) && !is_refused_list)
                        || failures >= retries.attempts.max(1);
                    outcome.error = Some(error);
                }
            }
            outcome.is_permanent |= attempt.refusals.are_enough();
            if outcome.is_permanent || attempt.progress.is_complete() {
                break;
            }
        }
        if let Some(transfer) = open {
            transfer.release();
        }
        Ok(outcome)
    }

    /// Counts a request that brought nothing.
    fn count(
        &self,
        result: &Result<Status, ServiceError>,
        target: &TransferTarget,
        refusals: &mut Refusals,
    ) {
        match result {
            Err(ServiceError::Refused { .. }) => refusals.count(),
            // After the final response of a C-GET nothing is on its way.
            Ok(_) if self.is_get() => refusals.count(),
            // Of several instances, one that fails may hide that others can be sent.
            Ok(status) if *status != Status::SUCCESS && is_single(target) => refusals.count(),
            Ok(_) => refusals.accepted(),
            Err(_) => {}
        }
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
        if transfer.names_patient() && progress.patient.is_none() {
            // Some servers take one association at a time.
            transfer.release();
            progress.patient = Some(self.patient(progress.study)?);
            transfer = self.open(classes)?;
        }
        progress.start_request();
        let patient = progress.patient.clone();
        let keys = (patient.as_ref(), self.request.priority);
        let result = transfer.request(target, keys, progress);
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

/// Returns true if a target is more than one instance of a series.
fn is_list(target: &TransferTarget) -> bool {
    matches!(target, TransferTarget::Instances { instances, .. } if instances.len() > 1)
}

fn is_single(target: &TransferTarget) -> bool {
    matches!(target, TransferTarget::Instances { instances, .. } if instances.len() == 1)
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
