//! One association that is served, in memory.

use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anon_net::association::{Kind, Place};
use anon_net::dimse::{Command, Operation, Originator, Request, Status};
use anon_net::error::{AbortedBy, Waiting};
use anon_net::scp::{Ending, Handled, ScpEvent, ScpObserver, Service, Summary};
use anon_net::testing::MemoryHandler;
use anon_net::testing::memory::MemoryAssociation;
use anon_net::{
    Association, BackendError, Error, Event, Instance, InstanceHandler, InstanceUid, Outcome,
    Remedy,
};

use super::support::{
    CT, CT_CONTEXT, ECHO_CONTEXT, FIND, FIND_CONTEXT, Heard, PATIENCE, Peer, Recorder, Scripted,
    Tested, VERIFICATION, echo, ends, store, title, uid,
};

const SHORT: Duration = Duration::from_millis(30);

/// Serves one association while `peer` talks to it; how it went.
#[track_caller]
fn with(service: &Service, peer: impl FnOnce(&mut MemoryAssociation) -> Tested) -> Summary {
    let (mut ours, mut theirs) = ends();
    thread::scope(|scope| {
        let served = scope.spawn(|| service.serve(&mut theirs, None));
        peer(&mut ours).expect("the peer gets through");
        served.join().expect("the service ends")
    })
}

fn service(handler: impl InstanceHandler + 'static) -> Service {
    Service::new(Arc::new(handler)).with_dimse_timeout(PATIENCE)
}

fn memory() -> Service {
    service(MemoryHandler::new(1 << 20))
}

