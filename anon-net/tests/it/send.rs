//! C-STORE as SCU: one data set, and every reaction of a peer.

use std::sync::Arc;
use std::time::Duration;

use anon_net::error::{AbortedBy, RejectReason, RejectResult, Waiting};
use anon_net::service::{
    Cancel, Retries, Scu, SendError, SendItem, SendOutcome, SendReport, ServiceError,
};
use anon_net::testing::{Reply, Script, ScriptedPeer};
use anon_net::{
    Command, ContextId, Error, Node, Operation, PdvKind, PdvPosition, Remedy, Status,
    SupportedContexts,
};

use crate::memory_network::uid;

pub(crate) const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
pub(crate) const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub(crate) const JPEG: &str = "1.2.840.10008.1.2.4.50";

pub(crate) fn node() -> Node {
    "ARCHIVE@there:104".parse().expect("a node")
}

pub(crate) fn accepting() -> Script {
    Script::accepting(SupportedContexts::new().with(uid(CT), vec![uid(EXPLICIT)]))
}

pub(crate) fn success() -> Reply {
    Reply::new(Status::SUCCESS)
}

/// A script that stores so many objects.
pub(crate) fn taking(script: Script, objects: usize) -> Script {
    (0..objects).fold(script, |script, _| {
        script.expect(Operation::Store).answer(success())
    })
}

pub(crate) fn item(number: usize) -> SendItem {
    item_of(CT, EXPLICIT, number)
}

pub(crate) fn item_of(class: &str, syntax: &str, number: usize) -> SendItem {
    let instance = format!("1.2.3.{number}").parse().expect("a UID");
    let data_set = format!("data set {number:05}").into_bytes();
    SendItem::data_set(uid(class), instance, uid(syntax), data_set)
}

pub(crate) fn scu(peer: &ScriptedPeer) -> Scu {
    Scu::new(Arc::new(peer.clone()), "US".parse().expect("a title"))
        .with_retries(Retries::new(3, Duration::ZERO))
}

/// The outcomes of the items, in the order of the events.
pub(crate) type ItemOutcomes = Vec<(u64, SendOutcome)>;

/// Sends to a peer, and expects that all its scripts are played to their end.
#[track_caller]
pub(crate) fn send(
    peer: &ScriptedPeer,
    items: impl IntoIterator<Item = SendItem>,
) -> (Result<SendReport, SendError>, ItemOutcomes) {
    let mut outcomes = Vec::new();
    let result = scu(peer).send(
        &node(),
        &mut items.into_iter(),
        &Cancel::new(),
        &mut |event| outcomes.push((event.number, event.outcome)),
    );
    let played = peer.finish().map(drop);
    assert_eq!(played, Ok(()), "{result:?}, {outcomes:?}");
    (result, outcomes)
}

#[test]
fn object_is_sent_unchanged() {
    let peer = ScriptedPeer::new().then(
        accepting()
            .with_max_pdu_bytes(16)
            .expect(Operation::Store)
            .answer(success())
            .expect_release(),
    );
    let (result, outcomes) = send(&peer, [item(7)]);
    let report = result.unwrap();
    assert_eq!((report.stored, report.warnings, report.failed), (1, 0, 0));
    assert_eq!((report.bytes, report.associations), (14, 1));
    assert!(
        matches!(outcomes[..], [(0, SendOutcome::Stored { bytes: 14 })]),
        "{outcomes:?}"
    );

    let received = peer.finish().unwrap();
    let Command::Request(request) = &received[0].command else {
        panic!("{received:?}");
    };
    assert_eq!(request.sop_class, uid(CT));
    assert_eq!(request.sop_instance, Some("1.2.3.7".parse().unwrap()));
    assert_eq!((request.message_id, &request.originator), (1, &None));
    assert_eq!(received[0].data_set, b"data set 00007");
    assert_eq!(
        received[0].fragments,
        [10, 4],
        "as long as the peer takes them"
    );
}

