//! Retrieving studies from servers with different behavior.

use std::collections::BTreeSet;
use std::fmt;
use std::io::BufRead;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use anon_net::identifier::{Encoding, Identifier, tag};
use anon_net::scp::{HandlerResponse, Instance, InstanceHandler, Outcome};
use anon_net::service::{
    Cancel, InstanceFilter, InstanceState, LocalInstances, QueryLevel, RetrieveEvent,
    RetrieveMethod, RetrieveRequest, RetrieveStep, ServiceError, StudyReport, Timeouts,
};
use anon_net::testing::MemoryInstances;
use anon_net::{BackendError, InstanceUid, Node, Operation, Remedy, Status, Uid};

use crate::pacs::{
    CT, DCMQRSCP, LONG, ORTHANC, PET, PYNETDICOM, Pacs, PacsBehavior, PacsRoot, SR, Study,
    hostile_node, request, respond, study,
};

const BEHAVIORS: [(&str, PacsBehavior); 3] = [
    ("Orthanc", ORTHANC),
    ("dcmqrscp", DCMQRSCP),
    ("pynetdicom", PYNETDICOM),
];

fn uid(text: &str) -> InstanceUid {
    text.parse().expect("a UID")
}

fn by_move() -> RetrieveRequest {
    let destination = "US".parse().expect("a title");
    RetrieveRequest::new(RetrieveMethod::Move { destination })
}

/// The destination of a C-MOVE. Accepts the instances for which `takes` returns true.
fn sending(
    behavior: PacsBehavior,
    studies: Vec<Study>,
    takes: impl Fn(&str, &InstanceUid) -> Option<InstanceState> + Send + Sync + 'static,
) -> (Pacs, Arc<MemoryInstances>) {
    let arrivals = Arc::new(MemoryInstances::new());
    let here = Arc::clone(&arrivals);
    let deliver = move |level: &str, uid: &InstanceUid| match takes(level, uid) {
        Some(arrival) => {
            here.arrive(uid, arrival);
            true
        }
        None => false,
    };
    let pacs = Pacs::delivering(behavior, studies, Box::new(deliver));
    (pacs, arrivals)
}

fn retrieve(
    pacs: &Pacs,
    arrivals: &dyn LocalInstances,
    request: &RetrieveRequest,
    studies: &[&str],
) -> (Vec<StudyReport>, Vec<RetrieveEventLine>) {
    let studies: Vec<_> = studies.iter().map(|text| uid(text)).collect();
    let mut lines = Vec::new();
    let short = Timeouts::all(Duration::from_millis(400));
    let reports = pacs.scu().with_timeouts(short).retrieve(
        &pacs.node,
        request,
        &studies,
        arrivals,
        &Cancel::new(),
        &mut |event| lines.push(line(event)),
    );
    (reports, lines)
}

type RetrieveEventLine = String;

fn line(event: &RetrieveEvent) -> String {
    match &event.step {
        RetrieveStep::Expected {
            instances,
            excluded,
        } => format!("expected {instances} but {excluded}"),
        RetrieveStep::Requested { level } => format!("requested {level:?}"),
        RetrieveStep::Counted(_) => "counted".to_owned(),
        RetrieveStep::Arrived { missing, .. } => format!("missing {missing}"),
        RetrieveStep::Done => "done".to_owned(),
        other => format!("{other:?}"),
    }
}

fn sums(report: &StudyReport) -> [usize; 5] {
    let missing = report.missing.len();
    let StudyReport {
        expected,
        stored,
        quarantined,
        excluded,
        ..
    } = *report;
    assert_eq!(expected, stored + quarantined + excluded + missing);
    [expected, stored, quarantined, excluded, missing]
}

fn three() -> Vec<Study> {
    (1..=3)
        .map(|n| study(n, "A", &[("CT", 3), ("SR", 1), ("MR", 2)]))
        .collect()
}

#[test]
fn studies_are_retrieved_at_each_level() {
    for (name, behavior) in BEHAVIORS {
        for (level, requested) in [
            (QueryLevel::Study, "C-MOVE STUDY"),
            (QueryLevel::Series, "C-MOVE SERIES"),
            (QueryLevel::Instance, "C-MOVE IMAGE"),
        ] {
            let stored = |_: &str, _: &InstanceUid| Some(InstanceState::Stored);
            let (pacs, arrivals) = sending(behavior.clone(), three(), stored);
            let request = by_move().with_level(level).with_concurrency(3);
            let studies = ["1.2.1", "1.2.2", "1.2.3"];
            let (reports, lines) = retrieve(&pacs, &*arrivals, &request, &studies);
            for (report, study) in reports.iter().zip(studies) {
                assert_eq!(report.study.expose(), study, "{name}");
                assert_eq!(sums(report), [6, 6, 0, 0, 0], "{name} {level:?}");
                assert!(report.is_complete(), "{name} {level:?}: {report:?}");
            }
            assert_eq!(reports.len(), 3);
            let moves: BTreeSet<_> = pacs.requested().into_iter().collect();
            let moves = moves.iter().filter(|line| line.starts_with("C-MOVE"));
            assert_eq!(moves.collect::<Vec<_>>(), [requested], "{name}");
            assert_eq!(lines.iter().filter(|line| *line == "done").count(), 3);
            assert!(lines.contains(&"expected 6 but 0".to_owned()), "{lines:?}");
            // The second time everything is present, and nothing is requested.
            let before = pacs.requested().len();
            let (reports, _) = retrieve(&pacs, &*arrivals, &request, &studies[..1]);
            assert!(reports[0].is_complete());
            let again: Vec<_> = pacs.requested().split_off(before);
            assert!(
                again.iter().all(|line| line.starts_with("C-FIND")),
                "{again:?}"
            );
        }
    }
}

