//! The conformance suites detect implementations that break a promise.

use std::io::BufRead;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use anon_net::testing::MemoryHandler;
use anon_net::testing::conformance::{self, AssociationPair};
use anon_net::testing::memory::{MemoryAssociation, MemoryPeer, pair};
use anon_net::{
    AeTitle, Association, BackendError, Error, Event, HandlerResponse, Instance, InstanceHandler,
    NegotiatedContexts, Outcome, Pdv,
};

use crate::handler::sample;
use crate::memory_network::{proposal, supported};

#[derive(Debug, Clone, Copy, PartialEq)]
enum AssociationFault {
    None,
    /// Sends each fragment in its own PDU, so that some are sent before one is refused.
    SendsHalf,
    DropsEmptyFragments,
    ForgetsLimits,
    /// Closes without an abort.
    DropsInSilence,
    /// Aborts instead of releasing.
    NeverReleases,
    WrongPeer,
    NeverTimesOut,
    LendsNothing,
    NeverStops,
}

#[derive(Debug)]
struct BrokenAssociation {
    inner: Option<MemoryAssociation>,
    title: AeTitle,
    fault: AssociationFault,
}

impl BrokenAssociation {
    fn inner(&mut self) -> &mut MemoryAssociation {
        self.inner.as_mut().expect("present until dropped")
    }
}

impl Association for BrokenAssociation {
    fn peer(&self) -> &AeTitle {
        match self.fault {
            AssociationFault::WrongPeer => &self.title,
            _ => self.inner.as_ref().expect("present until dropped").peer(),
        }
    }

    fn contexts(&self) -> &NegotiatedContexts {
        self.inner
            .as_ref()
            .expect("present until dropped")
            .contexts()
    }

    fn max_pdu_bytes(&self) -> u32 {
        self.inner
            .as_ref()
            .expect("present until dropped")
            .max_pdu_bytes()
    }

    fn send_unless(
        &mut self,
        pdvs: &[Pdv<'_>],
        timeout: Duration,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        let stop: &dyn Fn() -> bool = match self.fault {
            AssociationFault::NeverStops => &|| false,
            _ => stop,
        };
        match self.fault {
            AssociationFault::SendsHalf => pdvs
                .iter()
                .try_for_each(|pdv| self.inner().send_unless(&[*pdv], timeout, stop)),
            AssociationFault::DropsEmptyFragments => {
                let full: Vec<_> = pdvs
                    .iter()
                    .filter(|p| !p.bytes.is_empty())
                    .copied()
                    .collect();
                self.inner().send_unless(&full, timeout, stop)
            }
            AssociationFault::ForgetsLimits => {
                match self.inner().send_unless(pdvs, timeout, stop) {
                    Err(Error::Limit { .. }) => Ok(()),
                    result => result,
                }
            }
            _ => self.inner().send_unless(pdvs, timeout, stop),
        }
    }

    fn receive(&mut self, timeout: Duration) -> Result<Event<'_>, Error> {
        match self.fault {
            AssociationFault::NeverTimesOut => match self.inner().receive(timeout) {
                Err(Error::TimedOut { .. }) => Err(Error::Lost),
                result => result,
            },
            _ => self.inner().receive(timeout),
        }
    }

    fn fragment(&self) -> &[u8] {
        match self.fault {
            AssociationFault::LendsNothing => &[],
            _ => self
                .inner
                .as_ref()
                .expect("present until dropped")
                .fragment(),
        }
    }

    fn release(&mut self, timeout: Duration) -> Result<(), Error> {
        match self.fault {
            AssociationFault::NeverReleases => {
                self.inner().abort();
                Ok(())
            }
            _ => self.inner().release(timeout),
        }
    }

    fn abort(&mut self) {
        self.inner().abort();
    }
}

impl Drop for BrokenAssociation {
    fn drop(&mut self) {
        if let (AssociationFault::DropsInSilence, Some(inner)) = (self.fault, self.inner.take()) {
            inner.cut();
        }
    }
}

#[test]
fn suite_detects_each_fault_of_associations() {
    let contexts = {
        let proposal = proposal();
        let results = supported().answer(&proposal.contexts);
        NegotiatedContexts::new(&proposal.contexts, &results).expect("valid responses")
    };
    let side = |title: &str| MemoryPeer {
        title: title.parse().expect("a title"),
        max_pdu_bytes: 4096,
    };
    let passes = |fault| {
        let faulty = |inner| {
            Box::new(BrokenAssociation {
                inner: Some(inner),
                title: "SOMEBODY".parse().expect("a title"),
                fault,
            })
        };
        let make = || {
            let (one, other) = pair(&side("REQUESTOR"), &side("ACCEPTOR"), &contexts);
            AssociationPair {
                requestor: faulty(one),
                acceptor: faulty(other),
            }
        };
        catch_unwind(AssertUnwindSafe(|| conformance::association(make))).is_ok()
    };
    assert!(
        passes(AssociationFault::None),
        "an association without a fault"
    );
    for fault in [
        AssociationFault::SendsHalf,
        AssociationFault::DropsEmptyFragments,
        AssociationFault::ForgetsLimits,
        AssociationFault::DropsInSilence,
        AssociationFault::NeverReleases,
        AssociationFault::WrongPeer,
        AssociationFault::NeverTimesOut,
        AssociationFault::LendsNothing,
        AssociationFault::NeverStops,
    ] {
        assert!(
            !passes(fault),
            "the suite passes an association that {fault:?}"
        );
    }
}

#[derive(Debug, Clone, Copy)]
enum HandlerFault {
    None,
    KeepsWhatBrokeOff,
    SaysStoredAgain,
    KeepsNothing,
}

#[derive(Debug)]
struct BrokenHandler(MemoryHandler, HandlerFault);

impl InstanceHandler for BrokenHandler {
    fn handle(
        &self,
        instance: &Instance,
        body: &mut dyn BufRead,
    ) -> Result<HandlerResponse, BackendError> {
        match self.1 {
            HandlerFault::KeepsWhatBrokeOff => {
                let mut bytes = Vec::new();
                let read = body.read_to_end(&mut bytes);
                let response = self.0.handle(instance, &mut &*bytes)?;
                Ok(read.map_or(Outcome::BrokenOff.into(), |_| response))
            }
            HandlerFault::SaysStoredAgain => {
                let response = self.0.handle(instance, body)?;
                Ok(match response.outcome {
                    Outcome::AlreadyStored => Outcome::Stored.into(),
                    _ => response,
                })
            }
            HandlerFault::KeepsNothing => Ok(Outcome::Stored.into()),
            HandlerFault::None => self.0.handle(instance, body),
        }
    }
}

#[test]
fn suite_detects_each_fault_of_handlers() {
    let sample = sample();
    let passes = |fault| {
        let make = || BrokenHandler(MemoryHandler::new(1 << 20), fault);
        let stored = |handler: &BrokenHandler| {
            handler.0.stored(&sample.instance.sop_instance) == Some(sample.body.clone())
        };
        catch_unwind(AssertUnwindSafe(|| {
            conformance::handler(make, &sample, stored);
        }))
        .is_ok()
    };
    assert!(passes(HandlerFault::None), "a handler without a fault");
    for fault in [
        HandlerFault::KeepsWhatBrokeOff,
        HandlerFault::SaysStoredAgain,
        HandlerFault::KeepsNothing,
    ] {
        assert!(!passes(fault), "the suite passes a handler that {fault:?}");
    }
}
