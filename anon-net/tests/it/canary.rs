//! Events, errors and `Debug` output contain nothing that identifies a person.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anon_net::dimse::{self, Command, Request};
use anon_net::error::{RejectReason, RejectResult};
use anon_net::identifier::{Encoding, Identifier, tag::Tag};
use anon_net::scp::{ScpEvent, ScpObserver, Service};
use anon_net::service::find::accession::Accessions;
use anon_net::service::{
    Cancel, Detail, HierarchyRequest, MoveRequest, Query, RetrieveMethod, RetrieveRequest, Scu,
    SendItem, SendOutcome, ServiceError, Timeouts, TransferTarget,
};
use anon_net::testing::memory::{MemoryPeer, pair};
use anon_net::testing::{
    MemoryHandler, MemoryInstances, MemoryNetwork, Reply, Script, ScriptedPeer,
};
use anon_net::{
    AeTitle, Association, Contexts, Dial, InstanceHandler, InstanceUid, NegotiatedContexts, Node,
    Operation, Pdv, PdvKind, PdvPosition, Status, Uid,
};
use tempfile::TempDir;
use tracing_subscriber::fmt::MakeWriter;

use crate::handler::instance;
use crate::memory_network::{proposal, supported, uid};
use crate::pacs::{ORTHANC, Pacs, study};
use crate::scp::support::{CT, ends};

const CANARY: &str = "CANARY^JANE";
const NUMBER: &str = "1.2.777888999";
/// A UID of no registry, as a damaged object has instead of its SOP class.
const UNLISTED: &str = "1.2.840.777888999.4.1";
const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Default)]
struct CapturedLog(Arc<Mutex<Vec<u8>>>);

impl Write for CapturedLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("the log").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for CapturedLog {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// Collects the output of queries and retrieves whose keys and responses identify persons.
fn query(output: &mut Vec<String>) {
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
        output.push(format!("{study:?}"));
    });
    output.push(format!(
        "{query:?} {found:?} {:?}",
        Query::new().with_modality(CANARY)
    ));
    let numbers = Accessions::new([CANARY]).expect("numbers");
    let report = scu.find_accessions(&pacs.node, numbers, &cancel, &mut |event| {
        output.push(format!("{event:?}"));
    });
    output.push(format!("{report:?}"));
    let request = HierarchyRequest::new(uid.clone(), Detail::Instances);
    let hierarchy = scu.hierarchy(&pacs.node, &request, &cancel);
    output.push(format!("{request:?} {hierarchy:?}"));
    let target = TransferTarget::Study { study: uid.clone() };
    let request = MoveRequest::new(target, "US".parse().expect("a title"));
    let moved = scu.move_to(&pacs.node, &request, &cancel, &mut drop);
    output.push(format!("{request:?} {moved:?}"));
    let request = RetrieveRequest::new(RetrieveMethod::Move {
        destination: request.destination,
    });
    let arrivals = MemoryInstances::new();
    let scu = scu.with_timeouts(Timeouts::all(Duration::from_millis(100)));
    let reports = scu.retrieve(
        &pacs.node,
        &request,
        &[uid],
        &arrivals,
        &cancel,
        &mut |event| {
            output.push(format!("{event:?}"));
        },
    );
    output.push(format!("{request:?} {reports:?} {arrivals:?}"));
    for report in &reports {
        output.extend(report.error.as_ref().map(ToString::to_string));
    }
}

fn converse(output: &mut Vec<String>) {
    let network = MemoryNetwork::new();
    let node: Node = "ACCEPTOR@here:104".parse().expect("a node");
    let listener = network.listen(&node, supported(), 64).expect("a listener");
    let mut ours = network
        .dial(&node, &proposal(), SECOND)
        .expect("an association");
    let mut theirs = listener.accept(SECOND).expect("an association");
    let context = ours.contexts().iter().next().expect("a context").id;
    let long = CANARY.repeat(10);
    for bytes in [CANARY, &long] {
        let pdv = Pdv {
            context,
            kind: PdvKind::Data,
            position: PdvPosition::Last,
            bytes: bytes.as_bytes(),
        };
        output.push(format!("{pdv:?} {:?}", ours.send(&[pdv], SECOND)));
    }
    output.push(format!("{:?}", theirs.receive(SECOND)));
    ours.abort();
    output.push(format!("{:?}", theirs.receive(SECOND)));
    output.push(format!("{ours:?} {theirs:?} {network:?}"));

    let handler = MemoryHandler::new(1 << 20);
    let instance = instance(NUMBER);
    for _ in 0..2 {
        let response = handler.handle(&instance, &mut CANARY.as_bytes());
        output.push(format!("{response:?} {handler:?} {instance:?}"));
    }
    output.push(format!(
        "{:?} {:?}",
        AeTitle::new("CANARY^JANE\\"),
        Uid::new(CANARY)
    ));
    output.push(format!(
        "{:?} {:?}",
        InstanceUid::new(CANARY),
        CANARY.parse::<Node>()
    ));
}

