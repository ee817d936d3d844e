//! [`StatusLine`]: the line that shows what a receiver does.

use std::time::{Duration, Instant};

use anon_net::scp::{InstanceCounts, ScpTotals};

use crate::report;

/// How long objects and bytes are counted for a rate.
const WINDOW: Duration = Duration::from_secs(2);

/// What the line needs of the last draws.
#[derive(Debug, Default)]
pub(super) struct StatusLine {
    began: Option<(Instant, InstanceCounts)>,
    /// Objects and bytes a second, over the last window.
    rate: (u64, u64),
}

impl StatusLine {
    /// The line for these totals, of which `waiting` objects came and are not durable yet.
    pub(super) fn line(&mut self, totals: &ScpTotals, waiting: u64, now: Instant) -> String {
        let counts = totals.instances;
        let (began, before) = *self.began.get_or_insert((now, counts));
        let passed = now.saturating_duration_since(began);
        if passed >= WINDOW {
            let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
            let a_second = |more: u64| more.saturating_mul(1000) / millis;
            let objects = counts.taken().saturating_sub(before.taken());
            let bytes = counts.bytes.saturating_sub(before.bytes);
            self.rate = (a_second(objects), a_second(bytes));
            self.began = Some((now, counts));
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
    fn the_line_says_rates_queue_and_totals() {
        let mut totals = ScpTotals::default();
        totals.open = 3;
        let mut live = StatusLine::default();
        let began = Instant::now();
        assert_eq!(
            live.line(&totals, 0, began),
            "3 associations  0 objects/s, 0 bytes/s  0 in the queue  0 stored, 0 duplicates, \
             0 quarantined, 0 refused, 0 failed, 0 bytes in all"
        );
        totals.instances.stored = 30;
        totals.instances.duplicates = 6;
        totals.instances.quarantined = 4;
        totals.instances.refused = 2;
        totals.instances.failed = 1;
        totals.instances.bytes = 40 << 20;
        // No rate is told of less than a window.
        let soon = began + Duration::from_secs(1);
        assert!(live.line(&totals, 2, soon).contains(" 0 objects/s"));
        let busy = "3 associations  10 objects/s, 10.0 MiB/s  2 in the queue  30 stored, \
                    6 duplicates, 4 quarantined, 2 refused, 1 failed, 40.0 MiB in all";
        assert_eq!(live.line(&totals, 2, began + Duration::from_secs(4)), busy);
        // The last rate stays until another window is over, and then it is that of the window.
        assert_eq!(live.line(&totals, 2, began + Duration::from_secs(5)), busy);
        let idle = live.line(&totals, 0, began + Duration::from_secs(6));
        assert!(
            idle.contains("  0 objects/s, 0 bytes/s  0 in the queue  30 stored"),
            "{idle}"
        );
    }
}
