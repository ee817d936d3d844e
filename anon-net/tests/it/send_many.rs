//! C-STORE of many objects: contexts, associations, cancel.

use anon_net::service::Cancel;
use anon_net::testing::ScriptedPeer;

use crate::send::{accepting, item, node, scu, taking};

#[test]
fn cancelled_before_it_begins() {
    let peer = ScriptedPeer::new();
    let cancel = Cancel::new();
    cancel.cancel();
    let mut drawn = (0..3).map(item);
    let error = scu(&peer)
        .send(&node(), &mut drawn, &cancel, &mut |_| {})
        .expect_err("it is cancelled");
    assert_eq!(error.report.associations, 0);
    peer.finish().unwrap();
}

#[test]
fn message_ids_go_round() {
    let objects = usize::from(u16::MAX) + 2;
    let peer = ScriptedPeer::new().then(taking(accepting(), objects).expect_release());
    let report = scu(&peer)
        .send(
            &node(),
            &mut (0..objects).map(item),
            &Cancel::new(),
            &mut |_| {},
        )
        .unwrap();
    assert_eq!(report.stored, objects as u64);
}
