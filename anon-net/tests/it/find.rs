//! C-FIND against servers with different behavior.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use anon_net::dimse::{Incoming, Request, receive_command, send, send_with};
use anon_net::error::AbortedBy;
use anon_net::identifier::{Encoding, Identifier, tag};
use anon_net::service::find::accession::Accessions;
use anon_net::service::find::{AccessionEvent, AccessionOutcome, Query, StudyMatch};
use anon_net::service::{Cancel, Detail, HierarchyRequest, ServiceError, Timeouts};
use anon_net::{Association, Command, Dial, Error, Node, Operation, Proposal, Remedy, Status};

use crate::pacs::{
    DCMQRSCP, LONG, ORTHANC, PYNETDICOM, Pacs, PacsBehavior, PacsRoot, hostile_node, request,
    respond, scu, study,
};

const BEHAVIORS: [(&str, PacsBehavior); 3] = [
    ("Orthanc", ORTHANC),
    ("dcmqrscp", DCMQRSCP),
    ("pynetdicom", PYNETDICOM),
];

fn archive(behavior: PacsBehavior) -> Pacs {
    let studies = vec![
        study(1, "A1", &[("CT", 3), ("SR", 1)]),
        study(2, "A1", &[("MR", 2)]),
        study(3, "A12", &[("CT", 1)]),
    ];
    Pacs::start(behavior, studies)
}

fn find(pacs: &Pacs, query: &Query) -> Result<Vec<StudyMatch>, ServiceError> {
    let mut found = Vec::new();
    let report = pacs
        .scu()
        .find(&pacs.node, query, &Cancel::new(), &mut |study| {
            found.push(study);
        })?;
    assert_eq!(report.studies, found.len());
    Ok(found)
}

fn uids(found: &[StudyMatch]) -> Vec<&str> {
    found.iter().map(|study| study.study.expose()).collect()
}

#[test]
fn each_study_is_returned_once() {
    for (name, behavior) in BEHAVIORS {
        let returns_counts = behavior.returns_counts;
        let found = find(&archive(behavior), &Query::new()).unwrap();
        assert_eq!(uids(&found), ["1.2.1", "1.2.2", "1.2.3"], "{name}");
        let first = &found[0];
        assert_eq!(first.patient_name, "M\u{FC}ller^Jane", "{name}");
        assert_eq!(
            (&*first.patient_id, &*first.accession),
            ("ID 1", "A1"),
            "{name}"
        );
        let counts = if returns_counts {
            (Some(2), Some(4))
        } else {
            (None, None)
        };
        assert_eq!((first.series, first.instances), counts, "{name}");
        let shown = format!("{first:?}");
        assert!(
            !shown.contains("Jane") && !shown.contains("1.2.1"),
            "{shown}"
        );
    }
}

#[test]
fn ignored_query_keys_are_checked_again() {
    for (name, behavior) in BEHAVIORS {
        let pacs = archive(behavior);
        let query = |modality: &str| Query::new().with_modality(modality).unwrap();
        assert_eq!(
            uids(&find(&pacs, &query("CT")).unwrap()),
            ["1.2.1", "1.2.3"],
            "{name}"
        );
        assert_eq!(uids(&find(&pacs, &query("US")).unwrap()), [""; 0], "{name}");
        let two = query("MR").with_modality("SR").unwrap();
        let found = find(&pacs, &two).unwrap();
        assert_eq!(uids(&found), ["1.2.1", "1.2.2"], "{name}");
        assert_eq!(found[0].modalities, ["CT", "SR"], "{name}");
        let number = Query::new().with_accession("A1").unwrap();
        assert_eq!(
            uids(&find(&pacs, &number).unwrap()),
            ["1.2.1", "1.2.2"],
            "{name}"
        );
        let one = Query::new().with_study("1.2.2".parse().unwrap());
        assert_eq!(uids(&find(&pacs, &one).unwrap()), ["1.2.2"], "{name}");
    }
}

