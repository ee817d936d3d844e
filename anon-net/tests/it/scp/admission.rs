//! Who gets in, who does not, and what is counted.

use std::io::Read;
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;

use anon_net::association::ul::UlDial;
use anon_net::dimse::Status;
use anon_net::error::RejectReason;
use anon_net::scp::{AssociationEnd, ConnectionRefusal, Scp, StopOutcome};
use anon_net::testing::MemoryHandler;
use anon_net::{Dial, InstanceUid, Node, SupportedContexts};

use super::node::{bind, connect, dial, dial_as, eventually, is_served, memory, rejected};
use super::support::{
    CT, EXPLICIT, Heard, PATIENCE, Peer, Recorder, proposal, supported, title, uid,
};

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
    assert_eq!(scp.stop(PATIENCE), StopOutcome::Drained);
    assert_eq!(scp.stop(PATIENCE), StopOutcome::Drained);
    assert_eq!(recorder.heard().first(), Some(&Heard::Listening));
    assert_eq!(recorder.endings(), [AssociationEnd::Released]);
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
    rejected(&dial_as(&scp, "PEER", "ELSE"), RejectReason::CalledTitle);
    rejected(
        &dial_as(&scp, "STRANGER", "SCP"),
        RejectReason::CallingTitle,
    );
    is_served(&scp, "after rejections");
    assert_eq!(scp.stop(PATIENCE), StopOutcome::Drained);
    let heard = recorder.heard();
    for reason in [RejectReason::CalledTitle, RejectReason::CallingTitle] {
        assert!(heard.contains(&Heard::Refused(ConnectionRefusal::Rejected(reason))));
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
        recorder
            .heard()
            .contains(&Heard::Refused(ConnectionRefusal::Address))
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
    assert_eq!(scp.stop(PATIENCE), StopOutcome::Drained);
}

#[test]
fn associations_over_the_limit_are_rejected() {
    let scp = bind(memory().max_associations(2));
    let mut held: Vec<_> = (0..2).map(|_| dial(&scp).expect("room")).collect();
    for association in &mut held {
        let echo = Peer(&mut **association).echo();
        assert_eq!(echo.expect("an answer"), Status::SUCCESS);
    }
    rejected(&dial(&scp), RejectReason::LocalLimit);
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

/// Who hears that its association has ended may open the next at once, however full it is.
#[test]
fn a_released_place_is_free_before_the_peer_hears_of_it() {
    let scp = bind(memory().max_associations(1));
    for round in 0..200 {
        let mut association = dial(&scp).unwrap_or_else(|error| panic!("{round}: {error:?}"));
        let status = Peer(&mut *association).echo().expect("an answer");
        assert_eq!(status, Status::SUCCESS);
        association.release(PATIENCE).expect("released");
    }
    assert_eq!(scp.totals().rejected, 0);
}

#[test]
fn associations_of_one_peer_are_limited() {
    let scp = bind(memory().max_associations_per_peer(1));
    let mut held = dial(&scp).expect("room");
    assert_eq!(Peer(&mut *held).echo().expect("an answer"), Status::SUCCESS);
    rejected(&dial(&scp), RejectReason::LocalLimit);
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
        SupportedContexts::new().with(uid("1.2.840.10008.1.1"), vec![uid("1.2.840.10008.1.2")]),
    );
    let after = dial(&scp).expect("an association");
    assert!(after.contexts().find(&uid(CT), &uid(EXPLICIT)).is_none());
    assert_eq!(after.contexts().len(), 1);
    let stored = Peer(&mut *before).store("1.2.3", b"data");
    assert_eq!(stored.expect("an answer"), Status::SUCCESS);
}

/// The same port can be taken again at once, with connections of the last time still closing.
#[test]
fn the_port_can_be_taken_again() {
    let scp = bind(memory());
    let address = scp.local_addr();
    is_served(&scp, "the first time");
    assert_eq!(scp.stop(PATIENCE), StopOutcome::Drained);
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
    assert_eq!(scp.stop(PATIENCE), StopOutcome::Drained);
    assert_eq!(handler.len(), 160);
    let last = handler.stored(&InstanceUid::new("1.2.7.19").expect("a UID"));
    assert_eq!(last, Some(vec![7; 10_019]));
    assert_eq!(scp.totals().instances.stored, 160);
}
