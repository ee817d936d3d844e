//! Too many peers, slow peers and other protocols, while a well-behaved peer is served.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use anon_net::association::ul::UlDial;
use anon_net::association::{PdvKind, PdvPosition};
use anon_net::dimse::{Operation, Request, Status};
use anon_net::error::RejectReason;
use anon_net::scp::{AssociationEnd, ConnectionRefusal, RunningScp, StopOutcome, StoreOutcome};
use anon_net::{Association, Dial, Error};

use super::node::{
    bind, closed, connect, dial, eventually, is_served, memory, node, pause, rejected,
};
use super::support::{
    CT_CONTEXT, ECHO_CONTEXT, FIND, FIND_CONTEXT, Peer, RecordedEvent, Recorder, TIMEOUT, echo,
    proposal, store, uid,
};

#[test]
fn silent_connections_do_not_block_others() {
    let scp = bind(memory());
    let idle: Vec<_> = (0..200).map(|_| connect(&scp)).collect();
    is_served(&scp, "during 200 idle connections");
    drop(idle);
    is_served(&scp, "after 200 idle connections");
    assert_eq!(scp.stop(TIMEOUT), StopOutcome::Drained);
}

/// The ARTIM timer ends silent and slow connections.
#[test]
fn artim_ends_silent_and_slow_connections() {
    let recorder = Arc::new(Recorder::default());
    let artim = Duration::from_millis(300);
    let scp = bind(
        memory()
            .artim_timeout(artim)
            .observer(Arc::clone(&recorder) as _),
    );
    let idle = connect(&scp);
    let mut dripping = connect(&scp);
    // A header of a 200-byte PDU, then one byte at a time.
    dripping.write_all(&[1, 0, 0, 0, 0, 200]).expect("written");
    while dripping.write_all(&[0]).is_ok() {
        pause();
    }
    assert!(closed(&idle), "the idle connection is closed too");
    eventually("the observer is notified of both", || {
        let silent = RecordedEvent::Refused(ConnectionRefusal::Silent);
        recorder.events().iter().filter(|it| **it == silent).count() == 2
    });
    is_served(&scp, "after them");
}

