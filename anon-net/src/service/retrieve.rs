//! Studies brought here, until every instance of theirs has arrived (PS3.4 sections C.4.2 and C.4.3).
//!
//! ```text
//! IMAGE level query ─► what is expected ──┐
//!                                         ▼
//! C-MOVE or C-GET at the asked level ─► LocalInstances: stored, quarantined, excluded, missing
//!        ▲                                │ missing
//!        └── series, then instances ◄─────┘
//! ```
//!
//! Counters of peers are shown and never believed: a study is complete when [`LocalInstances`] says so.

pub mod local_instances;
mod progress;
pub mod report;
mod study;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::thread;

pub use local_instances::{InstanceState, LocalInstances};
pub use report::{RetrieveEvent, RetrieveStep, StudyReport};

use super::hierarchy::{InstanceFilter, MAX_ANSWERS};
use super::{Cancel, Scu};
use crate::dimse::Priority;
use crate::dimse::handler::InstanceHandler;
use crate::{AeTitle, InstanceUid, Node, Uid};
use study::StudyRetrieve;

/// Events that may wait for the caller.
const EVENTS: usize = 256;

/// What is asked for at a time (PS3.4 section C.6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the information model has these levels"
)]
pub enum QueryLevel {
    /// A study.
    Study,
    /// A series.
    Series,
    /// Instances of a series.
    Instance,
}

/// How instances come here.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_enums, reason = "the standard has these two")]
pub enum RetrieveMethod {
    /// By C-MOVE: the peer opens an association to an SCP of ours, which must be listening.
    Move {
        /// Its title, which the peer must know.
        destination: AeTitle,
    },
    /// By C-GET: on the same association.
    Get {
        /// Takes them.
        handler: Arc<dyn InstanceHandler>,
        /// The storage SOP classes that are taken.
        sop_classes: Vec<Uid>,
        /// The transfer syntaxes in which they are taken.
        transfer_syntaxes: Vec<Uid>,
    },
}

/// How studies are to be brought here.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RetrieveRequest {
    /// How they come.
    pub method: RetrieveMethod,
    /// What is asked for first. What is missing then is asked for at lower levels.
    pub level: QueryLevel,
    /// How urgent it is.
    pub priority: Priority,
    /// What else is in a study counts as excluded and is not waited for.
    pub filter: InstanceFilter,
    /// How many studies are asked for at the same time, at least one. 2 if nothing is said.
    pub concurrency: usize,
    /// The most answers that are taken for a study. 200,000 if nothing is said.
    pub max_answers: u32,
}

impl RetrieveRequest {
    /// All of each study, asked for at study level with medium priority, two studies at a time.
    pub fn new(method: RetrieveMethod) -> Self {
        Self {
            method,
            level: QueryLevel::Study,
            priority: Priority::Medium,
            filter: InstanceFilter::all(),
            concurrency: 2,
            max_answers: MAX_ANSWERS,
        }
    }

    /// Sets what is asked for first.
    #[must_use]
    pub fn with_level(self, level: QueryLevel) -> Self {
        Self { level, ..self }
    }

    /// Sets how urgent it is.
    #[must_use]
    pub fn with_priority(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }

    /// Sets what is wanted.
    #[must_use]
    pub fn with_filter(self, filter: InstanceFilter) -> Self {
        Self { filter, ..self }
    }

    /// Sets how many studies are asked for at the same time.
    #[must_use]
    pub fn with_concurrency(self, concurrency: usize) -> Self {
        Self {
            concurrency,
            ..self
        }
    }

    /// Sets the most answers that are taken for a study.
    #[must_use]
    pub fn with_max_answers(self, max_answers: u32) -> Self {
        Self {
            max_answers,
            ..self
        }
    }
}

impl Scu {
    /// Brings studies here, and waits until each is complete or will not be; a report for each, in
    /// their order.
    ///
    /// What is expected is what an IMAGE level query names. It is asked for at the level of the
    /// request; what is missing then, at series and at instance level. Where part of a study is here
    /// before, only the rest is asked for: series that are missing, and of others the instances. A level is given up when
    /// nothing arrives for as long as [`Timeouts::network`](super::Timeouts::network). When the end is
    /// wished, C-CANCEL is sent; the peer may go on sending nevertheless.
    ///
    /// `on_event` is called on this thread; the studies have threads of their own.
    pub fn retrieve(
        &self,
        node: &Node,
        request: &RetrieveRequest,
        studies: &[InstanceUid],
        instances: &dyn LocalInstances,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(&RetrieveEvent),
    ) -> Vec<StudyReport> {
        let queue = StudyQueue {
            retrieve: StudyRetrieve {
                scu: self,
                node,
                request,
                instances,
                cancel,
            },
            studies,
            next: AtomicUsize::new(0),
        };
        let (tell, told) = mpsc::sync_channel(EVENTS);
        let mut reports: Vec<Option<StudyReport>> = studies.iter().map(|_| None).collect();
        thread::scope(|scope| {
            for _ in 0..request.concurrency.clamp(1, studies.len().max(1)) {
                let (tell, queue) = (tell.clone(), &queue);
                scope.spawn(move || queue.work(&tell));
            }
            drop(tell);
            for (study, told) in told {
                let step = told.step(reports.get_mut(study));
                on_event(&RetrieveEvent { study, step });
            }
        });
        reports.into_iter().flatten().collect()
    }
}

/// The studies that are still to be brought.
struct StudyQueue<'q> {
    retrieve: StudyRetrieve<'q>,
    studies: &'q [InstanceUid],
    next: AtomicUsize,
}

impl StudyQueue<'_> {
    /// Brings one after the other.
    fn work(&self, tell: &SyncSender<(usize, WorkerMessage)>) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(study) = self.studies.get(number) else {
                return;
            };
            let on_step = &mut |step| drop(tell.send((number, WorkerMessage::Step(step))));
            let report = self.retrieve.bring(study, on_step);
            drop(tell.send((number, WorkerMessage::Report(report))));
        }
    }
}

enum WorkerMessage {
    Step(RetrieveStep),
    Report(StudyReport),
}

impl WorkerMessage {
    /// The step that it is; a report is put in its place.
    fn step(self, place: Option<&mut Option<StudyReport>>) -> RetrieveStep {
        match self {
            Self::Step(step) => step,
            Self::Report(report) => {
                if let Some(place) = place {
                    *place = Some(report);
                }
                RetrieveStep::Done
            }
        }
    }
}
