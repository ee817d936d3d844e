//! `Sender`: C-STORE of single objects, its proposals, and the ends of its associations.

use std::io::{self, Read};
use std::ops::ControlFlow;

use anon_net::error::AbortedBy;
use anon_net::service::{Cancel, FileMeta, Query, Sender, ServiceError, StorageContext};
use anon_net::testing::{Script, ScriptedPeer};
use anon_net::{Command, Error, Operation, PdvKind, Status, SupportedContexts, Uid};

use crate::memory_network::uid;
use crate::send::{CT, EXPLICIT, JPEG, accepting, node, scu, success, taking};

const IMPLICIT: &str = "1.2.840.10008.1.2";
const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

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

fn alternatives() -> Vec<Uid> {
    vec![uid(EXPLICIT), uid(IMPLICIT), uid(BIG_ENDIAN)]
}

/// The first alternative that the peer accepts is chosen, and its own transfer syntax before all.
#[test]
fn an_alternative_is_negotiated_if_the_own_transfer_syntax_is_not_accepted() {
    for (own, accepted, expected) in [
        (EXPLICIT, &[EXPLICIT, IMPLICIT][..], Some(EXPLICIT)),
        (BIG_ENDIAN, &[IMPLICIT, BIG_ENDIAN], Some(BIG_ENDIAN)),
        (EXPLICIT, &[IMPLICIT], Some(IMPLICIT)),
        (IMPLICIT, &[BIG_ENDIAN], Some(BIG_ENDIAN)),
        (EXPLICIT, &[JPEG], None),
        // A compressed one has no alternative.
        (JPEG, &[EXPLICIT], None),
    ] {
        let accepted = accepted.iter().map(|it| uid(it)).collect();
        let script = Script::accepting(SupportedContexts::new().with(uid(CT), accepted));
        let stored = usize::from(expected.is_some());
        let peer = ScriptedPeer::new().then(taking(script, stored).expect_release());
        let mut sender = scu(&peer).sender(&node()).with_alternatives(alternatives());
        let negotiated = sender.negotiated(&sort(own), &Cancel::new());
        match expected {
            None => assert!(
                matches!(negotiated, Err(ServiceError::ContextRefused { .. })),
                "{negotiated:?}"
            ),
            Some(syntax) => {
                let context = negotiated.expect("accepted");
                assert_eq!(context, sort(syntax));
                let instance = "1.2.3".parse().expect("a UID");
                let bytes = vec![7; 300_000];
                sender
                    .store_to_end(&context, &instance, &mut &*bytes, &Cancel::new())
                    .expect("stored on the same association");
            }
        }
        sender.release();
        let received = peer.finish().expect("the script was played");
        assert!(received.iter().all(|it| it.data_set.len() == 300_000));
    }
}

/// A peer chooses one of the alternatives. That says nothing about the others.
#[test]
fn an_alternative_that_was_not_chosen_is_proposed_by_itself() {
    let accepted = || {
        let syntaxes = vec![uid(IMPLICIT), uid(BIG_ENDIAN)];
        Script::accepting(SupportedContexts::new().with(uid(CT), syntaxes))
    };
    let peer = ScriptedPeer::new()
        .then(accepted().expect_release())
        .then(accepted().expect_release());
    let mut sender = scu(&peer).sender(&node()).with_alternatives(alternatives());
    for (own, expected) in [
        (EXPLICIT, IMPLICIT),
        (BIG_ENDIAN, BIG_ENDIAN),
        (EXPLICIT, IMPLICIT),
    ] {
        let negotiated = sender.negotiated(&sort(own), &Cancel::new());
        assert_eq!(negotiated.expect("accepted"), sort(expected), "{own}");
    }
    sender.release();
    peer.finish().expect("the scripts were played");
}

/// 128 contexts are the most of a proposal: the needed one and its alternatives are among them.
#[test]
fn alternatives_leave_room_for_the_needed_context() {
    let peer = ScriptedPeer::new().then(
        taking(
            Script::accepting(SupportedContexts::new().with(uid(CT), vec![uid(IMPLICIT)])),
            1,
        )
        .expect_release(),
    );
    let mut sender = scu(&peer).sender(&node()).with_alternatives(alternatives());
    sender.expect((0..200).map(|n| StorageContext {
        sop_class: uid(&format!("1.2.840.10008.5.1.4.1.1.1.{n}")),
        transfer_syntax: uid(EXPLICIT),
    }));
    let context = sender.negotiated(&sort(EXPLICIT), &Cancel::new());
    assert_eq!(context.expect("accepted"), sort(IMPLICIT));
    store(&mut sender, IMPLICIT, b"an object").expect("stored");
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
