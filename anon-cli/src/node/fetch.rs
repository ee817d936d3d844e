//! [`Fetch`]: retrieves studies from a server into the project.

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anon_engine::Cancel;
use anon_model::settings::Selection;
use anon_model::{Phi, ProjectSettings, RetrieveProgress};
use anon_net::service::hierarchy::InstanceFilter;
use anon_net::service::retrieve::{
    QueryLevel, RetrieveEvent, RetrieveRequest, RetrieveStep, StudyReport,
};
use anon_net::service::{self, Scu, ServiceError};
use anon_net::{AeTitle, InstanceHandler, InstanceUid, Uid};
use crossbeam_channel::Sender;

use super::arrival_log::{ArrivalLog, Notes};
use super::failure_message::retrieve_failure_message;
use super::{LocalNode, Peer, Purpose, scp};
use crate::exit::Failure;
use crate::project::Project;
use crate::project::record::{
    FetchProgress, Fetched, RetrieveJob, RetrieveLevel, RetrieveVia, Retrieved, StudyEvent,
};
use crate::project::remark::RemarkRecord;

/// A prepared retrieve.
#[derive(Debug)]
pub(crate) struct Fetch {
    scu: Scu,
    peer: Peer,
    local: LocalNode,
    via: RetrieveVia,
    /// The request for each single study.
    request: RetrieveRequest,
    parallel_studies: usize,
    studies: Vec<InstanceUid>,
}

/// Events that may be queued before a worker waits.
const EVENTS: usize = 64;

/// What a worker thread reports.
enum WorkerEvent {
    Step(usize, RetrieveStep),
    Report(StudyReport),
}

/// The progress of all studies.
struct ProgressCounts {
    /// For each study: instances that arrived, and instances that are expected.
    counts: Vec<(usize, usize)>,
    last_report: Option<Instant>,
}

impl ProgressCounts {
    /// The shortest time between two progress events.
    const REPORT_INTERVAL: Duration = Duration::from_millis(250);

    fn new(studies: usize) -> Self {
        Self {
            counts: vec![(0, 0); studies],
            last_report: None,
        }
    }

    /// Counts a step. Returns the new progress unless the last one was reported just before.
    fn step(&mut self, study: usize, step: &RetrieveStep, done: u64) -> Option<FetchProgress> {
        let (arrived, expected) = self.counts.get_mut(study)?;
        match step {
            RetrieveStep::Expected {
                instances,
                excluded,
            } => *expected = instances - excluded,
            RetrieveStep::Arrived {
                stored,
                quarantined,
                ..
            } => *arrived = stored + quarantined,
            _ => return None,
        }
        if self
            .last_report
            .is_some_and(|last_report| last_report.elapsed() < Self::REPORT_INTERVAL)
        {
            return None;
        }
        self.last_report = Some(Instant::now());
        let sum = |of: fn(&(usize, usize)) -> usize| number(self.counts.iter().map(of).sum());
        Some(FetchProgress {
            studies: number(self.counts.len()),
            done,
            expected: sum(|(_, expected)| *expected),
            here: sum(|(arrived, _)| *arrived),
        })
    }
}

