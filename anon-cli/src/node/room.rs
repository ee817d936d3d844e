//! [`Room`]: how long an object waits for room before its sender is told that there is none.
//!
//! ```text
//! no room ─► pause ─► tried again ─► …  until there is some, the time is over, or we are to end
//! ```
//!
//! Only the thread of that sender waits, and it holds nothing that others need. Its time begins with
//! the first shortage of an object, so that one object waits once, not once for each step.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use anon_engine::Cancel;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// The clock that waiting goes by.
pub(crate) trait Clock: fmt::Debug + Send + Sync {
    fn now(&self) -> Instant;

    /// Waits so long, or a little shorter.
    fn pause(&self, time: Duration);
}

#[derive(Debug)]
struct System;

impl Clock for System {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn pause(&self, time: Duration) {
        thread::park_timeout(time);
    }
}

/// How long is waited for room.
#[derive(Debug)]
pub(crate) struct Room {
    patience: Duration,
    cancel: Cancel,
    clock: Box<dyn Clock>,
}

/// The waiting of one object.
#[derive(Debug)]
pub(crate) struct Wait<'r> {
    room: &'r Room,
    until: Option<Instant>,
}

impl Room {
    /// So long, or until `cancel` says that we are to end.
    pub(crate) fn new(patience: Duration, cancel: Cancel) -> Self {
        Self::with_clock(patience, cancel, Box::new(System))
    }

    pub(crate) fn with_clock(patience: Duration, cancel: Cancel, clock: Box<dyn Clock>) -> Self {
        Self {
            patience,
            cancel,
            clock,
        }
    }

    /// For one object.
    pub(crate) fn wait(&self) -> Wait<'_> {
        Wait {
            room: self,
            until: None,
        }
    }
}

impl Wait<'_> {
    /// After a try that found no room: pauses, and says if there is to be another.
    pub(crate) fn again(&mut self) -> bool {
        let room = self.room;
        let now = room.clock.now();
        let until = *self.until.get_or_insert_with(|| {
            tracing::warn!("no room: an object waits for some");
            now + room.patience
        });
        let left = until.saturating_duration_since(now);
        if left.is_zero() || room.cancel.is_cancelled() {
            return false;
        }
        room.clock.pause(left.min(PAUSE));
        // The last try is at the end of the time.
        !room.cancel.is_cancelled()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    type Step = Box<dyn FnMut() + Send>;

    /// A clock that moves only while somebody pauses, and does something each time.
    pub(crate) struct Manual {
        now: Mutex<Instant>,
        step: Mutex<Step>,
    }

    impl Manual {
        pub(crate) fn new(step: impl FnMut() + Send + 'static) -> Self {
            Self {
                now: Mutex::new(Instant::now()),
                step: Mutex::new(Box::new(step)),
            }
        }
    }

    impl fmt::Debug for Manual {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Manual").finish_non_exhaustive()
        }
    }

    impl Clock for Manual {
        fn now(&self) -> Instant {
            *self.now.lock().unwrap()
        }

        fn pause(&self, time: Duration) {
            *self.now.lock().unwrap() += time;
            (self.step.lock().unwrap())();
        }
    }

    #[test]
    fn the_time_of_an_object_is_all_that_it_waits() {
        let pauses = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&pauses);
        let clock = Box::new(Manual::new(move || *counted.lock().unwrap() += 1));
        let room = Room::with_clock(Duration::from_millis(950), Cancel::new(), clock);
        let mut wait = room.wait();
        while wait.again() {}
        assert_eq!(*pauses.lock().unwrap(), 10);
        assert!(!wait.again());
        assert!(room.wait().again(), "the next object has a time of its own");
    }

    #[test]
    fn the_end_of_the_program_ends_the_waiting() {
        let cancel = Cancel::new();
        let comes = cancel.clone();
        let clock = Box::new(Manual::new(move || comes.cancel()));
        let room = Room::with_clock(Duration::from_hours(1), cancel, clock);
        let mut wait = room.wait();
        assert!(!wait.again(), "it came during the pause");
        assert!(!room.wait().again());
        let none = Room::new(Duration::ZERO, Cancel::new());
        assert!(!none.wait().again());
    }
}