/// Sends a file whose path and data set identify a person, to a peer that quotes them.
fn send(output: &mut Vec<String>) {
    let directory = TempDir::with_prefix(CANARY).expect("a directory");
    let file = || SendItem::file(directory.path().join(CANARY));
    let data_set = |syntax| {
        let instance = NUMBER.parse().expect("a UID");
        SendItem::data_set(uid("1.2.1"), instance, uid(syntax), CANARY.into())
    };
    let items = || {
        [
            file(),
            data_set("1.2.10"),
            data_set("1.2.840.10008.1.2.4.99"),
            data_set(UNLISTED),
            data_set("1.2.10"),
        ]
    };
    output.push(format!("{:?}", items()));
    let quotes = Reply::new(Status::new(0xA700)).with_comment(CANARY);
    let peer = ScriptedPeer::new()
        .then(
            Script::accepting(supported())
                .expect(Operation::Store)
                .answer(quotes)
                .expect(Operation::Store)
                .answer(Reply::new(Status::SUCCESS).with_data_set(CANARY))
                .expect_abort(),
        )
        .then(Script::rejecting(
            RejectResult::Permanent,
            RejectReason::NoReason,
        ));
    output.push(format!("{peer:?}"));
    let scu = Scu::new(Arc::new(peer.clone()), "US".parse().expect("a title"));
    let node = "ACCEPTOR@here:104".parse().expect("a node");
    for _ in 0..2 {
        let result = scu.send(
            &node,
            &mut items().into_iter(),
            &Cancel::new(),
            &mut |event| {
                if let SendOutcome::Failed(error) = &event.outcome {
                    output.push(error.to_string());
                }
                output.push(format!("{event:?}"));
            },
        );
        output.push(format!("{result:?} {scu:?} {peer:?}"));
    }
    output.push(format!("{:?}", peer.finish()));
}

/// Records the events of an SCP.
#[derive(Debug, Default)]
struct EventRecorder(Mutex<Vec<String>>);

impl ScpObserver for EventRecorder {
    fn on(&self, event: &ScpEvent<'_>) {
        self.0.lock().expect("no panic").push(format!("{event:?}"));
    }
}

/// An SCP stores one instance, rejects another, and cannot understand a third.
fn serve(output: &mut Vec<String>) {
    let (mut peer, mut served) = ends();
    let instance = InstanceUid::new(NUMBER).expect("a UID");
    let store = |class: &str| {
        let request = Request::new(Operation::Store, 1, Uid::new(class).expect("a UID"));
        Command::Request(request.with_instance(instance.clone()))
    };
    let context = peer.contexts().iter().nth(1).expect("a context").clone();
    for class in [context.abstract_syntax.as_str(), "1.2.3"] {
        let mut body = CANARY.as_bytes();
        dimse::send_with(&mut peer, context.id, &store(class), &mut body, SECOND)
            .expect("space in the channel");
    }
    let pdv = Pdv {
        context: context.id,
        kind: PdvKind::Command,
        position: PdvPosition::Last,
        bytes: CANARY.as_bytes(),
    };
    peer.send(&[pdv], SECOND).expect("space in the channel");
    let recorder = Arc::new(EventRecorder::default());
    let handler = Arc::new(MemoryHandler::new(1 << 20));
    let service = Service::new(handler).with_observer(Arc::clone(&recorder) as _);
    output.push(format!(
        "{:?} {service:?}",
        service.serve(&mut served, None)
    ));
    output.append(&mut recorder.0.lock().expect("no panic"));
}

/// An SCP is offered SOP classes and transfer syntaxes that are UIDs of instances. An SCU offers them,
/// and gets an identifier whose tags are letters of a name.
fn offer(output: &mut Vec<String>) {
    let mut contexts = Contexts::new();
    for (class, syntax) in [(UNLISTED, "1.2.840.10008.1.2"), (CT, UNLISTED)] {
        contexts
            .add(uid(class), vec![uid(syntax)])
            .expect("few contexts");
    }
    let results = crate::scp::support::supported().answer(&contexts);
    let negotiated = NegotiatedContexts::new(&contexts, &results).expect("valid responses");
    output.push(format!("{contexts:?} {results:?} {negotiated:?}"));
    let [peer, scp] = ["PEER", "SCP"].map(|name| MemoryPeer {
        title: name.parse().expect("a title"),
        max_pdu_bytes: 16_384,
    });
    let (mut peer, mut served) = pair(&peer, &scp, &negotiated);
    peer.abort();
    let recorder = Arc::new(EventRecorder::default());
    let handler = Arc::new(MemoryHandler::new(1 << 20));
    let service = Service::new(handler).with_observer(Arc::clone(&recorder) as _);
    output.push(format!("{:?}", service.serve(&mut served, None)));
    output.append(&mut recorder.0.lock().expect("no panic"));
    for (class, syntax) in [(UNLISTED, None), (CT, Some(UNLISTED))] {
        let error = ServiceError::ContextRefused {
            sop_class: uid(class),
            transfer_syntax: syntax.map(uid),
        };
        output.push(format!("{error} {error:?}"));
    }
    let class = Request::new(Operation::Store, 1, uid(UNLISTED));
    output.push(format!("{class:?}"));
    // The letters are JANE, in both byte orders.
    for encoding in [Encoding::ImplicitLittle, Encoding::ExplicitLittle] {
        for letters in [b"JANE", b"AJEN"] {
            let element = [&letters[..], b"\0\0\0\0"].concat();
            for bytes in [element.repeat(2), [&letters[..], b"^CAN"].concat()] {
                let error = Identifier::decode(&bytes, encoding).expect_err("letters");
                output.push(format!("{error} {error:?}"));
            }
        }
    }
}

