//! Studies brought here, until every instance of theirs has arrived (PS3.4 sections C.4.2 and C.4.3).
//!
//! ```text
//! IMAGE level query ─► what is expected ──┐
//!                                         ▼
//! C-MOVE or C-GET at the asked level ─► Arrivals: stored, quarantined, excluded, missing
//!        ▲                                │ missing
//!        └── series, then instances ◄─────┘
//! ```
//!
//! Counters of peers are shown and never believed: a study is complete when [`Arrivals`] says so.

pub mod arrivals;
pub mod report;
mod study;
mod tally;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::thread;

pub use arrivals::{Arrival, Arrivals};
pub use report::{RetrieveEvent, Step, StudyReport};

use super::hierarchy::{MAX_ANSWERS, Wanted};
use super::{Cancel, Scu};
use crate::dimse::Priority;
use crate::dimse::handler::InstanceHandler;
use crate::{AeTitle, InstanceUid, Node, Uid};
use study::Job;

/// Events that may wait for the caller.
const EVENTS: usize = 256;

/// What is asked for at a time (PS3.4 section C.6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the information model has these levels"
)]
pub enum Level {
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
pub enum Via {
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
    pub via: Via,
    /// What is asked for first. What is missing then is asked for at lower levels.
    pub level: Level,
    /// How urgent it is.
    pub priority: Priority,
    /// What else is in a study counts as excluded and is not waited for.
    pub wanted: Wanted,
    /// How many studies are asked for at the same time, at least one. 2 if nothing is said.
    pub concurrency: usize,
    /// The most answers that are taken for a study. 200,000 if nothing is said.
    pub max_answers: u32,
}

impl RetrieveRequest {
    /// All of each study, asked for at study level with medium priority, two studies at a time.
    pub fn new(via: Via) -> Self {
        Self {
            via,
            level: Level::Study,
            priority: Priority::Medium,
            wanted: Wanted::all(),
            concurrency: 2,
            max_answers: MAX_ANSWERS,
        }
    }

    /// Sets what is asked for first.
    #[must_use]
    pub fn with_level(self, level: Level) -> Self {
        Self { level, ..self }
    }

    /// Sets how urgent it is.
    #[must_use]
    pub fn with_priority(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }

    /// Sets what is wanted.
    #[must_use]
    pub fn with_wanted(self, wanted: Wanted) -> Self {
        Self { wanted, ..self }
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
        arrivals: &dyn Arrivals,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(&RetrieveEvent),
    ) -> Vec<StudyReport> {
        let queue = Queue {
            job: Job {
                scu: self,
                node,
                request,
                arrivals,
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
struct Queue<'q> {
    job: Job<'q>,
    studies: &'q [InstanceUid],
    next: AtomicUsize,
}

impl Queue<'_> {
    /// Brings one after the other.
    fn work(&self, tell: &SyncSender<(usize, Told)>) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(study) = self.studies.get(number) else {
                return;
            };
            let on_step = &mut |step| drop(tell.send((number, Told::Step(step))));
            let report = self.job.bring(study, on_step);
            drop(tell.send((number, Told::Report(report))));
        }
    }
}

enum Told {
    Step(Step),
    Report(StudyReport),
}

impl Told {
    /// The step that it is; a report is put in its place.
    fn step(self, place: Option<&mut Option<StudyReport>>) -> Step {
        match self {
            Self::Step(step) => step,
            Self::Report(report) => {
                if let Some(place) = place {
                    *place = Some(report);
                }
                Step::Done
            }
        }
    }
}
