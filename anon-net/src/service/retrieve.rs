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
mod study;
mod tally;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

pub use arrivals::{Arrival, Arrivals};

use super::hierarchy::{MAX_ANSWERS, Wanted};
use super::{Cancel, Scu, ServiceError};
use crate::dimse::{Priority, SubOperations};
use crate::scp::InstanceHandler;
use crate::{AeTitle, InstanceUid, Node, Uid};

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

/// What became of a study: `expected` is the sum of `stored`, `quarantined`, `excluded` and what is
/// missing. `Debug` shows no UID.
#[derive(Debug)]
#[non_exhaustive]
pub struct StudyReport {
    /// Study Instance UID.
    pub study: InstanceUid,
    /// Instances that the peer named.
    pub expected: usize,
    /// Those that are stored, some of them since before.
    pub stored: usize,
    /// Those that are in quarantine.
    pub quarantined: usize,
    /// Those that are not wanted.
    pub excluded: usize,
    /// Of those missing, the ones that the peer says it could not send.
    pub failed: usize,
    /// Those that did not arrive.
    pub missing: Vec<InstanceUid>,
    /// Why it is not complete; none if it is.
    pub error: Option<ServiceError>,
}

impl StudyReport {
    fn failed(study: InstanceUid, error: ServiceError) -> Self {
        Self {
            study,
            expected: 0,
            stored: 0,
            quarantined: 0,
            excluded: 0,
            failed: 0,
            missing: Vec::new(),
            error: Some(error),
        }
    }

    /// True if every instance is stored, quarantined or not wanted.
    pub fn is_complete(&self) -> bool {
        self.error.is_none()
    }
}

/// What happens to a study.
#[derive(Debug)]
#[non_exhaustive]
pub enum Step {
    /// The peer named its instances.
    Expected {
        /// How many there are.
        instances: usize,
        /// How many of them are not wanted.
        excluded: usize,
    },
    /// Something is asked for.
    Asked {
        /// At which level.
        level: Level,
    },
    /// The peer counts.
    Counted(SubOperations),
    /// Instances arrived.
    Arrived {
        /// How many are stored.
        stored: usize,
        /// How many are in quarantine.
        quarantined: usize,
        /// How many are missing.
        missing: usize,
    },
    /// It is done with.
    Done,
}

/// What happens while studies are brought here.
#[derive(Debug)]
#[non_exhaustive]
pub struct RetrieveEvent {
    /// The place of the study in the list, from 0.
    pub study: usize,
    /// What happens.
    pub step: Step,
}

impl Scu {
    /// Brings studies here, and waits until each is complete or will not be; a report for each, in
    /// their order.
    ///
    /// What is expected is what an IMAGE level query names. It is asked for at the level of the
    /// request; what is missing then, at series and at instance level. A level is given up when
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
        let next = AtomicUsize::new(0);
        let (tell, told) = mpsc::channel();
        let mut reports: Vec<Option<StudyReport>> = studies.iter().map(|_| None).collect();
        thread::scope(|scope| {
            for _ in 0..request.concurrency.clamp(1, studies.len().max(1)) {
                let (tell, next) = (tell.clone(), &next);
                scope.spawn(move || {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let Some(study) = studies.get(number) else {
                            return;
                        };
                        let on_step = &mut |step| drop(tell.send((number, Told::Step(step))));
                        let job = study::Job {
                            scu: self,
                            node,
                            request,
                            arrivals,
                            cancel,
                        };
                        let report = job.bring(study, on_step);
                        drop(tell.send((number, Told::Report(report))));
                    }
                });
            }
            drop(tell);
            for (study, told) in told {
                let step = match told {
                    Told::Step(step) => step,
                    Told::Report(report) => {
                        if let Some(place) = reports.get_mut(study) {
                            *place = Some(report);
                        }
                        Step::Done
                    }
                };
                on_event(&RetrieveEvent { study, step });
            }
        });
        reports.into_iter().flatten().collect()
    }
}

enum Told {
    Step(Step),
    Report(StudyReport),
}