#[test]
fn empty_data_set_and_full_fragments_are_sent() {
    for (length, fragments) in [
        (0, vec![0]),
        (10, vec![10]),
        (20, vec![10, 10]),
        (11, vec![10, 1]),
    ] {
        let peer = ScriptedPeer::new()
            .then(taking(accepting().with_max_pdu_bytes(16), 1).expect_release());
        let data_set = vec![b'x'; length];
        let item = SendItem::data_set(uid(CT), "1.2".parse().unwrap(), uid(EXPLICIT), data_set);
        let (result, _) = send(&peer, [item]);
        assert_eq!(result.unwrap().stored, 1);
        assert_eq!(peer.finish().unwrap()[0].fragments, fragments);
    }
}

#[test]
fn each_status_has_its_outcome() {
    let stored = [0x0000];
    let warnings = [0xB000, 0xB006, 0xB007, 0x0107, 0x0116, 0x0001];
    let failures = [
        (0xA700, Remedy::Retry),
        (0xA7FF, Remedy::Retry),
        (0x0213, Remedy::Retry),
        (0xA900, Remedy::Skip),
        (0xC000, Remedy::Skip),
        (0xC210, Remedy::Skip),
        (0x0110, Remedy::Skip),
        (0x0111, Remedy::Skip),
        (0x0117, Remedy::Skip),
        (0x0122, Remedy::Skip),
        (0x0124, Remedy::Stop),
        (0x0210, Remedy::Skip),
        (0x0211, Remedy::Stop),
        (0x0212, Remedy::Skip),
        (0xFE00, Remedy::Skip),
        (0x1234, Remedy::Skip),
    ];
    let codes = stored.into_iter().chain(warnings);
    let codes: Vec<u16> = codes.chain(failures.map(|(code, _)| code)).collect();
    let script = codes.iter().fold(accepting(), |script, code| {
        script
            .expect(Operation::Store)
            .answer(Reply::new(Status::new(*code)))
    });
    let peer = ScriptedPeer::new().then(script.expect_release());
    let (result, outcomes) = send(&peer, (0..codes.len()).map(item));
    let report = result.expect("the other items are sent");
    assert_eq!(
        (report.stored, report.warnings, report.failed),
        (1, 6, failures.len() as u64)
    );
    assert_eq!(report.bytes, 7 * 14, "bytes of the stored items");
    for ((number, outcome), code) in outcomes.iter().zip(&codes) {
        let code_of_outcome = match outcome {
            SendOutcome::Stored { .. } => 0,
            SendOutcome::StoredWithWarning { status, .. }
            | SendOutcome::Failed(ServiceError::Refused { status, .. }) => status.code(),
            SendOutcome::Failed(error) => panic!("{number}: {error:?}"),
        };
        assert_eq!(code_of_outcome, *code, "item {number}");
    }
    for ((_, outcome), (code, remedy)) in outcomes.iter().skip(7).zip(failures) {
        let SendOutcome::Failed(error) = outcome else {
            panic!("{code:04X}: {outcome:?}");
        };
        assert_eq!(error.remedy(), remedy, "{code:04X}");
    }
}

#[test]
fn rejection_ends_a_send_before_the_first_item() {
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
        let peer = ScriptedPeer::new().then(Script::rejecting(RejectResult::Permanent, reason));
        let (result, outcomes) = send(&peer, [item(1), item(2)]);
        let error = result.expect_err("the association is rejected");
        assert!(outcomes.is_empty(), "{outcomes:?}");
        let same = matches!(
            &error.error,
            ServiceError::Association(Error::Rejected { reason: found, .. }) if *found == reason
        );
        assert!(same, "{error:?}");
        assert_eq!(
            (error.report, error.remedy()),
            (SendReport::default(), Remedy::Stop)
        );
    }
}

#[test]
fn temporary_rejection_is_retried() {
    let busy = || Script::rejecting(RejectResult::Transient, RejectReason::LocalLimit);
    let away = || Script::unreachable(std::io::ErrorKind::ConnectionRefused);
    let peer = ScriptedPeer::new()
        .then(busy())
        .then(away())
        .then(taking(accepting(), 1).expect_release());
    let (result, _) = send(&peer, [item(1)]);
    assert_eq!(result.unwrap().stored, 1);

    let peer = ScriptedPeer::new()
        .then(busy())
        .then(Script::mute())
        .then(busy());
    let (result, outcomes) = send(&peer, [item(1)]);
    let error = result.expect_err("three attempts");
    assert!(
        matches!(
            error.error,
            ServiceError::Association(Error::Rejected {
                reason: RejectReason::LocalLimit,
                ..
            })
        ),
        "{error:?}"
    );
    assert_eq!((outcomes.len(), error.remedy()), (0, Remedy::Retry));
}

