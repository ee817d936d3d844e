//! P-DATA, release and abort on an association that is open, byte for byte.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anon_net::association::ul::UlAssociation;
use anon_net::error::AbortedBy;
use anon_net::{Association, ContextId, Error, Event, Pdv, PdvKind, PdvPosition};

use crate::ul::{LONG, Port, acceptor};
use crate::wire::{
    RELEASE_RP, RELEASE_RQ, Request, Then, Told, USER_ABORT, Wire, abort, data_tf, ended, hear,
    pdu, pdv,
};

/// The longest P-DATA-TF that the acceptor here takes.
const MAX: u32 = 128;

/// An association whose peer then says these bytes.
fn open(says: &[u8], then: Then, step: usize) -> (UlAssociation, Told) {
    let says = [&Request::new().bytes(), says].concat();
    let wire = Wire::new(says, then).in_steps_of(step);
    let (accepted, told) = hear(&acceptor().with_max_pdu_bytes(MAX), wire);
    assert_eq!(told.take().first(), Some(&2), "an acceptance");
    (accepted.expect("an association"), told)
}

#[test]
fn data_that_breaks_the_protocol_is_aborted() {
    let header = |length: u32| [&[4, 0][..], &length.to_be_bytes()].concat();
    let item = |length: u32, rest: &[u8]| data_tf(&[&length.to_be_bytes()[..], rest].concat());
    let after_a_request = |pdu: &[u8]| [&RELEASE_RQ[..], pdu].concat();
    let good = pdv(1, 0, b"good");
    let table: Vec<(&str, Vec<u8>, u8)> = vec![
        ("a PDU of length 0", header(0), 6),
        ("a PDU of 4 GB", header(u32::MAX), 6),
        ("a byte more than we take", header(MAX + 1), 6),
        ("an item of length 0", item(0, &[1, 2]), 6),
        ("an item of length 1", item(1, &[1, 2]), 6),
        ("an item that overruns by one", item(4, &[1, 2, 0]), 6),
        ("an item of 4 GB", item(u32::MAX, &[1, 2, 0]), 6),
        ("half an item header", data_tf(&[0, 0, 0, 2, 1]), 6),
        (
            "a rest after an item",
            data_tf(&[&good[..], &[0]].concat()),
            6,
        ),
        (
            "a context that was not proposed",
            data_tf(&pdv(3, 0, b"x")),
            6,
        ),
        ("an even context", data_tf(&pdv(2, 0, b"x")), 6),
        ("context 255", data_tf(&pdv(255, 0, b"x")), 6),
        ("a second request", Request::new().bytes(), 2),
        ("an acceptance", pdu(2, &[0; 68]), 2),
        ("a rejection", pdu(3, &[0, 1, 1, 1]), 2),
        ("a release that nobody asked for", RELEASE_RP.to_vec(), 2),
        ("a release of a wrong length", pdu(5, &[0; 8]), 6),
        ("garbage", vec![0xEF; 64], 1),
        ("data after a release", after_a_request(&data_tf(&good)), 2),
        ("a release twice", after_a_request(&RELEASE_RQ), 2),
    ];
    for (case, bytes, reason) in table {
        for step in [usize::MAX, 1] {
            let (mut link, told) = open(&bytes, Then::Silence, step);
            let end = loop {
                if let Err(error) = link.receive(LONG) {
                    break Err::<(), _>(error);
                }
            };
            assert_eq!(ended(&end), "protocol", "{case}: {end:?}");
            assert_eq!(link.fragment(), b"", "{case}");
            let closed = link.receive(LONG).map(|_| ());
            assert_eq!(ended(&closed), "closed", "{case}");
            drop(link);
            assert_eq!(told.take(), abort(reason), "{case}, {step} at a time");
        }
    }
}