/// The identifier of the request has the elements of PS3.4 Annex C, in the character set of the
/// keys.
#[test]
fn query_keys_are_encoded_as_the_standard_says() {
    let (sent, requested) = std::sync::mpsc::channel();
    let (scu, node) = hostile_node(move |association| {
        let (context, ask, identifier) = request(association, Encoding::ImplicitLittle)?;
        drop(sent.send(identifier));
        respond(association, context, &ask, Status::SUCCESS, None)?;
        association.receive(LONG)?;
        association.release(LONG)
    });
    let query = Query::new()
        .with_patient_name("M\u{FC}ller^*")
        .and_then(|query| query.with_patient_id(" 12 "))
        .and_then(|query| query.with_accession("A?"))
        .and_then(|query| query.with_study_date("20240101-"))
        .and_then(|query| query.with_modality("CT"))
        .unwrap()
        .with_study("1.2.3".parse().unwrap());
    scu.find(&node, &query, &Cancel::new(), &mut drop).unwrap();
    let requested: Identifier = requested.recv_timeout(LONG).unwrap();
    for (tag, value) in [
        (tag::CHARSET, &b"ISO_IR 100"[..]),
        (tag::LEVEL, b"STUDY "),
        (tag::PATIENT_NAME, b"M\xFCller^*"),
        (tag::PATIENT_ID, b"12"),
        (tag::ACCESSION, b"A?"),
        (tag::STUDY_DATE, b"20240101- "),
        (tag::MODALITIES, b"CT"),
        (tag::STUDY_UID, b"1.2.3\0"),
        (tag::SOP_CLASSES, b""),
        (tag::SEX, b""),
        (tag::BIRTH_DATE, b""),
        (tag::STUDY_DESCRIPTION, b""),
        (tag::SERIES_IN_STUDY, b""),
        (tag::INSTANCES_IN_STUDY, b""),
    ] {
        let found = requested.value(tag).map(<[u8]>::trim_ascii_end);
        assert_eq!(found, Some(value.trim_ascii_end()), "{tag}");
    }
    assert_eq!(requested.elements().len(), 14);
    assert!(format!("{query:?}").contains("patient_name: true"));
}

#[test]
fn invalid_query_keys_are_refused() {
    let query = Query::new;
    for date in [
        "2024",
        "20240101-2024",
        "20240102-20240101",
        "-",
        "2024010a",
        "20240101-20240102-",
    ] {
        assert!(query().with_study_date(date).is_err(), "{date}");
    }
    for date in [
        "",
        "20240101",
        "-20240101",
        "20240101-",
        "20240101-20240101",
    ] {
        assert!(query().with_study_date(date).is_ok(), "{date}");
    }
    for name in ["a\\b", "a\nb"] {
        assert!(query().with_patient_name(name).is_err());
        assert!(query().with_patient_id(name).is_err());
        assert!(query().with_accession(name).is_err());
    }
    for modality in ["", "ct", "CT\\MR", "*"] {
        assert!(query().with_modality(modality).is_err(), "{modality}");
    }
    assert!(query().is_empty());
    assert!(!query().with_modality("CT").unwrap().is_empty());
    assert!(Accessions::new(["A*"]).is_err());
}

#[test]
fn cancelled_query_releases_the_association() {
    for (name, behavior) in BEHAVIORS {
        let obeys_cancel = behavior.cancels;
        let studies = (0..100).map(|n| study(n, "A", &[("CT", 1)])).collect();
        let pacs = Pacs::start(behavior, studies);
        let cancel = Cancel::new();
        let mut found = 0;
        let result = pacs
            .scu()
            .find(&pacs.node, &Query::new(), &cancel, &mut |_| {
                found += 1;
                if found == 3 {
                    cancel.cancel();
                }
            });
        assert!(
            matches!(result, Err(ServiceError::Cancelled)),
            "{name}: {result:?}"
        );
        assert_eq!(found, 3, "{name}: no match after cancelling");
        assert_eq!(
            pacs.store.cancelled.load(Ordering::Acquire),
            obeys_cancel,
            "{name}"
        );
        let before = pacs.store.associations.load(Ordering::Acquire);
        let result = pacs
            .scu()
            .find(&pacs.node, &Query::new(), &cancel, &mut drop);
        assert!(matches!(result, Err(ServiceError::Cancelled)), "{name}");
        assert_eq!(
            pacs.store.associations.load(Ordering::Acquire),
            before,
            "{name}"
        );
    }
}