/// Scripts of a peer that responds invalidly to the first of two objects.
fn wrong() -> Vec<(&'static str, Script)> {
    let first = ContextId::FIRST;
    let after_request = || accepting().expect(Operation::Store);
    let store = anon_net::dimse::Request::new(Operation::Store, 1, uid(CT));
    vec![
        (
            "another message",
            after_request().answer(success().to_message(2)),
        ),
        ("message 0", after_request().answer(success().to_message(0))),
        (
            "another context",
            after_request().answer(success().in_context(ContextId::new(3).expect("an id"))),
        ),
        (
            "another operation",
            after_request().answer(success().to_operation(Operation::Echo)),
        ),
        (
            "pending",
            after_request().answer(Reply::new(Status::PENDING)),
        ),
        (
            "pending with keys",
            after_request().answer(Reply::new(Status::new(0xFF01))),
        ),
        (
            "a data set",
            after_request().answer(success().with_data_set([0; 8])),
        ),
        (
            "a request",
            after_request().send(first, &Command::Request(store), None),
        ),
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
                b"HTTP/1.1 400",
            ),
        ),
    ]
}

#[test]
fn invalid_response_fails_its_item_only() {
    for (what, script) in wrong() {
        let peer = ScriptedPeer::new()
            .then(script.expect_abort())
            .then(taking(accepting(), 1).expect_release());
        let (result, outcomes) = send(&peer, [item(0), item(1)]);
        let report = result.expect(what);
        assert_eq!((report.stored, report.failed), (1, 1), "{what}");
        let broken = matches!(
            outcomes[0],
            (
                0,
                SendOutcome::Failed(ServiceError::Association(Error::Protocol { .. }))
            )
        );
        assert!(broken, "{what}: {outcomes:?}");
        assert!(
            matches!(outcomes[1], (1, SendOutcome::Stored { .. })),
            "{what}: {outcomes:?}"
        );
    }
}

/// Scripts of a peer that ends the association before it responds to the first of two objects.
fn lost() -> Vec<(&'static str, Script)> {
    let after_request = || accepting().expect(Operation::Store);
    let small = || accepting().with_max_pdu_bytes(16).expect_command();
    vec![
        ("aborted before", accepting().abort(AbortedBy::User)),
        ("cut before", accepting().cut()),
        (
            "aborted after the command",
            small().abort(AbortedBy::Provider),
        ),
        ("cut inside", small().expect_fragment(PdvKind::Data).cut()),
        (
            "aborted instead of a response",
            after_request().abort(AbortedBy::User),
        ),
        ("cut instead of a response", after_request().cut()),
        ("no response", after_request().silence().expect_abort()),
        (
            "half a response",
            after_request()
                .send_fragment(
                    ContextId::FIRST,
                    PdvKind::Command,
                    PdvPosition::More,
                    &[0; 4],
                )
                .silence()
                .expect_abort(),
        ),
        (
            "released instead of a response",
            after_request().release().expect_release(),
        ),
        ("nothing read", accepting().stop_reading().expect_abort()),
        (
            "no more read",
            small()
                .expect_fragment(PdvKind::Data)
                .stop_reading()
                .expect_abort(),
        ),
    ]
}

#[test]
fn item_without_a_response_is_sent_again() {
    for (what, script) in lost() {
        let peer = ScriptedPeer::new()
            .then(script)
            .then(taking(accepting(), 2).expect_release());
        let (result, outcomes) = send(&peer, [item(0), item(1)]);
        let report = result.expect(what);
        assert_eq!(
            (report.stored, report.failed, report.associations),
            (2, 0, 2),
            "{what}"
        );
        let order: Vec<_> = outcomes.iter().map(|(number, _)| *number).collect();
        assert_eq!(order, [0, 1], "{what}");
    }
}

