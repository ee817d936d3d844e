//! [`SpaceTimeout`]: how long an object waits for room before its sender is told that there is none.
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

/// How long is waited for timeout.
#[derive(Debug)]
pub(crate) struct SpaceTimeout {
    limit: Duration,
    cancel: Cancel,
    clock: Box<dyn Clock>,
}

/// The waiting of one object.
#[derive(Debug)]
pub(crate) struct SpaceWait<'r> {
    timeout: &'r SpaceTimeout,
    until: Option<Instant>,
}

impl SpaceTimeout {
    /// So long, or until `cancel` says that we are to end.
    pub(crate) fn new(limit: Duration, cancel: Cancel) -> Self {
        Self::with_clock(limit, cancel, Box::new(System))
    }

    pub(crate) fn with_clock(limit: Duration, cancel: Cancel, clock: Box<dyn Clock>) -> Self {
        Self {
            limit,
            cancel,
            clock,
        }
    }

    /// For one object.
    pub(crate) fn wait(&self) -> SpaceWait<'_> {
        SpaceWait {
            timeout: self,
            until: None,
        }
    }
}

impl SpaceWait<'_> {
    /// After a try that found no timeout: pauses, and says if there is to be another.
    pub(crate) fn retry(&mut self) -> bool {
        let timeout = self.timeout;
        let now = timeout.clock.now();
        let until = *self.until.get_or_insert_with(|| {
            tracing::warn!("no timeout: an object waits for some");
            now + timeout.limit
        });
        let left = until.saturating_duration_since(now);
        if left.is_zero() || timeout.cancel.is_cancelled() {
            return false;
        }
        timeout.clock.pause(left.min(PAUSE));
        // The last try is at the end of the time.
        !timeout.cancel.is_cancelled()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    type Step = Box<dyn FnMut() + Send>;

    /// A clock that moves only while somebody pauses, and does something each time.
    pub(crate) struct ManualClock {
        now: Mutex<Instant>,
        step: Mutex<Step>,
    }

    impl ManualClock {
        pub(crate) fn new(step: impl FnMut() + Send + 'static) -> Self {
            Self {
                now: Mutex::new(Instant::now()),
                step: Mutex::new(Box::new(step)),
            }
        }
    }

    impl fmt::Debug for ManualClock {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("ManualClock").finish_non_exhaustive()
        }
    }

    impl Clock for ManualClock {
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
        let clock = Box::new(ManualClock::new(move || *counted.lock().unwrap() += 1));
        let timeout = SpaceTimeout::with_clock(Duration::from_millis(950), Cancel::new(), clock);
        let mut wait = timeout.wait();
        while wait.retry() {}
        assert_eq!(*pauses.lock().unwrap(), 10);
        assert!(!wait.retry());
        assert!(
            timeout.wait().retry(),
            "the next object has a time of its own"
        );
    }

    #[test]
    fn the_end_of_the_program_ends_the_waiting() {
        let cancel = Cancel::new();
        let comes = cancel.clone();
        let clock = Box::new(ManualClock::new(move || comes.cancel()));
        let timeout = SpaceTimeout::with_clock(Duration::from_hours(1), cancel, clock);
        let mut wait = timeout.wait();
        assert!(!wait.retry(), "it came during the pause");
        assert!(!timeout.wait().retry());
        let none = SpaceTimeout::new(Duration::ZERO, Cancel::new());
        assert!(!none.wait().retry());
    }
}