#[test]
fn the_ends_of_an_association() {
    let by = |by| Error::Aborted { by };
    let table: Vec<(&str, Vec<u8>, Then, Error)> = vec![
        (
            "its user aborts",
            USER_ABORT.to_vec(),
            Then::Close,
            by(AbortedBy::User),
        ),
        (
            "its provider aborts",
            abort(2).to_vec(),
            Then::Close,
            by(AbortedBy::Provider),
        ),
        (
            "a reserved source",
            pdu(7, &[0, 0, 1, 9]),
            Then::Close,
            by(AbortedBy::User),
        ),
        ("it closes", vec![], Then::Close, Error::Lost),
        (
            "it closes in a PDU",
            vec![4, 0, 0, 0, 0, 9, 0],
            Then::Close,
            Error::Lost,
        ),
        (
            "it resets in a PDU",
            vec![4, 0, 0, 0, 0, 9, 0],
            Then::Reset,
            Error::Lost,
        ),
    ];
    for (case, bytes, then, wanted) in table {
        for release in [false, true] {
            let (mut link, told) = open(&bytes, then, usize::MAX);
            let (end, says) = if release {
                (link.release(LONG), &RELEASE_RQ[..])
            } else {
                (link.receive(LONG).map(|_| ()), &[][..])
            };
            let end = end.expect_err(case);
            assert_eq!(end.to_string(), wanted.to_string(), "{case}");
            assert_eq!(told.take(), says, "{case}: nothing more is said");
            let closed = link.receive(LONG).map(|_| ());
            assert_eq!(ended(&closed), "closed", "{case}");
        }
    }
}

/// What is received until there is no more: kind, place and bytes of fragments.
fn fragments(link: &mut UlAssociation) -> Vec<(PdvKind, PdvPosition, Vec<u8>)> {
    let mut all = Vec::new();
    while let Ok(Event::Pdv(pdv)) = link.receive(LONG) {
        all.push((pdv.kind, pdv.position, pdv.bytes.to_vec()));
    }
    all
}

type Row<'a> = (PdvKind, PdvPosition, &'a [u8]);

#[test]
fn odd_but_legal_data_arrives() {
    let full = vec![7; MAX as usize - 6];
    let long = pdv(1, 2, &full);
    let two = [pdv(1, 1, b"co"), pdv(1, 3, b"m")].concat();
    let table: Vec<(&str, Vec<u8>, Vec<Row<'_>>)> = vec![
        (
            "two fragments in a PDU, the next message in the same segment",
            [data_tf(&two), data_tf(&pdv(1, 2, b"data"))].concat(),
            vec![
                (PdvKind::Command, PdvPosition::More, b"co"),
                (PdvKind::Command, PdvPosition::Last, b"m"),
                (PdvKind::Data, PdvPosition::Last, b"data"),
            ],
        ),
        (
            "an empty last fragment, bits that are not looked at",
            [data_tf(&pdv(1, 0, b"d")), data_tf(&pdv(1, 0xFE, b""))].concat(),
            vec![
                (PdvKind::Data, PdvPosition::More, b"d"),
                (PdvKind::Data, PdvPosition::Last, b""),
            ],
        ),
        (
            "a hundred of the full length",
            data_tf(&long).repeat(100),
            vec![(PdvKind::Data, PdvPosition::Last, &full[..]); 100],
        ),
        (
            "ten thousand of two bytes",
            data_tf(&pdv(1, 0, b"22")).repeat(10_000),
            vec![(PdvKind::Data, PdvPosition::More, &b"22"[..]); 10_000],
        ),
    ];
    for (case, bytes, wanted) in table {
        for step in [usize::MAX, 1, 2, 7, 131] {
            let (mut link, _) = open(&bytes, Then::Silence, step);
            let got = fragments(&mut link);
            let same = got
                .iter()
                .map(|(k, p, b)| (*k, *p, &b[..]))
                .eq(wanted.iter().copied());
            assert!(same, "{case}, {step} at a time: {} fragments", got.len());
        }
    }
}

