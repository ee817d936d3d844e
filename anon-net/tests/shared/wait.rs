//! Waiting with a time limit.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::Test;

/// Calls `condition` until it returns true, with increasing pauses. Returns an error that contains
/// `what` after `limit`.
pub(crate) fn until(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Test<bool>,
) -> Test {
    let end = Instant::now() + limit;
    // Nothing is ever sent: receiving with a timeout is a pause.
    let (_keep, nothing) = mpsc::channel::<()>();
    let mut pause = Duration::from_millis(10);
    while !condition()? {
        if Instant::now() >= end {
            return Err(format!("not within {limit:?}: {what}").into());
        }
        let _ = nothing.recv_timeout(pause);
        pause = (pause * 2).min(Duration::from_millis(300));
    }
    Ok(())
}