fn logged(act: impl FnOnce(&mut Vec<String>)) -> (String, String) {
    let log = CapturedLog::default();
    // With one subscriber, tracing asks that of the thread which reaches an event first. In another test
    // that is none, and the event would be off in this thread, too. With two, it asks both.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let mut output = Vec::new();
    tracing::subscriber::with_default(subscriber, || act(&mut output));
    let log = String::from_utf8_lossy(&log.0.lock().expect("the log")).into_owned();
    (log, output.join("\n"))
}

#[test]
fn no_canary_in_output_of_an_association() {
    let (log, output) = logged(converse);
    assert!(
        log.contains("send") && log.contains("kept"),
        "events are captured: {log}"
    );
    assert!(output.contains("Limit"), "errors are captured: {output}");
    no_canary(&log, &output);
}

#[test]
fn no_canary_in_output_of_queries() {
    let (log, output) = logged(query);
    assert!(
        log.contains("a study was retrieved") || log.contains("received"),
        "{log}"
    );
    assert!(
        output.contains("StudyMatch"),
        "responses are captured: {output}"
    );
    no_canary(&log, &output);
}

#[test]
fn no_canary_in_output_of_sending() {
    let (log, output) = logged(send);
    for text in ["not stored", "association lost", "sending ended"] {
        assert!(log.contains(text), "events are captured: {log}");
    }
    for text in [
        "A700",
        "NotFound",
        "an unknown UID",
        "data set, which is not allowed",
    ] {
        assert!(output.contains(text), "errors are captured: {output}");
    }
    no_canary(&log, &output);
}

#[test]
fn no_canary_in_output_of_an_scp() {
    let (log, output) = logged(serve);
    for text in ["malformed", "not stored", "an association ended", "kept"] {
        assert!(log.contains(text), "events are captured: {log}");
    }
    for text in ["Stored", "Refused", "Broken"] {
        assert!(
            output.contains(text),
            "events of the SCP are captured: {output}"
        );
    }
    no_canary(&log, &output);
}

#[test]
fn no_uid_or_tag_that_the_standard_does_not_list_in_output() {
    let (log, output) = logged(offer);
    for text in ["not accepted", CT, "1 that PS3.6 does not list"] {
        assert!(log.contains(text), "events are captured: {log}");
    }
    for text in ["an unknown UID", "an unknown element", CT] {
        assert!(output.contains(text), "errors are captured: {output}");
    }
    for letters in ["414A", "4A41", "454E", "4E45"] {
        assert!(!output.contains(letters), "{letters} in {output}");
    }
    no_canary(&log, &output);
}

/// The UIDs and tags of the standard are shown, so that people find what to change.
#[test]
fn uids_and_tags_of_the_standard_are_shown() {
    let text = "1.2.840.10008.1.2.4.50 1.2.840.10008.1.1 1.2.840.10008.5.1.4.31";
    for listed in text.split(' ').chain([CT]) {
        assert_eq!(uid(listed).to_string(), listed);
    }
    for unlisted in [
        UNLISTED,
        "1.2.840.10008.5.1.4.1.1.2.19520401",
        "1.2.840.10008",
    ] {
        assert_eq!(uid(unlisted).to_string(), "an unknown UID");
    }
    assert_eq!(Tag::new(0x0010, 0x0010).to_string(), "(0010,0010)");
    for (group, element) in [(0x0011, 0x1010), (0x0010, 0x414A), (0x0008, 0)] {
        assert_eq!(Tag::new(group, element).to_string(), "an unknown element");
    }
}

#[track_caller]
fn no_canary(log: &str, output: &str) {
    for text in [log, output] {
        for canary in ["CANARY", "JANE", "777888999", "67, 65, 78"] {
            assert!(!text.contains(canary), "{canary} in {text}");
        }
    }
}
