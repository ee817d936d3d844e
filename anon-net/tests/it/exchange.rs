//! The network in memory.

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

fn listening(exchange: &MemoryNetwork, max_pdu_bytes: u32) -> MemoryListener {
    let node = node("ACCEPTOR@here:104");
    exchange
        .listen(&node, supported(), max_pdu_bytes)
        .expect("a listener")
}

fn dial(exchange: &MemoryNetwork, text: &str) -> Result<Box<dyn Association>, Error> {
    exchange.dial(&node(text), &proposal(), SECOND)
}

#[test]
fn passes_the_suite() {
    let exchange = MemoryNetwork::new();
    for max_pdu_bytes in [64, 4096, 1 << 20] {
        let listener = listening(&exchange, max_pdu_bytes);
        conformance::association(|| AssociationPair {
            requestor: dial(&exchange, "ACCEPTOR@here:104").expect("an association"),
            acceptor: listener.accept(SECOND).expect("an association"),
        });
    }
}

#[test]
fn each_end_knows_the_others_limit() {
    let exchange = MemoryNetwork::new();
    let listener = listening(&exchange, 100);
    let ours = dial(&exchange, "ACCEPTOR@here:104").expect("an association");
    let theirs = listener.accept(SECOND).expect("an association");
    assert_eq!((ours.max_pdu_bytes(), theirs.max_pdu_bytes()), (100, 4096));
}

#[test]
fn refuses_as_a_node_does() {
    let exchange = MemoryNetwork::new();
    let nobody = dial(&exchange, "ACCEPTOR@here:104").expect_err("nobody listens");
    assert!(matches!(nobody, Error::Connect { .. }), "{nobody:?}");

    let listener = listening(&exchange, 4096);
    let place = exchange.listen(&node("OTHER@here:104"), supported(), 4096);
    assert!(place.is_err(), "a place that is taken");
    let wrong = dial(&exchange, "OTHER@here:104").expect_err("another title");
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
    let nothing = exchange.dial(&node("ACCEPTOR@here:104"), &empty, SECOND);
    assert!(matches!(nothing, Err(Error::Limit { .. })), "{nothing:?}");

    let waiting = listener
        .accept(Duration::from_millis(1))
        .expect_err("nobody dials");
    assert!(matches!(waiting, Error::TimedOut { .. }), "{waiting:?}");
    drop(listener);
    let gone = dial(&exchange, "ACCEPTOR@here:104").expect_err("it is gone");
    assert!(matches!(gone, Error::Connect { .. }), "{gone:?}");
}

#[test]
fn a_listener_that_does_not_accept_is_full_for_now() {
    let exchange = MemoryNetwork::new();
    let listener = listening(&exchange, 4096);
    let mut open = Vec::new();
    let full = loop {
        match dial(&exchange, "ACCEPTOR@here:104") {
            Ok(association) => open.push(association),
            Err(error) => break error,
        }
        assert!(open.len() < 100, "it takes any number");
    };
    assert_eq!(full.remedy(), Remedy::Retry, "{full:?}");
    drop(listener);
    let mut first = open.remove(0);
    let end = first.receive(SECOND).expect_err("nobody accepted it");
    assert!(matches!(end, Error::Aborted { .. }), "{end:?}");
}

#[test]
fn a_cut_line_is_lost() {
    let proposal = proposal();
    let answers = supported().answer(&proposal.contexts);
    let contexts = NegotiatedContexts::new(&proposal.contexts, &answers).expect("an agreement");
    let side = |title: &str| MemoryPeer {
        title: title.parse().expect("a title"),
        max_pdu_bytes: 4096,
    };
    let (mut ours, theirs) = pair(&side("A"), &side("B"), &contexts);
    theirs.cut();
    let lost = ours.receive(SECOND).expect_err("the line is cut");
    assert!(matches!(lost, Error::Lost), "{lost:?}");
    let closed = ours.receive(SECOND).expect_err("it stays so");
    assert!(matches!(closed, Error::Closed), "{closed:?}");
}