#[test]
fn accession_list_is_queried_number_by_number() {
    for (name, behavior) in BEHAVIORS {
        let pacs = archive(behavior);
        let numbers = Accessions::new(["A12", " A1", "NONE", "", "a1", "A12", "A"]).unwrap();
        let mut events = Vec::new();
        let report =
            pacs.scu()
                .find_accessions(&pacs.node, numbers, &Cancel::new(), &mut |event| {
                    events.push(match event {
                        AccessionEvent::Match { study, .. } => study.study.expose().to_owned(),
                        AccessionEvent::Done { number, .. } => number.to_string(),
                        _ => String::new(),
                    });
                });
        let expected = ["1.2.3", "0", "1.2.1", "1.2.2", "1", "2", "3", "4"];
        assert_eq!(events, expected, "{name}");
        assert_eq!(
            report.not_found().collect::<Vec<_>>(),
            ["NONE", "a1", "A"],
            "{name}"
        );
        assert_eq!(report.failed().count(), 0, "{name}");
        assert_eq!(pacs.store.associations.load(Ordering::Acquire), 1, "{name}");
        assert!(!format!("{report:?}").contains("NONE"));
    }
}

/// Each number of a list is queried with the keys that a row needs, as a single query is.
#[test]
fn accession_queries_are_encoded_as_the_standard_says() {
    let (sent, requested) = std::sync::mpsc::channel();
    let (scu, node) = hostile_node(move |association| {
        loop {
            let Ok((context, ask, identifier)) = request(association, Encoding::ImplicitLittle)
            else {
                return association.release(LONG);
            };
            drop(sent.send(identifier));
            respond(association, context, &ask, Status::SUCCESS, None)?;
        }
    });
    let numbers = Accessions::new(["A12", "\u{C4}1"]).unwrap();
    scu.find_accessions(&node, numbers, &Cancel::new(), &mut |_| {});
    for (charset, number) in [(&b"ISO_IR 192"[..], &b"A12"[..]), (b"ISO_IR 100", b"\xC41")] {
        let requested: Identifier = requested.recv_timeout(LONG).unwrap();
        let value = |tag| requested.value(tag).map(<[u8]>::trim_ascii_end);
        assert_eq!(value(tag::CHARSET), Some(charset));
        assert_eq!(value(tag::LEVEL), Some(&b"STUDY"[..]));
        assert_eq!(value(tag::ACCESSION), Some(number));
        for tag in [
            tag::PATIENT_NAME,
            tag::PATIENT_ID,
            tag::STUDY_DATE,
            tag::STUDY_DESCRIPTION,
            tag::STUDY_UID,
            tag::MODALITIES,
            tag::SERIES_IN_STUDY,
            tag::INSTANCES_IN_STUDY,
        ] {
            assert_eq!(value(tag), Some(&b""[..]), "{tag}");
        }
    }
}