/// Instances that a study level move leaves out are requested at series level, then one by one.
#[test]
fn missing_instances_are_requested_again() {
    for (name, behavior) in BEHAVIORS {
        let at_series = |level: &str, uid: &InstanceUid| {
            let is_lost = level == "STUDY" && uid.expose().ends_with('0');
            (!is_lost).then_some(InstanceState::Stored)
        };
        let (pacs, arrivals) = sending(behavior.clone(), three(), at_series);
        let (reports, lines) = retrieve(&pacs, &*arrivals, &by_move(), &["1.2.2"]);
        assert_eq!(sums(&reports[0]), [6, 6, 0, 0, 0], "{name}");
        assert!(reports[0].is_complete(), "{name}");
        assert!(
            !lines.contains(&"requested Instance".to_owned()),
            "{name}: {lines:?}"
        );

        let at_image =
            |level: &str, _: &InstanceUid| (level == "IMAGE").then_some(InstanceState::Stored);
        let (pacs, arrivals) = sending(behavior, three(), at_image);
        let (reports, lines) = retrieve(&pacs, &*arrivals, &by_move(), &["1.2.2"]);
        assert!(reports[0].is_complete(), "{name}");
        let requested: Vec<_> = lines
            .iter()
            .filter(|line| line.starts_with("requested"))
            .collect();
        assert_eq!(
            requested,
            ["requested Study", "requested Series", "requested Instance"],
            "{name}"
        );
    }
}

/// A server that reports success but sends nothing, or not everything, is detected.
#[test]
fn arrivals_count_not_the_servers_counters() {
    let arrivals = Arc::new(MemoryInstances::new());
    let here = Arc::clone(&arrivals);
    let deliver = move |_: &str, uid: &InstanceUid| {
        if !uid.expose().ends_with('2') {
            here.arrive(uid, InstanceState::Stored);
        }
        true
    };
    let pacs = Pacs::delivering(ORTHANC, three(), Box::new(deliver));
    let (reports, lines) = retrieve(&pacs, &*arrivals, &by_move(), &["1.2.3"]);
    assert_eq!(sums(&reports[0]), [6, 5, 0, 0, 1]);
    assert_eq!(reports[0].missing, [uid("1.2.3.0.2")]);
    assert_eq!(reports[0].failed, 0, "the peer reports it as sent");
    let error = reports[0].error.as_ref().expect("an error");
    assert!(matches!(error, ServiceError::Stalled { .. }), "{error:?}");
    assert_eq!(error.remedy(), Remedy::Retry);
    assert_eq!(
        lines.iter().filter(|line| *line == "missing 1").count(),
        1,
        "{lines:?}"
    );
}

/// Quarantined and excluded instances count as present and are not requested again.
#[test]
fn quarantined_and_excluded_instances_count_as_present() {
    let takes = |_: &str, uid: &InstanceUid| {
        Some(match uid.expose() {
            "1.2.1.0.0" => InstanceState::Quarantined,
            "1.2.1.0.1" => InstanceState::Excluded,
            _ => InstanceState::Stored,
        })
    };
    let (pacs, arrivals) = sending(DCMQRSCP, three(), takes);
    let request = by_move().with_filter(InstanceFilter::all().with_modalities(["CT", "MR"]));
    let (reports, lines) = retrieve(&pacs, &*arrivals, &request, &["1.2.1"]);
    assert_eq!(sums(&reports[0]), [6, 3, 1, 2, 0]);
    assert!(reports[0].is_complete(), "{:?}", reports[0]);
    assert_eq!(lines[0], "expected 6 but 1");

    // Everything is excluded: nothing is requested.
    let request = by_move().with_filter(InstanceFilter::all().with_modalities(["US"]));
    let (reports, _) = retrieve(&pacs, &*arrivals, &request, &["1.2.2"]);
    assert_eq!(sums(&reports[0]), [6, 0, 0, 6, 0]);
    assert!(reports[0].is_complete());
    assert_eq!(
        pacs.requested()
            .iter()
            .filter(|line| line.starts_with("C-MOVE"))
            .count(),
        1
    );
}