/// More silent associations than the limit: they give way to others.
#[test]
fn silent_associations_give_way() {
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

/// Dials once, stores an instance, and releases.
#[track_caller]
fn is_admitted(scp: &RunningScp, case: &str) {
    let mut association = dial(scp).expect(case);
    let status = Peer(&mut *association).store("1.2.3", b"data");
    assert_eq!(status.expect("a response"), Status::SUCCESS, "{case}");
    association.release(TIMEOUT).expect("released");
}

/// A hundred associations of one address that never send anything hold the places of that address,
/// or wait for one. An honest one from there is not rejected: it waits while the oldest give way.
#[test]
fn honest_association_gets_in_although_a_hundred_silent_ones_hold_the_places() {
    let recorder = Arc::new(Recorder::default());
    let scp = bind(
        memory()
            .max_associations_per_peer(16)
            .max_waiting(128)
            .admission_timeout(TIMEOUT)
            .observer(Arc::clone(&recorder) as _),
    );
    std::thread::scope(|scope| {
        let silent: Vec<_> = (0..100).map(|_| scope.spawn(|| dial(&scp))).collect();
        eventually("the places are held", || scp.associations().len() == 16);
        is_admitted(&scp, "during 100 silent associations");
        // Keeps the associations open up to here.
        let joined = silent.into_iter().map(ScopedJoinHandle::join);
        drop(joined.collect::<Vec<_>>());
    });
    let crowded = AssociationEnd::Crowded;
    assert!(recorder.endings().contains(&crowded), "{recorder:?}");
}

/// A C-ECHO is no reason to hold a place.
#[test]
fn associations_that_only_sent_an_echo_give_way() {
    let scp = bind(memory().max_associations_per_peer(16));
    let mut held = Vec::new();
    for _ in 0..16 {
        let mut association = dial(&scp).expect("an association");
        let echo = Peer(&mut *association).echo();
        assert_eq!(echo.expect("a response"), Status::SUCCESS);
        held.push(association);
    }
    is_admitted(&scp, "during 16 idle associations");
    // The oldest gave way.
    let end = held[0].receive(TIMEOUT).map(drop);
    assert!(matches!(end, Err(Error::Aborted { .. })), "{end:?}");
    let echo = Peer(&mut *held[15]).echo();
    assert_eq!(echo.expect("a response"), Status::SUCCESS);
}

/// A modality keeps its association open between series. A crowd of others does not end it.
#[test]
fn idle_modality_that_has_stored_something_keeps_its_place_in_a_crowd() {
    let scp = bind(memory().max_associations_per_peer(4));
    let mut modality = dial(&scp).expect("an association");
    let stored = Peer(&mut *modality).store("1.2.9", b"data");
    assert_eq!(stored.expect("a response"), Status::SUCCESS);
    let crowd: Vec<_> = (0..8).map(|_| dial(&scp)).collect();
    assert!(
        crowd.iter().all(Result::is_ok),
        "they give way to each other"
    );
    let stored = Peer(&mut *modality).store("1.2.10", b"data");
    assert_eq!(stored.expect("a response"), Status::SUCCESS);
}

/// A peer that sends its first object one byte at a time gives way too. The object counts as failed.
#[test]
fn drip_feeding_association_gives_way() {
    let recorder = Arc::new(Recorder::default());
    let scp = bind(
        memory()
            .max_associations(1)
            .observer(Arc::clone(&recorder) as _),
    );
    let mut association = dial(&scp).expect("an association");
    let mut peer = Peer(&mut *association);
    peer.send(CT_CONTEXT, &store(1, "1.2.9")).expect("sent");
    peer.put(CT_CONTEXT, PdvKind::Data, PdvPosition::More, b"x")
        .expect("sent");
    is_admitted(&scp, "during an object that drips");
    eventually("it has ended", || recorder.endings().len() == 2);
    assert!(recorder.endings().contains(&AssociationEnd::Crowded));
    let broken_off = RecordedEvent::Instance(StoreOutcome::BrokenOff, 1);
    assert!(recorder.events().contains(&broken_off));
    let counts = scp.totals().instances;
    assert_eq!((counts.offered, counts.stored, counts.failed), (2, 1, 1));
}

/// Associations that gave way inside a command set do not keep others out until the timeout.
#[test]
fn half_command_sets_of_one_address_do_not_keep_others_out() {
    let recorder = Arc::new(Recorder::default());
    let scp = bind(
        memory()
            .max_associations_per_peer(16)
            .max_waiting(8)
            .dimse_timeout(TIMEOUT)
            .observer(Arc::clone(&recorder) as _),
    );
    // Sixteen give way, twice as many as may wait for an association.
    let mut held = Vec::new();
    for _ in 0..32 {
        let mut association = dial(&scp).expect("an association");
        Peer(&mut *association)
            .put(ECHO_CONTEXT, PdvKind::Command, PdvPosition::More, b"\0\0")
            .expect("sent");
        held.push(association);
    }
    let mut honest = dial_from(&scp, "127.0.0.2").expect("an association");
    let stored = Peer(&mut *honest).store("1.2.3", b"data");
    assert_eq!(stored.expect("a response"), Status::SUCCESS);
    eventually("those that gave way have ended", || {
        recorder.endings() == [AssociationEnd::Crowded; 16]
    });
}

/// A peer that stops inside the identifier of a C-FIND request, which is not supported.
#[test]
fn association_that_stops_inside_a_refused_request_gives_way() {
    let scp = bind(memory().max_associations(1).admission_timeout(TIMEOUT / 2));
    let mut association = dial(&scp).expect("an association");
    let mut peer = Peer(&mut *association);
    let find = Request::new(Operation::Find, 1, uid(FIND));
    peer.send(FIND_CONTEXT, &find).expect("sent");
    peer.put(FIND_CONTEXT, PdvKind::Data, PdvPosition::More, b"x")
        .expect("sent");
    is_admitted(&scp, "during a refused request");
}

/// A peer that sends C-ECHO requests and does not read the responses.
#[test]
fn association_that_does_not_read_responses_gives_way() {
    let scp = bind(memory().max_associations(1).admission_timeout(TIMEOUT));
    let mut association = dial(&scp).expect("an association");
    std::thread::scope(|scope| {
        // Blocks once the receiver stops reading, and ends when the connection is shut down.
        scope.spawn(|| {
            let mut peer = Peer(&mut *association);
            while peer.send(ECHO_CONTEXT, &echo(1)).is_ok() {}
        });
        is_admitted(&scp, "during unread responses");
        scp.stop(Duration::ZERO);
    });
}

/// Opens so many associations from one address. Each stores an instance and is then idle.
fn idle(scp: &RunningScp, count: usize) -> Vec<Box<dyn Association>> {
    let mut held = Vec::new();
    for _ in 0..count {
        let mut association = dial(scp).expect("an association");
        let stored = Peer(&mut *association).store("1.2.3", b"data");
        assert_eq!(stored.expect("a response"), Status::SUCCESS);
        held.push(association);
    }
    held
}

fn dial_from(scp: &RunningScp, address: &str) -> Result<Box<dyn Association>, Error> {
    let dial = UlDial::new().with_local_address(address.parse().expect("an address"));
    dial.dial(&node(scp), &proposal("PEER"), TIMEOUT)
}

/// An association that has stored something keeps its slot until the idle timeout. Without a limit
/// per peer, one peer can hold all slots until then.
#[test]
fn used_idle_associations_keep_their_slots_until_the_idle_timeout() {
    let scp = bind(memory().admission_timeout(Duration::from_millis(100)));
    let held = idle(&scp, 32);
    rejected(&dial(&scp), RejectReason::LocalLimit);
    rejected(&dial_from(&scp, "127.0.0.2"), RejectReason::LocalLimit);
    assert_eq!(scp.associations().len(), 32, "all are still open");
    drop(held);

    let recorder = Arc::new(Recorder::default());
    let scp = bind(
        memory()
            .idle_timeout(Duration::from_millis(200))
            .observer(Arc::clone(&recorder) as _),
    );
    // Even if this is slow: the first may end before the last is open.
    let mut held = Vec::new();
    while held.len() < 32 {
        let mut association = dial(&scp).expect("an association");
        if Peer(&mut *association).store("1.2.3", b"data").is_ok() {
            held.push(association);
        }
    }
    eventually("each association ends", || {
        let endings = recorder.endings();
        let idle = endings
            .iter()
            .filter(|ending| **ending == AssociationEnd::Idle);
        idle.count() >= 32
    });
    for association in &mut held {
        let end = association.receive(TIMEOUT).map(drop);
        assert!(matches!(end, Err(Error::Aborted { .. })), "{end:?}");
    }
    is_served(&scp, "after 32 that were idle for too long");
}

/// A limit per peer prevents one peer from holding all slots.
#[test]
fn idle_peer_with_a_limit_leaves_slots_to_others() {
    let scp = bind(
        memory()
            .max_associations_per_peer(16)
            .admission_timeout(Duration::from_millis(100)),
    );
    let mut held = idle(&scp, 16);
    for _ in 0..16 {
        rejected(&dial(&scp), RejectReason::LocalLimit);
    }
    let mut others: Vec<_> = (0..16)
        .map(|_| dial_from(&scp, "127.0.0.2").expect("a slot for another peer"))
        .collect();
    for other in &mut others {
        let stored = Peer(&mut **other).store("1.2.3", b"data");
        assert_eq!(stored.expect("a response"), Status::SUCCESS);
    }
    rejected(&dial_from(&scp, "127.0.0.3"), RejectReason::LocalLimit);
    drop(others);
    held.pop()
        .expect("sixteen")
        .release(TIMEOUT)
        .expect("released");
    is_served(&scp, "once one of them is gone");
}

#[test]
fn aborted_associations_do_not_block_others() {
    let scp = bind(memory());
    for _ in 0..300 {
        // The last ones may still be ending.
        if let Ok(mut association) = dial(&scp) {
            association.abort();
        }
    }
    is_served(&scp, "after 300 aborts");
    assert_eq!(scp.stop(TIMEOUT), StopOutcome::Drained);
    assert!(scp.totals().opened > 100, "{:?}", scp.totals());
    assert_eq!(scp.totals().open, 0);
}

#[test]
fn other_protocols_do_not_block_others() {
    let scp = bind(memory());
    for (case, bytes) in [
        ("HTTP", b"GET / HTTP/1.1\r\nHost: scp\r\n\r\n".as_slice()),
        ("TLS", &[22, 3, 1, 0, 5, 1, 0, 0, 1, 3]),
        ("garbage", &[0xFF; 1000]),
        ("4 GB", &[1, 0, 0xFF, 0xFF, 0xFF, 0xFF]),
        ("data first", &[4, 0, 0, 0, 0, 8, 0, 0, 0, 4, 1, 3, 0, 0]),
    ] {
        let mut stream = connect(&scp);
        stream.write_all(bytes).expect("written");
        let mut got = Vec::new();
        let _ = stream.read_to_end(&mut got);
        assert!(got.len() <= 10, "{case}: {got:?}");
        is_served(&scp, case);
    }
}

/// A peer that closes without a release is lost. The SCP does not wait for it.
#[test]
fn closed_connection_is_lost() {
    let recorder = Arc::new(Recorder::default());
    let scp = bind(memory().observer(Arc::clone(&recorder) as _));
    let stream = connect(&scp);
    stream.shutdown(Shutdown::Both).expect("open");
    eventually("the observer is notified", || {
        recorder
            .events()
            .contains(&RecordedEvent::Refused(ConnectionRefusal::Lost))
    });
}

/// The environment variable that marks a test process with few file descriptors.
#[cfg(unix)]
const FEW_FILES: &str = "ANON_NET_FEW_FILES";

/// An SCP without free file descriptors continues to listen. Runs in its own process, because other
/// tests need file descriptors.
#[cfg(unix)]
#[test]
fn scp_without_file_descriptors_continues() {
    let program = std::env::current_exe().expect("this program");
    let output = std::process::Command::new("sh")
        .args(["-c", "ulimit -n 60 && exec \"$0\" --exact \"$1\""])
        .arg(program)
        .arg("scp::floods::scp_without_file_descriptors_inside")
        .env(FEW_FILES, "1")
        .output()
        .expect("a shell");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}");
    assert!(stdout.contains("1 passed"), "{stdout}");
}

#[cfg(unix)]
#[test]
fn scp_without_file_descriptors_inside() {
    if std::env::var_os(FEW_FILES).is_none() {
        return;
    }
    let scp = bind(memory().max_waiting(1000));
    // Both sides of a connection need a descriptor of this process.
    let mut held = Vec::new();
    while let Ok(stream) = TcpStream::connect(scp.local_addr()) {
        held.push(stream);
    }
    assert!(held.len() < 60);
    drop(held);
    is_served(&scp, "with file descriptors again");
    assert_eq!(scp.stop(TIMEOUT), StopOutcome::Drained);
}
