//! Waiting with an end.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::Test;

/// Asks again until the answer is yes; an error after `limit`, with `what` in it.
pub(crate) fn until(what: &str, limit: Duration, mut holds: impl FnMut() -> Test<bool>) -> Test {
    let end = Instant::now() + limit;
    // Nothing is ever sent: receiving is a pause.
    let (_keep, pause) = mpsc::channel::<()>();
    while !holds()? {
        if Instant::now() >= end {
            return Err(format!("not within {limit:?}: {what}").into());
        }
        let _ = pause.recv_timeout(Duration::from_millis(20));
    }
    Ok(())
}