#[test]
fn failed_instances_are_named() {
    let takes =
        |_: &str, uid: &InstanceUid| (uid.expose() != "1.2.1.1.0").then_some(InstanceState::Stored);
    let (pacs, arrivals) = sending(ORTHANC, three(), takes);
    let began = Instant::now();
    let studies = [uid("1.2.1")];
    let cancel = Cancel::new();
    let reports = pacs.scu().retrieve(
        &pacs.node,
        &by_move(),
        &studies,
        &*arrivals,
        &cancel,
        &mut |_| (),
    );
    assert!(
        began.elapsed() < LONG,
        "instances reported as failed are not waited for"
    );
    assert_eq!(sums(&reports[0]), [6, 5, 0, 0, 1]);
    assert_eq!(reports[0].failed, 1);
    assert!(!reports[0].is_complete());
    assert!(!format!("{:?}", reports[0]).contains("1.2.1"));
}

/// Tests 9.5.4 and 9.5.5 of the Java anonymizer V17: an unknown study, and a study whose series has
/// no instance. Nothing is requested of either, at any level.
#[test]
fn study_without_instances_causes_no_move() {
    for (name, behavior) in BEHAVIORS {
        for level in [QueryLevel::Study, QueryLevel::Series, QueryLevel::Instance] {
            let stored = |_: &str, _: &InstanceUid| Some(InstanceState::Stored);
            let empty = vec![study(1, "A", &[("CT", 0)])];
            let (pacs, arrivals) = sending(behavior.clone(), empty, stored);
            let request = by_move().with_level(level);
            for study in ["1.2.9", "1.2.1"] {
                let (reports, _) = retrieve(&pacs, &*arrivals, &request, &[study]);
                let error = reports[0].error.as_ref();
                assert!(
                    matches!(error, Some(ServiceError::NotFound)),
                    "{name} {level:?} {study}: {error:?}"
                );
                assert_eq!(sums(&reports[0]), [0; 5], "{name} {level:?} {study}");
            }
            let requested = pacs.requested();
            let moves = requested.iter().filter(|line| line.starts_with("C-MOVE"));
            assert_eq!(moves.count(), 0, "{name} {level:?}: {requested:?}");
        }
    }
}

/// Test 9.5.6 of V17: the server reports a series without instances that has one. V17 gives up;
/// here the instances that it lists count.
#[test]
fn wrong_instance_count_does_not_stop_a_retrieve() {
    for level in [QueryLevel::Study, QueryLevel::Series, QueryLevel::Instance] {
        let arrivals = Arc::new(MemoryInstances::new());
        let here = Arc::clone(&arrivals);
        let (scu, node) = hostile_node(move |association| {
            loop {
                let Ok((context, ask, requested)) = request(association, Encoding::ImplicitLittle)
                else {
                    return association.release(LONG);
                };
                if ask.operation == Operation::Move {
                    here.arrive(&uid("1.2.1.0.0"), InstanceState::Stored);
                } else {
                    let mut response = Identifier::new();
                    response.set(tag::STUDY_UID, b"1.2.1");
                    response.set(tag::SERIES_UID, b"1.2.1.0");
                    response.set(tag::INSTANCES_IN_SERIES, b"0");
                    if requested.text(tag::LEVEL).as_deref() == Some("IMAGE") {
                        response.set(tag::SOP_INSTANCE, b"1.2.1.0.0");
                    }
                    let bytes = response
                        .encode(Encoding::ImplicitLittle)
                        .expect("short values");
                    respond(association, context, &ask, Status::PENDING, Some(&bytes))?;
                }
                respond(association, context, &ask, Status::SUCCESS, None)?;
            }
        });
        let request = by_move().with_level(level);
        let (studies, cancel) = ([uid("1.2.1")], Cancel::new());
        let reports = scu.retrieve(&node, &request, &studies, &*arrivals, &cancel, &mut |_| ());
        assert!(reports[0].is_complete(), "{level:?}: {:?}", reports[0]);
        assert_eq!(sums(&reports[0]), [1, 1, 0, 0, 0], "{level:?}");
    }
}

#[test]
fn failed_study_does_not_stop_the_others() {
    for (name, behavior) in BEHAVIORS {
        let stored = |_: &str, _: &InstanceUid| Some(InstanceState::Stored);
        let (pacs, arrivals) = sending(behavior.clone(), three(), stored);
        let request = by_move().with_concurrency(0);
        let (reports, _) = retrieve(&pacs, &*arrivals, &request, &["1.2.9", "1.2.1"]);
        let first = reports[0].error.as_ref();
        assert!(
            matches!(first, Some(ServiceError::NotFound)),
            "{name}: {first:?}"
        );
        assert!(reports[1].is_complete(), "{name}");
        let (none, _) = retrieve(&pacs, &*arrivals, &request, &[]);
        assert!(none.is_empty());

        let destination = "NOBODY".parse().expect("a title");
        let request = RetrieveRequest::new(RetrieveMethod::Move { destination });
        let (reports, lines) = retrieve(&pacs, &*arrivals, &request, &["1.2.2"]);
        let error = reports[0].error.as_ref().expect("an error");
        let status = behavior.unknown_destination;
        assert!(
            matches!(error, ServiceError::Refused { status: found_status, .. } if *found_status == status),
            "{name}: {error:?}"
        );
        assert_eq!(sums(&reports[0]), [6, 0, 0, 0, 6], "{name}");
        // A801 would be returned at every level; C000 can have any cause.
        let requested = lines
            .iter()
            .filter(|line| line.starts_with("requested"))
            .count();
        assert_eq!(
            requested == 1,
            status == Status::new(0xA801),
            "{name}: {lines:?}"
        );
    }
}

