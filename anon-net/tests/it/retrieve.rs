//! Studies brought here by servers of many manners.

use std::collections::BTreeSet;
use std::fmt;
use std::io::BufRead;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use anon_net::identifier::{Encoding, Identifier, tag};
use anon_net::scp::{Instance, InstanceHandler, Outcome};
use anon_net::service::{
    Cancel, InstanceFilter, InstanceState, LocalInstances, QueryLevel, RetrieveEvent,
    RetrieveMethod, RetrieveRequest, RetrieveStep, ServiceError, StudyReport, Timeouts,
};
use anon_net::testing::MemoryInstances;
use anon_net::{BackendError, InstanceUid, Node, Operation, Remedy, Status, Uid};

use crate::pacs::{
    CT, DCMQRSCP, LONG, Manners, ORTHANC, PYNETDICOM, Pacs, SR, Study, request, respond, rogue,
    study,
};

const MANNERS: [(&str, Manners); 3] = [
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

/// What stands behind the destination of a C-MOVE: takes what `takes` says.
fn sending(
    manners: Manners,
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
    let pacs = Pacs::delivering(manners, studies, Box::new(deliver));
    (pacs, arrivals)
}

fn bring(
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
        RetrieveStep::Requested { level } => format!("asked {level:?}"),
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
fn studies_arrive_at_each_level() {
    for (name, manners) in MANNERS {
        for (level, asked) in [
            (QueryLevel::Study, "C-MOVE STUDY"),
            (QueryLevel::Series, "C-MOVE SERIES"),
            (QueryLevel::Instance, "C-MOVE IMAGE"),
        ] {
            let stored = |_: &str, _: &InstanceUid| Some(InstanceState::Stored);
            let (pacs, arrivals) = sending(manners.clone(), three(), stored);
            let request = by_move().with_level(level).with_concurrency(3);
            let studies = ["1.2.1", "1.2.2", "1.2.3"];
            let (reports, lines) = bring(&pacs, &*arrivals, &request, &studies);
            for (report, study) in reports.iter().zip(studies) {
                assert_eq!(report.study.expose(), study, "{name}");
                assert_eq!(sums(report), [6, 6, 0, 0, 0], "{name} {level:?}");
                assert!(report.is_complete(), "{name} {level:?}: {report:?}");
            }
            assert_eq!(reports.len(), 3);
            let moves: BTreeSet<_> = pacs.asked().into_iter().collect();
            let moves = moves.iter().filter(|line| line.starts_with("C-MOVE"));
            assert_eq!(moves.collect::<Vec<_>>(), [asked], "{name}");
            assert_eq!(lines.iter().filter(|line| *line == "done").count(), 3);
            assert!(lines.contains(&"expected 6 but 0".to_owned()), "{lines:?}");
            // Again: all is here, and nothing is asked for.
            let before = pacs.asked().len();
            let (reports, _) = bring(&pacs, &*arrivals, &request, &studies[..1]);
            assert!(reports[0].is_complete());
            let again: Vec<_> = pacs.asked().split_off(before);
            assert!(
                again.iter().all(|line| line.starts_with("C-FIND")),
                "{again:?}"
            );
        }
    }
}

/// What a study level move leaves out comes at series level, or one by one.
#[test]
fn what_is_missing_is_asked_for_again() {
    for (name, manners) in MANNERS {
        let at_series = |level: &str, uid: &InstanceUid| {
            let is_lost = level == "STUDY" && uid.expose().ends_with('0');
            (!is_lost).then_some(InstanceState::Stored)
        };
        let (pacs, arrivals) = sending(manners.clone(), three(), at_series);
        let (reports, lines) = bring(&pacs, &*arrivals, &by_move(), &["1.2.2"]);
        assert_eq!(sums(&reports[0]), [6, 6, 0, 0, 0], "{name}");
        assert!(reports[0].is_complete(), "{name}");
        assert!(
            !lines.contains(&"asked Instance".to_owned()),
            "{name}: {lines:?}"
        );

        let at_image =
            |level: &str, _: &InstanceUid| (level == "IMAGE").then_some(InstanceState::Stored);
        let (pacs, arrivals) = sending(manners, three(), at_image);
        let (reports, lines) = bring(&pacs, &*arrivals, &by_move(), &["1.2.2"]);
        assert!(reports[0].is_complete(), "{name}");
        let asked: Vec<_> = lines
            .iter()
            .filter(|line| line.starts_with("asked"))
            .collect();
        assert_eq!(
            asked,
            ["asked Study", "asked Series", "asked Instance"],
            "{name}"
        );
    }
}

/// A server that says success and sends nothing, or not all, is found out.
#[test]
fn counters_are_not_believed() {
    let arrivals = Arc::new(MemoryInstances::new());
    let here = Arc::clone(&arrivals);
    let deliver = move |_: &str, uid: &InstanceUid| {
        if !uid.expose().ends_with('2') {
            here.arrive(uid, InstanceState::Stored);
        }
        true
    };
    let pacs = Pacs::delivering(ORTHANC, three(), Box::new(deliver));
    let (reports, lines) = bring(&pacs, &*arrivals, &by_move(), &["1.2.3"]);
    assert_eq!(sums(&reports[0]), [6, 5, 0, 0, 1]);
    assert_eq!(reports[0].missing, [uid("1.2.3.0.2")]);
    assert_eq!(reports[0].failed, 0, "the peer says that it sent it");
    let error = reports[0].error.as_ref().expect("an error");
    assert!(matches!(error, ServiceError::Stalled { .. }), "{error:?}");
    assert_eq!(error.remedy(), Remedy::Retry);
    assert_eq!(
        lines.iter().filter(|line| *line == "missing 1").count(),
        1,
        "{lines:?}"
    );
}

/// Quarantined and excluded instances are here, and are not asked for again.
#[test]
fn what_is_set_aside_counts() {
    let takes = |_: &str, uid: &InstanceUid| {
        Some(match uid.expose() {
            "1.2.1.0.0" => InstanceState::Quarantined,
            "1.2.1.0.1" => InstanceState::Excluded,
            _ => InstanceState::Stored,
        })
    };
    let (pacs, arrivals) = sending(DCMQRSCP, three(), takes);
    let request = by_move().with_filter(InstanceFilter::all().with_modalities(["CT", "MR"]));
    let (reports, lines) = bring(&pacs, &*arrivals, &request, &["1.2.1"]);
    assert_eq!(sums(&reports[0]), [6, 3, 1, 2, 0]);
    assert!(reports[0].is_complete(), "{:?}", reports[0]);
    assert_eq!(lines[0], "expected 6 but 1");

    // Nothing of it is wanted: nothing is asked for.
    let request = by_move().with_filter(InstanceFilter::all().with_modalities(["US"]));
    let (reports, _) = bring(&pacs, &*arrivals, &request, &["1.2.2"]);
    assert_eq!(sums(&reports[0]), [6, 0, 0, 6, 0]);
    assert!(reports[0].is_complete());
    assert_eq!(
        pacs.asked()
            .iter()
            .filter(|line| line.starts_with("C-MOVE"))
            .count(),
        1
    );
}

#[test]
fn what_cannot_be_sent_is_named() {
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
        "what is said not to come is not waited for"
    );
    assert_eq!(sums(&reports[0]), [6, 5, 0, 0, 1]);
    assert_eq!(reports[0].failed, 1);
    assert!(!reports[0].is_complete());
    assert!(!format!("{:?}", reports[0]).contains("1.2.1"));
}

/// 9.5, 4 and 5, of V17's tests: a study that is not there, and one whose series has no instance. Nothing
/// is asked to be sent of either, at whatever level.
#[test]
fn a_study_without_instances_has_nothing_to_send() {
    for (name, manners) in MANNERS {
        for level in [QueryLevel::Study, QueryLevel::Series, QueryLevel::Instance] {
            let stored = |_: &str, _: &InstanceUid| Some(InstanceState::Stored);
            let empty = vec![study(1, "A", &[("CT", 0)])];
            let (pacs, arrivals) = sending(manners.clone(), empty, stored);
            let request = by_move().with_level(level);
            for study in ["1.2.9", "1.2.1"] {
                let (reports, _) = bring(&pacs, &*arrivals, &request, &[study]);
                let error = reports[0].error.as_ref();
                assert!(
                    matches!(error, Some(ServiceError::NotFound)),
                    "{name} {level:?} {study}: {error:?}"
                );
                assert_eq!(sums(&reports[0]), [0; 5], "{name} {level:?} {study}");
            }
            let asked = pacs.asked();
            let moves = asked.iter().filter(|line| line.starts_with("C-MOVE"));
            assert_eq!(moves.count(), 0, "{name} {level:?}: {asked:?}");
        }
    }
}

/// 9.5, 6: the server says that a series has no instance, and has one. V17 gives up; what counts is what
/// can be named.
#[test]
fn a_count_that_is_wrong_holds_nothing_back() {
    for level in [QueryLevel::Study, QueryLevel::Series, QueryLevel::Instance] {
        let arrivals = Arc::new(MemoryInstances::new());
        let here = Arc::clone(&arrivals);
        let (scu, node) = rogue(move |association| {
            loop {
                let Ok((context, ask, asked)) = request(association, Encoding::ImplicitLittle)
                else {
                    return association.release(LONG);
                };
                if ask.operation == Operation::Move {
                    here.arrive(&uid("1.2.1.0.0"), InstanceState::Stored);
                } else {
                    let mut answer = Identifier::new();
                    answer.set(tag::STUDY_UID, b"1.2.1");
                    answer.set(tag::SERIES_UID, b"1.2.1.0");
                    answer.set(tag::INSTANCES_IN_SERIES, b"0");
                    if asked.text(tag::LEVEL).as_deref() == Some("IMAGE") {
                        answer.set(tag::SOP_INSTANCE, b"1.2.1.0.0");
                    }
                    let bytes = answer
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
fn a_study_that_fails_is_not_the_end_of_others() {
    for (name, manners) in MANNERS {
        let stored = |_: &str, _: &InstanceUid| Some(InstanceState::Stored);
        let (pacs, arrivals) = sending(manners.clone(), three(), stored);
        let request = by_move().with_concurrency(0);
        let (reports, _) = bring(&pacs, &*arrivals, &request, &["1.2.9", "1.2.1"]);
        let first = reports[0].error.as_ref();
        assert!(
            matches!(first, Some(ServiceError::NotFound)),
            "{name}: {first:?}"
        );
        assert!(reports[1].is_complete(), "{name}");
        let (none, _) = bring(&pacs, &*arrivals, &request, &[]);
        assert!(none.is_empty());

        let destination = "NOBODY".parse().expect("a title");
        let request = RetrieveRequest::new(RetrieveMethod::Move { destination });
        let (reports, lines) = bring(&pacs, &*arrivals, &request, &["1.2.2"]);
        let error = reports[0].error.as_ref().expect("an error");
        let status = manners.unknown_destination;
        assert!(
            matches!(error, ServiceError::Refused { status: said, .. } if *said == status),
            "{name}: {error:?}"
        );
        assert_eq!(sums(&reports[0]), [6, 0, 0, 0, 6], "{name}");
        // A801 is the same at every level; C000 can be anything.
        let asked = lines
            .iter()
            .filter(|line| line.starts_with("asked"))
            .count();
        assert_eq!(
            asked == 1,
            status == Status::new(0xA801),
            "{name}: {lines:?}"
        );
    }
}

/// A server that goes on answering and sends nothing gets no more time by that.
#[test]
fn a_move_that_stalls_is_given_up() {
    let (scu, node) = rogue(|association| {
        let Ok((context, ask, asked)) = request(association, Encoding::ImplicitLittle) else {
            return association.release(LONG);
        };
        if ask.destination.is_none() {
            return answer_study(association, context, &ask, &asked);
        }
        // Pending for ever: the client aborts.
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
    asked: &anon_net::identifier::Identifier,
) -> Result<(), anon_net::Error> {
    let (mut ask, mut asked) = (ask.clone(), asked.clone());
    loop {
        asked.set(tag::SERIES_UID, b"1.2.0");
        asked.set(tag::SOP_INSTANCE, b"1.2.0.1");
        let bytes = asked
            .encode(Encoding::ImplicitLittle)
            .expect("short values");
        respond(association, context, &ask, Status::PENDING, Some(&bytes))?;
        respond(association, context, &ask, Status::SUCCESS, None)?;
        match request(association, Encoding::ImplicitLittle) {
            Ok(next) => (context, ask, asked) = next,
            Err(_) => return association.release(LONG),
        }
    }
}

/// Instances that come after the server's last word are waited for, as from an Orthanc that moves
/// asynchronously.
#[test]
fn late_arrivals_are_waited_for() {
    let arrivals = Arc::new(MemoryInstances::new());
    let (here, gate) = (
        Arc::clone(&arrivals),
        Arc::new((Mutex::new(0), Condvar::new())),
    );
    let late = Arc::clone(&gate);
    let deliver = move |_: &str, uid: &InstanceUid| {
        let (here, late, uid) = (Arc::clone(&here), Arc::clone(&late), uid.clone());
        std::thread::spawn(move || {
            let (told, changed) = &*late;
            let told = told.lock().expect("a count");
            let wait = changed.wait_timeout_while(told, LONG, |told| *told == 0);
            drop(wait);
            here.arrive(&uid, InstanceState::Stored);
        });
        true
    };
    let pacs = Pacs::delivering(ORTHANC, three(), Box::new(deliver));
    let mut asked = 0;
    let reports = pacs.scu().retrieve(
        &pacs.node,
        &by_move(),
        &[uid("1.2.1")],
        &*arrivals,
        &Cancel::new(),
        &mut |event| {
            asked += usize::from(matches!(event.step, RetrieveStep::Requested { .. }));
            // The sixth count and the last word have come: now they may arrive.
            if matches!(event.step, RetrieveStep::Counted(counts) if counts.completed.is_none()) {
                *gate.0.lock().expect("a count") = 1;
                gate.1.notify_all();
            }
        },
    );
    assert!(reports[0].is_complete(), "{:?}", reports[0]);
    assert_eq!(asked, 1);
}

#[test]
fn a_retrieve_that_is_cancelled_ends_in_order() {
    for (name, manners) in MANNERS {
        let heeds = manners.cancels;
        let cancel = Cancel::new();
        let (wish, sent) = (cancel.clone(), AtomicUsize::new(0));
        let stored = move |_: &str, _: &InstanceUid| {
            if sent.fetch_add(1, Ordering::AcqRel) == 5 {
                wish.cancel();
            }
            Some(InstanceState::Stored)
        };
        let studies = vec![study(1, "A", &[("CT", 100)]), study(2, "A", &[("CT", 100)])];
        let (pacs, arrivals) = sending(manners, studies, stored);
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
        // One that does not heed it sends all the same.
        assert_eq!(reports[0].is_complete(), !heeds, "{name}: {:?}", reports[0]);
        assert_eq!(
            pacs.store.cancelled.load(Ordering::Acquire),
            heeds,
            "{name}"
        );
    }
}

/// Takes instances and tells of their arrival, as an engine does.
#[derive(Debug, Default)]
struct Engine {
    arrivals: MemoryInstances,
    taken: AtomicUsize,
}

impl InstanceHandler for Engine {
    fn handle(&self, instance: &Instance, body: &mut dyn BufRead) -> Result<Outcome, BackendError> {
        let copied = std::io::copy(body, &mut std::io::sink());
        if copied.is_err() {
            return Ok(Outcome::BrokenOff);
        }
        self.taken.fetch_add(1, Ordering::AcqRel);
        self.arrivals
            .arrive(&instance.sop_instance, InstanceState::Stored);
        Ok(Outcome::Stored)
    }
}

#[test]
fn studies_arrive_by_get() {
    for (name, manners) in MANNERS {
        let pacs = Pacs::start(manners, vec![study(1, "A", &[("CT", 3), ("MR", 2)])]);
        let engine = Arc::new(Engine::default());
        let request = RetrieveRequest::new(RetrieveMethod::Get {
            handler: Arc::clone(&engine) as Arc<dyn InstanceHandler>,
            sop_classes: vec![CT.parse().expect("a UID")],
            transfer_syntaxes: vec!["1.2.840.10008.1.2".parse().expect("a UID")],
        });
        let (reports, _) = bring(&pacs, &engine.arrivals, &request, &["1.2.1"]);
        assert_eq!(sums(&reports[0]), [5, 5, 0, 0, 0], "{name}");
        assert!(reports[0].is_complete(), "{name}: {:?}", reports[0]);
        assert_eq!(engine.taken.load(Ordering::Acquire), 5, "{name}");
    }
}

#[derive(Debug)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the index is gone")
    }
}

impl LocalInstances for Broken {
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
fn a_store_that_fails_ends_it() {
    let pacs = Pacs::start(ORTHANC, three());
    let (reports, lines) = bring(&pacs, &Broken, &by_move(), &["1.2.1"]);
    let error = reports[0].error.as_ref().expect("an error");
    assert_eq!(error.remedy(), Remedy::Stop, "{error:?}");
    assert_eq!(lines, ["expected 6 but 0", "done"]);
}

#[test]
fn a_node_that_is_not_there_is_said() {
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

/// Of a study that is partly here only the rest is asked for: whole series where nothing is here.
#[test]
fn what_is_here_before_is_not_asked_for() {
    for (name, manners) in MANNERS {
        for (level, asked) in [
            (QueryLevel::Study, ["C-MOVE IMAGE", "C-MOVE SERIES"]),
            (QueryLevel::Series, ["C-MOVE IMAGE", "C-MOVE SERIES"]),
            (QueryLevel::Instance, ["C-MOVE IMAGE", "C-MOVE IMAGE"]),
        ] {
            let came = Arc::new(Mutex::new(Vec::new()));
            let heard = Arc::clone(&came);
            let takes = move |_: &str, uid: &InstanceUid| {
                let mut came = heard.lock().expect("a list");
                came.push(uid.expose().to_owned());
                Some(InstanceState::Stored)
            };
            let (pacs, arrivals) = sending(manners.clone(), three(), takes);
            // Two of the three of the first series, one of them set aside, and all of the second.
            for (uid_text, arrival) in [
                ("1.2.1.0.0", InstanceState::Stored),
                ("1.2.1.0.1", InstanceState::Quarantined),
                ("1.2.1.1.0", InstanceState::Stored),
            ] {
                arrivals.arrive(&uid(uid_text), arrival);
            }
            let request = by_move().with_level(level);
            let (reports, _) = bring(&pacs, &*arrivals, &request, &["1.2.1"]);
            assert_eq!(sums(&reports[0]), [6, 5, 1, 0, 0], "{name} {level:?}");
            let moves = pacs.asked().into_iter();
            let moves: Vec<_> = moves.filter(|line| line.starts_with("C-MOVE")).collect();
            assert_eq!(moves, asked, "{name} {level:?}");
            let came = came.lock().expect("a list").clone();
            assert_eq!(
                came,
                ["1.2.1.0.2", "1.2.1.2.0", "1.2.1.2.1"],
                "{name} {level:?}"
            );
        }
    }
}

#[test]
fn classes_that_are_excluded_are_counted() {
    let stored = |_: &str, _: &InstanceUid| Some(InstanceState::Stored);
    let (pacs, arrivals) = sending(ORTHANC, three(), stored);
    let class: Uid = CT.parse().expect("a UID");
    let request = by_move().with_filter(InstanceFilter::all().with_sop_classes([class]));
    let (reports, _) = bring(&pacs, &*arrivals, &request, &["1.2.1"]);
    let report = &reports[0];
    let classes: Vec<_> = report
        .excluded_classes
        .iter()
        .map(|(class, count)| (class.as_str(), *count))
        .collect();
    assert_eq!((report.excluded, classes), (1, vec![(SR, 1)]));
}
