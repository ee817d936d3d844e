//! [`SpaceWait`]: how long an object waits for disk space before its sender gets a failure status.
//!
//! ```text
//! no space ─► pause ─► retry ─► …  until it succeeds, the timeout ends, or the command is cancelled
//! ```
//!
//! Only the thread of that sender waits, and it holds no lock. The timeout of an object starts at its
//! first shortage and covers all its steps.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use anon_engine::Cancel;

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// The clock that measures waits.
pub(crate) trait Clock: fmt::Debug + Send + Sync {
    fn now(&self) -> Instant;

    /// Waits for `time` or a little less.
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

/// How long each object may wait for disk space.
#[derive(Debug)]
pub(crate) struct SpaceTimeout {
    limit: Duration,
    cancel: Cancel,
    clock: Box<dyn Clock>,
}

/// The wait of one object.
#[derive(Debug)]
pub(crate) struct SpaceWait<'r> {
    timeout: &'r SpaceTimeout,
    until: Option<Instant>,
}

impl SpaceTimeout {
    /// Waits end after `limit`, or when `cancel` is cancelled.
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

    /// Returns a new wait for one object.
    pub(crate) fn wait(&self) -> SpaceWait<'_> {
        SpaceWait {
            timeout: self,
            until: None,
        }
    }
}

impl SpaceWait<'_> {
    /// Pauses after an attempt that found no space. Returns false if the caller should give up.
    pub(crate) fn retry(&mut self) -> bool {
        let timeout = self.timeout;
        let now = timeout.clock.now();
        let until = *self.until.get_or_insert_with(|| {
            tracing::warn!("no disk space: an object waits for some");
            now + timeout.limit
        });
        let left = until.saturating_duration_since(now);
        if left.is_zero() || timeout.cancel.is_cancelled() {
            return false;
        }
        timeout.clock.pause(left.min(PAUSE));
        // The last attempt is made when the timeout ends.
        !timeout.cancel.is_cancelled()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    type Step = Box<dyn FnMut() + Send>;

    /// A clock that advances only in pauses, and calls `step` in each.
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
    fn an_object_waits_no_longer_than_the_timeout() {
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
            "the next object has its own timeout"
        );
    }

    #[test]
    fn cancelling_ends_the_wait() {
        let cancel = Cancel::new();
        let cancelled = cancel.clone();
        let clock = Box::new(ManualClock::new(move || cancelled.cancel()));
        let timeout = SpaceTimeout::with_clock(Duration::from_hours(1), cancel, clock);
        let mut wait = timeout.wait();
        assert!(!wait.retry(), "cancelled during the pause");
        assert!(!timeout.wait().retry());
        let none = SpaceTimeout::new(Duration::ZERO, Cancel::new());
        assert!(!none.wait().retry());
    }
}
