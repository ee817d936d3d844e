//! The SCP over loopback: who gets in, who does not, and who is served meanwhile.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anon_net::association::ul::UlDial;
use anon_net::association::{Kind, Place};
use anon_net::dimse::Status;
use anon_net::error::Rejection;
use anon_net::scp::{Ending, Refusal, Running, Scp, ScpBuilder, Stopped};
use anon_net::testing::MemoryHandler;
use anon_net::{
    Association, Dial, Error, Instance, InstanceHandler, InstanceUid, Node, Outcome, Supported,
};

use super::support::{
    CT, CT_CONTEXT, EXPLICIT, Heard, PATIENCE, Peer, Recorder, Scripted, Tested, proposal, store,
    supported, title, uid,
};

const ROUND: Duration = Duration::from_millis(50);

fn builder(handler: impl InstanceHandler + 'static) -> ScpBuilder {
    Scp::builder(title("SCP"), Arc::new(handler)).supported(supported())
}

fn memory() -> ScpBuilder {
    builder(MemoryHandler::new(64 << 20))
}

#[track_caller]
fn bind(builder: ScpBuilder) -> Running {
    let loopback = "127.0.0.1:0".parse().expect("an address");
    builder.bind(loopback).expect("a free port")
}

fn dial_as(scp: &Running, calling: &str, called: &str) -> Result<Box<dyn Association>, Error> {
    let port = scp.local_addr().port();
    let node = Node::new(title(called), "127.0.0.1", port).expect("a node");
    UlDial::new().dial(&node, &proposal(calling), PATIENCE)
}

fn dial(scp: &Running) -> Result<Box<dyn Association>, Error> {
    dial_as(scp, "PEER", "SCP")
}

fn connect(scp: &Running) -> TcpStream {
    let stream = TcpStream::connect(scp.local_addr()).expect("a connection");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a socket has a timeout");
    stream
}

/// What a good peer does, from dialling to release.
fn visit(scp: &Running, instance: &str) -> Tested {
    let mut association = dial(scp)?;
    let mut peer = Peer(&mut *association);
    let echo = peer.echo()?;
    let stored = peer.store(instance, &vec![7; 300_000])?;
    if (echo, stored) != (Status::SUCCESS, Status::SUCCESS) {
        return Err(format!("{echo} and {stored}").into());
    }
    Ok(association.release(PATIENCE)?)
}

/// A good peer gets through within seconds, if it tries again when it is told to.
#[track_caller]
fn is_served(scp: &Running, case: &str) {
    let began = Instant::now();
    loop {
        match visit(scp, "1.2.3") {
            Ok(()) => return,
            Err(error) => {
                assert!(began.elapsed() < Duration::from_secs(6), "{case}: {error}");
                pause();
            }
        }
    }
}

/// Lets a little time go by between two tries.
fn pause() {
    let (_keep, never) = mpsc::channel::<()>();
    let _ = never.recv_timeout(ROUND);
}

#[track_caller]
fn eventually(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        pause();
    }
}

#[track_caller]
fn rejected(dialled: &Result<Box<dyn Association>, Error>, wanted: Rejection) {
    let reason = match dialled {
        Err(Error::Rejected { reason, .. }) => Some(*reason),
        _ => None,
    };
    assert_eq!(reason, Some(wanted), "{dialled:?}");
}

/// True if the other side has ended the connection, in order or with a reset.
fn closed(mut stream: &TcpStream) -> bool {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    match stream.read_to_end(&mut Vec::new()) {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), TimedOut | WouldBlock),
    }
}

#[test]
fn serves_and_counts() {
    let recorder = Arc::new(Recorder::default());
    let scp = bind(memory().observer(Arc::clone(&recorder) as _));
    assert_ne!(scp.local_addr().port(), 0);
    let mut association = dial(&scp).expect("an association");
    let mut peer = Peer(&mut *association);
    assert_eq!(
        peer.store("1.2.3", b"data").expect("an answer"),
        Status::SUCCESS
    );
    let open = scp.associations();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].calling, title("PEER"));
    assert_eq!(open[0].counts.stored, 1);
    assert!(open[0].peer.ip().is_loopback());
    association.release(PATIENCE).expect("released");
    eventually("it ends", || scp.totals().open == 0);
    let totals = scp.totals();
    assert_eq!((totals.opened, totals.rejected), (1, 0));
    assert_eq!((totals.instances.stored, totals.instances.bytes), (1, 4));
    assert_eq!(scp.stop(PATIENCE), Stopped::Drained);
    assert_eq!(scp.stop(PATIENCE), Stopped::Drained);
    assert_eq!(recorder.heard().first(), Some(&Heard::Listening));
    assert_eq!(recorder.endings(), [Ending::Released]);
    assert!(
        TcpStream::connect(scp.local_addr()).is_err(),
        "the port is free"
    );
}