/// A server that knows the character set we read can answer in it.
#[test]
fn every_c_find_request_names_a_character_set() {
    let (sent, requested) = std::sync::mpsc::channel();
    let (scu, node) = hostile_node(move |association| {
        loop {
            let Ok((context, ask, identifier)) = request(association, Encoding::ImplicitLittle)
            else {
                return association.release(LONG);
            };
            let mut response = identifier.clone();
            for (tag, value) in [
                (tag::STUDY_UID, &b"1.2"[..]),
                (tag::SERIES_UID, b"1.2.3"),
                (tag::SOP_INSTANCE, b"1.2.3.4"),
            ] {
                response.set(tag, value);
            }
            response.set(tag::MODALITIES, b"");
            drop(sent.send(identifier));
            let bytes = response.encode(Encoding::ImplicitLittle).unwrap();
            respond(association, context, &ask, Status::PENDING, Some(&bytes))?;
            respond(association, context, &ask, Status::SUCCESS, None)?;
        }
    });
    let query = Query::new().with_modality("CT").unwrap();
    scu.find(&node, &query, &Cancel::new(), &mut drop).unwrap();
    let study = HierarchyRequest::new("1.2".parse().unwrap(), Detail::Instances);
    scu.hierarchy(&node, &study, &Cancel::new()).unwrap();
    let levels: Vec<_> = requested
        .try_iter()
        .map(|requested| {
            let level = requested.text(tag::LEVEL).unwrap_or_default();
            let charset = requested.text(tag::CHARSET);
            assert_eq!(charset.as_deref(), Some("ISO_IR 192"), "{level}");
            level
        })
        .collect();
    assert_eq!(levels, ["STUDY", "SERIES", "SERIES", "IMAGE"]);
}

/// What a server answers and cannot be used is left out, and counted with the reason.
#[test]
fn answers_that_cannot_be_used_are_counted_by_reason() {
    let (scu, node) = hostile_node(|association| {
        let Ok((context, ask, _)) = request(association, Encoding::ImplicitLittle) else {
            return association.release(LONG);
        };
        for (study, accession) in [
            ("1.2", "A1"),
            ("", "A1"),
            ("1..2", "A1"),
            ("one", "A1"),
            ("1.3", "A11"),
            ("1.4", "A2"),
        ] {
            let mut response = Identifier::new();
            response.set(tag::STUDY_UID, study.as_bytes());
            response.set(tag::ACCESSION, accession.as_bytes());
            let bytes = response.encode(Encoding::ImplicitLittle).unwrap();
            respond(association, context, &ask, Status::PENDING, Some(&bytes))?;
        }
        // A pending response without an identifier.
        respond(association, context, &ask, Status::PENDING, None)?;
        respond(association, context, &ask, Status::SUCCESS, None)?;
        association.receive(LONG)?;
        association.release(LONG)
    });
    let query = Query::new().with_accession("A1").unwrap();
    let mut found = 0;
    let report = scu.find(&node, &query, &Cancel::new(), &mut |_| found += 1);
    let report = report.unwrap();
    assert_eq!((found, report.studies, report.responses), (1, 1, 7));
    let left_out = report.left_out;
    assert_eq!(left_out.without_study_uid, 2);
    assert_eq!(left_out.invalid_study_uid, 2);
    assert_eq!(left_out.other_accession, 2);
    assert_eq!(left_out.total(), 6);
    // The same for the numbers of a list, which are compared exactly.
    let numbers = Accessions::new(["A1"]).unwrap();
    let report = scu.find_accessions(&node, numbers, &Cancel::new(), &mut |_| ());
    assert_eq!(report.left_out, left_out);
}

/// Servers that offer the patient root only (PS3.4 section C.6.1), with and without relational
/// queries.
#[test]
fn patient_root_is_used_where_only_it_is_offered() {
    for root in [PacsRoot::Patient, PacsRoot::PatientHierarchical] {
        let pacs = archive(PacsBehavior { root, ..DCMQRSCP });
        let accession = Query::new().with_accession("A12").unwrap();
        assert_eq!(
            uids(&find(&pacs, &accession).unwrap()),
            ["1.2.3"],
            "{root:?}"
        );
        let patient = Query::new().with_patient_id("ID 1").unwrap();
        let patient = patient.with_modality("MR").unwrap();
        assert_eq!(uids(&find(&pacs, &patient).unwrap()), ["1.2.2"], "{root:?}");
        let numbers = Accessions::new(["A12", "NONE", "A1"]).unwrap();
        let mut found = Vec::new();
        let report =
            pacs.scu()
                .find_accessions(&pacs.node, numbers, &Cancel::new(), &mut |event| {
                    if let AccessionEvent::Match { study, .. } = event {
                        found.push(study.study.expose().to_owned());
                    }
                });
        assert_eq!(found, ["1.2.3", "1.2.1", "1.2.2"], "{root:?}");
        assert_eq!(report.not_found().collect::<Vec<_>>(), ["NONE"], "{root:?}");
        let request = HierarchyRequest::new("1.2.1".parse().unwrap(), Detail::Instances);
        let hierarchy = pacs.scu().hierarchy(&pacs.node, &request, &Cancel::new());
        assert_eq!(hierarchy.unwrap().count(), 4, "{root:?}");
        let request = HierarchyRequest::new("1.2.9".parse().unwrap(), Detail::Instances);
        let hierarchy = pacs.scu().hierarchy(&pacs.node, &request, &Cancel::new());
        assert_eq!(hierarchy.unwrap().count(), 0, "{root:?}");
    }
}

