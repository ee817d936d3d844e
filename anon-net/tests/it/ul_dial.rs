//! Dialling: responses of the peer, and addresses.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::time::Duration;

use anon_net::association::ul::{Implementation, UlAssociation, UlDial};
use anon_net::error::{AbortedBy, RejectReason, RejectResult};
use anon_net::{Association, Contexts, Dial, Error, Node, Proposal};

use crate::memory_network::{proposal, uid};
use crate::ul::{LONG, Port, acceptor};
use crate::wire::{
    AfterLastByte, RELEASE_RP, RELEASE_RQ, Request, USER_ABORT, Wire, WrittenBytes, abort, context,
    data_tf, ended, item, maximum, pdu, pdv, result, role,
};

fn node() -> Node {
    "ACCEPTOR@nowhere:104".parse().expect("a node")
}

/// Dials a peer that responds with these bytes.
fn dial(
    proposal: &Proposal,
    peer_bytes: Vec<u8>,
    then: AfterLastByte,
) -> (Result<UlAssociation, Error>, WrittenBytes) {
    let wire = Wire::new(peer_bytes, then).in_steps_of(5);
    let written = wire.written();
    let dial = UlDial::new();
    (
        dial.dial_over(Box::new(wire), &node(), proposal, LONG),
        written,
    )
}

fn acceptance(results: &[Vec<u8>], variables: &[&[u8]]) -> Vec<u8> {
    Request::new()
        .with(|it| it.kind = 2)
        .with_contexts(results.to_vec())
        .with_user(variables)
        .bytes()
}

#[test]
fn proposal_is_encoded_byte_for_byte() {
    let mut contexts = Contexts::new();
    let syntaxes = vec![uid("1.2.10"), uid("1.2.11")];
    contexts.add(uid("1.2.1"), syntaxes).expect("a context");
    contexts
        .add(uid("1.2.2"), vec![uid("1.2.10")])
        .expect("a context");
    contexts.take_scp_role(uid("1.2.2"));
    contexts.take_scp_role(uid("1.2.77"));
    let proposal = Proposal::new("REQUESTOR".parse().expect("a title"), contexts);
    let implementation = Implementation::new(uid("1.2.3.4"), "TEST").expect("a name");
    let wire = Wire::new(vec![], AfterLastByte::Silence);
    let written = wire.written();
    let over = UlDial::new().with_implementation(implementation).dial_over(
        Box::new(wire),
        &node(),
        &proposal,
        LONG,
    );
    assert_eq!(ended(&over), "timed out");
    let mut request = Request::new()
        .with_contexts(vec![
            context(1, "1.2.1", &["1.2.10", "1.2.11"]),
            context(3, "1.2.2", &["1.2.10"]),
        ])
        .with_user(&[
            &maximum(131_072),
            &item(0x52, b"1.2.3.4"),
            // Only for proposed contexts.
            &role("1.2.2", 1, 1),
            &item(0x55, b"TEST"),
        ])
        .bytes();
    request.extend(USER_ABORT);
    assert_eq!(
        written.take(),
        request,
        "the request, and an abort without a response"
    );
}

#[test]
fn roles_are_accepted_by_both() {
    let mut contexts = Contexts::new();
    for class in ["1.2.1", "1.2.2", "1.2.3", "1.2.4", "1.2.5"] {
        contexts
            .add(uid(class), vec![uid("1.2.10")])
            .expect("a context");
        if class != "1.2.5" {
            contexts.take_scp_role(uid(class));
        }
    }
    let proposal = Proposal::new("REQUESTOR".parse().expect("a title"), contexts);
    let results = [1, 3, 5, 7, 9].map(|id| result(id, 0, "1.2.10"));
    let roles = [
        role("1.2.1", 1, 1),
        role("1.2.2", 1, 0),
        role("1.2.3", 0, 1),
        // No role for 1.2.4, and one that was not proposed.
        role("1.2.5", 0, 1),
    ];
    let peer_bytes = acceptance(&results, &[&maximum(0), &roles.concat()]);
    let (association, _) = dial(&proposal, peer_bytes, AfterLastByte::Silence);
    let association = association.expect("an association");
    let agreed: Vec<_> = association
        .contexts()
        .iter()
        .map(|c| (c.scu, c.scp))
        .collect();
    let default = (true, false);
    assert_eq!(
        agreed,
        [(true, true), default, (false, true), default, default]
    );
    assert_eq!(association.max_pdu_bytes(), u32::MAX);
}

