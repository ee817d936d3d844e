//! [`FilingQueue`]: the refused objects that wait to be filed in the quarantine.
//!
//! Filing takes several syncs and, for a large object, seconds. Workers hand it over, so that refused
//! objects do not hold up others. Several threads file at once, because their syncs are then done
//! together by the file system.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::refusal::Refusal;
use crate::run::intake::Job;
use crate::run::open_source::FileStamp;

/// The number of threads that file.
pub(crate) const FILERS: usize = 8;

/// The most refused objects that wait. Beyond them, a worker files its object itself.
const MAX_WAITING: usize = 8 * FILERS;

/// A refused object of a worker.
pub(crate) struct RefusedJob {
    pub(crate) job: Job,
    pub(crate) refusal: Refusal,
    /// Length and modification time of the file when the worker read it.
    pub(crate) stamp: Option<FileStamp>,
}

#[derive(Default)]
pub(crate) struct FilingQueue {
    state: Mutex<FilingState>,
    changed: Condvar,
}

#[derive(Default)]
struct FilingState {
    waiting: VecDeque<RefusedJob>,
    /// Threads that wait for an object.
    idle: usize,
    end: bool,
}

impl FilingQueue {
    /// Queues a refused object. Returns it if too many wait, or if the engine ends.
    pub(crate) fn push(&self, refused: RefusedJob) -> Option<RefusedJob> {
        let mut state = self.state();
        if state.end || state.waiting.len() >= MAX_WAITING + state.idle {
            return Some(refused);
        }
        state.waiting.push_back(refused);
        let has_waiter = state.idle > 0;
        drop(state);
        if has_waiter {
            self.changed.notify_one();
        }
        None
    }

    /// Waits for the next object. Returns `None` when the engine ends.
    pub(crate) fn next(&self) -> Option<RefusedJob> {
        let mut state = self.state();
        loop {
            if let Some(refused) = state.waiting.pop_front() {
                return Some(refused);
            }
            if state.end {
                return None;
            }
            state.idle += 1;
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// Stops the filing threads and drops the queued objects. Returns how many. From then on, workers file
    /// their own objects.
    pub(crate) fn end(&self) -> usize {
        let mut state = self.state();
        state.end = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.changed.notify_all();
        // Dropped outside the lock, because each job calls its callback.
        let discarded = waiting.len();
        drop(waiting);
        discarded
    }

    fn state(&self) -> MutexGuard<'_, FilingState> {
        // A panic cannot leave a queue half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::error::Error;
    use crate::keep::received::Received;
    use crate::refusal::Category;
    use crate::run::intake::IfBusy;
    use crate::run::reply::Reply;

    #[test]
    fn objects_that_wait_at_the_end_are_counted_and_told_so() {
        let queue = FilingQueue::default();
        let (sender, results) = mpsc::channel();
        for _ in 0..3 {
            let sender = sender.clone();
            let job = Job {
                received: Received::part10(Vec::new()),
                reply: Reply::new(move |result| sender.send(result).expect("it listens")),
                ticket: None,
                reservation: None,
                in_flight: None,
                if_busy: IfBusy::Park,
            };
            let refusal = Refusal::new(Category::BurnedIn, "says YES");
            let stamp = None;
            let returned = queue.push(RefusedJob {
                job,
                refusal,
                stamp,
            });
            assert!(returned.is_none());
        }
        assert_eq!(queue.end(), 3);
        drop(sender);
        let results: Vec<_> = results.iter().collect();
        assert_eq!(results.len(), 3);
        assert!(results.iter().all(|it| matches!(it, Err(Error::Stopped))));
        assert_eq!(queue.end(), 0);
    }
}