/// A failed number does not stop the others, and a lost association is reopened.
#[test]
fn failed_accession_number_does_not_stop_the_others() {
    let requested = AtomicUsize::new(0);
    let (scu, node) = hostile_node(move |association| {
        loop {
            let (context, ask, identifier) = request(association, Encoding::ImplicitLittle)?;
            match requested.fetch_add(1, Ordering::AcqRel) {
                0 => respond(association, context, &ask, Status::new(0xA700), None)?,
                1 => {
                    association.abort();
                    return Ok(());
                }
                2 => {
                    return respond(
                        association,
                        context,
                        &ask,
                        Status::PENDING,
                        Some(b"garbage"),
                    );
                }
                _ => {
                    let mut response = identifier.clone();
                    response.set(tag::STUDY_UID, b"1.2");
                    let bytes = response.encode(Encoding::ImplicitLittle).unwrap();
                    respond(
                        association,
                        context,
                        &ask,
                        Status::new(0xFF01),
                        Some(&bytes),
                    )?;
                    respond(association, context, &ask, Status::SUCCESS, None)?;
                }
            }
        }
    });
    let numbers = Accessions::new(["1", "2", "3", "4", "5"]).unwrap();
    let report = scu.find_accessions(&node, numbers, &Cancel::new(), &mut |_| ());
    let [refused, aborted, garbage, found, again] = &report.outcomes[..] else {
        panic!("five outcomes: {report:?}");
    };
    let status = Status::new(0xA700);
    assert!(
        matches!(refused, AccessionOutcome::Failed(ServiceError::Refused { status: s, .. }) if *s == status)
    );
    let by_user = Error::Aborted {
        by: AbortedBy::User,
    };
    assert_eq!(
        format!("{aborted:?}"),
        format!("Failed(Association({by_user:?}))")
    );
    assert!(
        matches!(
            garbage,
            AccessionOutcome::Failed(ServiceError::Identifier(_))
        ),
        "{garbage:?}"
    );
    assert!(matches!(found, AccessionOutcome::Found { studies: 1 }));
    assert!(matches!(again, AccessionOutcome::Found { studies: 1 }));
}

#[test]
fn unreachable_node_is_dialled_once_for_a_list() {
    let pacs = archive(ORTHANC);
    let numbers = || Accessions::new(["1", "2", "3", "4", "5"]).unwrap();
    for (node, requested) in [("PACS@there:104", 3), ("OTHER@here:104", 1)] {
        let node = node.parse().unwrap();
        let report = pacs
            .scu()
            .find_accessions(&node, numbers(), &Cancel::new(), &mut |_| ());
        assert_eq!(report.failed().count(), requested, "{node}");
        assert!(matches!(report.outcomes[4], AccessionOutcome::NotAsked));
    }
}

type HostileServer = fn(&mut dyn Association) -> Result<(), Error>;

fn garbage(association: &mut dyn Association, bytes: &[u8]) -> Result<(), Error> {
    let (context, ask, _) = request(association, Encoding::ImplicitLittle)?;
    respond(association, context, &ask, Status::PENDING, Some(bytes))?;
    association.receive(LONG).map(drop)
}

