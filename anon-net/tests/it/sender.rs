//! `Sender`: C-STORE of single objects, its proposals, and the ends of its associations.

use std::io::{self, Read};
use std::ops::ControlFlow;

use anon_net::error::AbortedBy;
use anon_net::service::{Cancel, FileMeta, Query, Sender, ServiceError, StorageContext};
use anon_net::testing::ScriptedPeer;
use anon_net::{Command, Error, Operation, PdvKind, Status};

use crate::memory_network::uid;
use crate::send::{CT, EXPLICIT, JPEG, accepting, node, scu, success, taking};

fn sort(syntax: &str) -> StorageContext {
    StorageContext {
        sop_class: uid(CT),
        transfer_syntax: uid(syntax),
    }
}

fn store(sender: &mut Sender, syntax: &str, bytes: &[u8]) -> Result<Status, ServiceError> {
    let instance = "1.2.3".parse().expect("a UID");
    let (mut body, length) = (bytes, bytes.len() as u64);
    sender.store(&sort(syntax), &instance, &mut body, length, &Cancel::new())
}

#[test]
fn association_stays_open_between_objects() {
    let peer = ScriptedPeer::new().then(taking(accepting(), 3).expect_release());
    let mut sender = scu(&peer).sender(&node());
    for bytes in [&b"first"[..], b"", b"third"] {
        let status = store(&mut sender, EXPLICIT, bytes);
        assert_eq!(status.expect("a response"), Status::SUCCESS);
    }
    sender.release();
    let received = peer.finish().expect("the script was played");
    let data_sets: Vec<_> = received.iter().map(|it| &*it.data_set).collect();
    assert_eq!(data_sets, [&b"first"[..], b"", b"third"]);
    assert!(
        matches!(&received[0].command, Command::Request(request) if request.operation == Operation::Store)
    );
}

/// Expected contexts are proposed at once. A rejected context does not end the association.
#[test]
fn expected_contexts_are_proposed() {
    let peer = ScriptedPeer::new().then(taking(accepting(), 1).expect_release());
    let mut sender = scu(&peer).sender(&node());
    sender.expect([sort(EXPLICIT)]);
    for _ in 0..2 {
        let refused = store(&mut sender, JPEG, b"jpeg");
        assert!(
            matches!(refused, Err(ServiceError::ContextRefused { .. })),
            "{refused:?}"
        );
    }
    store(&mut sender, EXPLICIT, b"explicit").expect("proposed with the other context");
    sender.release();
    peer.finish().expect("the script was played");
}

#[test]
fn failing_body_aborts_the_association() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    let peer = ScriptedPeer::new()
        .then(accepting().expect_fragment(PdvKind::Command).expect_abort())
        .then(taking(accepting(), 1).expect_release());
    let mut sender = scu(&peer).sender(&node());
    let instance = "1.2.3".parse().expect("a UID");
    let failed = sender.store(&sort(EXPLICIT), &instance, &mut Fails, 9, &Cancel::new());
    let Err(ServiceError::Association(Error::Unreadable { .. })) = failed else {
        panic!("{failed:?}");
    };
    store(&mut sender, EXPLICIT, b"next").expect("on another association");
    sender.release();
    peer.finish().expect("the scripts were played");
}

#[test]
fn cancelling_ends_the_wait_for_a_silent_peer() {
    let cancel = Cancel::new();
    let wish = cancel.clone();
    let script = accepting()
        .expect(Operation::Store)
        .act(move || wish.cancel())
        .expect_abort();
    let peer = ScriptedPeer::new().then(script);
    let mut sender = scu(&peer).sender(&node());
    let instance = "1.2.3".parse().expect("a UID");
    let ended = sender.store(&sort(EXPLICIT), &instance, &mut &b"object"[..], 6, &cancel);
    assert!(matches!(ended, Err(ServiceError::Cancelled)), "{ended:?}");
}

#[test]
fn late_response_does_not_count_for_the_next_object() {
    let late = accepting()
        .expect(Operation::Store)
        .answer(success())
        .answer(success())
        .expect_abort();
    let peer = ScriptedPeer::new()
        .then(late)
        .then(taking(accepting(), 1).abort(AbortedBy::User));
    let mut sender = scu(&peer).sender(&node());
    for _ in 0..2 {
        store(&mut sender, EXPLICIT, b"object").expect("stored");
    }
    drop(sender);
    peer.finish().expect("the scripts were played");
}

#[test]
fn file_meta_is_read_from_any_reader() {
    let not = FileMeta::read(&mut &b"no DICOM"[..]);
    assert!(matches!(not, Err(ServiceError::NotDicom { .. })), "{not:?}");
}

#[test]
fn hierarchies_need_a_query_context() {
    let peer = ScriptedPeer::new().then(accepting().expect_release());
    let requested = scu(&peer).hierarchies(&node(), &Query::new(), &Cancel::new(), &mut |_, _| {
        ControlFlow::Continue(())
    });
    assert!(
        matches!(requested, Err(ServiceError::ContextRefused { .. })),
        "{requested:?}"
    );
    peer.finish().expect("the script was played");
}
