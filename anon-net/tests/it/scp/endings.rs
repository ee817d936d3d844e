//! Associations that end without a release.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anon_net::association::{PdvKind, PdvPosition};
use anon_net::dimse::{Command, Status};
use anon_net::error::{AbortedBy, Waiting};
use anon_net::scp::{AssociationEnd, Service, StoreOutcome};
use anon_net::testing::MemoryHandler;
use anon_net::testing::memory::MemoryAssociation;
use anon_net::{Association, Error};

use super::served::{aborted, memory, single_response, with};
use super::support::{
    CT_CONTEXT, ECHO_CONTEXT, Peer, RecordedEvent, Recorder, TIMEOUT, TestResult, echo, ends, store,
};

const SHORT: Duration = Duration::from_millis(30);

/// However the body ends early, the handler gets an error and the instance counts as failed.
#[test]
fn incomplete_body_counts_as_failed() {
    type Break = fn(MemoryAssociation) -> TestResult;
    let table: [(&str, Break, AssociationEnd); 4] = [
        (
            "a cut connection",
            |association| {
                association.cut();
                Ok(())
            },
            AssociationEnd::Lost,
        ),
        (
            "an abort",
            |mut association| {
                association.abort();
                Ok(())
            },
            AssociationEnd::Aborted(AbortedBy::User),
        ),
        (
            "a release",
            |mut association| match association.release(TIMEOUT) {
                Err(Error::Aborted { .. }) => Ok(()),
                other => Err(format!("{other:?}").into()),
            },
            AssociationEnd::Broken("it ends the association inside a message"),
        ),
        (
            "silence",
            |mut association| match association.receive(TIMEOUT) {
                Err(Error::Aborted { .. }) => Ok(()),
                other => Err(format!("{other:?}").into()),
            },
            AssociationEnd::Stalled(Waiting::Message),
        ),
    ];
    for (case, break_off, ending) in table {
        let handler = Arc::new(MemoryHandler::new(1 << 20));
        let recorder = Arc::new(Recorder::default());
        let service = Service::new(Arc::clone(&handler) as _)
            .with_dimse_timeout(SHORT * 10)
            .with_observer(Arc::clone(&recorder) as _);
        let (mut ours, mut theirs) = ends();
        let summary = thread::scope(|scope| {
            let served = scope.spawn(|| service.serve(&mut theirs, None));
            let mut peer = Peer(&mut ours);
            peer.send(CT_CONTEXT, &store(1, "1.2.3")).expect("sent");
            peer.put(CT_CONTEXT, PdvKind::Data, PdvPosition::More, b"half")
                .expect("sent");
            break_off(ours).expect(case);
            served.join().expect("the service ends")
        });
        assert_eq!(summary.ending, ending, "{case}");
        assert_eq!(
            (summary.counts.failed, summary.counts.bytes),
            (1, 4),
            "{case}"
        );
        assert!(handler.is_empty(), "{case}");
        let instance = RecordedEvent::Instance(StoreOutcome::BrokenOff, 4);
        assert_eq!(recorder.events().get(1), Some(&instance), "{case}");
    }
}

/// A peer that sends a byte before each timeout does not hold its association for ever.
#[test]
fn peer_that_drips_is_aborted() {
    let service = memory().with_dimse_timeout(SHORT * 10);
    let summary = with(&service, |association| {
        let mut peer = Peer(association);
        peer.send(CT_CONTEXT, &store(1, "1.2.3"))?;
        let began = Instant::now();
        while peer
            .put(CT_CONTEXT, PdvKind::Data, PdvPosition::More, b"x")
            .is_ok()
        {
            assert!(began.elapsed() < TIMEOUT, "it is aborted");
            super::node::pause();
        }
        Ok(())
    });
    assert_eq!(summary.ending, AssociationEnd::Stalled(Waiting::Message));
    assert_eq!((summary.counts.offered, summary.counts.failed), (1, 1));
}

#[test]
fn idle_association_is_aborted() {
    let service = memory().with_idle_timeout(SHORT);
    assert_eq!(aborted(&service, |_| Ok(())), AssociationEnd::Idle);
    // The idle time restarts with each message.
    let ending = aborted(&service, |peer| {
        assert_eq!(peer.echo()?, Status::SUCCESS);
        Ok(())
    });
    assert_eq!(ending, AssociationEnd::Idle);
}

/// A fragmented command has the timeout of a message, not of an idle association. An incomplete one
/// is aborted.
#[test]
fn incomplete_command_has_the_message_timeout() {
    let command = Command::Request(echo(1)).encode();
    let (first, rest) = command.split_at(20);
    let service = memory().with_dimse_timeout(SHORT);
    let ending = aborted(&service, |peer| {
        Ok(peer.put(ECHO_CONTEXT, PdvKind::Command, PdvPosition::More, first)?)
    });
    assert_eq!(ending, AssociationEnd::Stalled(Waiting::Message));
    let (status, _) = single_response(&memory(), |peer| {
        peer.put(ECHO_CONTEXT, PdvKind::Command, PdvPosition::More, first)?;
        peer.put(ECHO_CONTEXT, PdvKind::Command, PdvPosition::More, &[])?;
        Ok(peer.put(ECHO_CONTEXT, PdvKind::Command, PdvPosition::Last, rest)?)
    });
    assert_eq!(status, Status::SUCCESS);
}

/// A peer that does not read its responses is disconnected.
#[test]
fn peer_that_never_reads_is_disconnected() {
    let service = memory().with_dimse_timeout(SHORT);
    let summary = with(&service, |association| {
        let mut peer = Peer(association);
        // Until the channel is full in both directions, or the service has ended.
        while peer.send(ECHO_CONTEXT, &echo(1)).is_ok() {}
        Ok(())
    });
    assert_eq!(summary.ending, AssociationEnd::Stalled(Waiting::Room));
}

#[test]
fn stopping_ends_idle_associations() {
    let service = memory();
    let stopper = service.clone();
    let began = Instant::now();
    let ending = aborted(&service, |peer| {
        assert_eq!(peer.echo()?, Status::SUCCESS);
        stopper.stop();
        Ok(())
    });
    assert_eq!(ending, AssociationEnd::Stopped);
    assert!(began.elapsed() < Duration::from_secs(5));
    // A later association is not served.
    assert_eq!(aborted(&service, |_| Ok(())), AssociationEnd::Stopped);
}

#[test]
fn stopping_completes_the_current_instance() {
    let service = memory();
    let stopper = service.clone();
    let ending = aborted(&service, |peer| {
        peer.send(CT_CONTEXT, &store(1, "1.2.3"))?;
        peer.put(CT_CONTEXT, PdvKind::Data, PdvPosition::More, b"half")?;
        // An instance in progress is received completely when the service stops.
        while service_bytes(&stopper) == 0 {
            thread::yield_now();
        }
        stopper.stop();
        peer.put(CT_CONTEXT, PdvKind::Data, PdvPosition::Last, b"rest")?;
        assert_eq!(peer.response()?.status, Status::SUCCESS);
        Ok(())
    });
    assert_eq!(ending, AssociationEnd::Stopped);
    assert_eq!(service.totals().instances.stored, 1);
}

fn service_bytes(service: &Service) -> u64 {
    service.totals().instances.bytes
}