#[test]
fn valid_responses_are_accepted() {
    let bare = |id, code| item(0x21, &[id, 0, code, 0]);
    let table: Vec<(&str, Vec<u8>, usize)> = vec![
        (
            "each context",
            acceptance(
                &[
                    result(1, 0, "1.2.10"),
                    result(3, 3, ""),
                    result(5, 0, "1.2.11"),
                ],
                &[],
            ),
            2,
        ),
        ("one context", acceptance(&[result(5, 0, "1.2.11")], &[]), 1),
        ("no context", acceptance(&[], &[]), 0),
        (
            "no transfer syntax where it is refused",
            acceptance(&[bare(1, 4), bare(3, 9)], &[]),
            0,
        ),
        (
            "an unknown item",
            acceptance(
                &[result(1, 0, "1.2.10"), item(0x99, b"?")],
                &[&item(0x77, b"?")],
            ),
            1,
        ),
    ];
    for (case, peer_bytes, contexts) in table {
        let (association, _) = dial(&proposal(), peer_bytes, AfterLastByte::Silence);
        let association = association.unwrap_or_else(|error| panic!("{case}: {error:?}"));
        assert_eq!(association.contexts().len(), contexts, "{case}");
    }
}

#[test]
fn invalid_response_aborts_the_association() {
    let one = |result| acceptance(&[result], &[]);
    let table: Vec<(&str, Vec<u8>, u8)> = vec![
        (
            "a transfer syntax that was not offered",
            one(result(1, 0, "1.2.11")),
            6,
        ),
        ("an empty transfer syntax", one(result(1, 0, "")), 6),
        (
            "a context that was not proposed",
            one(result(7, 0, "1.2.10")),
            6,
        ),
        ("an even context", one(result(2, 0, "1.2.10")), 6),
        (
            "a proposal in a response",
            one(context(1, "1.2.1", &["1.2.10"])),
            5,
        ),
        (
            "a response twice",
            acceptance(&[result(1, 0, "1.2.10"), result(1, 0, "1.2.10")], &[]),
            6,
        ),
        (
            "a limit that leaves no room",
            acceptance(&[result(1, 0, "1.2.10")], &[&maximum(1)]),
            6,
        ),
        ("an item cut short", one(vec![0x21, 0, 0, 99, 1]), 6),
        ("a truncated response", pdu(2, &[0, 1]), 6),
        ("4 GB", vec![2, 0, 255, 255, 255, 255], 6),
        ("a rejection of 4 GB", vec![3, 0, 255, 255, 255, 255], 6),
        ("a request", Request::new().bytes(), 2),
        ("data", data_tf(&pdv(1, 0, b"x")), 2),
        ("a release", RELEASE_RQ.to_vec(), 2),
        ("a reply", RELEASE_RP.to_vec(), 2),
        ("HTTP", b"HTTP/1.1 400 Bad Request".to_vec(), 1),
    ];
    for (case, peer_bytes, reason) in table {
        let (association, written) = dial(&proposal(), peer_bytes, AfterLastByte::Silence);
        assert_eq!(ended(&association), "protocol", "{case}");
        let written = written.take();
        assert!(
            written.ends_with(&abort(reason)),
            "{case}: {:?}",
            written.last()
        );
    }
}

#[test]
fn each_rejection_and_abort_has_its_error() {
    use RejectResult::{Permanent, Transient};
    let table = [
        ([1, 1, 1], Permanent, RejectReason::NoReason),
        ([1, 1, 2], Permanent, RejectReason::ApplicationContext),
        ([1, 1, 3], Permanent, RejectReason::CallingTitle),
        ([1, 1, 7], Permanent, RejectReason::CalledTitle),
        ([1, 1, 200], Permanent, RejectReason::NoReason),
        ([1, 2, 1], Permanent, RejectReason::NoReason),
        ([1, 2, 2], Permanent, RejectReason::ProtocolVersion),
        ([2, 3, 1], Transient, RejectReason::Congestion),
        ([2, 3, 2], Transient, RejectReason::LocalLimit),
        ([9, 9, 9], Permanent, RejectReason::NoReason),
    ];
    for ([a, b, c], result, reason) in table {
        let (association, _) = dial(&proposal(), pdu(3, &[0, a, b, c]), AfterLastByte::Close);
        let error = association.expect_err("a rejection");
        let expected = Error::Rejected { result, reason };
        assert_eq!(format!("{error:?}"), format!("{expected:?}"), "{a} {b} {c}");
    }
    for (peer_bytes, by) in [
        (USER_ABORT, AbortedBy::User),
        (abort(6), AbortedBy::Provider),
    ] {
        let (association, _) = dial(&proposal(), peer_bytes.to_vec(), AfterLastByte::Close);
        let error = association.expect_err("an abort");
        assert_eq!(format!("{error:?}"), format!("{:?}", Error::Aborted { by }));
    }
    for then in [AfterLastByte::Close, AfterLastByte::Reset] {
        let (association, _) = dial(&proposal(), vec![2, 0, 0], then);
        assert_eq!(ended(&association), "lost", "{then:?}");
    }
}

