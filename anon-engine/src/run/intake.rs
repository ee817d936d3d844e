//! [`Intake`]: the queue of objects that wait for a worker, bounded in bytes.
//!
//! The bytes of an object count from its admission until it is staged. An object that is larger than
//! the whole intake is admitted when the intake is empty.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::Error;
use crate::keep::received::Received;
use crate::run::assignment_order::{AssignmentOrder, AssignmentTicket};
use crate::run::receipt::Receipt;
use crate::run::reply::Reply;
use crate::run::schedule::{InFlight, Schedule};

/// The most objects that wait, however small, so that stopping discards few.
const MAX_WAITING: usize = 4096;

/// A full queue is refilled when it is this short. Waking a thread for each free place costs more
/// than the objects.
const REFILL: usize = MAX_WAITING / 2;

/// An object on its way. Dropping one gives back all that it holds, and says so to who waits.
pub(crate) struct Job {
    pub(crate) received: Received,
    pub(crate) reply: Reply,
    /// Its place in the order of assignment, until that has passed.
    pub(crate) ticket: Option<AssignmentTicket>,
    /// Its bytes, counted by the intake.
    pub(crate) reservation: Option<Reservation>,
    /// Counted as on its way to a commit; not while it is parked.
    pub(crate) in_flight: Option<InFlight>,
    /// What it does if another copy of its instance waits for a commit.
    pub(crate) if_busy: IfBusy,
}

/// What an object does if another copy of its instance waits for a commit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfBusy {
    /// Its thread waits: it is the caller's.
    Wait,
    /// It is put aside, and the worker takes the next one.
    Park,
}

pub(crate) struct Intake {
    state: Mutex<IntakeState>,
    /// Somebody waits for a job, or for the end.
    jobs: Condvar,
    /// Somebody waits for room.
    room: Condvar,
    max_bytes: usize,
    order: Arc<AssignmentOrder>,
    schedule: Arc<Schedule>,
}

struct IntakeState {
    waiting: VecDeque<Job>,
    bytes: usize,
    phase: IntakePhase,
    /// Threads that wait for a job, and for room. Notifying none of them is skipped: it is a system call.
    idle: usize,
    blocked: usize,
}

impl IntakeState {
    /// True if somebody who waits for room has to be woken.
    fn should_wake_blocked(&self) -> bool {
        self.blocked > 0 && self.waiting.len() <= REFILL
    }
}

/// Who comes in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum IntakePhase {
    /// Everybody.
    Open,
    /// Those that were in before.
    Draining,
    /// Nobody; workers end.
    Stopped,
}

/// Bytes counted by the intake, until this is dropped.
pub(crate) struct Reservation {
    bytes: usize,
    intake: Arc<Intake>,
}

/// Why an object was not admitted.
pub(crate) enum NotAdmitted<F> {
    /// There is no room now.
    Full(Received, F),
    /// There never will be.
    Stopped(F),
}

/// Whether the caller waits for room.
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

    /// Puts an object that was admitted before at the front of the queue.
    pub(crate) fn requeue(&self, mut job: Job) {
        job.in_flight = Some(self.schedule.enter());
        let mut state = self.state();
        if state.phase == IntakePhase::Stopped {
            drop(state);
            // Dropping it says that the engine is stopped.
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

    /// Waits for the next object; `None` when the engine ends.
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
        // Outside the lock: each one's callback is called, and its bytes are given back.
        let discarded = waiting.len();
        drop(waiting);
        discarded
    }

    /// Bytes that are counted now.
    pub(crate) fn bytes(&self) -> usize {
        self.state().bytes
    }

    fn state(&self) -> MutexGuard<'_, IntakeState> {
        // A queue and counters: no panic leaves them half changed.
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