/// Pending responses without instances do not extend the timeout.
#[test]
fn stalled_move_is_given_up() {
    let (scu, node) = hostile_node(|association| {
        let Ok((context, ask, requested)) = request(association, Encoding::ImplicitLittle) else {
            return association.release(LONG);
        };
        if ask.destination.is_none() {
            return answer_study(association, context, &ask, &requested);
        }
        // Pending forever: the SCU aborts.
        loop {
            respond(association, context, &ask, Status::PENDING, None)?;
            if let Err(error) = association.receive(Duration::from_millis(20))
                && !matches!(error, anon_net::Error::TimedOut { .. })
            {
                return Err(error);
            }
        }
    });
    let arrivals = MemoryInstances::new();
    let began = Instant::now();
    let scu = scu.with_timeouts(Timeouts::all(Duration::from_millis(300)));
    let reports = scu.retrieve(
        &node,
        &by_move(),
        &[uid("1.2")],
        &arrivals,
        &Cancel::new(),
        &mut |_| (),
    );
    assert!(began.elapsed() < LONG);
    assert_eq!(sums(&reports[0]), [1, 0, 0, 0, 1]);
    let error = reports[0].error.as_ref().expect("an error");
    assert!(
        matches!(
            error,
            ServiceError::Association(anon_net::Error::TimedOut { .. })
        ),
        "{error:?}"
    );
}

fn answer_study(
    association: &mut dyn anon_net::Association,
    mut context: anon_net::ContextId,
    ask: &anon_net::dimse::Request,
    requested: &anon_net::identifier::Identifier,
) -> Result<(), anon_net::Error> {
    let (mut ask, mut requested) = (ask.clone(), requested.clone());
    loop {
        requested.set(tag::SERIES_UID, b"1.2.0");
        requested.set(tag::SOP_INSTANCE, b"1.2.0.1");
        let bytes = requested
            .encode(Encoding::ImplicitLittle)
            .expect("short values");
        respond(association, context, &ask, Status::PENDING, Some(&bytes))?;
        respond(association, context, &ask, Status::SUCCESS, None)?;
        match request(association, Encoding::ImplicitLittle) {
            Ok(next) => (context, ask, requested) = next,
            Err(_) => return association.release(LONG),
        }
    }
}

/// Waits for instances that arrive after the final response, as from an Orthanc that moves
/// asynchronously.
#[test]
fn instances_after_the_final_response_count() {
    let arrivals = Arc::new(MemoryInstances::new());
    let (here, gate) = (
        Arc::clone(&arrivals),
        Arc::new((Mutex::new(0), Condvar::new())),
    );
    let late = Arc::clone(&gate);
    let deliver = move |_: &str, uid: &InstanceUid| {
        let (here, late, uid) = (Arc::clone(&here), Arc::clone(&late), uid.clone());
        std::thread::spawn(move || {
            let (count, changed) = &*late;
            let count = count.lock().expect("a count");
            let wait = changed.wait_timeout_while(count, LONG, |count| *count == 0);
            drop(wait);
            here.arrive(&uid, InstanceState::Stored);
        });
        true
    };
    let pacs = Pacs::delivering(ORTHANC, three(), Box::new(deliver));
    let mut requested = 0;
    let reports = pacs.scu().retrieve(
        &pacs.node,
        &by_move(),
        &[uid("1.2.1")],
        &*arrivals,
        &Cancel::new(),
        &mut |event| {
            requested += usize::from(matches!(event.step, RetrieveStep::Requested { .. }));
            // The final response has arrived: now the instances may arrive.
            if matches!(event.step, RetrieveStep::Counted(counts) if counts.completed.is_none()) {
                *gate.0.lock().expect("a count") = 1;
                gate.1.notify_all();
            }
        },
    );
    assert!(reports[0].is_complete(), "{:?}", reports[0]);
    assert_eq!(requested, 1);
}

#[test]
fn cancelled_retrieve_releases_the_association() {
    for (name, behavior) in BEHAVIORS {
        let obeys_cancel = behavior.cancels;
        let cancel = Cancel::new();
        let (wish, sent) = (cancel.clone(), AtomicUsize::new(0));
        let stored = move |_: &str, _: &InstanceUid| {
            if sent.fetch_add(1, Ordering::AcqRel) == 5 {
                wish.cancel();
            }
            Some(InstanceState::Stored)
        };
        let studies = vec![study(1, "A", &[("CT", 100)]), study(2, "A", &[("CT", 100)])];
        let (pacs, arrivals) = sending(behavior, studies, stored);
        let studies = [uid("1.2.1"), uid("1.2.2"), uid("1.2.1")];
        let request = by_move().with_concurrency(1);
        let reports = pacs.scu().retrieve(
            &pacs.node,
            &request,
            &studies,
            &*arrivals,
            &cancel,
            &mut |_| (),
        );
        assert_eq!(reports.len(), 3, "{name}");
        for report in &reports[1..] {
            let error = report.error.as_ref();
            assert!(
                matches!(error, Some(ServiceError::Cancelled)),
                "{name}: {error:?}"
            );
        }
        // A server that ignores C-CANCEL sends everything.
        assert_eq!(
            reports[0].is_complete(),
            !obeys_cancel,
            "{name}: {:?}",
            reports[0]
        );
        assert_eq!(
            pacs.store.cancelled.load(Ordering::Acquire),
            obeys_cancel,
            "{name}"
        );
    }
}

