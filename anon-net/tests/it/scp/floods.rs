//! Peers that are too many, too slow or none, and a good one that is served meanwhile.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anon_net::association::ul::UlDial;
use anon_net::dimse::Status;
use anon_net::error::RejectReason;
use anon_net::scp::{AssociationEnd, ConnectionRefusal, RunningScp, StopOutcome};
use anon_net::{Association, Dial, Error};

use super::node::{
    bind, closed, connect, dial, eventually, is_served, memory, node, pause, rejected,
};
use super::support::{Heard, PATIENCE, Peer, Recorder, proposal};

#[test]
fn connections_that_say_nothing() {
    let scp = bind(memory());
    let idle: Vec<_> = (0..200).map(|_| connect(&scp)).collect();
    is_served(&scp, "during 200 idle connections");
    drop(idle);
    is_served(&scp, "after 200 idle connections");
    assert_eq!(scp.stop(PATIENCE), StopOutcome::Drained);
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
        let silent = Heard::Refused(ConnectionRefusal::Silent);
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
        recorder.endings().contains(&AssociationEnd::Crowded)
    });
    drop(idle);
    is_served(&scp, "after 100 idle associations");
}

/// So many associations of one address, each of which is verified and then says no more.
fn idle(scp: &RunningScp, count: usize) -> Vec<Box<dyn Association>> {
    let mut held = Vec::new();
    for _ in 0..count {
        let mut association = dial(scp).expect("room");
        let echo = Peer(&mut *association).echo();
        assert_eq!(echo.expect("an answer"), Status::SUCCESS);
        held.push(association);
    }
    held
}

fn dial_from(scp: &RunningScp, address: &str) -> Result<Box<dyn Association>, Error> {
    let dial = UlDial::new().with_local_address(address.parse().expect("an address"));
    dial.dial(&node(scp), &proposal("PEER"), PATIENCE)
}

/// Who has spoken keeps its place for the idle timeout, and no longer: without a limit for each peer
/// one can hold all places until then.
#[test]
fn associations_that_were_used_and_are_idle_hold_their_places_for_a_while() {
    let scp = bind(memory());
    let held = idle(&scp, 32);
    rejected(&dial(&scp), RejectReason::LocalLimit);
    rejected(&dial_from(&scp, "127.0.0.2"), RejectReason::LocalLimit);
    assert_eq!(scp.associations().len(), 32, "all are still there");
    drop(held);

    let recorder = Arc::new(Recorder::default());
    let scp = bind(
        memory()
            .idle_timeout(Duration::from_millis(200))
            .observer(Arc::clone(&recorder) as _),
    );
    // However slow this is: the first may have to go before the last is there.
    let mut held = Vec::new();
    while held.len() < 32 {
        let mut association = dial(&scp).expect("room");
        if Peer(&mut *association).echo().is_ok() {
            held.push(association);
        }
    }
    eventually("each is told to go", || {
        let endings = recorder.endings();
        let idle = endings
            .iter()
            .filter(|ending| **ending == AssociationEnd::Idle);
        idle.count() >= 32
    });
    for association in &mut held {
        let end = association.receive(PATIENCE).map(drop);
        assert!(matches!(end, Err(Error::Aborted { .. })), "{end:?}");
    }
    is_served(&scp, "after 32 that were idle for too long");
}

/// A limit for each peer keeps one from holding all places, however long it is idle.
#[test]
fn one_peer_that_is_idle_leaves_places_to_others() {
    let scp = bind(memory().max_associations_per_peer(16));
    let mut held = idle(&scp, 16);
    for _ in 0..16 {
        rejected(&dial(&scp), RejectReason::LocalLimit);
    }
    let others: Vec<_> = (0..16)
        .map(|_| dial_from(&scp, "127.0.0.2").expect("room for another peer"))
        .collect();
    rejected(&dial_from(&scp, "127.0.0.3"), RejectReason::LocalLimit);
    drop(others);
    held.pop()
        .expect("sixteen")
        .release(PATIENCE)
        .expect("released");
    is_served(&scp, "once one of them is gone");
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
    assert_eq!(scp.stop(PATIENCE), StopOutcome::Drained);
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

/// A peer that ends its direction without a word is lost, not waited for.
#[test]
fn a_peer_that_hangs_up() {
    let recorder = Arc::new(Recorder::default());
    let scp = bind(memory().observer(Arc::clone(&recorder) as _));
    let stream = connect(&scp);
    stream.shutdown(Shutdown::Both).expect("open");
    eventually("it is told of", || {
        recorder
            .heard()
            .contains(&Heard::Refused(ConnectionRefusal::Lost))
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
        .arg("scp::floods::without_file_descriptors_inside")
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
    assert_eq!(scp.stop(PATIENCE), StopOutcome::Drained);
}
