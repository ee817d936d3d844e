//! `ScriptedPeer` reports where a conversation departs from its script.

use std::time::Duration;

use anon_net::association::{Pdv, PdvKind, PdvPosition};
use anon_net::dimse::{Request, receive_command, send};
use anon_net::error::AbortedBy;
use anon_net::testing::{Gate, Reply, Script, ScriptedPeer};
use anon_net::{Association, Command, ContextId, Error, Event, Operation, Status};

use crate::memory_network::{proposal, supported, uid};

const SECOND: Duration = Duration::from_secs(5);
const FIRST: ContextId = ContextId::FIRST;

fn script() -> Script {
    Script::accepting(supported()).with_max_pdu_bytes(200)
}

fn request(operation: Operation) -> Command {
    Command::Request(Request::new(operation, 1, uid("1.2.1")))
}

fn data(bytes: &[u8]) -> Pdv<'_> {
    Pdv {
        context: FIRST,
        kind: PdvKind::Data,
        position: PdvPosition::Last,
        bytes,
    }
}

/// Returns the report of a peer with this script after `act` has used the association.
fn departure(script: Script, act: impl FnOnce(&mut dyn Association)) -> String {
    let peer = ScriptedPeer::new().then(script);
    let mut association = peer.call(&proposal()).expect("an association");
    act(&mut *association);
    drop(association);
    peer.finish()
        .map_or_else(|error| error.to_string(), |_| String::new())
}

#[test]
fn conversation_as_in_the_script_has_no_departure() {
    let script = script()
        .expect(Operation::Echo)
        .answer(Reply::new(Status::SUCCESS))
        .expect(Operation::Store)
        .release()
        .expect_release();
    let reported = departure(script, |association| {
        send(association, FIRST, &request(Operation::Echo), SECOND).unwrap();
        receive_command(association, SECOND).unwrap();
        send(association, FIRST, &request(Operation::Store), SECOND).unwrap();
        association.send(&[data(b"data")], SECOND).unwrap();
        assert_eq!(association.receive(SECOND).unwrap(), Event::Release);
        association.release(SECOND).unwrap();
        assert!(matches!(association.receive(SECOND), Err(Error::Closed)));
        assert!(matches!(association.send(&[], SECOND), Err(Error::Closed)));
        assert!(matches!(association.release(SECOND), Err(Error::Closed)));
        association.abort();
    });
    assert_eq!(reported, "");
}

#[test]
fn each_departure_is_reported() {
    type Act = fn(&mut dyn Association);
    let echo: Act = |association| {
        let _ = send(association, FIRST, &request(Operation::Echo), SECOND);
    };
    let wait: Act = |association| {
        let _ = association.receive(SECOND);
    };
    let release: Act = |association| {
        let _ = association.release(SECOND);
    };
    let nothing: Act = |_| {};
    let table: [(&str, Script, Act, &str); 12] = [
        ("sends too much", script(), echo, "step 1: it sends Pdv"),
        (
            "waits too long",
            script(),
            wait,
            "it waits where the script is over",
        ),
        (
            "waits for a peer that waits",
            script().expect_release(),
            wait,
            "it waits where the script has a release",
        ),
        (
            "releases early",
            script().expect(Operation::Find),
            release,
            "it releases where the script has a C-FIND request",
        ),
        (
            "sends another request",
            script().expect(Operation::Find),
            echo,
            "operation: Echo",
        ),
        (
            "sends a request instead of a response",
            script().expect_answer(Operation::Echo),
            echo,
            "where the script has a C-ECHO response",
        ),
        (
            "sends a request instead of a C-CANCEL",
            script().expect_cancel(),
            echo,
            "where the script has a C-CANCEL",
        ),
        (
            "sends a command",
            script().expect_fragment(PdvKind::Data),
            echo,
            "where the script has a fragment of a data set",
        ),
        (
            "aborts",
            script().expect_release(),
            nothing,
            "it aborts where the script has a release",
        ),
        (
            "aborts at the end",
            script(),
            nothing,
            "it aborts where the script is over",
        ),
        (
            "ends early",
            script().expect_release().silence(),
            release,
            "the association is over where the script has the peer's step Silence",
        ),
        (
            "gets a response without a request",
            script().answer(Reply::new(Status::SUCCESS)).expect_abort(),
            wait,
            "a response step without a request",
        ),
    ];
    for (what, script, act, expected) in table {
        let reported = departure(script, act);
        assert!(reported.contains(expected), "{what}: {reported}");
        assert!(
            reported.starts_with("association 0, step "),
            "{what}: {reported}"
        );
    }
}

#[test]
fn each_association_has_its_script() {
    let peer = ScriptedPeer::new()
        .then(script().expect_abort())
        .then(script());
    assert!(
        peer.finish()
            .unwrap_err()
            .to_string()
            .contains("2 associations were not opened")
    );
    let first = peer.call(&proposal()).unwrap();
    let peer = ScriptedPeer::new().then(script().expect_abort());
    let open = peer.call(&proposal()).unwrap();
    assert!(
        peer.finish()
            .unwrap_err()
            .to_string()
            .contains("1 associations are still open")
    );
    drop((first, open));
    peer.finish().unwrap();
    assert!(matches!(peer.call(&proposal()), Err(Error::Connect { .. })));
    assert!(
        peer.finish()
            .unwrap_err()
            .to_string()
            .contains("there is no script for it")
    );
}

#[test]
fn invalid_sends_are_refused_as_by_a_real_association() {
    let reported = departure(script().expect_release(), |association| {
        let other = Pdv {
            context: ContextId::new(255).unwrap(),
            ..data(b"")
        };
        let refused = association.send(&[other], SECOND);
        assert!(matches!(refused, Err(Error::Context { .. })), "{refused:?}");
        let long = association.send(&[data(&[0; 195])], SECOND);
        assert!(matches!(long, Err(Error::Limit { .. })), "{long:?}");
        association.release(SECOND).unwrap();
    });
    assert_eq!(reported, "");
}

#[test]
fn silence_does_not_wait() {
    let began = std::time::Instant::now();
    let hour = Duration::from_hours(1);
    let reported = departure(script().silence().stop_reading(), |association| {
        for _ in 0..2 {
            let silent = association.receive(hour);
            assert!(matches!(silent, Err(Error::TimedOut { .. })), "{silent:?}");
        }
        let unread = association.send(&[data(b"")], hour);
        assert!(matches!(unread, Err(Error::TimedOut { .. })), "{unread:?}");
        assert!(matches!(association.receive(hour), Err(Error::Closed)));
    });
    assert_eq!(reported, "");
    assert!(began.elapsed() < Duration::from_mins(1));
}

#[test]
fn gate_delays_the_peer() {
    let gate = Gate::new();
    let script = script()
        .wait(&gate)
        .send_fragment(FIRST, PdvKind::Data, PdvPosition::Last, b"late")
        .abort(AbortedBy::Provider);
    let reported = departure(script, |association| {
        let early = association.receive(Duration::from_millis(1));
        assert!(matches!(early, Err(Error::TimedOut { .. })), "{early:?}");
        gate.open();
        assert_eq!(
            association.receive(SECOND).unwrap(),
            Event::Pdv(data(b"late"))
        );
        assert_eq!(association.fragment(), b"late");
        let aborted = association.receive(SECOND);
        assert!(matches!(
            aborted,
            Err(Error::Aborted {
                by: AbortedBy::Provider
            })
        ));
    });
    assert_eq!(reported, "");
}