#[test]
fn titles_are_checked() {
    let recorder = Arc::new(Recorder::default());
    let scp = bind(
        memory()
            .calling_titles([title("PEER"), title("OTHER")])
            .observer(Arc::clone(&recorder) as _),
    );
    rejected(&dial_as(&scp, "PEER", "ELSE"), Rejection::CalledTitle);
    rejected(&dial_as(&scp, "STRANGER", "SCP"), Rejection::CallingTitle);
    is_served(&scp, "after rejections");
    assert_eq!(scp.stop(PATIENCE), Stopped::Drained);
    let heard = recorder.heard();
    for reason in [Rejection::CalledTitle, Rejection::CallingTitle] {
        assert!(heard.contains(&Heard::Refused(Refusal::Rejected(reason))));
    }
    assert_eq!(scp.totals().rejected, 2);

    let scp = bind(memory().any_called_title());
    assert!(dial_as(&scp, "PEER", "ELSE").is_ok());
}

/// Of a peer that may not connect no byte is read, and it gets none.
#[test]
fn addresses_are_checked() {
    let recorder = Arc::new(Recorder::default());
    let ranges = ["192.0.2.0/24", "::1"].map(|text| text.parse().expect("a range"));
    let scp = bind(memory().peers(ranges).observer(Arc::clone(&recorder) as _));
    let mut got = Vec::new();
    // The end of the stream, or a reset.
    let _ = connect(&scp).read_to_end(&mut got);
    assert!(got.is_empty());
    eventually("it is told", || {
        recorder.heard().contains(&Heard::Refused(Refusal::Address))
    });

    let known = "127.0.0.0/8".parse().expect("a range");
    is_served(&bind(memory().peers([known])), "an address that is known");
}

/// An IPv4 peer is the same on an IPv6 socket.
#[test]
fn an_ipv4_peer_of_an_ipv6_socket() {
    let known = "127.0.0.1".parse().expect("a range");
    let any = "[::]:0".parse().expect("an address");
    // A machine without IPv6 has nothing to show here.
    let Ok(scp) = memory().peers([known]).bind(any) else {
        return;
    };
    let association = dial(&scp).expect("an association");
    let loopback: IpAddr = "127.0.0.1".parse().expect("an address");
    assert_eq!(scp.associations()[0].peer.ip(), loopback);
    drop(association);
    assert_eq!(scp.stop(PATIENCE), Stopped::Drained);
}

#[test]
fn associations_over_the_limit_are_rejected() {
    let scp = bind(memory().max_associations(2));
    let mut held: Vec<_> = (0..2).map(|_| dial(&scp).expect("room")).collect();
    for association in &mut held {
        let echo = Peer(&mut **association).echo();
        assert_eq!(echo.expect("an answer"), Status::SUCCESS);
    }
    rejected(&dial(&scp), Rejection::LocalLimit);
    // Those that are open are not hurt, however long they have been idle since.
    for association in &mut held {
        assert_eq!(
            Peer(&mut **association).echo().expect("an answer"),
            Status::SUCCESS
        );
    }
    held.pop()
        .expect("two")
        .release(PATIENCE)
        .expect("released");
    is_served(&scp, "a place is free again");
}

#[test]
fn associations_of_one_peer_are_limited() {
    let scp = bind(memory().max_associations_per_peer(1));
    let mut held = dial(&scp).expect("room");
    assert_eq!(Peer(&mut *held).echo().expect("an answer"), Status::SUCCESS);
    rejected(&dial(&scp), Rejection::LocalLimit);
    // Another address of the same machine is another peer.
    let port = scp.local_addr().port();
    let node = Node::new(title("SCP"), "127.0.0.1", port).expect("a node");
    let elsewhere = UlDial::new().with_local_address("127.0.0.2".parse().expect("an address"));
    let mut other = elsewhere
        .dial(&node, &proposal("PEER"), PATIENCE)
        .expect("room for another peer");
    assert_eq!(
        Peer(&mut *other).echo().expect("an answer"),
        Status::SUCCESS
    );
    drop(held);
    is_served(&scp, "a place is free again");
}

