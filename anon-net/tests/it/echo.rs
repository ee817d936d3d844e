//! C-ECHO as SCU, against scripted peers.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anon_net::error::{AbortedBy, RejectReason, RejectResult, Waiting};
use anon_net::service::{Cancel, Scu, ServiceError, Timeouts};
use anon_net::testing::{Gate, Reply, Script, ScriptedPeer};
use anon_net::{
    BackendError, Command, ContextId, Error, Node, Operation, PdvKind, PdvPosition, Remedy, Status,
    SupportedContexts,
};

use crate::memory_network::uid;

const VERIFICATION: &str = "1.2.840.10008.1.1";
const IMPLICIT: &str = "1.2.840.10008.1.2";

fn accepting() -> Script {
    Script::accepting(SupportedContexts::new().with(uid(VERIFICATION), vec![uid(IMPLICIT)]))
}

fn success() -> Reply {
    Reply::new(Status::SUCCESS)
}

fn node() -> Node {
    "ARCHIVE@there:104".parse().expect("a node")
}

/// Sends a C-ECHO to a peer with this script, and expects that the script is played to its end.
#[track_caller]
fn echo(script: Script) -> Result<Status, ServiceError> {
    let peer = ScriptedPeer::new().then(script);
    let scu = Scu::new(Arc::new(peer.clone()), "US".parse().expect("a title"));
    let result = scu.echo(&node(), &Cancel::new());
    let played = peer.finish().map(drop);
    assert_eq!(played, Ok(()), "the service returned {result:?}");
    result
}

/// Returns the error of the association.
#[track_caller]
fn failure(script: Script) -> Error {
    let error = echo(script).expect_err("an error");
    match error {
        ServiceError::Association(error) => error,
        other => Error::Backend(BackendError::new(Remedy::Stop, other)),
    }
}

#[test]
fn status_of_the_peer_is_returned() {
    for code in [0x0000, 0x0122, 0xA700] {
        let status = Status::new(code);
        let script = accepting()
            .expect(Operation::Echo)
            .answer(Reply::new(status))
            .expect_release();
        assert_eq!(echo(script).expect("a response"), status);
    }
}

#[test]
fn request_is_encoded_as_the_standard_says() {
    let peer = ScriptedPeer::new().then(
        accepting()
            .expect(Operation::Echo)
            .answer(success())
            .expect_release(),
    );
    let scu = Scu::new(Arc::new(peer.clone()), "US".parse().unwrap()).with_max_pdu_bytes(65_536);
    scu.echo(&node(), &Cancel::new()).unwrap();
    let [proposal] = &peer.proposals()[..] else {
        panic!("one association");
    };
    assert_eq!(proposal.calling.as_str(), "US");
    assert_eq!(proposal.max_pdu_bytes, 65_536);
    let contexts: Vec<_> = proposal.contexts.iter().collect();
    assert_eq!(contexts.len(), 1);
    assert_eq!(contexts[0].abstract_syntax, uid(VERIFICATION));
    assert_eq!(contexts[0].transfer_syntaxes, [uid(IMPLICIT)]);
    let received = peer.finish().unwrap();
    let Command::Request(request) = &received[0].command else {
        panic!("{received:?}");
    };
    assert_eq!(
        (request.operation, request.message_id),
        (Operation::Echo, 1)
    );
    assert!(!request.has_data_set);
}

#[test]
fn rejections_have_their_reason() {
    let reasons = [
        RejectReason::NoReason,
        RejectReason::ApplicationContext,
        RejectReason::CallingTitle,
        RejectReason::CalledTitle,
        RejectReason::ProtocolVersion,
        RejectReason::Congestion,
        RejectReason::LocalLimit,
    ];
    for reason in reasons {
        for (result, remedy) in [
            (RejectResult::Permanent, Remedy::Stop),
            (RejectResult::Transient, Remedy::Retry),
        ] {
            let error = failure(Script::rejecting(result, reason));
            let found = matches!(error, Error::Rejected { reason: found, .. } if found == reason);
            assert!(found, "{reason:?}: {error:?}");
            assert_eq!(error.remedy(), remedy, "{reason:?}");
        }
    }
}

#[test]
fn unreachable_peer_is_an_error() {
    let error = failure(Script::unreachable(io::ErrorKind::HostUnreachable));
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    let error = failure(Script::mute());
    let waited = Timeouts::default().tcp + Timeouts::default().acse;
    assert!(
        matches!(error, Error::TimedOut { waiting: Waiting::Association, after } if after == waited),
        "{error:?}"
    );
    let error = failure(Script::breaking("it speaks HTTP"));
    assert_eq!(error.remedy(), Remedy::Stop, "{error:?}");
}

#[test]
fn peer_without_verification_is_an_error() {
    let supported = SupportedContexts::new().with(uid("1.2"), vec![uid(IMPLICIT)]);
    let error = echo(Script::accepting(supported).expect_release()).unwrap_err();
    assert!(
        matches!(&error, ServiceError::ContextRefused { sop_class, .. } if *sop_class == uid(VERIFICATION)),
        "{error:?}"
    );
    assert_eq!(error.remedy(), Remedy::Skip);
}

