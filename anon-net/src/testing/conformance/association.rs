//! The conformance suite of [`Association`].

use std::cell::Cell;
use std::fmt::Debug;
use std::time::Duration;

use crate::association::{Association, Event, Pdv, PdvKind, PdvPosition};
use crate::context::ContextId;
use crate::error::AbortedBy;
use crate::{AeTitle, Error};

/// Both ends of an open association.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "there are two")]
pub struct AssociationPair {
    /// The end of the requestor.
    pub requestor: Box<dyn Association>,
    /// The end of the acceptor.
    pub acceptor: Box<dyn Association>,
}

/// Longer than any wait that should succeed.
const LONG: Duration = Duration::from_secs(20);
/// A timeout that expires in the test.
const SHORT: Duration = Duration::from_millis(20);

/// Checks every promise of [`Association`].
///
/// `make` opens a new association between `REQUESTOR` and `ACCEPTOR` each time. At least one
/// context must be accepted, at least one id up to 255 must not be, and each side must accept
/// P-DATA-TFs of 64 to 1,048,576 bytes.
pub fn association(make: impl Fn() -> AssociationPair) {
    both_ends_agree(&make());
    carries_fragments(make());
    receive_times_out(make());
    send_checks_contexts_and_lengths(make());
    send_times_out_if_the_peer_does_not_read(make());
    stop_is_checked_before_sending(make());
    stop_is_checked_while_the_peer_does_not_read(make());
    releases(make());
    releases_from_the_acceptor(make());
    delivers_fragments_before_a_release(make());
    both_sides_can_release_at_once(make());
    an_unanswered_release_aborts(make());
    aborts(make());
    aborts_when_dropped(make());
    an_abort_wakes_a_waiting_peer(make());
}

#[track_caller]
fn must<T>(result: Result<T, Error>, what: &str) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error:?}"),
    }
}

#[track_caller]
fn closed<T: Debug>(result: &Result<T, Error>, what: &str) {
    assert!(matches!(result, Err(Error::Closed)), "{what}: {result:?}");
}

#[track_caller]
fn all_closed(end: &mut dyn Association, when: &str) {
    let context = ContextId::FIRST;
    closed(&end.send(&[data(context, b"x")], SHORT), when);
    closed(&end.receive(SHORT), when);
    closed(&end.release(SHORT), when);
    end.abort();
    closed(&end.receive(SHORT), when);
}

#[track_caller]
fn aborted<T: Debug>(result: Result<T, Error>, what: &str) {
    let by_user = Error::Aborted {
        by: AbortedBy::User,
    };
    match result {
        Err(error) => assert_eq!(error.to_string(), by_user.to_string(), "{what}"),
        Ok(value) => panic!("{what}: {value:?}"),
    }
}

fn first(end: &dyn Association) -> ContextId {
    let id = end.contexts().iter().map(|accepted| accepted.id).next();
    id.unwrap_or_else(|| panic!("`make` opens an association with an accepted context"))
}

fn data(context: ContextId, bytes: &[u8]) -> Pdv<'_> {
    Pdv {
        context,
        kind: PdvKind::Data,
        position: PdvPosition::Last,
        bytes,
    }
}

#[track_caller]
fn expect(end: &mut dyn Association, expected: Pdv<'_>) {
    let event = must(end.receive(LONG), "a fragment arrives");
    assert_eq!(event, Event::Pdv(expected), "the received fragment");
    assert_eq!(
        end.fragment(),
        expected.bytes,
        "`fragment` returns the same bytes"
    );
}

fn both_ends_agree(pair: &AssociationPair) {
    let AssociationPair {
        requestor,
        acceptor,
    } = pair;
    let title = |text| AeTitle::new(text).ok();
    assert_eq!(
        Some(requestor.peer()),
        title("ACCEPTOR").as_ref(),
        "the requestor's peer"
    );
    assert_eq!(
        Some(acceptor.peer()),
        title("REQUESTOR").as_ref(),
        "the acceptor's peer"
    );
    assert_eq!(
        requestor.contexts(),
        acceptor.contexts(),
        "the accepted contexts"
    );
    first(&**requestor);
}

