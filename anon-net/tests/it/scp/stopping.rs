//! Handlers and peers that hold things up, and an SCP that stops all the same.

use std::io::Write;
use std::net::TcpStream;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anon_net::association::{PdvKind, PdvPosition};
use anon_net::dimse::Status;
use anon_net::scp::{AssociationEnd, StopOutcome};
use anon_net::{Error, Instance, InstanceHandler, Outcome};

use super::node::{bind, builder, closed, connect, dial, is_served, memory};
use super::support::{CT_CONTEXT, PATIENCE, Peer, Recorder, Scripted, store};

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
    peer.put(CT_CONTEXT, PdvKind::Data, PdvPosition::More, &[0; 1000])
        .expect("sent");
    let mut deaf = connect(&scp);
    deaf.write_all(&[1, 0, 0, 0, 1, 0]).expect("room");
    is_served(&scp, "during stuck peers");
    // They are cut off when the time is up: an instance that never ends is in the middle for ever.
    let began = Instant::now();
    assert_eq!(scp.stop(Duration::from_millis(300)), StopOutcome::OutOfTime);
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
        assert_eq!(stopping.join().expect("it stops"), StopOutcome::Drained);
    });
    assert!(matches!(
        association.receive(PATIENCE),
        Err(Error::Aborted { .. })
    ));
    assert_eq!(
        recorder.endings(),
        [AssociationEnd::Stopped, AssociationEnd::Stopped]
    );
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