#[test]
fn a_wait_goes_on_where_it_ended() {
    let bytes = [
        Request::new().bytes(),
        data_tf(&pdv(1, 2, b"fragment")),
        RELEASE_RQ.to_vec(),
    ]
    .concat();
    let began = Request::new().bytes().len();
    for pause in began..bytes.len() {
        let wire = Wire::new(bytes.clone(), Then::Silence).pausing_at(pause);
        let (accepted, told) = hear(&acceptor(), wire);
        let mut link = accepted.expect("an association");
        told.take();
        let mut events = Vec::new();
        let mut waits = 0;
        while events.len() < 2 {
            match link.receive(LONG) {
                Ok(Event::Pdv(pdv)) => events.push(pdv.bytes.to_vec()),
                Ok(Event::Release) => events.push(b"release".to_vec()),
                Err(Error::TimedOut { .. }) => waits += 1,
                Err(error) => panic!("paused at {pause}: {error:?}"),
            }
            assert!(waits < 2, "paused at {pause}: once");
        }
        assert_eq!(events, [&b"fragment"[..], b"release"], "paused at {pause}");
        link.release(LONG).expect("a release");
        assert_eq!(told.take(), RELEASE_RP, "paused at {pause}");
    }
}

fn fragment(bytes: &[u8], kind: PdvKind, position: PdvPosition) -> Pdv<'_> {
    let context = ContextId::FIRST;
    Pdv {
        context,
        kind,
        position,
        bytes,
    }
}

#[test]
fn what_is_sent_in_bytes() {
    let one = fragment(b"one", PdvKind::Command, PdvPosition::Last);
    let two = fragment(b"two", PdvKind::Data, PdvPosition::More);
    let none = fragment(b"", PdvKind::Data, PdvPosition::Last);
    let bytes = |pdvs: &[Pdv<'_>]| {
        let items = pdvs.iter().map(|p| {
            let kind = u8::from(p.kind == PdvKind::Command);
            pdv(
                1,
                kind | (u8::from(p.position == PdvPosition::Last) << 1),
                p.bytes,
            )
        });
        data_tf(&items.collect::<Vec<_>>().concat())
    };
    let table: Vec<Vec<Pdv<'_>>> = vec![
        vec![one],
        vec![none],
        vec![one, two, none],
        [one, two].repeat(4),
        [one, two, none].repeat(3),
        [one, two].repeat(100),
    ];
    for step in [usize::MAX, 1, 5] {
        for pdvs in &table {
            let (mut link, told) = open(&[], Then::Silence, step);
            link.send(pdvs, LONG).expect("a send");
            assert_eq!(told.take(), bytes(pdvs), "{} at {step}", pdvs.len());
        }
    }
}

/// A PDU in two writes waits for an acknowledgement between them, with Nagle's algorithm on.
#[test]
fn a_pdu_is_one_write() {
    let wire = Wire::new(Request::new().bytes(), Then::Silence);
    let (accepted, told) = hear(&acceptor(), wire);
    let mut link = accepted.expect("an association");
    let pieces = [
        fragment(b"one", PdvKind::Command, PdvPosition::Last),
        fragment(b"two", PdvKind::Data, PdvPosition::More),
    ];
    let large = vec![7; 4_000];
    for pdvs in [
        vec![pieces[0]],
        vec![fragment(&large, PdvKind::Data, PdvPosition::More)],
        pieces.to_vec(),
        pieces.repeat(4),
        pieces.repeat(100),
    ] {
        link.send(&pdvs, LONG).expect("a send");
    }
    link.abort();
    let writes = told.take_writes();
    let kinds: Vec<u8> = writes.iter().map(|pdu| pdu[0]).collect();
    assert_eq!(kinds, [2, 4, 4, 4, 4, 4, 7]);
    for pdu in writes {
        let length: [u8; 4] = pdu[2..6].try_into().expect("four bytes");
        assert_eq!(u32::from_be_bytes(length) as usize + 6, pdu.len());
    }
}

#[test]
fn the_requestor_answers_first_when_both_release() {
    // PS3.8 section 9.2.3: AR-8 on both sides, then AR-9 here only after the peer's answer.
    let says = [RELEASE_RQ, RELEASE_RP].concat();
    let (mut link, told) = open(&says, Then::Silence, usize::MAX);
    link.release(LONG).expect("a release");
    assert_eq!(told.take(), [RELEASE_RQ, RELEASE_RP].concat());

    // One that never answers is aborted.
    let (mut link, told) = open(&RELEASE_RQ, Then::Silence, usize::MAX);
    let over = link.release(LONG);
    assert_eq!(ended(&over), "timed out");
    assert_eq!(told.take(), [&RELEASE_RQ[..], &USER_ABORT].concat());

    // Data that is under way is dropped.
    let says = [data_tf(&pdv(1, 0, b"late")), RELEASE_RP.to_vec()].concat();
    let (mut link, told) = open(&says, Then::Silence, usize::MAX);
    link.release(LONG).expect("a release");
    assert_eq!(told.take(), RELEASE_RQ);
}

