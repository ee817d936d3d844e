//! C-ECHO as its user, against scripted peers.

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

use crate::exchange::uid;

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

/// Asks a peer that plays this script, to its end.
#[track_caller]
fn echo(script: Script) -> Result<Status, ServiceError> {
    let peer = ScriptedPeer::new().then(script);
    let scu = Scu::new(Arc::new(peer.clone()), "US".parse().expect("a title"));
    let result = scu.echo(&node(), &Cancel::new());
    let played = peer.finish().map(drop);
    assert_eq!(played, Ok(()), "the service said {result:?}");
    result
}

/// The error of the association.
#[track_caller]
fn failure(script: Script) -> Error {
    let error = echo(script).expect_err("an error");
    match error {
        ServiceError::Association(error) => error,
        other => Error::Backend(BackendError::new(Remedy::Stop, other)),
    }
}

#[test]
fn a_peer_that_is_there_answers() {
    for code in [0x0000, 0x0122, 0xA700] {
        let status = Status::new(code);
        let script = accepting()
            .expect(Operation::Echo)
            .answer(Reply::new(status))
            .expect_release();
        assert_eq!(echo(script).expect("an answer"), status);
    }
}

#[test]
fn it_proposes_verification_and_asks_as_the_standard_says() {
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
    let heard = peer.finish().unwrap();
    let Command::Request(request) = &heard[0].command else {
        panic!("{heard:?}");
    };
    assert_eq!(
        (request.operation, request.message_id),
        (Operation::Echo, 1)
    );
    assert!(!request.has_data_set);
}

#[test]
fn peers_that_reject_say_why() {
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
            let told = matches!(error, Error::Rejected { reason: told, .. } if told == reason);
            assert!(told, "{reason:?}: {error:?}");
            assert_eq!(error.remedy(), remedy, "{reason:?}");
        }
    }
}

#[test]
fn peers_that_are_not_there() {
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
fn a_peer_that_does_no_verification() {
    let supported = SupportedContexts::new().with(uid("1.2"), vec![uid(IMPLICIT)]);
    let error = echo(Script::accepting(supported).expect_release()).unwrap_err();
    assert!(
        matches!(&error, ServiceError::ContextRefused { sop_class, .. } if *sop_class == uid(VERIFICATION)),
        "{error:?}"
    );
    assert_eq!(error.remedy(), Remedy::Skip);
}

#[test]
fn wrong_answers_break_the_protocol() {
    let other = ContextId::new(3).unwrap();
    let asked = || accepting().expect(Operation::Echo);
    let echo = anon_net::dimse::Request::new(Operation::Echo, 1, uid(VERIFICATION));
    let echo = Command::Request(echo);
    let first = ContextId::FIRST;
    let table = [
        ("another message", asked().answer(success().to_message(2))),
        (
            "another context",
            asked().answer(success().in_context(other)),
        ),
        (
            "another operation",
            asked().answer(success().to_operation(Operation::Find)),
        ),
        (
            "a data set",
            asked().answer(success().with_data_set([0; 8])),
        ),
        ("pending", asked().answer(Reply::new(Status::PENDING))),
        ("a request", asked().send(first, &echo, None)),
        (
            "a cancel",
            asked().send(first, &Command::Cancel { responded_to: 1 }, None),
        ),
        (
            "a data set alone",
            asked().send_fragment(first, PdvKind::Data, PdvPosition::Last, b"DATA"),
        ),
        (
            "no command",
            asked().send_fragment(first, PdvKind::Command, PdvPosition::Last, b"GET / HTTP"),
        ),
        (
            "no end",
            asked()
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
fn peers_that_end_early() {
    type Wanted = fn(&Error) -> bool;
    let asked = || accepting().expect(Operation::Echo);
    let table: [(&str, Script, Wanted); 8] = [
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
        ("cuts", asked().cut(), |e| matches!(e, Error::Lost)),
        ("never answers", asked().silence().expect_abort(), |e| {
            matches!(
                e,
                Error::TimedOut {
                    waiting: Waiting::Message,
                    ..
                }
            )
        }),
        (
            "answers half",
            asked()
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
            asked().release().expect_release(),
            |e| matches!(e, Error::Closed),
        ),
        (
            "releases inside its answer",
            asked()
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
    for (what, script, wanted) in table {
        let error = failure(script);
        assert!(wanted(&error), "{what}: {error:?}");
    }
}

#[test]
fn after_the_answer_nothing_can_fail() {
    let answered = || accepting().expect(Operation::Echo).answer(success());
    let table = [
        ("aborts", answered().abort(AbortedBy::User)),
        ("cuts", answered().cut()),
        (
            "does not answer the release",
            answered().silence().expect_abort(),
        ),
        ("releases too", answered().release().expect_release()),
    ];
    for (what, script) in table {
        assert_eq!(echo(script).expect(what), Status::SUCCESS, "{what}");
    }
}

#[test]
fn an_answer_may_come_late_but_in_time() {
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
fn an_answer_that_comes_too_late_is_not_waited_for() {
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
