//! [`Backoff`]: the waits between attempts.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Exponential backoff with jitter. Each wait is twice as long as the one before, up to a limit.
/// Half of it is random, so that calls that failed together do not retry together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backoff {
    /// The wait before the second attempt. Default: 0.5 s.
    pub first: Duration,
    /// The longest wait. Default: 30 s.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
        }
    }
}

impl Backoff {
    /// Creates a backoff from `first` to `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// Returns the wait after attempt number `attempt`, counted from 1. It is never shorter than
    /// what the destination asked for.
    pub(crate) fn wait(&self, attempt: u32, asked: Option<Duration>) -> Duration {
        self.wait_by(attempt, asked, random())
    }

    fn wait_by(&self, attempt: u32, asked: Option<Duration>, random: u16) -> Duration {
        let doubled = 1_u32.checked_shl(attempt.saturating_sub(1));
        let whole = self.first.saturating_mul(doubled.unwrap_or(u32::MAX));
        let half = whole.min(self.longest) / 2;
        let wait = half + half / u32::from(u16::MAX) * u32::from(random);
        wait.max(asked.unwrap_or_default())
    }
}

/// The longest wait that a destination may ask for. A destination that asks for more is treated as
/// unavailable.
pub(crate) const LONGEST_ASKED: Duration = Duration::from_mins(10);

/// A random number. Not for secrets.
fn random() -> u16 {
    let bytes = RandomState::new().hash_one(0).to_le_bytes();
    let [low, high, ..] = bytes;
    u16::from_le_bytes([low, high])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let ms = Duration::from_millis;
        let backoff = Backoff::new(ms(100), ms(1000));
        for (attempt, least, most) in [
            (1, 50, 100),
            (2, 100, 200),
            (3, 200, 400),
            (4, 400, 800),
            (5, 500, 1000),
            (60, 500, 1000),
            (u32::MAX, 500, 1000),
        ] {
            assert_eq!(backoff.wait_by(attempt, None, 0), ms(least), "{attempt}");
            let longest = backoff.wait_by(attempt, None, u16::MAX);
            assert!(
                longest <= ms(most) && longest + ms(1) > ms(most),
                "{attempt}"
            );
            let chosen = backoff.wait(attempt, None);
            assert!(ms(least) <= chosen && chosen <= ms(most), "{attempt}");
        }
        assert_eq!(
            backoff.wait(1, Some(ms(5000))),
            ms(5000),
            "the destination asked for more"
        );
        assert!(
            backoff.wait(1, Some(ms(1))) >= ms(50),
            "never shorter than our own backoff"
        );
    }
}