#[test]
fn item_without_a_response_fails_after_three_attempts() {
    let scripts = || lost().into_iter().map(|(_, script)| script);
    for offset in 0..lost().len() - 2 {
        // The first item fails after three attempts; the second succeeds.
        let mut peer = ScriptedPeer::new();
        for script in scripts().skip(offset).take(3) {
            peer = peer.then(script);
        }
        let peer = peer.then(taking(accepting(), 1).expect_release());
        let (result, outcomes) = send(&peer, [item(0), item(1)]);
        let report = result.unwrap();
        assert_eq!((report.stored, report.failed), (1, 1));
        let (number, SendOutcome::Failed(error)) = &outcomes[0] else {
            panic!("{outcomes:?}");
        };
        assert_eq!((*number, error.remedy()), (0, Remedy::Retry));
    }
}

#[test]
fn peer_without_any_response_ends_the_send() {
    let mut peer = ScriptedPeer::new();
    for _ in 0..9 {
        peer = peer.then(
            accepting()
                .expect(Operation::Store)
                .silence()
                .expect_abort(),
        );
    }
    let (result, outcomes) = send(&peer, (0..1000).map(item));
    let error = result.expect_err("the peer never responds");
    assert!(
        matches!(error.error, ServiceError::NoAnswer { .. }),
        "{error:?}"
    );
    assert_eq!(error.remedy(), Remedy::Retry);
    assert_eq!(
        (error.report.failed, outcomes.len()),
        (3, 3),
        "each was tried three times"
    );
    assert_eq!(error.report.associations, 9);
}

#[test]
fn end_of_the_association_after_a_response_fails_no_item() {
    let after_response = || taking(accepting(), 1);
    for (what, script) in [
        ("aborted", after_response().abort(AbortedBy::User)),
        ("cut", after_response().cut()),
        ("no release", after_response().silence().expect_abort()),
        ("both release", after_response().release().expect_release()),
    ] {
        let (result, _) = send(&ScriptedPeer::new().then(script.clone()), [item(0)]);
        assert_eq!(result.expect(what).stored, 1, "{what}");
        // The second object needs another association.
        if what == "aborted" || what == "cut" {
            let peer = ScriptedPeer::new()
                .then(script)
                .then(taking(accepting(), 1).expect_release());
            let (result, _) = send(&peer, [item(0), item(1)]);
            assert_eq!(result.expect(what).stored, 2, "{what}");
        }
    }
}

#[test]
fn item_that_always_fails_does_not_stop_the_others() {
    // An archive that crashes on one data set and is restarted each time.
    let dies = || accepting().expect(Operation::Store).cut();
    let peer = ScriptedPeer::new()
        .then(taking(accepting(), 1).expect(Operation::Store).cut())
        .then(dies())
        .then(dies())
        .then(taking(accepting(), 3).expect_release());
    let (result, outcomes) = send(&peer, (0..5).map(item));
    let report = result.unwrap();
    assert_eq!((report.stored, report.failed), (4, 1));
    assert!(
        matches!(outcomes[1], (1, SendOutcome::Failed(_))),
        "{outcomes:?}"
    );
}

#[test]
fn peer_with_a_maximum_length_too_short_for_fragments_is_an_error() {
    let script = || accepting().with_max_pdu_bytes(7).expect_abort();
    let peer = ScriptedPeer::new()
        .then(script())
        .then(script())
        .then(script());
    let (result, outcomes) = send(&peer, (0..5).map(item));
    let error = result.expect_err("no fragment can be sent");
    assert_eq!(
        (error.remedy(), outcomes.len()),
        (Remedy::Stop, 3),
        "{error:?}"
    );
}

#[test]
fn errors_have_texts() {
    let error = ServiceError::ContextRefused {
        sop_class: uid(CT),
        transfer_syntax: Some(uid(JPEG)),
    };
    assert_eq!(
        error.to_string(),
        format!("the peer does not accept the presentation context {CT} with {JPEG}")
    );
    let error = Error::TimedOut {
        waiting: Waiting::Message,
        after: Duration::from_secs(30),
    };
    assert_eq!(
        ServiceError::from(error).to_string(),
        "timed out after 30s waiting for a message"
    );
}