#[test]
fn invalid_responses_end_in_an_error() {
    check(&[
        (
            "a length of 4 GB",
            |a| garbage(a, b"\x08\0\x52\0\xFE\xFF\xFF\xFF"),
            "Truncated",
        ),
        (
            "200,000 sequences",
            |a| {
                garbage(
                    a,
                    &b"\x09\0\x01\x10\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\xFF\xFF\xFF\xFF"
                        .repeat(200_000),
                )
            },
            "TooLong",
        ),
        (
            "another message id",
            |association| {
                let (context, mut ask, _) = request(association, Encoding::ImplicitLittle)?;
                ask.message_id += 1;
                respond(association, context, &ask, Status::SUCCESS, None)
            },
            "another message",
        ),
        (
            "another operation",
            |association| {
                let (context, mut ask, _) = request(association, Encoding::ImplicitLittle)?;
                ask.operation = Operation::Move;
                respond(association, context, &ask, Status::SUCCESS, None)
            },
            "another operation",
        ),
    ]);
}

#[test]
fn broken_dialogues_end_in_an_error() {
    check(&[
        (
            "an abort",
            |association| {
                request(association, Encoding::ImplicitLittle)?;
                association.abort();
                Ok(())
            },
            "Aborted",
        ),
        (
            "an abort after a response",
            |association| {
                let (context, ask, requested) = request(association, Encoding::ImplicitLittle)?;
                let bytes = requested.encode(Encoding::ImplicitLittle).unwrap();
                respond(association, context, &ask, Status::PENDING, Some(&bytes))?;
                association.abort();
                Ok(())
            },
            "Aborted",
        ),
        (
            "a command set that is invalid",
            |association| {
                let (context, _, _) = request(association, Encoding::ImplicitLittle)?;
                let pdv = anon_net::Pdv {
                    context,
                    kind: anon_net::PdvKind::Command,
                    position: anon_net::PdvPosition::Last,
                    bytes: b"GET / HTTP/1.1",
                };
                association.send(&[pdv], LONG)
            },
            "malformed",
        ),
        (
            "a cancel",
            |association| {
                let (context, ask, _) = request(association, Encoding::ImplicitLittle)?;
                let responded_to = ask.message_id;
                let command = Command::Cancel { responded_to };
                send(association, context, &command, LONG)
            },
            "C-CANCEL",
        ),
        (
            "a release",
            |association| {
                request(association, Encoding::ImplicitLittle)?;
                association.release(LONG)
            },
            "Closed",
        ),
        (
            "no identifier after its response",
            |association| {
                let (context, ask, _) = request(association, Encoding::ImplicitLittle)?;
                let mut response = ask.response(Status::PENDING);
                response.has_data_set = true;
                let command = Command::Response(response);
                send(association, context, &command, LONG)?;
                respond(association, context, &ask, Status::SUCCESS, None)
            },
            "inside a data set",
        ),
        (
            "a failure",
            |association| {
                let (context, ask, _) = request(association, Encoding::ImplicitLittle)?;
                respond(association, context, &ask, Status::new(0xC001), None)?;
                association.receive(LONG)?;
                association.release(LONG)
            },
            "C001",
        ),
    ]);
}

fn check(table: &[(&str, HostileServer, &str)]) {
    for (case, serve, words) in table {
        let (scu, node) = hostile_node(*serve);
        let result = scu.find(&node, &Query::new(), &Cancel::new(), &mut drop);
        let error = result.expect_err(case);
        let shown = format!("{error:?} {error}");
        assert!(shown.contains(words), "{case}: {shown}");
    }
}