/// Receives instances and reports their arrival, as an engine does.
#[derive(Debug, Default)]
struct ReceivingEngine {
    arrivals: MemoryInstances,
    taken: AtomicUsize,
}

impl InstanceHandler for ReceivingEngine {
    fn handle(
        &self,
        instance: &Instance,
        body: &mut dyn BufRead,
    ) -> Result<HandlerResponse, BackendError> {
        let copied = std::io::copy(body, &mut std::io::sink());
        if copied.is_err() {
            return Ok(Outcome::BrokenOff.into());
        }
        self.taken.fetch_add(1, Ordering::AcqRel);
        self.arrivals
            .arrive(&instance.sop_instance, InstanceState::Stored);
        Ok(Outcome::Stored.into())
    }
}

#[test]
fn studies_are_retrieved_by_get() {
    for (name, behavior) in BEHAVIORS {
        let pacs = Pacs::start(behavior, vec![study(1, "A", &[("CT", 3), ("MR", 2)])]);
        let engine = Arc::new(ReceivingEngine::default());
        let request = RetrieveRequest::new(RetrieveMethod::Get {
            handler: Arc::clone(&engine) as Arc<dyn InstanceHandler>,
            sop_classes: vec![CT.parse().expect("a UID")],
            transfer_syntaxes: vec!["1.2.840.10008.1.2".parse().expect("a UID")],
        });
        let (reports, _) = retrieve(&pacs, &engine.arrivals, &request, &["1.2.1"]);
        assert_eq!(sums(&reports[0]), [5, 5, 0, 0, 0], "{name}");
        assert!(reports[0].is_complete(), "{name}: {:?}", reports[0]);
        assert_eq!(engine.taken.load(Ordering::Acquire), 5, "{name}");
    }
}

/// A C-GET of these classes, in this order.
fn by_get(engine: &Arc<ReceivingEngine>, classes: &[&str]) -> RetrieveRequest {
    let classes = classes.iter().map(|class| class.parse().expect("a UID"));
    RetrieveRequest::new(RetrieveMethod::Get {
        handler: Arc::clone(engine) as Arc<dyn InstanceHandler>,
        sop_classes: classes.collect(),
        transfer_syntaxes: vec!["1.2.840.10008.1.2".parse().expect("a UID")],
    })
}

/// An association proposes at most 128 contexts. A server that does not return the classes of
/// instances has to be offered all of them, on several associations.
#[test]
fn c_get_brings_the_classes_that_one_association_has_no_room_for() {
    for (name, behavior) in BEHAVIORS {
        let pacs = Pacs::start(behavior, vec![study(1, "A", &[("CT", 3), ("PT", 2)])]);
        let engine = Arc::new(ReceivingEngine::default());
        let others: Vec<String> = (0..300).map(|n| format!("1.2.840.77.{n}")).collect();
        let mut classes = vec![CT];
        classes.extend(others.iter().map(String::as_str));
        classes.push(PET);
        let request = by_get(&engine, &classes);
        let (reports, _) = retrieve(&pacs, &engine.arrivals, &request, &["1.2.1"]);
        assert!(reports[0].is_complete(), "{name}: {:?}", reports[0]);
        assert_eq!(sums(&reports[0]), [5, 5, 0, 0, 0], "{name}");
        assert_eq!(
            engine.taken.load(Ordering::Acquire),
            5,
            "{name}: nothing came twice"
        );
    }
}

#[derive(Debug)]
struct FullDisk;

impl InstanceHandler for FullDisk {
    fn handle(&self, _: &Instance, _: &mut dyn BufRead) -> Result<HandlerResponse, BackendError> {
        Ok(Outcome::OutOfResources.into())
    }
}

