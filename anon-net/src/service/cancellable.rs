//! [`CancellableAssociation`]: ends a wait for the peer once the operation is cancelled.

use std::time::{Duration, Instant};

use super::Cancel;
use crate::association::{Association, Event, Pdv};
use crate::context::NegotiatedContexts;
use crate::{AeTitle, Error};

/// How often a wait checks whether it was cancelled.
const CANCEL_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// An association whose [`receive`](Association::receive) aborts it if nothing arrives for a moment
/// after cancelling. A data set that is still arriving is received to its end.
#[derive(Debug)]
pub(super) struct CancellableAssociation<'a> {
    association: &'a mut dyn Association,
    cancel: &'a Cancel,
}

impl<'a> CancellableAssociation<'a> {
    pub(super) fn new(association: &'a mut dyn Association, cancel: &'a Cancel) -> Self {
        Self {
            association,
            cancel,
        }
    }
}

impl Association for CancellableAssociation<'_> {
    fn peer(&self) -> &AeTitle {
        self.association.peer()
    }

    fn contexts(&self) -> &NegotiatedContexts {
        self.association.contexts()
    }

    fn max_pdu_bytes(&self) -> u32 {
        self.association.max_pdu_bytes()
    }

    fn send_unless(
        &mut self,
        pdvs: &[Pdv<'_>],
        timeout: Duration,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        self.association.send_unless(pdvs, timeout, stop)
    }

    fn receive(&mut self, timeout: Duration) -> Result<Event<'_>, Error> {
        let since = Instant::now();
        let mut rest = timeout;
        let (context, kind, position) = loop {
            let interval = rest.min(CANCEL_CHECK_INTERVAL);
            match self.association.receive(interval) {
                Ok(Event::Pdv(pdv)) => break (pdv.context, pdv.kind, pdv.position),
                Ok(Event::Release) => return Ok(Event::Release),
                Err(Error::TimedOut { .. }) if self.cancel.is_cancelled() => {
                    self.association.abort();
                    return Err(Error::Cancelled);
                }
                Err(Error::TimedOut { waiting, .. }) if rest == interval => {
                    let after = timeout;
                    return Err(Error::TimedOut { waiting, after });
                }
                // Also counts the requested waits, so that the wait ends on associations whose
                // clock does not advance.
                Err(Error::TimedOut { .. }) => {
                    let left = timeout.saturating_sub(since.elapsed());
                    rest = rest.saturating_sub(interval).min(left);
                }
                Err(error) => return Err(error),
            }
        };
        let bytes = self.association.fragment();
        Ok(Event::Pdv(Pdv {
            context,
            kind,
            position,
            bytes,
        }))
    }

    fn fragment(&self) -> &[u8] {
        self.association.fragment()
    }

    fn release(&mut self, timeout: Duration) -> Result<(), Error> {
        self.association.release(timeout)
    }

    fn abort(&mut self) {
        self.association.abort();
    }
}