#[test]
fn response_before_the_request_is_read_counts() {
    for (peer_bytes, end) in [
        (pdu(3, &[0, 2, 3, 2]), "rejected"),
        (USER_ABORT.to_vec(), "aborted"),
        (vec![3, 0, 0], "lost"),
    ] {
        let wire = Wire::new(peer_bytes, AfterLastByte::Reset).not_reading();
        let association = UlDial::new().dial_over(Box::new(wire), &node(), &proposal(), LONG);
        assert_eq!(ended(&association), end);
    }
}

#[test]
fn dialler_responds_first_in_a_release_collision() {
    let peer_bytes = [
        acceptance(&[result(1, 0, "1.2.10")], &[]),
        RELEASE_RQ.to_vec(),
        RELEASE_RP.to_vec(),
    ];
    let (association, written) = dial(&proposal(), peer_bytes.concat(), AfterLastByte::Silence);
    let mut association = association.expect("an association");
    written.take();
    association.release(LONG).expect("a release");
    assert_eq!(written.take(), [RELEASE_RQ, RELEASE_RP].concat());

    // Without waiting for the peer's response, unlike an acceptor.
    let peer_bytes = [
        acceptance(&[result(1, 0, "1.2.10")], &[]),
        RELEASE_RQ.to_vec(),
    ];
    let (association, written) = dial(&proposal(), peer_bytes.concat(), AfterLastByte::Silence);
    let mut association = association.expect("an association");
    written.take();
    assert_eq!(ended(&association.release(LONG)), "timed out");
    assert_eq!(
        written.take(),
        [RELEASE_RQ, RELEASE_RP, USER_ABORT].concat()
    );
}

#[test]
fn every_address_of_a_host_is_tried() {
    // The first address may be ::1, where nothing listens.
    let port = Port::open();
    let title = port.node.title().clone();
    let node = Node::new(title, "localhost", port.node.port()).expect("a node");
    for dial in [
        UlDial::new(),
        UlDial::new().with_local_address(IpAddr::V4(Ipv4Addr::LOCALHOST)),
    ] {
        std::thread::scope(|scope| {
            let accepted = scope.spawn(|| acceptor().accept(port.stream()));
            let association = dial.dial(&node, &proposal(), LONG).expect("an association");
            assert_eq!(association.peer().as_str(), "ACCEPTOR");
            accepted.join().expect("a thread").expect("an association");
        });
    }
}

#[test]
fn refused_connection_and_missing_response_have_different_errors() {
    let gone = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = gone.local_addr().expect("its address").port();
    drop(gone);
    let title = || "ACCEPTOR".parse().expect("a title");
    let node = Node::new(title(), "127.0.0.1", port).expect("a node");
    let refused = UlDial::new().dial(&node, &proposal(), LONG);
    let kind = std::io::ErrorKind::ConnectionRefused;
    assert!(
        matches!(refused, Err(Error::Connect { kind: k }) if k == kind),
        "{refused:?}"
    );

    let foreign = UlDial::new().with_local_address("::1".parse().expect("an address"));
    let unreachable = foreign.dial(&node, &proposal(), LONG);
    assert!(
        matches!(unreachable, Err(Error::Connect { .. })),
        "{unreachable:?}"
    );

    // A listener that never accepts: the kernel connects, and no response arrives.
    let silent = Port::open();
    let short = Duration::from_millis(50);
    let over = UlDial::new().dial(&silent.node, &proposal(), short);
    assert!(matches!(over, Err(Error::TimedOut { .. })), "{over:?}");

    let empty = Proposal::new(title(), Contexts::new());
    let nothing = UlDial::new().dial(&silent.node, &empty, LONG);
    assert!(matches!(nothing, Err(Error::Limit { .. })), "{nothing:?}");
}