/// The answer to one message; the same association then answers a C-ECHO, and is released.
#[track_caller]
fn answer(service: &Service, say: impl FnOnce(&mut Peer<'_>) -> Tested) -> (Status, Summary) {
    let mut status = None;
    let summary = with(service, |association| {
        let mut peer = Peer(association);
        say(&mut peer)?;
        status = Some(peer.response()?.status);
        assert_eq!(peer.echo()?, Status::SUCCESS);
        Ok(association.release(PATIENCE)?)
    });
    assert_eq!(summary.ending, Ending::Released);
    (status.expect("an answer"), summary)
}

/// The association is aborted on what the peer says.
#[track_caller]
fn aborted(service: &Service, say: impl FnOnce(&mut Peer<'_>) -> Tested) -> Ending {
    let summary = with(service, |association| {
        say(&mut Peer(association))?;
        match association.receive(PATIENCE) {
            Err(Error::Aborted { .. }) => Ok(()),
            other => Err(format!("not aborted: {other:?}").into()),
        }
    });
    summary.ending
}

#[test]
fn echo_and_store_and_release() {
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
        Ok(association.release(PATIENCE)?)
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
    let heard = recorder.heard();
    assert_eq!(heard.first(), Some(&Heard::Opened("PEER".to_owned())));
    assert_eq!(heard.get(1), Some(&Heard::Instance(Handled::Stored, 10)));
    assert_eq!(heard.last(), Some(&Heard::Ended(summary)));
    assert_eq!(heard.len(), 6);
    let totals = service.totals();
    assert_eq!((totals.opened, totals.open), (1, 0));
    assert_eq!(totals.instances, counts);
}

/// The handler hears everything that the command says.
#[test]
fn an_instance_has_what_is_known_of_it() {
    let originator = Originator {
        title: title("ASKED"),
        message_id: 77,
    };
    let wanted = originator.clone();
    let service = service(Scripted(
        move |instance: &Instance, body: &mut dyn BufRead| {
            assert_eq!(instance.sop_class.as_str(), CT);
            assert_eq!(instance.sop_instance.expose(), "1.2.3");
            assert_eq!(instance.transfer_syntax.as_str(), "1.2.840.10008.1.2.1");
            assert_eq!(instance.calling.as_str(), "PEER");
            assert_eq!(instance.originator.as_ref(), Some(&wanted));
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
        Ok(association.release(PATIENCE)?)
    });
    assert_eq!(summary.counts.stored, 1);
}

#[test]
fn every_outcome_has_its_status() {
    let table = [
        (Outcome::Stored, 0x0000),
        (Outcome::AlreadyStored, 0x0000),
        (Outcome::Quarantined, 0x0000),
        (Outcome::OutOfResources, 0xA700),
        (Outcome::Mismatch, 0xA900),
        (Outcome::CannotUnderstand, 0xC210),
        (Outcome::ClassNotSupported, 0x0122),
        // Its handler is wrong: the body was whole.
        (Outcome::BrokenOff, 0x0110),
    ];
    for (outcome, code) in table {
        // None of these reads the body: the SCP does.
        let service = service(Scripted(move |_: &_, _: &mut dyn BufRead| Ok(outcome)));
        let (status, _) = answer(&service, |peer| {
            Ok(peer.send_with(CT_CONTEXT, &store(2, "1.2.3"), &vec![1; 50_000])?)
        });
        assert_eq!(status.code(), code, "{outcome:?}");
    }
}

#[test]
fn a_handler_that_fails_is_answered_and_kept() {
    for (remedy, code) in [
        (Remedy::Retry, 0xA700),
        (Remedy::Stop, 0xA700),
        (Remedy::Skip, 0xC210),
    ] {
        let service = service(Scripted(move |_: &_, body: &mut dyn BufRead| {
            let _ = body.read(&mut [0; 10]);
            Err(BackendError::new(remedy, "the disk is full"))
        }));
        let (status, summary) = answer(&service, |peer| {
            Ok(peer.send_with(CT_CONTEXT, &store(2, "1.2.3"), &vec![1; 50_000])?)
        });
        assert_eq!(status.code(), code, "{remedy:?}");
        assert_eq!((summary.counts.failed, summary.counts.bytes), (1, 50_000));
    }
}

#[test]
fn a_handler_that_panics_is_answered_and_kept() {
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
        Ok(association.release(PATIENCE)?)
    });
    assert_eq!((summary.counts.failed, summary.counts.stored), (1, 1));
}

/// The observer's fault ends neither the association nor the service.
#[test]
fn an_observer_that_panics_is_let_be() {
    #[derive(Debug)]
    struct Faulty;
    impl ScpObserver for Faulty {
        fn on(&self, _: &ScpEvent<'_>) {
            panic!("on purpose");
        }
    }
    let service = memory().with_observer(Arc::new(Faulty));
    let (status, _) = answer(&service, |peer| {
        Ok(peer.send_with(CT_CONTEXT, &store(2, "1.2.3"), b"data")?)
    });
    assert_eq!(status, Status::SUCCESS);
}

/// What is refused is drained: the same association goes on.
#[test]
fn requests_that_are_refused() {
    let named = |operation, class| Request::new(operation, 4, uid(class));
    let instance = InstanceUid::new("1.2.3").expect("a UID");
    let verification = named(Operation::Store, VERIFICATION).with_instance(instance.clone());
    let mut bare = store(4, "1.2.3");
    bare.sop_instance = None;
    let find = named(Operation::Find, FIND);
    let table: [(&str, u8, Request, u16); 9] = [
        (
            "a CT as Verification",
            ECHO_CONTEXT,
            store(4, "1.2"),
            0x0122,
        ),
        ("Verification stored", ECHO_CONTEXT, verification, 0x0122),
        (
            "another class than the context's",
            CT_CONTEXT,
            named(Operation::Store, "1.2.840.10008.5.1.4.1.1.4").with_instance(instance),
            0x0122,
        ),
        ("no SOP instance UID", CT_CONTEXT, bare, 0x0115),
        ("C-FIND", FIND_CONTEXT, find.clone(), 0x0211),
        ("C-FIND elsewhere", CT_CONTEXT, find, 0x0122),
        (
            "C-MOVE",
            FIND_CONTEXT,
            named(Operation::Move, FIND).with_destination(title("ANY")),
            0x0211,
        ),
        ("C-GET", FIND_CONTEXT, named(Operation::Get, FIND), 0x0211),
        (
            "C-GET of a storage class",
            CT_CONTEXT,
            named(Operation::Get, CT),
            0x0211,
        ),
    ];
    for (case, on, request, code) in table {
        let (status, summary) = answer(&memory(), |peer| {
            Ok(peer.send_with(on, &request, &vec![0; 40_000])?)
        });
        assert_eq!(status.code(), code, "{case}");
        let refused = u64::from(request.operation == Operation::Store);
        assert_eq!(summary.counts.refused, refused, "{case}");
        assert_eq!(summary.counts.taken(), 0, "{case}");
    }
}

#[test]
fn messages_without_a_data_set() {
    let mut bare = store(4, "1.2.3");
    bare.has_data_set = false;
    let (status, _) = answer(&memory(), |peer| Ok(peer.send(CT_CONTEXT, &bare)?));
    assert_eq!(status.code(), 0x0115);
    // A C-ECHO elsewhere than on its own context.
    let (status, _) = answer(&memory(), |peer| Ok(peer.send(CT_CONTEXT, &echo(3))?));
    assert_eq!(status.code(), 0x0122);
    // A C-ECHO with a data set that it should not have.
    let mut odd = echo(3);
    odd.has_data_set = true;
    let (status, _) = answer(&memory(), |peer| {
        Ok(peer.send_with(ECHO_CONTEXT, &odd, b"why")?)
    });
    assert_eq!(status.code(), 0x0000);
}

/// Elements as (number, value), group 0000, without a group length.
fn set(elements: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (element, value) in elements {
        bytes.extend([0, 0]);
        bytes.extend(element.to_le_bytes());
        let length = u32::try_from(value.len()).expect("a short value");
        bytes.extend(length.to_le_bytes());
        bytes.extend(*value);
    }
    bytes
}

#[test]
fn commands_that_are_not_understood() {
    let class: (u16, &[u8]) = (0x0002, b"1.2.840.10008.5.1.4.1.1.2\0");
    let id: (u16, &[u8]) = (0x0110, &[9, 0]);
    let data: (u16, &[u8]) = (0x0800, &[1, 0]);
    let stored: (u16, &[u8]) = (0x0100, &[1, 0]);
    let table: [(&str, Vec<u8>, u16); 3] = [
        (
            "a path for a SOP instance UID",
            set(&[class, stored, id, data, (0x1000, b"../../../etc/pw ")]),
            0x0117,
        ),
        (
            "a SOP instance UID of 200 characters",
            set(&[class, stored, id, data, (0x1000, &[b'1'; 200])]),
            0x0117,
        ),
        ("no SOP class", set(&[stored, id, data]), 0x0115),
    ];
    for (case, command, code) in table {
        let (status, _) = answer(&memory(), |peer| {
            peer.put(CT_CONTEXT, Kind::Command, Place::Last, &command)?;
            Ok(peer.put(CT_CONTEXT, Kind::Data, Place::Last, &[0; 10_000])?)
        });
        assert_eq!(status.code(), code, "{case}");
    }
    let unanswerable: [(&str, Vec<u8>); 3] = [
        ("garbage", vec![0xFF; 100]),
        ("no message id", set(&[class, stored, data])),
        (
            "a response that there is not",
            set(&[(0x0100, &[0x40, 0x81]), data]),
        ),
    ];
    for (case, command) in unanswerable {
        let ending = aborted(&memory(), |peer| {
            Ok(peer.put(CT_CONTEXT, Kind::Command, Place::Last, &command)?)
        });
        assert!(matches!(ending, Ending::Broken(_)), "{case}: {ending:?}");
    }
}

/// An N-GET is answered as what it is: its command field, its id, 0211.
#[test]
fn an_operation_of_another_service() {
    let get: [(u16, &[u8]); 3] = [(0x0100, &[0x10, 1]), (0x0110, &[9, 0]), (0x0800, &[1, 1])];
    let summary = with(&memory(), |association| {
        Peer(association).put(CT_CONTEXT, Kind::Command, Place::Last, &set(&get))?;
        let answer: [(u16, &[u8]); 4] = [
            (0x0100, &[0x10, 0x81]),
            (0x0120, &[9, 0]),
            (0x0800, &[1, 1]),
            (0x0900, &[0x11, 2]),
        ];
        match association.receive(PATIENCE)? {
            Event::Pdv(pdv) => assert!(pdv.bytes.ends_with(&set(&answer)), "{:?}", pdv.bytes),
            Event::Release => return Err("a release".into()),
        }
        Ok(association.release(PATIENCE)?)
    });
    assert_eq!(summary.ending, Ending::Released);
}

#[test]
fn a_cancel_is_passed_over() {
    let (status, _) = answer(&memory(), |peer| {
        let cancel = Command::Cancel { responded_to: 1 }.encode();
        peer.put(FIND_CONTEXT, Kind::Command, Place::Last, &cancel)?;
        Ok(peer.send(ECHO_CONTEXT, &echo(1))?)
    });
    assert_eq!(status, Status::SUCCESS);
}

#[test]
fn what_breaks_the_protocol_is_aborted() {
    type Fragment<'a> = (u8, Kind, &'a [u8]);
    let response = Command::Response(echo(1).response(Status::SUCCESS)).encode();
    let request = Command::Request(store(1, "1.2.3")).encode();
    let table: [(&str, Vec<Fragment<'_>>); 4] = [
        ("a response", vec![(ECHO_CONTEXT, Kind::Command, &response)]),
        ("data first", vec![(CT_CONTEXT, Kind::Data, b"data")]),
        (
            "two commands",
            vec![
                (CT_CONTEXT, Kind::Command, &request),
                (CT_CONTEXT, Kind::Command, &request),
            ],
        ),
        (
            "data in another context",
            vec![
                (CT_CONTEXT, Kind::Command, &request),
                (ECHO_CONTEXT, Kind::Data, b"data"),
            ],
        ),
    ];
    for (case, fragments) in table {
        let ending = aborted(&memory(), |peer| {
            for (on, kind, bytes) in fragments {
                peer.put(on, kind, Place::Last, bytes)?;
            }
            Ok(())
        });
        assert!(matches!(ending, Ending::Broken(_)), "{case}: {ending:?}");
    }
}

/// However the body breaks off, the handler hears of it, and the instance is counted as failed.
#[test]
fn bodies_that_break_off() {
    type Break = fn(MemoryAssociation) -> Tested;
    let table: [(&str, Break, Ending); 4] = [
        (
            "the line is cut",
            |association| {
                association.cut();
                Ok(())
            },
            Ending::Lost,
        ),
        (
            "an abort",
            |mut association| {
                association.abort();
                Ok(())
            },
            Ending::Aborted(AbortedBy::User),
        ),
        (
            "a release",
            |mut association| match association.release(PATIENCE) {
                Err(Error::Aborted { .. }) => Ok(()),
                other => Err(format!("{other:?}").into()),
            },
            Ending::Broken("it ends the association inside a message"),
        ),
        (
            "silence",
            |mut association| match association.receive(PATIENCE) {
                Err(Error::Aborted { .. }) => Ok(()),
                other => Err(format!("{other:?}").into()),
            },
            Ending::Stalled(Waiting::Message),
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
            peer.send(CT_CONTEXT, &store(1, "1.2.3")).expect("room");
            peer.put(CT_CONTEXT, Kind::Data, Place::More, b"half")
                .expect("room");
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
        let instance = Heard::Instance(Handled::BrokenOff, 4);
        assert_eq!(recorder.heard().get(1), Some(&instance), "{case}");
    }
}

#[test]
fn an_idle_association_is_aborted() {
    let service = memory().with_idle_timeout(SHORT);
    assert_eq!(aborted(&service, |_| Ok(())), Ending::Idle);
    // The time begins anew with each message.
    let ending = aborted(&service, |peer| {
        assert_eq!(peer.echo()?, Status::SUCCESS);
        Ok(())
    });
    assert_eq!(ending, Ending::Idle);
}

/// A command that comes in pieces is waited for as long as a message may take, not as an idle
/// association; one that never ends is aborted.
#[test]
fn half_a_command() {
    let command = Command::Request(echo(1)).encode();
    let (first, rest) = command.split_at(20);
    let service = memory().with_dimse_timeout(SHORT);
    let ending = aborted(&service, |peer| {
        Ok(peer.put(ECHO_CONTEXT, Kind::Command, Place::More, first)?)
    });
    assert_eq!(ending, Ending::Stalled(Waiting::Message));
    let (status, _) = answer(&memory(), |peer| {
        peer.put(ECHO_CONTEXT, Kind::Command, Place::More, first)?;
        peer.put(ECHO_CONTEXT, Kind::Command, Place::More, &[])?;
        Ok(peer.put(ECHO_CONTEXT, Kind::Command, Place::Last, rest)?)
    });
    assert_eq!(status, Status::SUCCESS);
}

/// A peer that does not read its answers is left behind.
#[test]
fn answers_that_are_never_read() {
    let service = memory().with_dimse_timeout(SHORT);
    let summary = with(&service, |association| {
        let mut peer = Peer(association);
        // Until the line is full both ways, or the service has gone.
        while peer.send(ECHO_CONTEXT, &echo(1)).is_ok() {}
        Ok(())
    });
    assert_eq!(summary.ending, Ending::Stalled(Waiting::Room));
}

#[test]
fn stopping_ends_what_is_idle() {
    let service = memory();
    let stopper = service.clone();
    let began = Instant::now();
    let ending = aborted(&service, |peer| {
        assert_eq!(peer.echo()?, Status::SUCCESS);
        stopper.stop();
        Ok(())
    });
    assert_eq!(ending, Ending::Stopped);
    assert!(began.elapsed() < Duration::from_secs(5));
    // One that comes later is not served.
    assert_eq!(aborted(&service, |_| Ok(())), Ending::Stopped);
}

#[test]
fn stopping_lets_an_instance_finish() {
    let service = memory();
    let stopper = service.clone();
    let ending = aborted(&service, |peer| {
        peer.send(CT_CONTEXT, &store(1, "1.2.3"))?;
        peer.put(CT_CONTEXT, Kind::Data, Place::More, b"half")?;
        // What is in the middle when the service is told to stop is taken to its end.
        while service_bytes(&stopper) == 0 {
            thread::yield_now();
        }
        stopper.stop();
        peer.put(CT_CONTEXT, Kind::Data, Place::Last, b"rest")?;
        assert_eq!(peer.response()?.status, Status::SUCCESS);
        Ok(())
    });
    assert_eq!(ending, Ending::Stopped);
    assert_eq!(service.totals().instances.stored, 1);
}

fn service_bytes(service: &Service) -> u64 {
    service.totals().instances.bytes
}
