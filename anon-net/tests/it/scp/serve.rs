//! Instances, their handler and their observer.

use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anon_net::dimse::{Operation, Originator, Status};
use anon_net::scp::{ScpEvent, ScpObserver, Service, StoreOutcome};
use anon_net::testing::MemoryHandler;
use anon_net::{Association, BackendError, Instance, InstanceUid, Outcome, Remedy};

use super::served::{memory, service, single_response, with};
use super::support::{
    CT, CT_CONTEXT, Peer, RecordedEvent, Recorder, Scripted, TIMEOUT, store, title, uid,
};

#[test]
fn echo_store_and_release_are_served() {
    let handler = Arc::new(MemoryHandler::new(1 << 20));
    let recorder = Arc::new(Recorder::default());
    let service = Service::new(Arc::clone(&handler) as _).with_observer(Arc::clone(&recorder) as _);
    let summary = with(&service, |association| {
        let mut peer = Peer(association);
        assert_eq!(peer.echo()?, Status::SUCCESS);
        assert_eq!(peer.store("1.2.3", b"a data set")?, Status::SUCCESS);
        assert_eq!(peer.store("1.2.3", b"a data set")?, Status::SUCCESS);
        assert_eq!(peer.store("1.2.3", b"another")?, Status::SUCCESS);
        let large = vec![7; 100_000];
        assert_eq!(peer.store("1.2.4", &large)?, Status::SUCCESS);
        Ok(association.release(TIMEOUT)?)
    });
    let counts = summary.counts;
    assert_eq!(
        (counts.stored, counts.duplicates, counts.quarantined),
        (2, 1, 1)
    );
    assert_eq!((counts.refused, counts.failed, counts.taken()), (0, 0, 4));
    assert_eq!(counts.bytes, 100_027);
    let stored = handler.stored(&InstanceUid::new("1.2.3").expect("a UID"));
    assert_eq!(stored.as_deref(), Some(b"a data set".as_slice()));
    let events = recorder.events();
    assert_eq!(
        events.first(),
        Some(&RecordedEvent::Opened("PEER".to_owned()))
    );
    assert_eq!(
        events.get(1),
        Some(&RecordedEvent::Instance(StoreOutcome::Stored, 10))
    );
    assert_eq!(events.last(), Some(&RecordedEvent::Ended(summary)));
    assert_eq!(events.len(), 6);
    let totals = service.totals();
    assert_eq!((totals.opened, totals.open), (1, 0));
    assert_eq!(totals.instances, counts);
}

/// The handler gets everything that the command contains.
#[test]
fn handler_gets_the_fields_of_the_command() {
    let originator = Originator {
        title: title("ASKED"),
        message_id: 77,
    };
    let expected = originator.clone();
    let service = service(Scripted(
        move |instance: &Instance, body: &mut dyn BufRead| {
            assert_eq!(instance.sop_class.as_str(), CT);
            assert_eq!(instance.sop_instance.expose(), "1.2.3");
            assert_eq!(instance.transfer_syntax.as_str(), "1.2.840.10008.1.2.1");
            assert_eq!(instance.calling.as_str(), "PEER");
            assert_eq!(instance.originator.as_ref(), Some(&expected));
            let mut read = Vec::new();
            body.read_to_end(&mut read).expect("a whole body");
            assert_eq!(read, b"data");
            Ok(Outcome::Stored)
        },
    ));
    let mut request = store(9, "1.2.3");
    request.originator = Some(originator);
    let summary = with(&service, |association| {
        let mut peer = Peer(association);
        peer.send_with(CT_CONTEXT, &request, b"data")?;
        let response = peer.response()?;
        assert_eq!(response.responded_to, 9);
        assert_eq!(response.operation, Operation::Store);
        assert_eq!(response.sop_class, Some(uid(CT)));
        assert_eq!(response.sop_instance, request.sop_instance);
        assert_eq!(response.status, Status::SUCCESS);
        Ok(association.release(TIMEOUT)?)
    });
    assert_eq!(summary.counts.stored, 1);
}

#[test]
fn each_outcome_has_its_status() {
    let table = [
        (Outcome::Stored, 0x0000),
        (Outcome::AlreadyStored, 0x0000),
        (Outcome::Quarantined, 0x0000),
        (Outcome::OutOfResources, 0xA700),
        (Outcome::Mismatch, 0xA900),
        (Outcome::CannotUnderstand, 0xC210),
        (Outcome::ClassNotSupported, 0x0122),
        // The handler is wrong: the body was complete.
        (Outcome::BrokenOff, 0x0110),
    ];
    for (outcome, code) in table {
        // These handlers do not read the body: the SCP discards it.
        let service = service(Scripted(move |_: &_, _: &mut dyn BufRead| Ok(outcome)));
        let (status, _) = single_response(&service, |peer| {
            Ok(peer.send_with(CT_CONTEXT, &store(2, "1.2.3"), &vec![1; 50_000])?)
        });
        assert_eq!(status.code(), code, "{outcome:?}");
    }
}

#[test]
fn failing_handler_gets_a_status_and_the_association_continues() {
    for (remedy, code) in [
        (Remedy::Retry, 0xA700),
        (Remedy::Stop, 0xA700),
        (Remedy::Skip, 0xC210),
    ] {
        let service = service(Scripted(move |_: &_, body: &mut dyn BufRead| {
            let _ = body.read(&mut [0; 10]);
            Err(BackendError::new(remedy, "the disk is full"))
        }));
        let (status, summary) = single_response(&service, |peer| {
            Ok(peer.send_with(CT_CONTEXT, &store(2, "1.2.3"), &vec![1; 50_000])?)
        });
        assert_eq!(status.code(), code, "{remedy:?}");
        assert_eq!((summary.counts.failed, summary.counts.bytes), (1, 50_000));
    }
}

#[test]
fn panicking_handler_gets_a_status_and_the_association_continues() {
    let calls = AtomicUsize::new(0);
    let service = service(Scripted(move |_: &_, body: &mut dyn BufRead| {
        let _ = body.read(&mut [0; 10]);
        assert!(calls.fetch_add(1, Ordering::Relaxed) > 0, "on purpose");
        Ok(Outcome::Stored)
    }));
    let summary = with(&service, |association| {
        let mut peer = Peer(association);
        let body = vec![1; 50_000];
        assert_eq!(peer.store("1.2.3", &body)?, Status::PROCESSING_FAILURE);
        assert_eq!(peer.store("1.2.3", &body)?, Status::SUCCESS);
        Ok(association.release(TIMEOUT)?)
    });
    assert_eq!((summary.counts.failed, summary.counts.stored), (1, 1));
}

/// A panic of the observer ends neither the association nor the service.
#[test]
fn panicking_observer_is_ignored() {
    #[derive(Debug)]
    struct PanickingObserver;
    impl ScpObserver for PanickingObserver {
        fn on(&self, _: &ScpEvent<'_>) {
            panic!("on purpose");
        }
    }
    let service = memory().with_observer(Arc::new(PanickingObserver));
    let (status, _) = single_response(&service, |peer| {
        Ok(peer.send_with(CT_CONTEXT, &store(2, "1.2.3"), b"data")?)
    });
    assert_eq!(status, Status::SUCCESS);
}