/// Checks that a study is retrieved at each level, with C-MOVE and with C-GET, from a server with
/// these information models for C-FIND, and for C-MOVE and C-GET. Returns its requests for a study of
/// one series.
#[track_caller]
fn check_roots(root: PacsRoot, transfers: PacsRoot) -> [Vec<String>; 2] {
    let behavior = PacsBehavior {
        root,
        transfers,
        ..DCMQRSCP
    };
    for level in [QueryLevel::Study, QueryLevel::Series, QueryLevel::Instance] {
        let stored = |_: &str, _: &InstanceUid| Some(InstanceState::Stored);
        let (pacs, arrivals) = sending(behavior.clone(), three(), stored);
        let request = by_move().with_level(level);
        let (reports, _) = retrieve(&pacs, &*arrivals, &request, &["1.2.1", "1.2.2"]);
        for report in &reports {
            let case = format!("{root:?} {transfers:?} {level:?}: {report:?}");
            assert_eq!(sums(report), [6, 6, 0, 0, 0], "{case}");
        }
        let two = vec![study(1, "A", &[("CT", 3), ("PT", 2)])];
        let pacs = Pacs::start(behavior.clone(), two);
        let engine = Arc::new(ReceivingEngine::default());
        let request = by_get(&engine, &[CT, PET]).with_level(level);
        let (reports, _) = retrieve(&pacs, &engine.arrivals, &request, &["1.2.1"]);
        let case = format!("{root:?} {transfers:?} {level:?}: {reports:?}");
        let sums: Vec<_> = reports.iter().map(sums).collect();
        assert_eq!(sums, [[5, 5, 0, 0, 0]], "{case}");
    }
    let one = || vec![study(1, "A", &[("CT", 1)])];
    let stored = |_: &str, _: &InstanceUid| Some(InstanceState::Stored);
    let (moving, arrivals) = sending(behavior.clone(), one(), stored);
    retrieve(&moving, &*arrivals, &by_move(), &["1.2.1"]);
    let engine = Arc::new(ReceivingEngine::default());
    let getting = Pacs::start(behavior, one());
    let request = by_get(&engine, &[CT]);
    retrieve(&getting, &engine.arrivals, &request, &["1.2.1"]);
    [moving.requested(), getting.requested()]
}

/// With the patient root, C-MOVE and C-GET name the patient too.
#[test]
fn studies_are_retrieved_with_the_patient_root_where_only_it_is_offered() {
    for root in [PacsRoot::Patient, PacsRoot::PatientHierarchical] {
        check_roots(root, root);
    }
}

/// Each association has the root that the server accepts for its operation (PS3.4 Annex C).
#[test]
fn studies_are_found_with_the_study_root_and_retrieved_with_the_patient_root() {
    let [by_move, by_get] = check_roots(PacsRoot::Study, PacsRoot::Patient);
    // The Patient ID is queried once the transfer needs it.
    for (requested, transfer) in [(by_move, "C-MOVE STUDY"), (by_get, "C-GET STUDY")] {
        let expected = ["C-FIND SERIES", "C-FIND IMAGE", "C-FIND STUDY", transfer];
        assert_eq!(requested, expected);
    }
}

#[test]
fn studies_are_found_with_the_patient_root_and_retrieved_with_the_study_root() {
    for root in [PacsRoot::Patient, PacsRoot::PatientHierarchical] {
        check_roots(root, PacsRoot::Study);
    }
}

/// Where the study root is accepted for all operations, no request is spent on the patient.
#[test]
fn patient_is_not_queried_where_no_request_names_it() {
    let [by_move, by_get] = check_roots(PacsRoot::Study, PacsRoot::Study);
    for (requested, transfer) in [(by_move, "C-MOVE STUDY"), (by_get, "C-GET STUDY")] {
        assert_eq!(requested, ["C-FIND SERIES", "C-FIND IMAGE", transfer]);
    }
}

/// A response without a valid UID cannot be requested. It is counted.
#[test]
fn responses_without_a_valid_uid_are_counted() {
    let arrivals = Arc::new(MemoryInstances::new());
    let here = Arc::clone(&arrivals);
    let (scu, node) = hostile_node(move |association| {
        loop {
            let Ok((context, ask, requested)) = request(association, Encoding::ImplicitLittle)
            else {
                return association.release(LONG);
            };
            let is_image = requested.text(tag::LEVEL).as_deref() == Some("IMAGE");
            if ask.operation == Operation::Move {
                here.arrive(&uid("1.2.1.0.0"), InstanceState::Stored);
            } else {
                for last in ["1.2.1.0.0", "", "1..2"] {
                    let mut response = requested.clone();
                    if !is_image {
                        response.set(tag::SERIES_UID, last.as_bytes());
                    }
                    response.set(tag::SOP_INSTANCE, last.as_bytes());
                    let bytes = response
                        .encode(Encoding::ImplicitLittle)
                        .expect("short values");
                    respond(association, context, &ask, Status::PENDING, Some(&bytes))?;
                }
            }
            respond(association, context, &ask, Status::SUCCESS, None)?;
        }
    });
    let (studies, cancel) = ([uid("1.2.1")], Cancel::new());
    let reports = scu.retrieve(
        &node,
        &by_move(),
        &studies,
        &*arrivals,
        &cancel,
        &mut |_| (),
    );
    assert!(reports[0].is_complete(), "{:?}", reports[0]);
    assert_eq!(reports[0].unusable, 4);
}

