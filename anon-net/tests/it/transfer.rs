//! C-MOVE and C-GET.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anon_net::dimse::{Priority, SubOperations};
use anon_net::identifier::{Encoding, tag};
use anon_net::service::{
    Cancel, GetRequest, MoveRequest, ServiceError, Timeouts, TransferFailure, TransferReport,
    TransferTarget,
};
use anon_net::testing::MemoryHandler;
use anon_net::{Error, InstanceUid, Operation, Status, Uid};

use crate::pacs::{
    CT, DCMQRSCP, LONG, ORTHANC, PYNETDICOM, Pacs, PacsBehavior, SR, hostile_node, request,
    respond, study,
};

const BEHAVIORS: [(&str, PacsBehavior); 3] = [
    ("Orthanc", ORTHANC),
    ("dcmqrscp", DCMQRSCP),
    ("pynetdicom", PYNETDICOM),
];

fn uid(text: &str) -> InstanceUid {
    text.parse().expect("a UID")
}

fn of_study() -> TransferTarget {
    let study = uid("1.2.1");
    TransferTarget::Study { study }
}

fn targets() -> [(TransferTarget, usize); 3] {
    let series = TransferTarget::Series {
        study: uid("1.2.1"),
        series: uid("1.2.1.0"),
    };
    let instances = TransferTarget::Instances {
        study: uid("1.2.1"),
        series: uid("1.2.1.0"),
        instances: vec![uid("1.2.1.0.2"), uid("1.2.1.0.0")],
    };
    [(of_study(), 4), (series, 3), (instances, 2)]
}

fn archive(behavior: PacsBehavior) -> Pacs {
    Pacs::start(behavior, vec![study(1, "A", &[("CT", 3), ("SR", 1)])])
}

fn move_to(
    pacs: &Pacs,
    target: TransferTarget,
    destination: &str,
) -> Result<(TransferReport, Vec<SubOperations>), ServiceError> {
    let request = MoveRequest::new(target, destination.parse().expect("a title"));
    let mut counts = Vec::new();
    let end = pacs
        .scu()
        .move_to(&pacs.node, &request, &Cancel::new(), &mut |c| {
            counts.push(c);
        })?;
    Ok((end, counts))
}

#[test]
fn c_move_works_at_each_level() {
    for (name, behavior) in BEHAVIORS {
        let is_counted = behavior.counts;
        let pacs = archive(behavior);
        for (target, count) in targets() {
            let (end, counts) = move_to(&pacs, target, "US").unwrap();
            assert_eq!(
                (end.status, end.failed.len()),
                (Status::SUCCESS, 0),
                "{name}"
            );
            assert_eq!(counts.len(), count + 1, "{name}");
            let last = counts[count - 1].completed.map(usize::from);
            assert_eq!(last, is_counted.then_some(count), "{name}");
        }
        assert_eq!(
            pacs.requested(),
            ["C-MOVE STUDY", "C-MOVE SERIES", "C-MOVE IMAGE"],
            "{name}"
        );
    }
}

#[test]
fn unknown_destination_is_reported() {
    for (name, behavior) in BEHAVIORS {
        let status = behavior.unknown_destination;
        let error = move_to(&archive(behavior), of_study(), "NOBODY").unwrap_err();
        let ServiceError::Refused {
            operation,
            status: found_status,
        } = error
        else {
            panic!("{name}: {error:?}");
        };
        assert_eq!(
            (operation, found_status),
            (Operation::Move, status),
            "{name}"
        );
    }
    for (code, failure) in [
        (0xA701, Some(TransferFailure::CannotCount)),
        (0xA702, Some(TransferFailure::CannotSend)),
        (0xA801, Some(TransferFailure::DestinationUnknown)),
        (0xA900, Some(TransferFailure::Mismatch)),
        (0xC123, Some(TransferFailure::UnableToProcess)),
        (0x0122, Some(TransferFailure::ClassNotSupported)),
        (0x0124, Some(TransferFailure::NotAuthorized)),
        (0x0110, Some(TransferFailure::Other)),
        (0x0000, None),
        (0xB000, None),
        (0xFE00, None),
        (0xFF00, None),
    ] {
        assert_eq!(
            TransferFailure::of(Status::new(code)),
            failure,
            "{code:04X}"
        );
    }
}

#[test]
fn failed_instances_are_listed() {
    let deliver = |_: &str, uid: &InstanceUid| uid.expose() != "1.2.1.0.1";
    let studies = vec![study(1, "A", &[("CT", 3)])];
    let pacs = Pacs::delivering(DCMQRSCP, studies, Box::new(deliver));
    let (end, _) = move_to(&pacs, of_study(), "US").unwrap();
    assert_eq!(end.status, Status::new(0xB000));
    assert_eq!(end.failed, [uid("1.2.1.0.1")]);
    assert!(!format!("{end:?}").contains("1.2.1"));
}

#[test]
fn cancelled_move_releases_the_association() {
    for (name, behavior) in BEHAVIORS {
        let obeys_cancel = behavior.cancels;
        let pacs = Pacs::start(behavior, vec![study(1, "A", &[("CT", 100)])]);
        let cancel = Cancel::new();
        let request = MoveRequest::new(of_study(), "US".parse().unwrap());
        let request = request.with_priority(Priority::High);
        let result = pacs
            .scu()
            .move_to(&pacs.node, &request, &cancel, &mut |_| cancel.cancel());
        assert!(
            matches!(result, Err(ServiceError::Cancelled)),
            "{name}: {result:?}"
        );
        assert_eq!(
            pacs.store.cancelled.load(Ordering::Acquire),
            obeys_cancel,
            "{name}"
        );
    }
}

