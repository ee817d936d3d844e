//! Instances, their handler and their observer.

use std::io::BufRead;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use anon_net::association::{PdvKind, PdvPosition};
use anon_net::dimse::{Operation, Originator, Status};
use anon_net::error::AbortedBy;
use anon_net::scp::{AssociationEnd, ScpEvent, ScpObserver, Service, StoreOutcome};
use anon_net::testing::MemoryHandler;
use anon_net::{
    Association, BackendError, HandlerResponse, Instance, InstanceHandler, InstanceUid, Outcome,
    Remedy,
};

use super::served::{memory, service, single_response, with};
use super::support::{
    CT, CT_CONTEXT, ECHO_CONTEXT, Peer, RecordedEvent, Recorder, Scripted, TIMEOUT, store, title,
    uid,
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

/// A handler that refuses with a reason.
#[derive(Debug)]
struct Refusing(&'static str);

impl InstanceHandler for Refusing {
    fn handle(&self, _: &Instance, _: &mut dyn BufRead) -> Result<HandlerResponse, BackendError> {
        Ok(Outcome::Mismatch.because(self.0))
    }
}

/// The events of instances: status and reason.
#[derive(Debug, Default)]
struct Reasons(Mutex<Vec<(Option<Status>, String)>>);

impl ScpObserver for Reasons {
    fn on(&self, event: &ScpEvent<'_>) {
        if let ScpEvent::Instance { status, reason, .. } = event {
            let reason = reason.unwrap_or_default().to_owned();
            self.0.lock().expect("no panic").push((*status, reason));
        }
    }
}

#[test]
fn sender_and_observer_get_the_reason_of_a_refusal() {
    let short = "the object's SOP Class UID is not the one announced";
    let long =
        "the object is cut short or damaged: an element of 4000 bytes ends behind the data set";
    let odd = "Größe \\ of\nthe row";
    let table = [
        (short, short),
        // At most 64 characters, and no half words.
        (
            long,
            "the object is cut short or damaged: an element of 4000 bytes",
        ),
        (odd, "Gr??e ? of?the row"),
    ];
    for (reason, comment) in table {
        let reasons = Arc::new(Reasons::default());
        let service = service(Refusing(reason)).with_observer(Arc::clone(&reasons) as _);
        with(&service, |association| {
            let mut peer = Peer(association);
            peer.send_with(CT_CONTEXT, &store(2, "1.2.3"), b"data")?;
            let response = peer.response()?;
            assert_eq!(response.status, Status::DATA_SET_DOES_NOT_MATCH);
            assert_eq!(response.comment.as_deref(), Some(comment));
            Ok(association.release(TIMEOUT)?)
        });
        let expected = (Some(Status::DATA_SET_DOES_NOT_MATCH), reason.to_owned());
        assert_eq!(*reasons.0.lock().expect("no panic"), [expected]);
    }
    // An error of the receiver is no business of the sender.
    let service = service(Scripted(|_: &_, _: &mut dyn BufRead| {
        Err(BackendError::new(
            Remedy::Retry,
            "cannot write to the store",
        ))
    }));
    with(&service, |association| {
        let mut peer = Peer(association);
        peer.send_with(CT_CONTEXT, &store(2, "1.2.3"), b"data")?;
        let comment = peer.response()?.comment.unwrap_or_default();
        assert!(comment.contains("send it again later"), "{comment}");
        assert!(!comment.contains("store"), "{comment}");
        Ok(association.release(TIMEOUT)?)
    });
}

/// The sum of the outcomes is the number of C-STORE requests, whatever became of them.
#[test]
fn every_offered_instance_is_counted() {
    let reasons = Arc::new(Reasons::default());
    let service = memory().with_observer(Arc::clone(&reasons) as _);
    let mut bare = store(5, "1.2.5");
    bare.sop_instance = None;
    let summary = with(&service, |association| {
        let mut peer = Peer(association);
        for body in [&b"first"[..], b"first", b"other"] {
            assert_eq!(peer.store("1.2.3", body)?, Status::SUCCESS);
        }
        assert_eq!(
            peer.store("1.2.4", &vec![0; 2 << 20])?,
            Status::OUT_OF_RESOURCES
        );
        peer.send_with(CT_CONTEXT, &bare, b"data")?;
        assert_eq!(peer.response()?.status, Status::INVALID_ARGUMENT);
        peer.send_with(ECHO_CONTEXT, &store(6, "1.2.6"), b"data")?;
        assert_eq!(peer.response()?.status, Status::SOP_CLASS_NOT_SUPPORTED);
        // Aborted in the middle.
        peer.send(CT_CONTEXT, &store(7, "1.2.7"))?;
        peer.put(CT_CONTEXT, PdvKind::Data, PdvPosition::More, b"half")?;
        association.abort();
        Ok(())
    });
    let counts = summary.counts;
    assert_eq!((counts.offered, counts.handled()), (7, 7));
    assert_eq!(
        (counts.stored, counts.duplicates, counts.quarantined),
        (1, 1, 1)
    );
    assert_eq!((counts.refused, counts.failed), (2, 2));
    assert_eq!(summary.ending, AssociationEnd::Aborted(AbortedBy::User));
    let reasons = reasons.0.lock().expect("no panic");
    assert_eq!(reasons.len(), 7);
    let (status, reason) = reasons.last().expect("seven");
    assert_eq!((*status, reason.as_str()), (None, "aborted by the peer"));
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
