//! Admission of peers, and counts.

use std::io::Read;
use std::net::{IpAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anon_net::association::ul::UlDial;
use anon_net::dimse::Status;
use anon_net::error::RejectReason;
use anon_net::scp::{AssociationEnd, ConnectionRefusal, Scp, ScpEvent, ScpObserver, StopOutcome};
use anon_net::testing::MemoryHandler;
use anon_net::{AeTitle, Dial, InstanceUid, Node, SupportedContexts};

use super::node::{bind, connect, dial, dial_as, eventually, is_served, memory, pause, rejected};
use super::support::{
    CT, EXPLICIT, Peer, RecordedEvent, Recorder, TIMEOUT, proposal, supported, title, uid,
};

#[test]
fn associations_are_served_and_counted() {
    let recorder = Arc::new(Recorder::default());
    let scp = bind(memory().observer(Arc::clone(&recorder) as _));
    assert_ne!(scp.local_addr().port(), 0);
    let mut association = dial(&scp).expect("an association");
    let mut peer = Peer(&mut *association);
    assert_eq!(
        peer.store("1.2.3", b"data").expect("a response"),
        Status::SUCCESS
    );
    let open = scp.associations();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].calling, title("PEER"));
    assert_eq!(open[0].counts.stored, 1);
    assert!(open[0].peer.ip().is_loopback());
    association.release(TIMEOUT).expect("released");
    eventually("it ends", || scp.totals().open == 0);
    let totals = scp.totals();
    assert_eq!((totals.opened, totals.rejected), (1, 0));
    assert_eq!((totals.instances.stored, totals.instances.bytes), (1, 4));
    assert_eq!(scp.stop(TIMEOUT), StopOutcome::Drained);
    assert_eq!(scp.stop(TIMEOUT), StopOutcome::Drained);
    assert_eq!(recorder.events().first(), Some(&RecordedEvent::Listening));
    assert_eq!(recorder.endings(), [AssociationEnd::Released]);
    assert!(
        TcpStream::connect(scp.local_addr()).is_err(),
        "the port is free"
    );
}

#[test]
fn ae_titles_are_checked() {
    let recorder = Arc::new(Recorder::default());
    let scp = bind(
        memory()
            .calling_titles([title("PEER"), title("OTHER")])
            .observer(Arc::clone(&recorder) as _),
    );
    rejected(&dial_as(&scp, "PEER", "ELSE"), RejectReason::CalledTitle);
    rejected(
        &dial_as(&scp, "STRANGER", "SCP"),
        RejectReason::CallingTitle,
    );
    is_served(&scp, "after rejections");
    assert_eq!(scp.stop(TIMEOUT), StopOutcome::Drained);
    let events = recorder.events();
    for reason in [RejectReason::CalledTitle, RejectReason::CallingTitle] {
        assert!(events.contains(&RecordedEvent::Refused(ConnectionRefusal::Rejected(reason))));
    }
    assert_eq!(scp.totals().rejected, 2);

    let scp = bind(memory().any_called_title());
    assert!(dial_as(&scp, "PEER", "ELSE").is_ok());
}

/// What an administrator needs to know of a peer that is not admitted, or that offers too much.
#[derive(Debug, Default)]
struct Offers(Mutex<Vec<String>>);

impl ScpObserver for Offers {
    fn on(&self, event: &ScpEvent<'_>) {
        let text = match event {
            ScpEvent::Refused {
                titles, refusal, ..
            } => {
                let [calling, called] = [&titles.calling, &titles.called]
                    .map(|title| title.as_ref().map_or("none", AeTitle::as_str));
                format!("{calling} calls {called}: {refusal}")
            }
            ScpEvent::Ended {
                contexts, summary, ..
            } => {
                let refused = contexts.refused();
                let refused: Vec<_> = refused
                    .map(|it| format!("{} {}", it.abstract_syntax, it.result.code()))
                    .collect();
                format!("refused {}; {}", refused.join(", "), summary.ending)
            }
            _ => return,
        };
        self.0.lock().expect("no panic").push(text);
    }
}

