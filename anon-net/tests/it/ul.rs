//! Associations over TCP.

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use anon_net::association::ul::{Acceptor, UlAssociation, UlDial};
use anon_net::testing::conformance::{self, AssociationPair};
use anon_net::{Dial, Error, Node};

use crate::memory_network::{proposal, supported};

pub(crate) const LONG: Duration = Duration::from_secs(20);

/// A listening socket on a free port, and its node.
pub(crate) struct Port {
    listener: TcpListener,
    pub(crate) node: Node,
}

impl Port {
    pub(crate) fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let title = "ACCEPTOR".parse().expect("a title");
        Self {
            node: Node::new(title, "127.0.0.1", port).expect("a node"),
            listener,
        }
    }

    pub(crate) fn stream(&self) -> TcpStream {
        self.listener.accept().expect("a connection").0
    }
}

pub(crate) fn acceptor() -> Acceptor {
    let title = "ACCEPTOR".parse().expect("a title");
    Acceptor::new(title, supported()).with_artim(LONG)
}

fn accept(port: &Port, acceptor: &Acceptor) -> Result<UlAssociation, Error> {
    acceptor.accept(port.stream())
}

#[test]
fn tcp_association_passes_the_conformance_suite() {
    for max_pdu_bytes in [64, 4096, 1 << 20] {
        let port = Port::open();
        let acceptor = acceptor().with_max_pdu_bytes(max_pdu_bytes);
        conformance::association(|| {
            std::thread::scope(|scope| {
                let accepted = scope.spawn(|| accept(&port, &acceptor));
                let requestor = UlDial::new().dial(&port.node, &proposal(), LONG);
                AssociationPair {
                    requestor: requestor.expect("an association"),
                    acceptor: Box::new(accepted.join().expect("a thread").expect("an association")),
                }
            })
        });
    }
}