/// What is supported changes for the associations that come, not for those that are there.
#[test]
fn what_is_supported_can_be_replaced() {
    let scp = bind(memory());
    let mut before = dial(&scp).expect("an association");
    scp.set_supported(
        Supported::new().with(uid("1.2.840.10008.1.1"), vec![uid("1.2.840.10008.1.2")]),
    );
    let after = dial(&scp).expect("an association");
    assert!(after.contexts().find(&uid(CT), &uid(EXPLICIT)).is_none());
    assert_eq!(after.contexts().len(), 1);
    let stored = Peer(&mut *before).store("1.2.3", b"data");
    assert_eq!(stored.expect("an answer"), Status::SUCCESS);
}

#[test]
fn connections_that_say_nothing() {
    let scp = bind(memory());
    let idle: Vec<_> = (0..200).map(|_| connect(&scp)).collect();
    is_served(&scp, "during 200 idle connections");
    drop(idle);
    is_served(&scp, "after 200 idle connections");
    assert_eq!(scp.stop(PATIENCE), Stopped::Drained);
}

/// The ARTIM timer ends a connection that asks for nothing, and one that drips.
#[test]
fn connections_that_take_too_long() {
    let recorder = Arc::new(Recorder::default());
    let artim = Duration::from_millis(300);
    let scp = bind(
        memory()
            .artim_timeout(artim)
            .observer(Arc::clone(&recorder) as _),
    );
    let idle = connect(&scp);
    let mut dripping = connect(&scp);
    // A header that announces 200 bytes, then one byte at a time.
    dripping.write_all(&[1, 0, 0, 0, 0, 200]).expect("room");
    while dripping.write_all(&[0]).is_ok() {
        pause();
    }
    assert!(closed(&idle), "the idle one is closed too");
    eventually("both are told of", || {
        let silent = Heard::Refused(Refusal::Silent);
        recorder.heard().iter().filter(|it| **it == silent).count() == 2
    });
    is_served(&scp, "after them");
}

/// More associations than there may be, none of which says anything: they make room.
#[test]
fn associations_that_say_nothing() {
    let recorder = Arc::new(Recorder::default());
    let scp = bind(memory().observer(Arc::clone(&recorder) as _));
    let idle: Vec<_> = (0..100).filter_map(|_| dial(&scp).ok()).collect();
    assert!(idle.len() >= 32, "{}", idle.len());
    is_served(&scp, "during 100 idle associations");
    eventually("one made room", || {
        recorder.endings().contains(&Ending::Crowded)
    });
    drop(idle);
    is_served(&scp, "after 100 idle associations");
}

#[test]
fn associations_that_are_aborted_at_once() {
    let scp = bind(memory());
    for _ in 0..300 {
        // The last ones may still be on their way out.
        if let Ok(mut association) = dial(&scp) {
            association.abort();
        }
    }
    is_served(&scp, "after 300 aborts");
    assert_eq!(scp.stop(PATIENCE), Stopped::Drained);
    assert!(scp.totals().opened > 100, "{:?}", scp.totals());
    assert_eq!(scp.totals().open, 0);
}

#[test]
fn other_protocols() {
    let scp = bind(memory());
    for (case, bytes) in [
        ("HTTP", b"GET / HTTP/1.1\r\nHost: scp\r\n\r\n".as_slice()),
        ("TLS", &[22, 3, 1, 0, 5, 1, 0, 0, 1, 3]),
        ("garbage", &[0xFF; 1000]),
        ("4 GB", &[1, 0, 0xFF, 0xFF, 0xFF, 0xFF]),
        ("data first", &[4, 0, 0, 0, 0, 8, 0, 0, 0, 4, 1, 3, 0, 0]),
    ] {
        let mut stream = connect(&scp);
        stream.write_all(bytes).expect("room");
        let mut got = Vec::new();
        let _ = stream.read_to_end(&mut got);
        assert!(got.len() <= 10, "{case}: {got:?}");
        is_served(&scp, case);
    }
}