/// Nothing is on its way after the final response of a C-GET.
#[test]
fn c_get_ends_with_its_final_response_and_says_why_it_is_not_complete() {
    let pacs = Pacs::start(DCMQRSCP, vec![study(1, "A", &[("CT", 10), ("SR", 1)])]);
    let engine = Arc::new(ReceivingEngine::default());
    let began = Instant::now();
    let reports = pacs.scu().retrieve(
        &pacs.node,
        &by_get(&engine, &[CT]),
        &[uid("1.2.1")],
        &engine.arrivals,
        &Cancel::new(),
        &mut |_| (),
    );
    assert!(began.elapsed() < LONG, "{:?}", began.elapsed());
    assert_eq!(sums(&reports[0]), [11, 10, 0, 0, 1]);
    let error = reports[0].error.as_ref().expect("an error");
    let not_sent = matches!(error, ServiceError::NotSent { answered: None });
    assert!(not_sent, "{error:?}");
    assert_eq!(error.remedy(), Remedy::Skip);

    // The handler refuses.
    let request = RetrieveRequest::new(RetrieveMethod::Get {
        handler: Arc::new(FullDisk),
        sop_classes: vec![CT.parse().expect("a UID")],
        transfer_syntaxes: vec!["1.2.840.10008.1.2".parse().expect("a UID")],
    });
    let (reports, _) = retrieve(&pacs, &MemoryInstances::new(), &request, &["1.2.1"]);
    let answered = Some(Status::OUT_OF_RESOURCES);
    let error = reports[0].error.as_ref();
    assert!(
        matches!(error, Some(ServiceError::NotSent { answered: found }) if *found == answered),
        "{error:?}"
    );
    assert_eq!(error.map(ServiceError::remedy), Some(Remedy::Retry));
}

/// A server that refuses a study is asked at most three more times, and never instance by instance.
#[test]
fn refused_study_is_not_requested_instance_by_instance() {
    for code in [0xC000, 0xA701, 0xA702, 0x0120] {
        for series in [1, 5] {
            let status = Status::new(code);
            let behavior = PacsBehavior {
                refuses: Some((status, "  patient DOE^JANE is locked\n")),
                ..ORTHANC
            };
            let of = vec![("CT", 100 / series); series];
            let pacs = Pacs::start(behavior, vec![study(1, "A", &of)]);
            let arrivals = MemoryInstances::new();
            let (reports, _) = retrieve(&pacs, &arrivals, &by_move(), &["1.2.1"]);
            let case = format!("{status}, {series} series");
            let error = reports[0].error.as_ref();
            assert!(
                matches!(error, Some(ServiceError::Refused { status: found, .. }) if *found == status),
                "{case}: {error:?}"
            );
            let comment = reports[0].comment.as_ref().expect("a comment");
            assert_eq!(comment.expose(), "patient DOE^JANE is locked", "{case}");
            assert!(!format!("{:?}", reports[0]).contains("JANE"), "{case}");
            let requested = pacs.requested();
            let moves: Vec<_> = requested
                .iter()
                .filter(|line| line.starts_with("C-MOVE"))
                .collect();
            assert!((2..=4).contains(&moves.len()), "{case}: {moves:?}");
            assert_eq!(moves[..2], ["C-MOVE STUDY", "C-MOVE SERIES"], "{case}");
        }
    }
}

/// dcmqrscp and pynetdicom answer a C-MOVE of which no sub-operation succeeded with the warning B000.
#[test]
fn study_of_which_nothing_can_be_sent_is_not_requested_instance_by_instance() {
    for (name, behavior) in BEHAVIORS {
        let nothing = |_: &str, _: &InstanceUid| None;
        let (pacs, arrivals) = sending(behavior, vec![study(1, "A", &[("CT", 60)])], nothing);
        let (reports, _) = retrieve(&pacs, &*arrivals, &by_move(), &["1.2.1"]);
        assert_eq!(sums(&reports[0]), [60, 0, 0, 0, 60], "{name}");
        let requested = pacs.requested();
        let single = requested.iter().filter(|line| *line == "C-MOVE IMAGE");
        // One for all of them, then four single ones.
        assert_eq!(single.count(), 5, "{name}: {requested:?}");
    }
}

/// Some servers end a C-MOVE at the first instance that they cannot send. The others still come.
#[test]
fn refusals_of_some_instances_do_not_stop_the_others() {
    let takes = |level: &str, uid: &InstanceUid| {
        let is_bad = matches!(uid.expose(), "1.2.1.0.0" | "1.2.1.0.1" | "1.2.1.0.2");
        (level == "IMAGE" && !is_bad).then_some(InstanceState::Stored)
    };
    let (pacs, arrivals) = sending(DCMQRSCP, vec![study(1, "A", &[("CT", 20)])], takes);
    let (reports, _) = retrieve(&pacs, &*arrivals, &by_move(), &["1.2.1"]);
    assert_eq!(sums(&reports[0]), [20, 17, 0, 0, 3]);
}