fn carries_fragments(pair: AssociationPair) {
    let AssociationPair {
        mut requestor,
        mut acceptor,
    } = pair;
    let context = first(&*requestor);
    let most = u64::from(requestor.max_pdu_bytes().min(acceptor.max_pdu_bytes())) - Pdv::OVERHEAD;
    let long: Vec<u8> = (0..most).map(|i| i.to_le_bytes()[0]).collect();
    let command = Pdv {
        context,
        kind: PdvKind::Command,
        position: PdvPosition::More,
        bytes: b"com",
    };
    let end = Pdv {
        position: PdvPosition::Last,
        bytes: b"mand",
        ..command
    };
    let more = Pdv {
        position: PdvPosition::More,
        ..data(context, b"")
    };
    for _ in 0..2 {
        let (one, other) = (&mut requestor, &mut acceptor);
        must(
            one.send(&[command, end, more], LONG),
            "three fragments in a PDU",
        );
        must(one.send(&[], LONG), "no fragment");
        expect(&mut **other, command);
        must(
            one.send(&[data(context, &long)], LONG),
            "a PDU of the full length",
        );
        for expected in [end, more, data(context, &long)] {
            expect(&mut **other, expected);
        }
        // The other direction.
        std::mem::swap(&mut requestor, &mut acceptor);
    }
}

fn receive_times_out(pair: AssociationPair) {
    let AssociationPair {
        mut requestor,
        mut acceptor,
    } = pair;
    for _ in 0..2 {
        let result = requestor.receive(SHORT);
        assert!(
            matches!(result, Err(Error::TimedOut { .. })),
            "nothing arrives: {result:?}"
        );
    }
    let pdv = data(first(&*acceptor), b"late");
    must(acceptor.send(&[pdv], LONG), "after a timeout");
    expect(&mut *requestor, pdv);
}

fn send_checks_contexts_and_lengths(pair: AssociationPair) {
    let AssociationPair {
        mut requestor,
        mut acceptor,
    } = pair;
    let context = first(&*requestor);
    let unknown = (0..=u8::MAX)
        .filter_map(ContextId::new)
        .find(|id| requestor.contexts().get(*id).is_none());
    let Some(unknown) = unknown else {
        panic!("`make` leaves at least one context id unaccepted");
    };
    let good = data(context, b"good");
    let result = requestor.send(&[good, data(unknown, b"x")], LONG);
    match result {
        Err(Error::Context { id }) => assert_eq!(id, unknown, "the context in the error"),
        other => panic!("a context that was not accepted: {other:?}"),
    }
    let limit = u64::from(requestor.max_pdu_bytes());
    let size = usize::try_from(limit - Pdv::OVERHEAD + 1).unwrap_or(usize::MAX);
    let long = vec![0; size];
    let half = data(context, long.get(..size / 2).unwrap_or_default());
    for (pdvs, found) in [
        (vec![data(context, &long)], limit + 1),
        (vec![half, half, half], half.pdu_bytes() * 3),
    ] {
        match requestor.send(&pdvs, LONG) {
            Err(Error::Limit {
                limit: most,
                found: reported,
                ..
            }) => {
                assert_eq!((most, reported), (limit, found), "the limit in the error");
            }
            other => panic!("{found} bytes where the limit is {limit}: {other:?}"),
        }
    }
    // Nothing of it was sent.
    must(requestor.send(&[good], LONG), "after a refused call");
    expect(&mut *acceptor, good);
}

fn send_times_out_if_the_peer_does_not_read(pair: AssociationPair) {
    let AssociationPair {
        mut requestor,
        mut acceptor,
    } = pair;
    let context = first(&*requestor);
    let size = u64::from(requestor.max_pdu_bytes()) - Pdv::OVERHEAD;
    let block = vec![0; usize::try_from(size).unwrap_or_default()];
    let enough = (64 << 20) / size + 1;
    let result = (0..enough).try_for_each(|_| requestor.send(&[data(context, &block)], SHORT));
    let Err(error) = result else {
        panic!("64 MiB are sent although the peer does not read");
    };
    assert!(
        matches!(error, Error::TimedOut { .. }),
        "the peer does not read: {error:?}"
    );
    all_closed(&mut *requestor, "after half a PDU");
    let end = (0..=enough).find_map(|_| acceptor.receive(LONG).err());
    assert!(
        matches!(end, Some(Error::Aborted { .. } | Error::Lost)),
        "the peer is informed: {end:?}"
    );
}

fn stop_is_checked_before_sending(pair: AssociationPair) {
    let AssociationPair {
        mut requestor,
        mut acceptor,
    } = pair;
    let pdv = data(first(&*requestor), b"unwanted");
    let result = requestor.send_unless(&[pdv], LONG, &|| true);
    assert!(
        matches!(result, Err(Error::Cancelled)),
        "`stop` ends the call: {result:?}"
    );
    all_closed(&mut *requestor, "after `stop`");
    aborted(acceptor.receive(LONG), "nothing arrives");
}

