//! Stopping an SCP with slow handlers and stalled peers.

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
use super::support::{CT_CONTEXT, Peer, Recorder, Scripted, TIMEOUT, store};

/// Blocks the handler until the test releases it.
struct HandlerGate {
    entered: Receiver<()>,
    go: mpsc::Sender<()>,
}

/// Returns a handler that blocks for the instance 1.2.666 only, and reports that it does.
fn gated() -> (HandlerGate, impl InstanceHandler) {
    let (enter, entered) = mpsc::channel();
    let (go, gate) = mpsc::channel::<()>();
    let shared = Mutex::new((enter, gate));
    let handler = Scripted(move |instance: &Instance, _: &mut dyn std::io::BufRead| {
        if instance.sop_instance.expose() == "1.2.666" {
            let (enter, gate) = &*shared.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = enter.send(());
            let _ = gate.recv_timeout(TIMEOUT);
        }
        Ok(Outcome::Stored)
    });
    (HandlerGate { entered, go }, handler)
}

#[test]
fn slow_or_failing_handler_affects_its_own_sender_only() {
    let (gate, slow) = gated();
    let scp = bind(builder(slow));
    let mut association = dial(&scp).expect("an association");
    let mut peer = Peer(&mut *association);
    peer.send_with(CT_CONTEXT, &store(1, "1.2.666"), b"data")
        .expect("sent");
    gate.entered
        .recv_timeout(TIMEOUT)
        .expect("the handler was called");
    is_served(&scp, "during a slow handler");
    gate.go.send(()).expect("the handler waits");
    assert_eq!(peer.response().expect("a response").status, Status::SUCCESS);

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
        assert_eq!(peer.store(instance, b"data").expect("a response"), status);
        is_served(&scp, instance);
    }
}

/// Peers that stop in the middle, or never read, do not block others.
#[test]
fn stalled_peers_are_cut_off_when_stopping() {
    let scp = bind(memory());
    let mut half = dial(&scp).expect("an association");
    let mut peer = Peer(&mut *half);
    peer.send(CT_CONTEXT, &store(1, "1.2.9")).expect("sent");
    peer.put(CT_CONTEXT, PdvKind::Data, PdvPosition::More, &[0; 1000])
        .expect("sent");
    let mut unread = connect(&scp);
    unread.write_all(&[1, 0, 0, 0, 1, 0]).expect("written");
    is_served(&scp, "during stuck peers");
    // They are disconnected at the deadline, because an incomplete instance would never end.
    let began = Instant::now();
    assert_eq!(scp.stop(Duration::from_millis(300)), StopOutcome::OutOfTime);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(matches!(
        half.receive(TIMEOUT),
        Err(Error::Lost | Error::Aborted { .. })
    ));
    assert!(scp.associations().is_empty());
}

#[test]
fn stopping_completes_instances_in_progress() {
    let (gate, slow) = gated();
    let recorder = Arc::new(Recorder::default());
    let scp = bind(builder(slow).observer(Arc::clone(&recorder) as _));
    let mut association = dial(&scp).expect("an association");
    let mut idle = dial(&scp).expect("an association");
    let waiting = connect(&scp);
    let mut peer = Peer(&mut *association);
    peer.send_with(CT_CONTEXT, &store(1, "1.2.666"), b"data")
        .expect("sent");
    gate.entered
        .recv_timeout(TIMEOUT)
        .expect("the handler was called");
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| scp.stop(TIMEOUT));
        // Idle associations are aborted at once, and new ones are not accepted.
        assert!(matches!(idle.receive(TIMEOUT), Err(Error::Aborted { .. })));
        assert!(closed(&waiting));
        assert!(dial(&scp).is_err());
        gate.go.send(()).expect("the handler waits");
        assert_eq!(peer.response().expect("a response").status, Status::SUCCESS);
        assert_eq!(stopping.join().expect("it stops"), StopOutcome::Drained);
    });
    assert!(matches!(
        association.receive(TIMEOUT),
        Err(Error::Aborted { .. })
    ));
    assert_eq!(
        recorder.endings(),
        [AssociationEnd::Stopped, AssociationEnd::Stopped]
    );
}

/// Dropping stops the SCP without waiting for blocked handlers.
#[test]
fn dropping_never_hangs() {
    let (gate, slow) = gated();
    let scp = bind(builder(slow));
    let address = scp.local_addr();
    let mut association = dial(&scp).expect("an association");
    let mut peer = Peer(&mut *association);
    peer.send_with(CT_CONTEXT, &store(1, "1.2.666"), b"data")
        .expect("sent");
    gate.entered
        .recv_timeout(TIMEOUT)
        .expect("the handler was called");
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
