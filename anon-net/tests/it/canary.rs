//! Nothing that can name a person is in an event, an error or what `Debug` prints.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anon_net::dimse::{self, Command, Operation, Request};
use anon_net::scp::{ScpEvent, ScpObserver, Service};
use anon_net::testing::{Exchange, MemoryHandler};
use anon_net::{
    AeTitle, Association, Dial, InstanceHandler, InstanceUid, Kind, Node, Pdv, Place, Uid,
};
use tracing_subscriber::fmt::MakeWriter;

use crate::exchange::{proposal, supported};
use crate::handler::instance;
use crate::scp::support::ends;

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

fn converse(said: &mut Vec<String>) {
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

/// Keeps what an SCP says of instances.
#[derive(Debug, Default)]
struct Hears(Mutex<Vec<String>>);

impl ScpObserver for Hears {
    fn on(&self, event: &ScpEvent<'_>) {
        self.0.lock().expect("no panic").push(format!("{event:?}"));
    }
}

/// An SCP takes an instance, refuses one, and does not understand one.
fn serve(said: &mut Vec<String>) {
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
            .expect("room on the line");
    }
    let pdv = Pdv {
        context: context.id,
        kind: Kind::Command,
        place: Place::Last,
        bytes: CANARY.as_bytes(),
    };
    peer.send(&[pdv], SECOND).expect("room on the line");
    let hears = Arc::new(Hears::default());
    let handler = Arc::new(MemoryHandler::new(1 << 20));
    let service = Service::new(handler).with_observer(Arc::clone(&hears) as _);
    said.push(format!(
        "{:?} {service:?}",
        service.serve(&mut served, None)
    ));
    said.append(&mut hears.0.lock().expect("no panic"));
}

#[test]
fn canaries_do_not_leave() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let mut said = Vec::new();
    tracing::subscriber::with_default(subscriber, || {
        converse(&mut said);
        serve(&mut said);
    });
    let said = said.join("\n");
    let log = String::from_utf8_lossy(&log.0.lock().expect("the log")).into_owned();
    assert!(
        log.contains("send") && log.contains("kept"),
        "events are taken: {log}"
    );
    assert!(said.contains("Limit"), "errors are taken: {said}");
    assert!(
        said.contains("Stored") && said.contains("Refused") && said.contains("Broken"),
        "an SCP is heard: {said}"
    );
    for text in [&log, &said] {
        for canary in ["CANARY", "JANE", "777888999", "67, 65, 78"] {
            assert!(!text.contains(canary), "{canary} in {text}");
        }
    }
}
