//! Retrieves studies until all of their instances have arrived (PS3.4 sections C.4.2 and C.4.3).
//!
//! ```text
//! IMAGE level query ─► expected instances ┐
//!                                         ▼
//! C-MOVE or C-GET at its level ─► LocalInstances: stored, quarantined, excluded, missing
//!        ▲                                │ missing
//!        └── series, then instances ◄─────┘
//! ```
//!
//! The peer's counters are reported but not trusted: a study is complete when [`LocalInstances`]
//! says so.

pub mod local_instances;
mod progress;
mod refusals;
pub mod report;
mod round;
mod study;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::thread;

pub use local_instances::{InstanceState, LocalInstances};
pub use report::{ErrorComment, RetrieveEvent, RetrieveStep, StudyReport};

use super::hierarchy::{InstanceFilter, MAX_RESPONSES};
use super::{Cancel, Scu};
use crate::dimse::Priority;
use crate::dimse::handler::InstanceHandler;
use crate::{AeTitle, InstanceUid, Node, Uid};
use study::StudyRetrieve;

/// The number of events that can wait for the caller.
const EVENTS: usize = 256;

/// The level of a retrieve request (PS3.4 section C.6.2.1).
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

/// The operation that retrieves instances.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_enums, reason = "the standard has these two")]
pub enum RetrieveMethod {
    /// C-MOVE: the peer opens an association to an SCP of ours, which must be listening.
    Move {
        /// The AE title of our SCP. The peer must know it.
        destination: AeTitle,
    },
    /// C-GET: the peer sends on the same association.
    Get {
        /// Processes the instances.
        handler: Arc<dyn InstanceHandler>,
        /// The storage SOP classes to accept.
        sop_classes: Vec<Uid>,
        /// The transfer syntaxes to accept.
        transfer_syntaxes: Vec<Uid>,
    },
}

/// How studies are retrieved.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RetrieveRequest {
    /// C-MOVE or C-GET.
    pub method: RetrieveMethod,
    /// The level of the first requests. Instances that are missing afterwards are requested at
    /// lower levels.
    pub level: QueryLevel,
    /// The priority of the requests.
    pub priority: Priority,
    /// Instances outside the filter count as excluded and are not waited for.
    pub filter: InstanceFilter,
    /// The number of studies that are retrieved at the same time, at least one. Default: 2.
    pub concurrency: usize,
    /// The limit of responses to the queries for a study. Default: 200,000.
    pub max_responses: u32,
}

impl RetrieveRequest {
    /// Creates a request for whole studies at study level, with medium priority, two studies at a
    /// time.
    pub fn new(method: RetrieveMethod) -> Self {
        Self {
            method,
            level: QueryLevel::Study,
            priority: Priority::Medium,
            filter: InstanceFilter::all(),
            concurrency: 2,
            max_responses: MAX_RESPONSES,
        }
    }

    /// Sets the level of the first requests.
    #[must_use]
    pub fn with_level(self, level: QueryLevel) -> Self {
        Self { level, ..self }
    }

    /// Sets the priority.
    #[must_use]
    pub fn with_priority(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }

    /// Sets the filter.
    #[must_use]
    pub fn with_filter(self, filter: InstanceFilter) -> Self {
        Self { filter, ..self }
    }

    /// Sets the number of studies that are retrieved at the same time.
    #[must_use]
    pub fn with_concurrency(self, concurrency: usize) -> Self {
        Self {
            concurrency,
            ..self
        }
    }

    /// Sets the limit of responses to the queries for a study.
    #[must_use]
    pub fn with_max_responses(self, max_responses: u32) -> Self {
        Self {
            max_responses,
            ..self
        }
    }
}

impl Scu {
    /// Retrieves studies, and waits until each is complete or cannot be completed. Returns a report
    /// for each study, in their order.
    ///
    /// An IMAGE level query tells which instances to expect. The first requests are at the level of
    /// `request`, the later ones for missing instances at series and instance level. If part of a
    /// study is already stored, only the rest is requested: whole series that are missing, and
    /// single instances of others.
    ///
    /// After a refusal of which nothing has arrived, at most three more requests follow, with
    /// pauses of [`Retries::pause`](super::Retries::pause) and more, and none for a single instance.
    ///
    /// Some peers move instances after the final response of a C-MOVE: if it is a success, the
    /// first level waits until no instance arrives within
    /// [`Timeouts::network`](super::Timeouts::network). After a C-GET there is no such wait. A
    /// C-GET proposes the storage classes on as many associations as they need, one after the
    /// other. Once cancelled, a C-CANCEL is sent, but the peer may continue to send.
    ///
    /// `on_event` is called on this thread. The studies are retrieved on other threads.
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
        let (sender, receiver) = mpsc::sync_channel(EVENTS);
        let mut reports: Vec<Option<StudyReport>> = studies.iter().map(|_| None).collect();
        thread::scope(|scope| {
            for _ in 0..request.concurrency.clamp(1, studies.len().max(1)) {
                let (sender, queue) = (sender.clone(), &queue);
                scope.spawn(move || queue.work(&sender));
            }
            drop(sender);
            for (study, message) in receiver {
                let step = message.step(reports.get_mut(study));
                on_event(&RetrieveEvent { study, step });
            }
        });
        reports.into_iter().flatten().collect()
    }
}

/// The studies that wait to be retrieved.
struct StudyQueue<'q> {
    retrieve: StudyRetrieve<'q>,
    studies: &'q [InstanceUid],
    next: AtomicUsize,
}

impl StudyQueue<'_> {
    /// Retrieves one study after the other.
    fn work(&self, sender: &SyncSender<(usize, WorkerMessage)>) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(study) = self.studies.get(number) else {
                return;
            };
            let on_step = &mut |step| drop(sender.send((number, WorkerMessage::Step(step))));
            let report = self.retrieve.retrieve(study, on_step);
            drop(sender.send((number, WorkerMessage::Report(report))));
        }
    }
}

enum WorkerMessage {
    Step(RetrieveStep),
    Report(StudyReport),
}

impl WorkerMessage {
    /// Returns the step of a message. Stores the report of a finished study in `place`.
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