#[test]
fn rejected_titles_and_refused_contexts_are_reported() {
    let offers = Arc::new(Offers::default());
    let implicit = vec![uid("1.2.840.10008.1.2")];
    let scp = bind(
        memory()
            .supported(SupportedContexts::new().with(uid(CT), implicit))
            .calling_titles([title("PEER")])
            .observer(Arc::clone(&offers) as _),
    );
    rejected(&dial_as(&scp, "PEER", "ELSE"), RejectReason::CalledTitle);
    rejected(&dial_as(&scp, "NEW CT", "SCP"), RejectReason::CallingTitle);
    drop(connect(&scp));
    let released = dial(&scp).and_then(|mut association| association.release(TIMEOUT));
    released.expect("released");
    let expected = [
        "PEER calls ELSE: the called AE title is not recognized",
        "NEW CT calls SCP: the calling AE title is not recognized",
        "none calls none: the connection was lost",
        // Verification and queries are not supported, and CT not in explicit VR.
        "refused 1.2.840.10008.1.1 3, 1.2.840.10008.5.1.4.1.1.2 4, 1.2.840.10008.5.1.4.1.2.2.1 3; \
         released by the peer",
    ];
    eventually("each is reported", || {
        let offers = offers.0.lock().expect("no panic");
        expected
            .iter()
            .all(|it| offers.iter().any(|offer| offer == it))
    });
}

/// Nothing is read from or sent to a peer that may not connect.
#[test]
fn peer_addresses_are_checked() {
    let recorder = Arc::new(Recorder::default());
    let ranges = ["192.0.2.0/24", "::1"].map(|text| text.parse().expect("a range"));
    let scp = bind(memory().peers(ranges).observer(Arc::clone(&recorder) as _));
    let mut got = Vec::new();
    // The end of the stream, or a reset.
    let _ = connect(&scp).read_to_end(&mut got);
    assert!(got.is_empty());
    eventually("the observer is notified", || {
        recorder
            .events()
            .contains(&RecordedEvent::Refused(ConnectionRefusal::Address))
    });

    let known = "127.0.0.0/8".parse().expect("a range");
    is_served(&bind(memory().peers([known])), "an address that is known");
}

/// An IPv4 peer on an IPv6 socket has its IPv4 address.
#[test]
fn ipv4_peer_on_ipv6_socket_matches_ipv4_range() {
    let known = "127.0.0.1".parse().expect("a range");
    let any = "[::]:0".parse().expect("an address");
    // Skipped on a machine without IPv6.
    let Ok(scp) = memory().peers([known]).bind(any) else {
        return;
    };
    let association = dial(&scp).expect("an association");
    let loopback: IpAddr = "127.0.0.1".parse().expect("an address");
    assert_eq!(scp.associations()[0].peer.ip(), loopback);
    drop(association);
    assert_eq!(scp.stop(TIMEOUT), StopOutcome::Drained);
}

#[test]
fn associations_over_the_limit_are_rejected() {
    let patience = Duration::from_millis(100);
    let scp = bind(memory().max_associations(2).admission_timeout(patience));
    let mut held: Vec<_> = (0..2)
        .map(|_| dial(&scp).expect("an association"))
        .collect();
    for association in &mut held {
        let stored = Peer(&mut **association).store("1.2.3", b"data");
        assert_eq!(stored.expect("a response"), Status::SUCCESS);
    }
    rejected(&dial(&scp), RejectReason::LocalLimit);
    // Open associations are not affected, however long they were idle.
    for association in &mut held {
        assert_eq!(
            Peer(&mut **association).echo().expect("a response"),
            Status::SUCCESS
        );
    }
    held.pop().expect("two").release(TIMEOUT).expect("released");
    is_served(&scp, "a place is free again");
}

/// A request at the limit waits until a place is free.
#[test]
fn request_at_the_limit_is_kept_waiting() {
    let scp = bind(memory().max_associations(1));
    let mut held = dial(&scp).expect("an association");
    let stored = Peer(&mut *held).store("1.2.3", b"data");
    assert_eq!(stored.expect("a response"), Status::SUCCESS);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| dial(&scp));
        pause();
        assert!(!waiting.is_finished(), "it waits");
        held.release(TIMEOUT).expect("released");
        let admitted = waiting.join().expect("no panic");
        admitted.expect("an association").abort();
    });
    assert_eq!(scp.totals().rejected, 0);
}

