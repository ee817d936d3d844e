//! The suites find implementations that break a promise.

use std::io::BufRead;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use anon_net::testing::MemoryHandler;
use anon_net::testing::conformance::{self, AssociationPair};
use anon_net::testing::memory::{MemoryAssociation, MemoryPeer, pair};
use anon_net::{
    AeTitle, Association, BackendError, Error, Event, Instance, InstanceHandler,
    NegotiatedContexts, Outcome, Pdv,
};

use crate::exchange::{proposal, supported};
use crate::handler::sample;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// Sends each fragment in a PDU of its own, so that half can be sent before one is refused.
    SendsHalf,
    DropsEmptyFragments,
    ForgetsLimits,
    /// Goes away without a word.
    DropsInSilence,
    /// Aborts where it should release.
    NeverReleases,
    WrongPeer,
    NeverTimesOut,
    LendsNothing,
    NeverStops,
}

#[derive(Debug)]
struct Faulty {
    inner: Option<MemoryAssociation>,
    title: AeTitle,
    fault: Fault,
}

impl Faulty {
    fn inner(&mut self) -> &mut MemoryAssociation {
        self.inner
            .as_mut()
            .expect("it is there until it is dropped")
    }
}

impl Association for Faulty {
    fn peer(&self) -> &AeTitle {
        match self.fault {
            Fault::WrongPeer => &self.title,
            _ => self.inner.as_ref().expect("there").peer(),
        }
    }

    fn contexts(&self) -> &NegotiatedContexts {
        self.inner.as_ref().expect("there").contexts()
    }

    fn max_pdu_bytes(&self) -> u32 {
        self.inner.as_ref().expect("there").max_pdu_bytes()
    }

    fn send_unless(
        &mut self,
        pdvs: &[Pdv<'_>],
        timeout: Duration,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        let stop: &dyn Fn() -> bool = match self.fault {
            Fault::NeverStops => &|| false,
            _ => stop,
        };
        match self.fault {
            Fault::SendsHalf => pdvs
                .iter()
                .try_for_each(|pdv| self.inner().send_unless(&[*pdv], timeout, stop)),
            Fault::DropsEmptyFragments => {
                let full: Vec<_> = pdvs
                    .iter()
                    .filter(|p| !p.bytes.is_empty())
                    .copied()
                    .collect();
                self.inner().send_unless(&full, timeout, stop)
            }
            Fault::ForgetsLimits => match self.inner().send_unless(pdvs, timeout, stop) {
                Err(Error::Limit { .. }) => Ok(()),
                result => result,
            },
            _ => self.inner().send_unless(pdvs, timeout, stop),
        }
    }

    fn receive(&mut self, timeout: Duration) -> Result<Event<'_>, Error> {
        match self.fault {
            Fault::NeverTimesOut => match self.inner().receive(timeout) {
                Err(Error::TimedOut { .. }) => Err(Error::Lost),
                result => result,
            },
            _ => self.inner().receive(timeout),
        }
    }

    fn fragment(&self) -> &[u8] {
        match self.fault {
            Fault::LendsNothing => &[],
            _ => self.inner.as_ref().expect("there").fragment(),
        }
    }

    fn release(&mut self, timeout: Duration) -> Result<(), Error> {
        match self.fault {
            Fault::NeverReleases => {
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

impl Drop for Faulty {
    fn drop(&mut self) {
        if let (Fault::DropsInSilence, Some(inner)) = (self.fault, self.inner.take()) {
            inner.cut();
        }
    }
}

#[test]
fn the_suite_of_associations_finds_each_fault() {
    let contexts = {
        let proposal = proposal();
        let answers = supported().answer(&proposal.contexts);
        NegotiatedContexts::new(&proposal.contexts, &answers).expect("an agreement")
    };
    let side = |title: &str| MemoryPeer {
        title: title.parse().expect("a title"),
        max_pdu_bytes: 4096,
    };
    let passes = |fault| {
        let faulty = |inner| {
            Box::new(Faulty {
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
    assert!(passes(Fault::None), "an association without a fault");
    for fault in [
        Fault::SendsHalf,
        Fault::DropsEmptyFragments,
        Fault::ForgetsLimits,
        Fault::DropsInSilence,
        Fault::NeverReleases,
        Fault::WrongPeer,
        Fault::NeverTimesOut,
        Fault::LendsNothing,
        Fault::NeverStops,
    ] {
        assert!(
            !passes(fault),
            "the suite passes an association that {fault:?}"
        );
    }
}

#[derive(Debug, Clone, Copy)]
enum Lapse {
    None,
    KeepsWhatBrokeOff,
    SaysStoredAgain,
    KeepsNothing,
}

#[derive(Debug)]
struct Lapsing(MemoryHandler, Lapse);

impl InstanceHandler for Lapsing {
    fn handle(&self, instance: &Instance, body: &mut dyn BufRead) -> Result<Outcome, BackendError> {
        match self.1 {
            Lapse::KeepsWhatBrokeOff => {
                let mut bytes = Vec::new();
                let read = body.read_to_end(&mut bytes);
                let outcome = self.0.handle(instance, &mut &*bytes)?;
                Ok(read.map_or(Outcome::BrokenOff, |_| outcome))
            }
            Lapse::SaysStoredAgain => self.0.handle(instance, body).map(|outcome| match outcome {
                Outcome::AlreadyStored => Outcome::Stored,
                other => other,
            }),
            Lapse::KeepsNothing => Ok(Outcome::Stored),
            Lapse::None => self.0.handle(instance, body),
        }
    }
}

#[test]
fn the_suite_of_handlers_finds_each_lapse() {
    let sample = sample();
    let passes = |lapse| {
        let make = || Lapsing(MemoryHandler::new(1 << 20), lapse);
        let stored = |handler: &Lapsing| {
            handler.0.stored(&sample.instance.sop_instance) == Some(sample.body.clone())
        };
        catch_unwind(AssertUnwindSafe(|| {
            conformance::handler(make, &sample, stored);
        }))
        .is_ok()
    };
    assert!(passes(Lapse::None), "a handler without a lapse");
    for lapse in [
        Lapse::KeepsWhatBrokeOff,
        Lapse::SaysStoredAgain,
        Lapse::KeepsNothing,
    ] {
        assert!(!passes(lapse), "the suite passes a handler that {lapse:?}");
    }
}