fn number(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

impl Fetch {
    /// Prepares a job, limited to the storage classes `classes`.
    ///
    /// # Errors
    /// A configuration failure if the settings do not allow the job.
    pub(crate) fn new(
        project: &Project,
        settings: &ProjectSettings,
        classes: Vec<Uid>,
        job: &RetrieveJob,
        handler: Arc<dyn InstanceHandler>,
    ) -> anyhow::Result<Self> {
        let peer = Peer::resolve(settings, &job.node, Purpose::Query)?;
        if job.via == RetrieveVia::Move {
            check_reachable(settings, &peer)?;
        }
        let studies = job.studies.iter().map(|uid| InstanceUid::new(uid));
        let studies = studies
            .collect::<Result<_, _>>()
            .map_err(|error| Failure::configuration(error.to_string()))?;
        Ok(Self {
            scu: super::scu(project, settings, &peer)?,
            local: LocalNode::from_settings(settings),
            parallel_studies: usize::from(settings.retrieve_studies).max(1),
            via: job.via,
            request: request(settings, classes, job, handler)?,
            peer,
            studies,
        })
    }

    /// Returns true if the server sends to our own SCP (C-MOVE).
    pub(crate) fn needs_receiver(&self) -> bool {
        self.via == RetrieveVia::Move
    }

    /// Retrieves the studies. Reports progress, and each study when it ends.
    ///
    /// # Errors
    /// If the index cannot be read.
    pub(crate) fn run(
        &self,
        lookups: &dyn RetrieveProgress,
        arrivals: &ArrivalLog,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(StudyEvent),
    ) -> anyhow::Result<Retrieved> {
        let cancel = service::Cancel::from(cancel.shared());
        let mut done = Retrieved::default();
        let mut notes = Notes::default();
        let mut counts = ProgressCounts::new(self.studies.len());
        let mut failure = None;
        let next = AtomicUsize::new(0);
        let (sender, events) = crossbeam_channel::bounded(EVENTS);
        std::thread::scope(|scope| {
            for _ in 0..self.parallel_studies.min(self.studies.len()) {
                let (sender, next, cancel) = (sender.clone(), &next, &cancel);
                scope.spawn(move || self.retrieve_studies(next, arrivals, cancel, &sender));
            }
            drop(sender);
            for event in events {
                match event {
                    WorkerEvent::Step(study, step) => {
                        if let Some(progress) = counts.step(study, &step, done.studies) {
                            on_event(StudyEvent::Progress(progress));
                        }
                    }
                    WorkerEvent::Report(report) => {
                        notes.add(&arrivals.take_notes(&report.study));
                        if let Err(error) = self.finish_study(lookups, &report, &mut done, on_event)
                        {
                            cancel.cancel();
                            failure.get_or_insert(error);
                        }
                    }
                }
            }
        });
        done.shared_patient = notes.shared_patient;
        done.remarks = RemarkRecord::all_of(&notes.remarks);
        done.interrupted = cancel.is_cancelled();
        failure.map_or(Ok(done), Err)
    }

    /// Retrieves one study after the other, until none is left or the retrieve is cancelled.
    fn retrieve_studies(
        &self,
        next: &AtomicUsize,
        arrivals: &ArrivalLog,
        cancel: &service::Cancel,
        events: &Sender<WorkerEvent>,
    ) {
        while !cancel.is_cancelled() {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(study) = self.studies.get(number) else {
                return;
            };
            let study = std::slice::from_ref(study);
            let step = &mut |event: &RetrieveEvent| {
                // The receiver lives until all workers end.
                let _ = events.send(WorkerEvent::Step(number, event.step));
            };
            let node = &self.peer.node;
            let reports = self
                .scu
                .retrieve(node, &self.request, study, arrivals, cancel, step);
            for report in reports {
                let _ = events.send(WorkerEvent::Report(report));
            }
        }
    }

    fn finish_study(
        &self,
        lookups: &dyn RetrieveProgress,
        report: &StudyReport,
        done: &mut Retrieved,
        on_event: &mut dyn FnMut(StudyEvent),
    ) -> anyhow::Result<()> {
        let study = Fetched {
            study_uid: report.study.expose().to_owned(),
            expected: number(report.expected),
            stored: number(report.stored),
            quarantined: number(report.quarantined),
            excluded: number(report.excluded),
            failed: number(report.missing.len()),
            unusable: number(report.unusable),
            error: report
                .error
                .as_ref()
                .map(|error| self.error_message(error, report)),
            comment: report.comment.as_ref().map(|it| it.expose().to_owned()),
            missing: report
                .missing
                .iter()
                .map(|uid| uid.expose().to_owned())
                .collect(),
        };
        if report.is_complete() && study.stored > 0 {
            let uid = Phi::new(study.study_uid.clone());
            lookups.expect_instances(&uid, study.stored)?;
        }
        done.studies += 1;
        done.complete += u64::from(report.is_complete());
        done.expected += study.expected;
        done.stored += study.stored;
        done.quarantined += study.quarantined;
        done.excluded += study.excluded;
        done.failed += study.failed;
        done.unusable += study.unusable;
        for (class, count) in &report.excluded_classes {
            // All that PS3.6 does not list are one entry.
            let class = class.to_string();
            *done.storage_classes_excluded.entry(class).or_default() += number(*count);
        }
        tracing::info!(
            expected = study.expected,
            stored = study.stored,
            quarantined = study.quarantined,
            excluded = study.excluded,
            missing = study.failed,
            "retrieved a study"
        );
        on_event(StudyEvent::Study(study));
        Ok(())
    }

    fn error_message(&self, error: &ServiceError, report: &StudyReport) -> String {
        let why = retrieve_failure_message(error, self.via, &self.peer.node, &self.local);
        match report.missing.len() {
            0 => why,
            missing => format!(
                "{why}; {missing} of {} instances are missing",
                report.expected
            ),
        }
    }
}

fn request(
    settings: &ProjectSettings,
    sop_classes: Vec<Uid>,
    job: &RetrieveJob,
    handler: Arc<dyn InstanceHandler>,
) -> anyhow::Result<RetrieveRequest> {
    let mut filter = InstanceFilter::all().with_sop_classes(sop_classes.clone());
    if let Selection::These(modalities) = &settings.modalities
        && settings.storage_classes.is_empty()
    {
        filter = filter.with_modalities(modalities.iter().map(|modality| modality.code));
    }
    let via = match job.via {
        RetrieveVia::Move => service::retrieve::RetrieveMethod::Move {
            destination: AeTitle::new(&settings.scp.aet)?,
        },
        RetrieveVia::Get => service::retrieve::RetrieveMethod::Get {
            handler,
            sop_classes,
            transfer_syntaxes: scp::syntaxes(settings)?,
        },
    };
    let level = match job.level {
        RetrieveLevel::Study => QueryLevel::Study,
        RetrieveLevel::Series => QueryLevel::Series,
        RetrieveLevel::Instance => QueryLevel::Instance,
    };
    Ok(RetrieveRequest::new(via)
        .with_level(level)
        .with_filter(filter)
        .with_concurrency(1))
}

/// Refuses a C-MOVE from another machine if our SCP accepts connections from this machine only.
pub(crate) fn check_reachable(settings: &ProjectSettings, peer: &Peer) -> anyhow::Result<()> {
    if !scp::is_local(settings) {
        return Ok(());
    }
    let found = (peer.node.host(), peer.node.port()).to_socket_addrs();
    let is_here = found.is_ok_and(|mut all| all.all(|address| is_loopback(address.ip())));
    if is_here {
        return Ok(());
    }
    Err(Failure::configuration(format!(
        "the server {} cannot send to scp.bind = {}, which only this machine can reach: retrieve with \
         --via get, or open the receiver:\n  anon config set scp.bind 0.0.0.0\n  \
         anon config add scp.allow_calling {}",
        peer.node,
        settings.scp.bind,
        peer.node.title()
    )))
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}