/// A peer whose release was confirmed can open the next association at once, even at the limit.
#[test]
fn slot_is_free_before_the_release_is_confirmed() {
    let scp = bind(memory().max_associations(1));
    for round in 0..200 {
        let mut association = dial(&scp).unwrap_or_else(|error| panic!("{round}: {error:?}"));
        let status = Peer(&mut *association).echo().expect("a response");
        assert_eq!(status, Status::SUCCESS);
        association.release(TIMEOUT).expect("released");
    }
    assert_eq!(scp.totals().rejected, 0);
}

#[test]
fn associations_of_one_peer_are_limited() {
    let patience = Duration::from_millis(100);
    let scp = bind(
        memory()
            .max_associations_per_peer(1)
            .admission_timeout(patience),
    );
    let mut held = dial(&scp).expect("an association");
    let stored = Peer(&mut *held).store("1.2.3", b"data");
    assert_eq!(stored.expect("a response"), Status::SUCCESS);
    rejected(&dial(&scp), RejectReason::LocalLimit);
    // Another address of the same machine counts as another peer.
    let port = scp.local_addr().port();
    let node = Node::new(title("SCP"), "127.0.0.1", port).expect("a node");
    let elsewhere = UlDial::new().with_local_address("127.0.0.2".parse().expect("an address"));
    let mut other = elsewhere
        .dial(&node, &proposal("PEER"), TIMEOUT)
        .expect("room for another peer");
    assert_eq!(
        Peer(&mut *other).echo().expect("a response"),
        Status::SUCCESS
    );
    drop(held);
    is_served(&scp, "a place is free again");
}

/// New supported contexts apply to new associations, not to open ones.
#[test]
fn supported_contexts_can_be_replaced() {
    let scp = bind(memory());
    let mut before = dial(&scp).expect("an association");
    scp.set_supported(
        SupportedContexts::new().with(uid("1.2.840.10008.1.1"), vec![uid("1.2.840.10008.1.2")]),
    );
    let after = dial(&scp).expect("an association");
    assert!(after.contexts().find(&uid(CT), &uid(EXPLICIT)).is_none());
    assert_eq!(after.contexts().len(), 1);
    let stored = Peer(&mut *before).store("1.2.3", b"data");
    assert_eq!(stored.expect("a response"), Status::SUCCESS);
}

/// The port can be bound again at once, while earlier connections are still closing.
#[test]
fn port_can_be_bound_again() {
    let scp = bind(memory());
    let address = scp.local_addr();
    is_served(&scp, "the first time");
    assert_eq!(scp.stop(TIMEOUT), StopOutcome::Drained);
    let again = memory().bind(address).expect("the port is free");
    is_served(&again, "the second time");
    assert!(memory().bind(address).is_err(), "the port is taken");
}

/// Instances from many concurrent associations are stored unchanged.
#[test]
fn concurrent_associations_store_everything() {
    let handler = Arc::new(MemoryHandler::new(64 << 20));
    let scp = Scp::builder(title("SCP"), Arc::clone(&handler) as _)
        .supported(supported())
        .bind("127.0.0.1:0".parse().expect("an address"))
        .expect("a free port");
    std::thread::scope(|scope| {
        for sender in 0..8u8 {
            let scp = &scp;
            scope.spawn(move || {
                let mut association = dial(scp).expect("an association");
                for number in 0..20 {
                    let body = vec![sender; 10_000 + number];
                    let instance = format!("1.2.{sender}.{number}");
                    let status = Peer(&mut *association).store(&instance, &body);
                    assert_eq!(status.expect("a response"), Status::SUCCESS);
                }
                association.release(TIMEOUT).expect("released");
            });
        }
    });
    assert_eq!(scp.stop(TIMEOUT), StopOutcome::Drained);
    assert_eq!(handler.len(), 160);
    let last = handler.stored(&InstanceUid::new("1.2.7.19").expect("a UID"));
    assert_eq!(last, Some(vec![7; 10_019]));
    assert_eq!(scp.totals().instances.stored, 160);
}
