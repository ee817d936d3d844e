//! `MemoryNetwork`.

use std::time::Duration;

use anon_net::error::{RejectReason, RejectResult};
use anon_net::testing::conformance::{self, AssociationPair};
use anon_net::testing::memory::{MemoryPeer, pair};
use anon_net::testing::{MemoryListener, MemoryNetwork};
use anon_net::{
    Association, Contexts, Dial, Error, NegotiatedContexts, Node, Proposal, Remedy,
    SupportedContexts, Uid,
};

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn uid(text: &str) -> Uid {
    Uid::new(text).expect("a UID")
}

fn node(text: &str) -> Node {
    text.parse().expect("a node")
}

pub(crate) fn proposal() -> Proposal {
    let mut contexts = Contexts::new();
    for (class, syntax) in [
        ("1.2.1", "1.2.10"),
        ("1.2.2", "1.2.10"),
        ("1.2.1", "1.2.11"),
    ] {
        contexts
            .add(uid(class), vec![uid(syntax)])
            .expect("a context");
    }
    Proposal::new("REQUESTOR".parse().expect("a title"), contexts).with_max_pdu_bytes(4096)
}

pub(crate) fn supported() -> SupportedContexts {
    SupportedContexts::new().with(uid("1.2.1"), vec![uid("1.2.10"), uid("1.2.11")])
}

fn listening(network: &MemoryNetwork, max_pdu_bytes: u32) -> MemoryListener {
    let node = node("ACCEPTOR@here:104");
    network
        .listen(&node, supported(), max_pdu_bytes)
        .expect("a listener")
}

fn dial(network: &MemoryNetwork, text: &str) -> Result<Box<dyn Association>, Error> {
    network.dial(&node(text), &proposal(), SECOND)
}

#[test]
fn memory_association_passes_the_conformance_suite() {
    let network = MemoryNetwork::new();
    for max_pdu_bytes in [64, 4096, 1 << 20] {
        let listener = listening(&network, max_pdu_bytes);
        conformance::association(|| AssociationPair {
            requestor: dial(&network, "ACCEPTOR@here:104").expect("an association"),
            acceptor: listener.accept(SECOND).expect("an association"),
        });
    }
}

#[test]
fn each_side_knows_the_maximum_length_of_the_other() {
    let network = MemoryNetwork::new();
    let listener = listening(&network, 100);
    let ours = dial(&network, "ACCEPTOR@here:104").expect("an association");
    let theirs = listener.accept(SECOND).expect("an association");
    assert_eq!((ours.max_pdu_bytes(), theirs.max_pdu_bytes()), (100, 4096));
}

#[test]
fn dialling_fails_as_with_a_real_node() {
    let network = MemoryNetwork::new();
    let nobody = dial(&network, "ACCEPTOR@here:104").expect_err("nobody listens");
    assert!(matches!(nobody, Error::Connect { .. }), "{nobody:?}");

    let listener = listening(&network, 4096);
    let place = network.listen(&node("OTHER@here:104"), supported(), 4096);
    assert!(place.is_err(), "a node that already listens");
    let wrong = dial(&network, "OTHER@here:104").expect_err("another title");
    assert!(
        matches!(
            wrong,
            Error::Rejected {
                result: RejectResult::Permanent,
                reason: RejectReason::CalledTitle
            }
        ),
        "{wrong:?}"
    );
    let empty = Proposal::new("REQUESTOR".parse().expect("a title"), Contexts::new());
    let nothing = network.dial(&node("ACCEPTOR@here:104"), &empty, SECOND);
    assert!(matches!(nothing, Err(Error::Limit { .. })), "{nothing:?}");

    let waiting = listener
        .accept(Duration::from_millis(1))
        .expect_err("nobody dials");
    assert!(matches!(waiting, Error::TimedOut { .. }), "{waiting:?}");
    drop(listener);
    let gone = dial(&network, "ACCEPTOR@here:104").expect_err("the listener was dropped");
    assert!(matches!(gone, Error::Connect { .. }), "{gone:?}");
}

#[test]
fn listener_that_does_not_accept_rejects_temporarily() {
    let network = MemoryNetwork::new();
    let listener = listening(&network, 4096);
    let mut open = Vec::new();
    let full = loop {
        match dial(&network, "ACCEPTOR@here:104") {
            Ok(association) => open.push(association),
            Err(error) => break error,
        }
        assert!(open.len() < 100, "the listener accepts any number");
    };
    assert_eq!(full.remedy(), Remedy::Retry, "{full:?}");
    drop(listener);
    let mut first = open.remove(0);
    let end = first.receive(SECOND).expect_err("nobody accepted it");
    assert!(matches!(end, Error::Aborted { .. }), "{end:?}");
}

#[test]
fn cut_connection_is_lost() {
    let proposal = proposal();
    let results = supported().answer(&proposal.contexts);
    let contexts = NegotiatedContexts::new(&proposal.contexts, &results).expect("valid responses");
    let side = |title: &str| MemoryPeer {
        title: title.parse().expect("a title"),
        max_pdu_bytes: 4096,
    };
    let (mut ours, theirs) = pair(&side("A"), &side("B"), &contexts);
    theirs.cut();
    let lost = ours.receive(SECOND).expect_err("the connection was cut");
    assert!(matches!(lost, Error::Lost), "{lost:?}");
    let closed = ours.receive(SECOND).expect_err("it stays closed");
    assert!(matches!(closed, Error::Closed), "{closed:?}");
}