fn stop_is_checked_while_the_peer_does_not_read(pair: AssociationPair) {
    let AssociationPair {
        mut requestor,
        mut acceptor,
    } = pair;
    let context = first(&*requestor);
    let size = u64::from(requestor.max_pdu_bytes()) - Pdv::OVERHEAD;
    let block = vec![0; usize::try_from(size).unwrap_or_default()];
    let enough = (64 << 20) / size + 1;
    let result = (0..enough).try_for_each(|_| {
        // The third call of `stop` for one PDU comes from a wait for room.
        let calls = Cell::new(0);
        let stop = || calls.replace(calls.get() + 1) > 1;
        requestor.send_unless(&[data(context, &block)], LONG, &stop)
    });
    assert!(
        matches!(result, Err(Error::Cancelled)),
        "`stop` ends the call: {result:?}"
    );
    all_closed(&mut *requestor, "after half a PDU");
    let end = (0..=enough).find_map(|_| acceptor.receive(LONG).err());
    assert!(
        matches!(end, Some(Error::Aborted { .. } | Error::Lost)),
        "the peer is informed: {end:?}"
    );
}

/// Releases an association from the side of `asking`.
fn release_in_order(mut asking: Box<dyn Association>, mut answering: Box<dyn Association>) {
    std::thread::scope(|scope| {
        let releasing = scope.spawn(move || {
            must(asking.release(LONG), "a release is answered");
            all_closed(&mut *asking, "after a release");
        });
        let event = must(answering.receive(LONG), "the request arrives");
        assert_eq!(event, Event::Release, "a request to release");
        // Messages may be sent before the release is answered. The side that asked drops them.
        let pdv = data(first(&*answering), b"late");
        must(answering.send(&[pdv], LONG), "before a release is answered");
        must(answering.release(LONG), "a release is answered");
        all_closed(&mut *answering, "after a release was answered");
        assert!(releasing.join().is_ok(), "the side that releases");
    });
}

fn releases(pair: AssociationPair) {
    release_in_order(pair.requestor, pair.acceptor);
}

fn releases_from_the_acceptor(pair: AssociationPair) {
    release_in_order(pair.acceptor, pair.requestor);
}

fn delivers_fragments_before_a_release(pair: AssociationPair) {
    let AssociationPair {
        mut requestor,
        mut acceptor,
    } = pair;
    let pdvs = [b"1", b"2", b"3"].map(|bytes| data(first(&*requestor), bytes));
    std::thread::scope(|scope| {
        let releasing = scope.spawn(move || {
            must(requestor.send(&pdvs, LONG), "three fragments");
            must(requestor.release(LONG), "a release is answered");
        });
        for expected in pdvs {
            expect(&mut *acceptor, expected);
        }
        let event = must(acceptor.receive(LONG), "the request arrives");
        assert_eq!(event, Event::Release, "after the fragments");
        must(acceptor.release(LONG), "a release is answered");
        assert!(releasing.join().is_ok(), "the side that releases");
    });
}

fn both_sides_can_release_at_once(pair: AssociationPair) {
    std::thread::scope(|scope| {
        for mut end in [pair.requestor, pair.acceptor] {
            scope.spawn(move || must(end.release(LONG), "both ask at once"));
        }
    });
}

fn an_unanswered_release_aborts(pair: AssociationPair) {
    let AssociationPair {
        mut requestor,
        mut acceptor,
    } = pair;
    let result = requestor.release(SHORT);
    assert!(
        matches!(result, Err(Error::TimedOut { .. })),
        "the peer does not answer: {result:?}"
    );
    all_closed(&mut *requestor, "after an unanswered release");
    let event = must(acceptor.receive(LONG), "the request arrives");
    assert_eq!(event, Event::Release, "the request");
    aborted(acceptor.receive(LONG), "the abort after the request");
}

fn aborts(pair: AssociationPair) {
    let AssociationPair {
        mut requestor,
        mut acceptor,
    } = pair;
    let pdv = data(first(&*requestor), b"last words");
    must(requestor.send(&[pdv], LONG), "a fragment");
    expect(&mut *acceptor, pdv);
    requestor.abort();
    requestor.abort();
    all_closed(&mut *requestor, "after an abort of ours");
    aborted(acceptor.receive(LONG), "the peer aborts");
    all_closed(&mut *acceptor, "after an abort of the peer's");
}

fn aborts_when_dropped(pair: AssociationPair) {
    let AssociationPair {
        requestor,
        mut acceptor,
    } = pair;
    drop(requestor);
    aborted(acceptor.receive(LONG), "the peer is dropped");
    all_closed(&mut *acceptor, "after the peer was dropped");
}

fn an_abort_wakes_a_waiting_peer(pair: AssociationPair) {
    let AssociationPair {
        mut requestor,
        mut acceptor,
    } = pair;
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || aborted(acceptor.receive(LONG), "while it waits"));
        requestor.abort();
        assert!(waiting.join().is_ok(), "the waiting side");
    });
}