/// An association over a socket, and the raw end of its peer.
fn sockets() -> (UlAssociation, TcpStream) {
    let port = Port::open();
    let acceptor = acceptor();
    std::thread::scope(|scope| {
        let accepted = scope.spawn(|| acceptor.accept(port.stream()));
        let mut peer = TcpStream::connect((port.node.host(), port.node.port())).expect("a peer");
        peer.write_all(&Request::new().bytes()).expect("room");
        let mut header = [0; 6];
        peer.read_exact(&mut header).expect("an answer");
        assert_eq!(header.first(), Some(&2), "an acceptance");
        let [_, _, _, _, length @ ..] = header;
        let mut body = vec![0; usize::from(u16::from_be_bytes(length))];
        peer.read_exact(&mut body).expect("an answer");
        let link = accepted.join().expect("a thread").expect("an association");
        (link, peer)
    })
}

#[test]
fn a_reset_ends_an_association() {
    let (mut link, peer) = sockets();
    // Closing with unread bytes resets the connection.
    let pdv = fragment(b"unread", PdvKind::Data, PdvPosition::Last);
    link.send(&[pdv], LONG).expect("room");
    let mut one = [0; 1];
    peer.peek(&mut one).expect("a byte");
    drop(peer);
    let end = link.receive(LONG).map(|_| ());
    assert_eq!(ended(&end), "lost", "{end:?}");
    assert_eq!(ended(&link.send(&[pdv], LONG)), "closed");
}

#[test]
fn a_peer_that_closed_its_direction_still_hears() {
    let (mut link, mut peer) = sockets();
    peer.write_all(&data_tf(&pdv(1, 2, b"last"))).expect("room");
    peer.shutdown(std::net::Shutdown::Write).expect("a socket");
    let sent = fragment(b"heard", PdvKind::Data, PdvPosition::Last);
    link.send(&[sent], LONG).expect("room");
    match link.receive(LONG) {
        Ok(Event::Pdv(got)) => assert_eq!(got.bytes, b"last"),
        other => panic!("what it sent before: {other:?}"),
    }
    let end = link.receive(LONG).map(|_| ());
    assert_eq!(ended(&end), "lost", "{end:?}");
    let mut heard = Vec::new();
    peer.read_to_end(&mut heard).expect("the end");
    assert_eq!(heard, data_tf(&pdv(1, 2, b"heard")));
}

#[test]
fn a_send_finds_why_the_peer_went() {
    let (mut link, mut peer) = sockets();
    peer.write_all(&USER_ABORT).expect("room");
    drop(peer);
    let pdv = fragment(&[0; 4000], PdvKind::Data, PdvPosition::Last);
    let end = (0..10_000).find_map(|_| link.send(&[pdv], LONG).err());
    assert!(
        matches!(
            end,
            Some(Error::Aborted {
                by: AbortedBy::User
            })
        ),
        "{end:?}"
    );
}

#[test]
fn a_wait_is_as_long_as_it_says_however_the_peer_drips() {
    let (mut link, mut peer) = sockets();
    let all = data_tf(&pdv(1, 2, &[7; 64]));
    let (last, most) = all.split_last().expect("bytes");
    std::thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || {
            for byte in most {
                peer.write_all(&[*byte]).expect("room");
                let _ = stopped.recv_timeout(Duration::from_millis(2));
            }
            // What is left goes once the wait is over.
            let _ = stopped.recv_timeout(LONG);
            peer.write_all(&[*last]).expect("room");
            stopped.recv_timeout(LONG).unwrap_or_default();
        });
        let over = link.receive(Duration::from_millis(200)).map(|_| ());
        assert_eq!(ended(&over), "timed out", "{over:?}");
        // One for each wait that is left.
        drop(stop);
        match link.receive(LONG) {
            Ok(Event::Pdv(got)) => assert_eq!(got.bytes, [7; 64]),
            other => panic!("the rest: {other:?}"),
        }
    });
}