/// Waits in the handler until the test lets it go.
struct Gate {
    entered: Receiver<()>,
    go: mpsc::Sender<()>,
}

/// A handler that, for the instance 1.2.666 only, says that it is in and waits.
fn gated() -> (Gate, impl InstanceHandler) {
    let (enter, entered) = mpsc::channel();
    let (go, gate) = mpsc::channel::<()>();
    let shared = Mutex::new((enter, gate));
    let handler = Scripted(move |instance: &Instance, _: &mut dyn std::io::BufRead| {
        if instance.sop_instance.expose() == "1.2.666" {
            let (enter, gate) = &*shared.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = enter.send(());
            let _ = gate.recv_timeout(PATIENCE);
        }
        Ok(Outcome::Stored)
    });
    (Gate { entered, go }, handler)
}

#[test]
fn handlers_that_are_slow_or_fail_hold_up_their_own_sender() {
    let (gate, slow) = gated();
    let scp = bind(builder(slow));
    let mut association = dial(&scp).expect("an association");
    let mut peer = Peer(&mut *association);
    peer.send_with(CT_CONTEXT, &store(1, "1.2.666"), b"data")
        .expect("sent");
    gate.entered.recv_timeout(PATIENCE).expect("it is in");
    is_served(&scp, "during a slow handler");
    gate.go.send(()).expect("it waits");
    assert_eq!(peer.response().expect("an answer").status, Status::SUCCESS);

    let scp = bind(builder(Scripted(
        |instance: &Instance, _: &mut dyn std::io::BufRead| match instance.sop_instance.expose() {
            "1.2.3" => Ok(Outcome::Stored),
            "1.2.4" => Ok(Outcome::OutOfResources),
            _ => panic!("on purpose"),
        },
    )));
    let mut association = dial(&scp).expect("an association");
    let mut peer = Peer(&mut *association);
    for (instance, status) in [
        ("1.2.4", Status::OUT_OF_RESOURCES),
        ("1.2.5", Status::PROCESSING_FAILURE),
        ("1.2.3", Status::SUCCESS),
    ] {
        assert_eq!(peer.store(instance, b"data").expect("an answer"), status);
        is_served(&scp, instance);
    }
}

/// Peers that stop in the middle, or never read, hold up nobody.
#[test]
fn stuck_peers() {
    let scp = bind(memory());
    let mut half = dial(&scp).expect("an association");
    let mut peer = Peer(&mut *half);
    peer.send(CT_CONTEXT, &store(1, "1.2.9")).expect("sent");
    peer.put(CT_CONTEXT, Kind::Data, Place::More, &[0; 1000])
        .expect("sent");
    let mut deaf = connect(&scp);
    deaf.write_all(&[1, 0, 0, 0, 1, 0]).expect("room");
    is_served(&scp, "during stuck peers");
    // They are cut off when the time is up: an instance that never ends is in the middle for ever.
    let began = Instant::now();
    assert_eq!(scp.stop(Duration::from_millis(300)), Stopped::OutOfTime);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(matches!(
        half.receive(PATIENCE),
        Err(Error::Lost | Error::Aborted { .. })
    ));
    assert!(scp.associations().is_empty());
}

#[test]
fn stopping_finishes_what_is_in_the_middle() {
    let (gate, slow) = gated();
    let recorder = Arc::new(Recorder::default());
    let scp = bind(builder(slow).observer(Arc::clone(&recorder) as _));
    let mut association = dial(&scp).expect("an association");
    let mut idle = dial(&scp).expect("an association");
    let waiting = connect(&scp);
    let mut peer = Peer(&mut *association);
    peer.send_with(CT_CONTEXT, &store(1, "1.2.666"), b"data")
        .expect("sent");
    gate.entered.recv_timeout(PATIENCE).expect("it is in");
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| scp.stop(PATIENCE));
        // Idle ones are aborted at once, and nobody else comes in.
        assert!(matches!(idle.receive(PATIENCE), Err(Error::Aborted { .. })));
        assert!(closed(&waiting));
        assert!(dial(&scp).is_err());
        gate.go.send(()).expect("it waits");
        assert_eq!(peer.response().expect("an answer").status, Status::SUCCESS);
        assert_eq!(stopping.join().expect("it stops"), Stopped::Drained);
    });
    assert!(matches!(
        association.receive(PATIENCE),
        Err(Error::Aborted { .. })
    ));
    assert_eq!(recorder.endings(), [Ending::Stopped, Ending::Stopped]);
}