/// The request has the elements of PS3.4 Annex C.
#[test]
fn request_is_encoded_as_the_standard_says() {
    for (target, level, keys) in [
        (targets()[0].0.clone(), "STUDY", vec![tag::STUDY_UID]),
        (
            targets()[1].0.clone(),
            "SERIES",
            vec![tag::STUDY_UID, tag::SERIES_UID],
        ),
        (
            targets()[2].0.clone(),
            "IMAGE",
            vec![tag::SOP_INSTANCE, tag::STUDY_UID, tag::SERIES_UID],
        ),
    ] {
        let (recorder, observed) = std::sync::mpsc::channel();
        let (scu, node) = hostile_node(move |association| {
            let (context, ask, requested) = request(association, Encoding::ImplicitLittle)?;
            drop(recorder.send((ask.clone(), requested)));
            respond(association, context, &ask, Status::SUCCESS, None)?;
            association.receive(LONG)?;
            association.release(LONG)
        });
        let request = MoveRequest::new(target, "US".parse().unwrap());
        let request = request.with_priority(Priority::High);
        scu.move_to(&node, &request, &Cancel::new(), &mut drop)
            .unwrap();
        let (ask, requested) = observed.recv_timeout(LONG).unwrap();
        assert_eq!(ask.priority, Priority::High, "{level}");
        assert_eq!(
            ask.destination.map(|to| to.to_string()).as_deref(),
            Some("US")
        );
        assert_eq!(requested.text(tag::LEVEL).as_deref(), Some(level));
        let tags = requested.elements().iter().map(|element| element.tag);
        let tags: Vec<_> = tags.filter(|t| *t != tag::LEVEL).collect();
        assert_eq!(tags, keys, "{level}");
    }
}

fn classes(uids: &[&str]) -> Vec<Uid> {
    uids.iter().map(|uid| uid.parse().expect("a UID")).collect()
}

#[test]
fn c_get_receives_on_the_same_association() {
    for (name, behavior) in BEHAVIORS {
        let pacs = archive(behavior);
        for (target, count) in targets() {
            let is_study = matches!(target, TransferTarget::Study { .. });
            let handler = MemoryHandler::new(1 << 24);
            let syntaxes = classes(&["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]);
            let request = GetRequest::new(target, classes(&[CT, SR]), syntaxes);
            let end = pacs
                .scu()
                .get(&pacs.node, &request, &handler, &Cancel::new(), &mut drop)
                .unwrap();
            // The server has no context for the structured report and reports a failure.
            let failed = usize::from(is_study);
            assert_eq!(end.failed.len(), failed, "{name}");
            assert_eq!(handler.len(), count - failed, "{name}");
            let body = handler.stored(&uid("1.2.1.0.2")).unwrap();
            assert_eq!(body, "1.2.1.0.2".repeat(10_000).as_bytes(), "{name}");
        }
        assert_eq!(pacs.store.associations.load(Ordering::Acquire), 3, "{name}");
    }
}

#[test]
fn outcome_of_the_handler_is_the_status() {
    let pacs = archive(ORTHANC);
    let request = GetRequest::new(of_study(), classes(&[CT]), classes(&["1.2.840.10008.1.2"]));
    let handler = MemoryHandler::new(100_000);
    let end = pacs
        .scu()
        .get(&pacs.node, &request, &handler, &Cancel::new(), &mut drop)
        .unwrap();
    assert_eq!((handler.len(), end.failed.len()), (1, 3));
}

#[test]
fn more_than_128_contexts_are_an_error() {
    let pacs = archive(ORTHANC);
    let many: Vec<Uid> = (0..128)
        .map(|n| format!("1.2.{n}").parse().unwrap())
        .collect();
    let handler = MemoryHandler::new(1 << 20);
    let get = |classes: &[Uid], syntaxes: &[Uid]| {
        let request = GetRequest::new(of_study(), classes.to_vec(), syntaxes.to_vec());
        pacs.scu()
            .get(&pacs.node, &request, &handler, &Cancel::new(), &mut drop)
    };
    // These fit. The server accepts none of the classes, and has nothing to send.
    for (classes, syntaxes) in [(127, 2), (2, 63)] {
        let error = get(&many[..classes], &many[..syntaxes]).unwrap_err();
        assert!(matches!(error, ServiceError::Refused { .. }), "{error:?}");
    }
    let error = get(&many, &many[..1]).unwrap_err();
    assert!(
        matches!(error, ServiceError::Association(Error::Limit { .. })),
        "{error:?}"
    );
}

#[test]
fn server_with_pending_responses_only_times_out() {
    let (scu, node) = hostile_node(|association| {
        let (context, ask, _) = request(association, Encoding::ImplicitLittle)?;
        respond(association, context, &ask, Status::PENDING, None)?;
        association.receive(LONG).map(drop)
    });
    let scu = scu.with_timeouts(Timeouts::all(Duration::from_millis(150)));
    let request = MoveRequest::new(of_study(), "US".parse().unwrap());
    let error = scu
        .move_to(&node, &request, &Cancel::new(), &mut drop)
        .unwrap_err();
    assert!(
        matches!(error, ServiceError::Association(Error::TimedOut { .. })),
        "{error:?}"
    );
}