#[test]
fn number_of_matches_is_limited() {
    let (scu, node) = hostile_node(|association| {
        let (context, ask, _) = request(association, Encoding::ImplicitLittle)?;
        let mut response = Identifier::new();
        response.set(tag::STUDY_UID, b"1.2");
        let bytes = response.encode(Encoding::ImplicitLittle).unwrap();
        loop {
            respond(association, context, &ask, Status::PENDING, Some(&bytes))?;
        }
    });
    let short = Timeouts::all(Duration::from_millis(300));
    let query = Query::new().with_max_responses(50);
    let result = scu
        .with_timeouts(short)
        .find(&node, &query, &Cancel::new(), &mut drop);
    // It ignores C-CANCEL too.
    let error = result.unwrap_err();
    assert!(
        matches!(error, ServiceError::Association(Error::TimedOut { .. })),
        "{error:?}"
    );
    let studies = (0..100).map(|n| study(n, "A", &[("CT", 1)])).collect();
    let pacs = Pacs::start(PYNETDICOM, studies);
    let error = find(&pacs, &query).unwrap_err();
    assert!(
        matches!(error, ServiceError::TooMany { limit: 50, .. }),
        "{error:?}"
    );
    assert_eq!(error.remedy(), Remedy::Skip);
}

#[test]
fn silent_server_times_out() {
    let held = Mutex::new(Vec::new());
    let (scu, node) = hostile_node(move |association| {
        request(association, Encoding::ImplicitLittle)?;
        held.lock()
            .unwrap()
            .push(association.receive(LONG).map(drop));
        Ok(())
    });
    let scu = scu.with_timeouts(Timeouts::all(Duration::from_millis(150)));
    let error = scu
        .find(&node, &Query::new(), &Cancel::new(), &mut drop)
        .unwrap_err();
    assert!(
        matches!(error, ServiceError::Association(Error::TimedOut { .. })),
        "{error:?}"
    );
    assert_eq!(error.remedy(), Remedy::Retry);
}

/// A request of the peer during the query gets a response and does not extend the timeout.
#[test]
fn requests_during_a_query_are_refused() {
    let (recorder, observed) = std::sync::mpsc::channel();
    let (scu, node) = hostile_node(move |association| {
        let (context, ask, _) = request(association, Encoding::ImplicitLittle)?;
        let class = ask.sop_class.clone();
        for operation in [Operation::Store, Operation::Echo] {
            let request = Request::new(operation, 9, class.clone());
            let command = Command::Request(request);
            let mut body = &b"a data set"[..];
            if operation == Operation::Store {
                send_with(association, context, &command, &mut body, LONG)?;
            } else {
                send(association, context, &command, LONG)?;
            }
            let incoming = receive_command(association, LONG)?;
            if let Incoming::Message {
                command: Command::Response(response),
                ..
            } = incoming
            {
                let sent = recorder.send((response.responded_to, response.status));
                sent.map_err(|_| Error::Closed)?;
            }
        }
        respond(association, context, &ask, Status::SUCCESS, None)?;
        association.receive(LONG)?;
        association.release(LONG)
    });
    let report = scu.find(&node, &Query::new(), &Cancel::new(), &mut drop);
    assert_eq!(report.unwrap().responses, 0);
    let refused = (9, Status::UNRECOGNIZED_OPERATION);
    assert_eq!(observed.try_iter().collect::<Vec<_>>(), [refused, refused]);
}

/// Dials a silent peer: cancels, then waits for the timeout.
#[derive(Debug)]
struct BlockingDial(Cancel);

impl Dial for BlockingDial {
    fn dial(
        &self,
        _: &Node,
        _: &Proposal,
        timeout: Duration,
    ) -> Result<Box<dyn Association>, Error> {
        self.0.cancel();
        let (_keep, never) = mpsc::channel::<()>();
        let _ = never.recv_timeout(timeout);
        Err(Error::Lost)
    }
}

#[test]
fn cancelling_works_while_the_association_opens() {
    let cancel = Cancel::new();
    let waits = Arc::new(BlockingDial(cancel.clone()));
    let scu = scu(waits).with_timeouts(Timeouts::all(Duration::from_mins(10)));
    let node = "SILENT@here:104".parse().expect("a node");
    let query = Query::new().with_patient_id("X").expect("an id");
    let began = Instant::now();
    let found = scu.find(&node, &query, &cancel, &mut |_| {});
    assert!(matches!(found, Err(ServiceError::Cancelled)), "{found:?}");
    assert!(began.elapsed() < LONG);
}