/// Dropping stops, and does not wait for what does not end.
#[test]
fn dropping_never_hangs() {
    let (gate, slow) = gated();
    let scp = bind(builder(slow));
    let address = scp.local_addr();
    let mut association = dial(&scp).expect("an association");
    let mut peer = Peer(&mut *association);
    peer.send_with(CT_CONTEXT, &store(1, "1.2.666"), b"data")
        .expect("sent");
    gate.entered.recv_timeout(PATIENCE).expect("it is in");
    let began = Instant::now();
    drop(scp);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(TcpStream::connect(address).is_err(), "the port is free");
    drop(gate);

    let scp = bind(memory());
    let idle = connect(&scp);
    drop(scp);
    assert!(closed(&idle));
}

/// The same port can be taken again at once, with connections of the last time still closing.
#[test]
fn the_port_can_be_taken_again() {
    let scp = bind(memory());
    let address = scp.local_addr();
    is_served(&scp, "the first time");
    assert_eq!(scp.stop(PATIENCE), Stopped::Drained);
    let again = memory().bind(address).expect("the port is free");
    is_served(&again, "the second time");
    assert!(memory().bind(address).is_err(), "the port is taken");
}

/// Everything that is stored is what was sent, from many associations at once.
#[test]
fn many_associations_at_once() {
    let handler = Arc::new(MemoryHandler::new(64 << 20));
    let scp = Scp::builder(title("SCP"), Arc::clone(&handler) as _)
        .supported(supported())
        .bind("127.0.0.1:0".parse().expect("an address"))
        .expect("a free port");
    std::thread::scope(|scope| {
        for sender in 0..8u8 {
            let scp = &scp;
            scope.spawn(move || {
                let mut association = dial(scp).expect("room");
                for number in 0..20 {
                    let body = vec![sender; 10_000 + number];
                    let instance = format!("1.2.{sender}.{number}");
                    let status = Peer(&mut *association).store(&instance, &body);
                    assert_eq!(status.expect("an answer"), Status::SUCCESS);
                }
                association.release(PATIENCE).expect("released");
            });
        }
    });
    assert_eq!(scp.stop(PATIENCE), Stopped::Drained);
    assert_eq!(handler.len(), 160);
    let last = handler.stored(&InstanceUid::new("1.2.7.19").expect("a UID"));
    assert_eq!(last, Some(vec![7; 10_019]));
    assert_eq!(scp.totals().instances.stored, 160);
}

/// A peer that ends its direction without a word is lost, not waited for.
#[test]
fn a_peer_that_hangs_up() {
    let recorder = Arc::new(Recorder::default());
    let scp = bind(memory().observer(Arc::clone(&recorder) as _));
    let stream = connect(&scp);
    stream.shutdown(Shutdown::Both).expect("open");
    eventually("it is told of", || {
        recorder.heard().contains(&Heard::Refused(Refusal::Lost))
    });
}

/// The environment variable that tells a test process that it has few file descriptors.
#[cfg(unix)]
const FEW_FILES: &str = "ANON_NET_FEW_FILES";

/// A process that runs out of file descriptors goes on listening. It is a process of its own, since
/// the others of this one need theirs.
#[cfg(unix)]
#[test]
fn without_file_descriptors() {
    let program = std::env::current_exe().expect("this program");
    let output = std::process::Command::new("sh")
        .args(["-c", "ulimit -n 60 && exec \"$0\" --exact \"$1\""])
        .arg(program)
        .arg("scp::listener::without_file_descriptors_inside")
        .env(FEW_FILES, "1")
        .output()
        .expect("a shell");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

#[cfg(unix)]
#[test]
fn without_file_descriptors_inside() {
    if std::env::var_os(FEW_FILES).is_none() {
        return;
    }
    let scp = bind(memory().max_waiting(1000));
    // Both ends take theirs of the same few.
    let mut held = Vec::new();
    while let Ok(stream) = TcpStream::connect(scp.local_addr()) {
        held.push(stream);
    }
    assert!(held.len() < 60);
    drop(held);
    is_served(&scp, "with file descriptors again");
    assert_eq!(scp.stop(PATIENCE), Stopped::Drained);
}
