//! Waiting with an end.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::Test;

/// Asks again, after ever longer pauses, until the answer is yes; an error after `limit`, with `what`
/// in it.
pub(crate) fn until(what: &str, limit: Duration, mut holds: impl FnMut() -> Test<bool>) -> Test {
    let end = Instant::now() + limit;
    // Nothing is ever sent: receiving is a pause.
    let (_keep, nothing) = mpsc::channel::<()>();
    let mut pause = Duration::from_millis(10);
    while !holds()? {
        if Instant::now() >= end {
            return Err(format!("not within {limit:?}: {what}").into());
        }
        let _ = nothing.recv_timeout(pause);
        pause = (pause * 2).min(Duration::from_millis(300));
    }
    Ok(())
}