#[test]
fn invalid_response_is_a_protocol_error() {
    let other = ContextId::new(3).unwrap();
    let after_request = || accepting().expect(Operation::Echo);
    let echo = anon_net::dimse::Request::new(Operation::Echo, 1, uid(VERIFICATION));
    let echo = Command::Request(echo);
    let first = ContextId::FIRST;
    let table = [
        (
            "another message",
            after_request().answer(success().to_message(2)),
        ),
        (
            "another context",
            after_request().answer(success().in_context(other)),
        ),
        (
            "another operation",
            after_request().answer(success().to_operation(Operation::Find)),
        ),
        (
            "a data set",
            after_request().answer(success().with_data_set([0; 8])),
        ),
        (
            "pending",
            after_request().answer(Reply::new(Status::PENDING)),
        ),
        ("a request", after_request().send(first, &echo, None)),
        (
            "a cancel",
            after_request().send(first, &Command::Cancel { responded_to: 1 }, None),
        ),
        (
            "a data set alone",
            after_request().send_fragment(first, PdvKind::Data, PdvPosition::Last, b"DATA"),
        ),
        (
            "no command",
            after_request().send_fragment(
                first,
                PdvKind::Command,
                PdvPosition::Last,
                b"GET / HTTP",
            ),
        ),
        (
            "no end",
            after_request()
                .send_fragment(first, PdvKind::Command, PdvPosition::More, &[0; 16_384])
                .send_fragment(first, PdvKind::Command, PdvPosition::More, &[0; 16_384]),
        ),
    ];
    for (what, script) in table {
        let error = failure(script.expect_abort());
        assert!(matches!(error, Error::Protocol { .. }), "{what}: {error:?}");
        assert_eq!(error.remedy(), Remedy::Stop, "{what}");
    }
}

#[test]
fn early_end_of_the_association_is_an_error() {
    type Expected = fn(&Error) -> bool;
    let after_request = || accepting().expect(Operation::Echo);
    let table: [(&str, Script, Expected); 8] = [
        ("aborts before", accepting().abort(AbortedBy::User), |e| {
            matches!(
                e,
                Error::Aborted {
                    by: AbortedBy::User
                }
            )
        }),
        (
            "aborts inside",
            accepting()
                .expect_fragment(PdvKind::Command)
                .abort(AbortedBy::Provider),
            |e| {
                matches!(
                    e,
                    Error::Aborted {
                        by: AbortedBy::Provider
                    }
                )
            },
        ),
        ("closes", after_request().cut(), |e| {
            matches!(e, Error::Lost)
        }),
        (
            "never responds",
            after_request().silence().expect_abort(),
            |e| {
                matches!(
                    e,
                    Error::TimedOut {
                        waiting: Waiting::Message,
                        ..
                    }
                )
            },
        ),
        (
            "sends half a response",
            after_request()
                .send_fragment(
                    ContextId::FIRST,
                    PdvKind::Command,
                    PdvPosition::More,
                    &[0; 4],
                )
                .silence()
                .expect_abort(),
            |e| matches!(e, Error::TimedOut { .. }),
        ),
        (
            "does not read",
            accepting().stop_reading().expect_abort(),
            |e| {
                matches!(
                    e,
                    Error::TimedOut {
                        waiting: Waiting::Room,
                        ..
                    }
                )
            },
        ),
        (
            "releases instead",
            after_request().release().expect_release(),
            |e| matches!(e, Error::Closed),
        ),
        (
            "releases inside its response",
            after_request()
                .send_fragment(
                    ContextId::FIRST,
                    PdvKind::Command,
                    PdvPosition::More,
                    &[0; 4],
                )
                .release()
                .expect_abort(),
            |e| matches!(e, Error::Protocol { .. }),
        ),
    ];
    for (what, script, expected) in table {
        let error = failure(script);
        assert!(expected(&error), "{what}: {error:?}");
    }
}

#[test]
fn response_counts_whatever_follows() {
    let after_response = || accepting().expect(Operation::Echo).answer(success());
    let table = [
        ("aborts", after_response().abort(AbortedBy::User)),
        ("closes", after_response().cut()),
        (
            "does not respond to the release",
            after_response().silence().expect_abort(),
        ),
        ("releases too", after_response().release().expect_release()),
    ];
    for (what, script) in table {
        assert_eq!(echo(script).expect(what), Status::SUCCESS, "{what}");
    }
}

#[test]
fn response_before_the_timeout_counts() {
    let gate = Gate::new();
    let script = accepting()
        .expect(Operation::Echo)
        .wait(&gate)
        .answer(success())
        .expect_release();
    let waiting = std::thread::spawn(move || echo(script));
    gate.open();
    assert_eq!(waiting.join().unwrap().unwrap(), Status::SUCCESS);
}

#[test]
fn response_after_the_timeout_is_an_error() {
    let gate = Gate::new();
    let peer = ScriptedPeer::new().then(
        accepting()
            .expect(Operation::Echo)
            .wait(&gate)
            .answer(success())
            .expect_abort(),
    );
    let timeouts = Timeouts::all(Duration::from_millis(20));
    let scu = Scu::new(Arc::new(peer.clone()), "US".parse().unwrap()).with_timeouts(timeouts);
    let error = scu.echo(&node(), &Cancel::new()).unwrap_err();
    assert_eq!(error.remedy(), Remedy::Retry, "{error:?}");
}
