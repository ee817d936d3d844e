//! [`Intake`]: the queue of objects that wait for a worker, bounded in bytes.
//!
//! The bytes of an object count from its admission until it is staged or refused. An object that is
//! larger than the limit is admitted when the intake is empty.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::Error;
use crate::keep::received::Received;
use crate::run::assignment_order::{AssignmentOrder, AssignmentTicket};
use crate::run::receipt::Receipt;
use crate::run::reply::Reply;
use crate::run::schedule::{InFlight, Schedule};

/// The most objects that wait, whatever their size, so that stopping discards few.
const MAX_WAITING: usize = 4096;

/// A full queue is refilled when it is this short. Waking a thread for each free place would take
/// longer than processing the object.
const REFILL: usize = MAX_WAITING / 2;

/// An object that is being processed, and what it holds. Dropping it releases all of that and
/// reports [`Error::Stopped`].
pub(crate) struct Job {
    pub(crate) received: Received,
    pub(crate) reply: Reply,
    /// Its place in the order of assignment, until its pseudonyms are assigned.
    pub(crate) ticket: Option<AssignmentTicket>,
    /// Its bytes in the intake.
    pub(crate) reservation: Option<Reservation>,
    /// Counts it as in flight; `None` while it is parked.
    pub(crate) in_flight: Option<InFlight>,
    /// What happens if another copy of its instance waits for a commit.
    pub(crate) if_busy: IfBusy,
}

/// What happens to an object if another copy of its instance waits for a commit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfBusy {
    /// Its thread waits, because it is the caller's.
    Wait,
    /// It is parked, and the worker takes the next object.
    Park,
}

/// The queue of objects that wait for a worker.
pub(crate) struct Intake {
    state: Mutex<IntakeState>,
    /// Wakes workers: there is a job, or the engine ends.
    jobs: Condvar,
    /// Wakes callers: there is room, or the engine ends.
    room: Condvar,
    max_bytes: usize,
    order: Arc<AssignmentOrder>,
    schedule: Arc<Schedule>,
}

struct IntakeState {
    waiting: VecDeque<Job>,
    bytes: usize,
    phase: IntakePhase,
    /// Threads that wait for a job. If there are none, the system call that wakes them is skipped.
    idle: usize,
    /// Threads that wait for room.
    blocked: usize,
}

impl IntakeState {
    /// Returns true if threads that wait for room must be woken.
    fn should_wake_blocked(&self) -> bool {
        self.blocked > 0 && self.waiting.len() <= REFILL
    }
}

/// Which objects are accepted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum IntakePhase {
    /// All objects.
    Open,
    /// Only objects that have been admitted before, and were parked.
    Draining,
    /// None. Workers end.
    Stopped,
}

/// The bytes of one object in the intake. Released when this is dropped.
pub(crate) struct Reservation {
    bytes: usize,
    intake: Arc<Intake>,
}

/// Why an object was not admitted.
pub(crate) enum NotAdmitted<F> {
    /// The intake has no room. Returns the object and its callback.
    Full(Received, F),
    /// The engine is stopped. Returns the callback.
    Stopped(F),
}

/// What a caller does if the intake has no room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfFull {
    Wait,
    Fail,
}

impl Intake {
    pub(crate) fn new(max_bytes: usize, schedule: Arc<Schedule>) -> Self {
        Self {
            state: Mutex::new(IntakeState {
                waiting: VecDeque::new(),
                bytes: 0,
                phase: IntakePhase::Open,
                idle: 0,
                blocked: 0,
            }),
            jobs: Condvar::new(),
            room: Condvar::new(),
            max_bytes,
            order: Arc::default(),
            schedule,
        }
    }

    /// Admits an object. The order of admission is the order of assignment.
    pub(crate) fn admit<F>(
        self: &Arc<Self>,
        received: Received,
        on_done: F,
        if_full: IfFull,
    ) -> Result<(), NotAdmitted<F>>
    where
        F: FnOnce(Result<Receipt, Error>) + Send + 'static,
    {
        let bytes = received.weight();
        let mut state = self.state();
        loop {
            if state.phase != IntakePhase::Open {
                return Err(NotAdmitted::Stopped(on_done));
            }
            let fits = state.bytes == 0 || state.bytes.saturating_add(bytes) <= self.max_bytes;
            if fits && state.waiting.len() < MAX_WAITING {
                break;
            }
            if if_full == IfFull::Fail {
                return Err(NotAdmitted::Full(received, on_done));
            }
            state.blocked += 1;
            state = self
                .room
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.blocked -= 1;
        }
        state.bytes += bytes;
        state.waiting.push_back(Job {
            received,
            reply: Reply::new(on_done),
            ticket: Some(self.order.issue()),
            reservation: Some(Reservation {
                bytes,
                intake: Arc::clone(self),
            }),
            in_flight: Some(self.schedule.enter()),
            if_busy: IfBusy::Park,
        });
        self.wake_worker(state);
        Ok(())
    }

    /// Puts an object that has been admitted before at the front of the queue.
    pub(crate) fn requeue(&self, mut job: Job) {
        job.in_flight = Some(self.schedule.enter());
        let mut state = self.state();
        if state.phase == IntakePhase::Stopped {
            drop(state);
            // Dropping the job reports that the engine is stopped.
            return;
        }
        state.waiting.push_front(job);
        self.wake_worker(state);
    }

    fn wake_worker(&self, state: MutexGuard<'_, IntakeState>) {
        let has_waiter = state.idle > 0;
        drop(state);
        if has_waiter {
            self.jobs.notify_one();
        }
    }

    fn wake_blocked(&self, state: MutexGuard<'_, IntakeState>) {
        let has_waiter = state.should_wake_blocked();
        drop(state);
        if has_waiter {
            self.room.notify_all();
        }
    }

    /// Waits for the next object. Returns `None` when the engine ends.
    pub(crate) fn next(&self) -> Option<Job> {
        let mut state = self.state();
        loop {
            if let Some(job) = state.waiting.pop_front() {
                self.wake_blocked(state);
                return Some(job);
            }
            if state.phase == IntakePhase::Stopped {
                return None;
            }
            state.idle += 1;
            state = self
                .jobs
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// Admits no more objects. Those in the queue are processed.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.phase = state.phase.max(IntakePhase::Draining);
        drop(state);
        self.room.notify_all();
    }

    /// Admits no more objects and discards those in the queue. Returns how many were discarded.
    pub(crate) fn close_and_discard(&self) -> usize {
        let mut state = self.state();
        state.phase = IntakePhase::Stopped;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.room.notify_all();
        self.jobs.notify_all();
        // Dropped outside the lock, because each job calls its callback and releases its bytes.
        let discarded = waiting.len();
        drop(waiting);
        discarded
    }

    /// Returns the bytes of all admitted objects that are not staged yet.
    pub(crate) fn bytes(&self) -> usize {
        self.state().bytes
    }

    fn state(&self) -> MutexGuard<'_, IntakeState> {
        // A panic cannot leave a queue and counters half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut state = self.intake.state();
        state.bytes -= self.bytes;
        self.intake.wake_blocked(state);
    }
}
