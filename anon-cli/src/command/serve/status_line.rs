//! [`StatusLine`]: the live line of a receiver on a terminal.

use std::time::{Duration, Instant};

use anon_net::scp::{InstanceCounts, ScpTotals};

use crate::report;

/// The time over which rates are measured.
const WINDOW: Duration = Duration::from_secs(2);

/// The state that the line keeps between two draws.
#[derive(Debug, Default)]
pub(super) struct StatusLine {
    window_start: Option<(Instant, InstanceCounts)>,
    /// Objects and bytes per second in the last window.
    rate: (u64, u64),
}

impl StatusLine {
    /// Returns the line for these totals. `waiting` objects are received and not yet durable.
    pub(super) fn line(&mut self, totals: &ScpTotals, waiting: u64, now: Instant) -> String {
        let counts = totals.instances;
        let (start, before) = *self.window_start.get_or_insert((now, counts));
        let passed = now.saturating_duration_since(start);
        if passed >= WINDOW {
            let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
            let per_second = |more: u64| more.saturating_mul(1000) / millis;
            let objects = counts.taken().saturating_sub(before.taken());
            let bytes = counts.bytes.saturating_sub(before.bytes);
            self.rate = (per_second(objects), per_second(bytes));
            self.window_start = Some((now, counts));
        }
        let (objects, bytes) = self.rate;
        format!(
            "{} associations  {objects} objects/s, {}/s  {waiting} in the queue  {} stored, \
             {} duplicates, {} quarantined, {} refused, {} failed, {} in all",
            totals.open,
            report::bytes(bytes),
            counts.stored,
            counts.duplicates,
            counts.quarantined,
            counts.refused,
            counts.failed,
            report::bytes(counts.bytes),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_shows_rates_queue_and_totals() {
        let mut totals = ScpTotals::default();
        totals.open = 3;
        let mut status_line = StatusLine::default();
        let began = Instant::now();
        assert_eq!(
            status_line.line(&totals, 0, began),
            "3 associations  0 objects/s, 0 bytes/s  0 in the queue  0 stored, 0 duplicates, \
             0 quarantined, 0 refused, 0 failed, 0 bytes in all"
        );
        totals.instances.stored = 30;
        totals.instances.duplicates = 6;
        totals.instances.quarantined = 4;
        totals.instances.refused = 2;
        totals.instances.failed = 1;
        totals.instances.bytes = 40 << 20;
        // A rate needs a full window.
        let soon = began + Duration::from_secs(1);
        assert!(status_line.line(&totals, 2, soon).contains(" 0 objects/s"));
        let busy = "3 associations  10 objects/s, 10.0 MiB/s  2 in the queue  30 stored, \
                    6 duplicates, 4 quarantined, 2 refused, 1 failed, 40.0 MiB in all";
        assert_eq!(
            status_line.line(&totals, 2, began + Duration::from_secs(4)),
            busy
        );
        // The rate stays until the next window ends.
        assert_eq!(
            status_line.line(&totals, 2, began + Duration::from_secs(5)),
            busy
        );
        let idle = status_line.line(&totals, 0, began + Duration::from_secs(6));
        assert!(
            idle.contains("  0 objects/s, 0 bytes/s  0 in the queue  30 stored"),
            "{idle}"
        );
    }
}