/// A server that accepts a C-MOVE and is silent afterwards.
#[test]
fn cancelling_ends_a_move_to_a_silent_server_in_a_second() {
    let (cancel, cancelled) = (Cancel::new(), Arc::new(Mutex::new(Instant::now())));
    let (wish, since) = (cancel.clone(), Arc::clone(&cancelled));
    let (scu, node) = hostile_node(move |association| {
        let Ok((context, ask, requested)) = request(association, Encoding::ImplicitLittle) else {
            return association.release(LONG);
        };
        if ask.destination.is_none() {
            return answer_study(association, context, &ask, &requested);
        }
        *since.lock().expect("a time") = Instant::now();
        wish.cancel();
        loop {
            association.receive(Duration::from_mins(10))?;
        }
    });
    let scu = scu.with_timeouts(Timeouts::all(Duration::from_hours(1)));
    let (arrivals, studies) = (MemoryInstances::new(), [uid("1.2")]);
    let reports = scu.retrieve(&node, &by_move(), &studies, &arrivals, &cancel, &mut |_| ());
    let took = cancelled.lock().expect("a time").elapsed();
    assert!(took < LONG, "{took:?}");
    let error = reports[0].error.as_ref();
    assert!(matches!(error, Some(ServiceError::Cancelled)), "{error:?}");
}

#[derive(Debug)]
struct FailingArrivals;

impl fmt::Display for FailingArrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the index is unavailable")
    }
}

impl LocalInstances for FailingArrivals {
    fn states(
        &self,
        _: &InstanceUid,
        _: &[InstanceUid],
    ) -> Result<Vec<InstanceState>, BackendError> {
        Err(BackendError::new(Remedy::Stop, self.to_string()))
    }

    fn changes(&self) -> u64 {
        0
    }

    fn wait(&self, _: u64, _: Duration) {}
}

#[test]
fn failing_store_ends_the_retrieve() {
    let pacs = Pacs::start(ORTHANC, three());
    let (reports, lines) = retrieve(&pacs, &FailingArrivals, &by_move(), &["1.2.1"]);
    let error = reports[0].error.as_ref().expect("an error");
    assert_eq!(error.remedy(), Remedy::Stop, "{error:?}");
    assert_eq!(lines, ["expected 6 but 0", "done"]);
}

#[test]
fn unreachable_node_is_reported() {
    let pacs = Pacs::start(ORTHANC, three());
    let node: Node = "PACS@there:104".parse().expect("a node");
    let arrivals = MemoryInstances::new();
    let reports = pacs.scu().retrieve(
        &node,
        &by_move(),
        &[uid("1.2.1")],
        &arrivals,
        &Cancel::new(),
        &mut |_| (),
    );
    let error = reports[0].error.as_ref().expect("an error");
    assert!(matches!(error, ServiceError::Association(_)), "{error:?}");
    assert_eq!(sums(&reports[0]), [0; 5]);
}

/// If a study is partly present only the rest is requested: whole series if none of their instances
/// is present.
#[test]
fn present_instances_are_not_requested() {
    for (name, behavior) in BEHAVIORS {
        for (level, requested) in [
            (QueryLevel::Study, ["C-MOVE IMAGE", "C-MOVE SERIES"]),
            (QueryLevel::Series, ["C-MOVE IMAGE", "C-MOVE SERIES"]),
            (QueryLevel::Instance, ["C-MOVE IMAGE", "C-MOVE IMAGE"]),
        ] {
            let sent = Arc::new(Mutex::new(Vec::new()));
            let recorded = Arc::clone(&sent);
            let takes = move |_: &str, uid: &InstanceUid| {
                let mut sent = recorded.lock().expect("a list");
                sent.push(uid.expose().to_owned());
                Some(InstanceState::Stored)
            };
            let (pacs, arrivals) = sending(behavior.clone(), three(), takes);
            // Two of the three instances of the first series, one of them quarantined, and all of
            // the second series.
            for (uid_text, arrival) in [
                ("1.2.1.0.0", InstanceState::Stored),
                ("1.2.1.0.1", InstanceState::Quarantined),
                ("1.2.1.1.0", InstanceState::Stored),
            ] {
                arrivals.arrive(&uid(uid_text), arrival);
            }
            let request = by_move().with_level(level);
            let (reports, _) = retrieve(&pacs, &*arrivals, &request, &["1.2.1"]);
            assert_eq!(sums(&reports[0]), [6, 5, 1, 0, 0], "{name} {level:?}");
            let moves = pacs.requested().into_iter();
            let moves: Vec<_> = moves.filter(|line| line.starts_with("C-MOVE")).collect();
            assert_eq!(moves, requested, "{name} {level:?}");
            let sent = sent.lock().expect("a list").clone();
            assert_eq!(
                sent,
                ["1.2.1.0.2", "1.2.1.2.0", "1.2.1.2.1"],
                "{name} {level:?}"
            );
        }
    }
}

#[test]
fn excluded_classes_are_counted() {
    let stored = |_: &str, _: &InstanceUid| Some(InstanceState::Stored);
    let (pacs, arrivals) = sending(ORTHANC, three(), stored);
    let class: Uid = CT.parse().expect("a UID");
    let request = by_move().with_filter(InstanceFilter::all().with_sop_classes([class]));
    let (reports, _) = retrieve(&pacs, &*arrivals, &request, &["1.2.1"]);
    let report = &reports[0];
    let classes: Vec<_> = report
        .excluded_classes
        .iter()
        .map(|(class, count)| (class.as_str(), *count))
        .collect();
    assert_eq!((report.excluded, classes), (1, vec![(SR, 1)]));
}
