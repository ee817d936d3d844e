//! [`Refusals`]: when to stop requesting a study that the peer refuses.

/// How many requests in a row may bring nothing before a study is given up: the first, and three
/// more.
const MAX_IN_A_ROW: usize = 4;

/// The same once instances of the study have arrived. The peer can send to us then, and single
/// instances may have causes of their own, such as a transfer syntax that we do not accept.
const MAX_AFTER_ARRIVALS: usize = 16;

/// Counts requests that brought nothing. A server that refuses a study would refuse one request for
/// each instance too, and is not flooded with them.
#[derive(Debug)]
pub(super) struct Refusals {
    in_a_row: usize,
    has_arrivals: bool,
    /// The associations on which each target is requested.
    batches: usize,
}

impl Refusals {
    /// Starts for a study whose targets are requested on this many associations.
    pub(super) fn new(batches: usize) -> Self {
        Self {
            in_a_row: 0,
            has_arrivals: false,
            batches: batches.max(1),
        }
    }

    /// Counts a refused request, or a C-GET that brought nothing.
    pub(super) fn count(&mut self) {
        self.in_a_row += 1;
    }

    /// Notes that instances arrived.
    pub(super) fn arrived(&mut self) {
        self.has_arrivals = true;
        self.in_a_row = 0;
    }

    /// Notes a request that the peer accepted, although nothing has arrived yet.
    pub(super) fn accepted(&mut self) {
        self.in_a_row = 0;
    }

    /// Returns how many requests in a row have brought nothing.
    pub(super) fn in_a_row(&self) -> u32 {
        u32::try_from(self.in_a_row).unwrap_or(u32::MAX)
    }

    /// Returns true if no further request is to be sent for the study.
    pub(super) fn are_enough(&self) -> bool {
        let most = if self.has_arrivals {
            MAX_AFTER_ARRIVALS
        } else {
            MAX_IN_A_ROW
        };
        self.in_a_row >= most * self.batches
    }

    /// Returns true if several requests for more than one instance were refused and nothing
    /// arrived; then single instances are not requested.
    pub(super) fn forbid_single_instances(&self) -> bool {
        !self.has_arrivals && self.in_a_row > self.batches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_more_requests_follow_a_refusal_and_more_after_arrivals() {
        let mut refusals = Refusals::new(1);
        for expected in [false, false, false, true] {
            refusals.count();
            assert_eq!(refusals.are_enough(), expected);
        }
        refusals.arrived();
        for _ in 0..15 {
            refusals.count();
            assert!(!refusals.are_enough() && !refusals.forbid_single_instances());
        }
        refusals.count();
        assert!(refusals.are_enough());
        refusals.accepted();
        assert_eq!(refusals.in_a_row(), 0);
    }

    #[test]
    fn refused_lists_alone_allow_single_instances() {
        let mut refusals = Refusals::new(1);
        refusals.count();
        assert!(!refusals.forbid_single_instances());
        refusals.count();
        assert!(refusals.forbid_single_instances());
    }
}
