//! Nothing that can name a person is in an event, an error or what `Debug` prints.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anon_net::service::find::accession::Accessions;
use anon_net::service::{
    Cancel, Detail, HierarchyRequest, MoveRequest, Query, RetrieveRequest, Target, Timeouts, Via,
};
use anon_net::testing::{Exchange, MemoryArrivals, MemoryHandler};
use anon_net::{AeTitle, Dial, InstanceHandler, InstanceUid, Kind, Node, Pdv, Place, Uid};
use tracing_subscriber::fmt::MakeWriter;

use crate::exchange::{proposal, supported};
use crate::handler::instance;
use crate::pacs::{ORTHANC, Pacs, study};

const CANARY: &str = "CANARY^JANE";
const NUMBER: &str = "1.2.777888999";
const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("the log").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Log {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// What queries and retrieves say: their keys and answers name persons.
fn query(said: &mut Vec<String>) {
    let mut study = study(777_888_999, CANARY, &[("CT", 2)]);
    study.name = CANARY;
    let uid: InstanceUid = study.uid.parse().expect("a UID");
    let pacs = Pacs::start(ORTHANC, vec![study]);
    let scu = pacs.scu();
    let cancel = Cancel::new();
    let query = Query::new()
        .with_patient_name(CANARY)
        .and_then(|query| query.with_patient_id(CANARY))
        .and_then(|query| query.with_accession(CANARY))
        .expect("keys")
        .with_study(uid.clone());
    let found = scu.find(&pacs.node, &query, &cancel, &mut |study| {
        said.push(format!("{study:?}"));
    });
    said.push(format!(
        "{query:?} {found:?} {:?}",
        Query::new().with_modality(CANARY)
    ));
    let numbers = Accessions::new([CANARY]).expect("numbers");
    let report = scu.find_accessions(&pacs.node, numbers, &cancel, &mut |event| {
        said.push(format!("{event:?}"));
    });
    said.push(format!("{report:?}"));
    let request = HierarchyRequest::new(uid.clone(), Detail::Instances);
    let hierarchy = scu.hierarchy(&pacs.node, &request, &cancel);
    said.push(format!("{request:?} {hierarchy:?}"));
    let target = Target::Study { study: uid.clone() };
    let request = MoveRequest::new(target, "US".parse().expect("a title"));
    let moved = scu.move_to(&pacs.node, &request, &cancel, &mut drop);
    said.push(format!("{request:?} {moved:?}"));
    let request = RetrieveRequest::new(Via::Move {
        destination: request.destination,
    });
    let arrivals = MemoryArrivals::new();
    let scu = scu.with_timeouts(Timeouts::all(Duration::from_millis(100)));
    let reports = scu.retrieve(
        &pacs.node,
        &request,
        &[uid],
        &arrivals,
        &cancel,
        &mut |event| {
            said.push(format!("{event:?}"));
        },
    );
    said.push(format!("{request:?} {reports:?} {arrivals:?}"));
    for report in &reports {
        said.extend(report.error.as_ref().map(ToString::to_string));
    }
}

fn converse(said: &mut Vec<String>) {
    query(said);
    let exchange = Exchange::new();
    let node: Node = "ACCEPTOR@here:104".parse().expect("a node");
    let listener = exchange.listen(&node, supported(), 64).expect("a listener");
    let mut ours = exchange
        .dial(&node, &proposal(), SECOND)
        .expect("an association");
    let mut theirs = listener.accept(SECOND).expect("an association");
    let context = ours.contexts().iter().next().expect("a context").id;
    let long = CANARY.repeat(10);
    for bytes in [CANARY, &long] {
        let pdv = Pdv {
            context,
            kind: Kind::Data,
            place: Place::Last,
            bytes: bytes.as_bytes(),
        };
        said.push(format!("{pdv:?} {:?}", ours.send(&[pdv], SECOND)));
    }
    said.push(format!("{:?}", theirs.receive(SECOND)));
    ours.abort();
    said.push(format!("{:?}", theirs.receive(SECOND)));
    said.push(format!("{ours:?} {theirs:?} {exchange:?}"));

    let handler = MemoryHandler::new(1 << 20);
    let instance = instance(NUMBER);
    for _ in 0..2 {
        let outcome = handler.handle(&instance, &mut CANARY.as_bytes());
        said.push(format!("{outcome:?} {handler:?} {instance:?}"));
    }
    said.push(format!(
        "{:?} {:?}",
        AeTitle::new("CANARY^JANE\\"),
        Uid::new(CANARY)
    ));
    said.push(format!(
        "{:?} {:?}",
        InstanceUid::new(CANARY),
        CANARY.parse::<Node>()
    ));
}

#[test]
fn canaries_do_not_leave() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let mut said = Vec::new();
    tracing::subscriber::with_default(subscriber, || converse(&mut said));
    let said = said.join("\n");
    let log = String::from_utf8_lossy(&log.0.lock().expect("the log")).into_owned();
    assert!(
        log.contains("send") && log.contains("kept"),
        "events are taken: {log}"
    );
    assert!(said.contains("Limit"), "errors are taken: {said}");
    assert!(said.contains("StudyMatch"), "answers are taken: {said}");
    for text in [&log, &said] {
        for canary in ["CANARY", "JANE", "777888999", "67, 65, 78"] {
            assert!(!text.contains(canary), "{canary} in {text}");
        }
    }
}
