//! P-DATA, release and abort on an open association, byte for byte.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anon_net::association::ul::UlAssociation;
use anon_net::error::AbortedBy;
use anon_net::{Association, ContextId, Error, Event, Pdv, PdvKind, PdvPosition};

use crate::ul::{LONG, Port, acceptor};
use crate::wire::{
    AfterLastByte, RELEASE_RP, RELEASE_RQ, Request, USER_ABORT, Wire, WrittenBytes, abort, accept,
    data_tf, ended, pdu, pdv,
};

/// The maximum length that the acceptor announces.
const MAX: u32 = 128;

/// Opens an association whose peer then sends these bytes.
fn open(peer_bytes: &[u8], then: AfterLastByte, step: usize) -> (UlAssociation, WrittenBytes) {
    let peer_bytes = [&Request::new().bytes(), peer_bytes].concat();
    let wire = Wire::new(peer_bytes, then).in_steps_of(step);
    let (accepted, written) = accept(&acceptor().with_max_pdu_bytes(MAX), wire);
    assert_eq!(written.take().first(), Some(&2), "an acceptance");
    (accepted.expect("an association"), written)
}

#[test]
fn invalid_data_aborts_the_association() {
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
            let (mut association, written) = open(&bytes, AfterLastByte::Silence, step);
            let end = loop {
                if let Err(error) = association.receive(LONG) {
                    break Err::<(), _>(error);
                }
            };
            assert_eq!(ended(&end), "protocol", "{case}: {end:?}");
            assert_eq!(association.fragment(), b"", "{case}");
            let closed = association.receive(LONG).map(|_| ());
            assert_eq!(ended(&closed), "closed", "{case}");
            drop(association);
            assert_eq!(written.take(), abort(reason), "{case}, {step} at a time");
        }
    }
}

#[test]
fn each_end_of_an_association_has_its_error() {
    let by = |by| Error::Aborted { by };
    let table: Vec<(&str, Vec<u8>, AfterLastByte, Error)> = vec![
        (
            "its user aborts",
            USER_ABORT.to_vec(),
            AfterLastByte::Close,
            by(AbortedBy::User),
        ),
        (
            "its provider aborts",
            abort(2).to_vec(),
            AfterLastByte::Close,
            by(AbortedBy::Provider),
        ),
        (
            "a reserved source",
            pdu(7, &[0, 0, 1, 9]),
            AfterLastByte::Close,
            by(AbortedBy::User),
        ),
        ("it closes", vec![], AfterLastByte::Close, Error::Lost),
        (
            "it closes in a PDU",
            vec![4, 0, 0, 0, 0, 9, 0],
            AfterLastByte::Close,
            Error::Lost,
        ),
        (
            "it resets in a PDU",
            vec![4, 0, 0, 0, 0, 9, 0],
            AfterLastByte::Reset,
            Error::Lost,
        ),
    ];
    for (case, bytes, then, expected) in table {
        for release in [false, true] {
            let (mut association, written) = open(&bytes, then, usize::MAX);
            let (end, peer_bytes) = if release {
                (association.release(LONG), &RELEASE_RQ[..])
            } else {
                (association.receive(LONG).map(|_| ()), &[][..])
            };
            let end = end.expect_err(case);
            assert_eq!(end.to_string(), expected.to_string(), "{case}");
            assert_eq!(written.take(), peer_bytes, "{case}: nothing more is sent");
            let closed = association.receive(LONG).map(|_| ());
            assert_eq!(ended(&closed), "closed", "{case}");
        }
    }
}

/// Receives fragments until the end: their kind, place and bytes.
fn fragments(association: &mut UlAssociation) -> Vec<(PdvKind, PdvPosition, Vec<u8>)> {
    let mut all = Vec::new();
    while let Ok(Event::Pdv(pdv)) = association.receive(LONG) {
        all.push((pdv.kind, pdv.position, pdv.bytes.to_vec()));
    }
    all
}

type Row<'a> = (PdvKind, PdvPosition, &'a [u8]);

#[test]
fn unusual_but_legal_data_is_received() {
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
    for (case, bytes, expected) in table {
        for step in [usize::MAX, 1, 2, 7, 131] {
            let (mut association, _) = open(&bytes, AfterLastByte::Silence, step);
            let got = fragments(&mut association);
            let same = got
                .iter()
                .map(|(k, p, b)| (*k, *p, &b[..]))
                .eq(expected.iter().copied());
            assert!(same, "{case}, {step} at a time: {} fragments", got.len());
        }
    }
}

#[test]
fn receiving_continues_after_a_timeout() {
    let bytes = [
        Request::new().bytes(),
        data_tf(&pdv(1, 2, b"fragment")),
        RELEASE_RQ.to_vec(),
    ]
    .concat();
    let began = Request::new().bytes().len();
    for pause in began..bytes.len() {
        let wire = Wire::new(bytes.clone(), AfterLastByte::Silence).pausing_at(pause);
        let (accepted, written) = accept(&acceptor(), wire);
        let mut association = accepted.expect("an association");
        written.take();
        let mut events = Vec::new();
        let mut waits = 0;
        while events.len() < 2 {
            match association.receive(LONG) {
                Ok(Event::Pdv(pdv)) => events.push(pdv.bytes.to_vec()),
                Ok(Event::Release) => events.push(b"release".to_vec()),
                Err(Error::TimedOut { .. }) => waits += 1,
                Err(error) => panic!("paused at {pause}: {error:?}"),
            }
            assert!(waits < 2, "paused at {pause}: once");
        }
        assert_eq!(events, [&b"fragment"[..], b"release"], "paused at {pause}");
        association.release(LONG).expect("a release");
        assert_eq!(written.take(), RELEASE_RP, "paused at {pause}");
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
fn fragments_are_encoded_byte_for_byte() {
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
            let (mut association, written) = open(&[], AfterLastByte::Silence, step);
            association.send(pdvs, LONG).expect("a send");
            assert_eq!(written.take(), bytes(pdvs), "{} at {step}", pdvs.len());
        }
    }
}

/// With Nagle's algorithm a PDU in two writes would wait for an acknowledgement between them.
#[test]
fn pdu_is_written_at_once() {
    let wire = Wire::new(Request::new().bytes(), AfterLastByte::Silence);
    let (accepted, written) = accept(&acceptor(), wire);
    let mut association = accepted.expect("an association");
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
        association.send(&pdvs, LONG).expect("a send");
    }
    association.abort();
    let writes = written.take_writes();
    let kinds: Vec<u8> = writes.iter().map(|pdu| pdu[0]).collect();
    assert_eq!(kinds, [2, 4, 4, 4, 4, 4, 7]);
    for pdu in writes {
        let length: [u8; 4] = pdu[2..6].try_into().expect("four bytes");
        assert_eq!(u32::from_be_bytes(length) as usize + 6, pdu.len());
    }
}

#[test]
fn requestor_responds_first_in_a_release_collision() {
    // PS3.8 section 9.2.3: AR-8 on both sides, then AR-9 here only after the peer's response.
    let peer_bytes = [RELEASE_RQ, RELEASE_RP].concat();
    let (mut association, written) = open(&peer_bytes, AfterLastByte::Silence, usize::MAX);
    association.release(LONG).expect("a release");
    assert_eq!(written.take(), [RELEASE_RQ, RELEASE_RP].concat());

    // A peer that never responds is aborted.
    let (mut association, written) = open(&RELEASE_RQ, AfterLastByte::Silence, usize::MAX);
    let over = association.release(LONG);
    assert_eq!(ended(&over), "timed out");
    assert_eq!(written.take(), [&RELEASE_RQ[..], &USER_ABORT].concat());

    // Data in flight is discarded.
    let peer_bytes = [data_tf(&pdv(1, 0, b"late")), RELEASE_RP.to_vec()].concat();
    let (mut association, written) = open(&peer_bytes, AfterLastByte::Silence, usize::MAX);
    association.release(LONG).expect("a release");
    assert_eq!(written.take(), RELEASE_RQ);
}

/// Returns an association over a socket, and the socket of its peer.
fn sockets() -> (UlAssociation, TcpStream) {
    let port = Port::open();
    let acceptor = acceptor();
    std::thread::scope(|scope| {
        let accepted = scope.spawn(|| acceptor.accept(port.stream()));
        let mut peer = TcpStream::connect((port.node.host(), port.node.port())).expect("a peer");
        peer.write_all(&Request::new().bytes()).expect("written");
        let mut header = [0; 6];
        peer.read_exact(&mut header).expect("a response");
        assert_eq!(header.first(), Some(&2), "an acceptance");
        let [_, _, _, _, length @ ..] = header;
        let mut body = vec![0; usize::from(u16::from_be_bytes(length))];
        peer.read_exact(&mut body).expect("a response");
        let association = accepted.join().expect("a thread").expect("an association");
        (association, peer)
    })
}

#[test]
fn reset_ends_the_association() {
    let (mut association, peer) = sockets();
    // Closing with unread bytes resets the connection.
    let pdv = fragment(b"unread", PdvKind::Data, PdvPosition::Last);
    association.send(&[pdv], LONG).expect("written");
    let mut one = [0; 1];
    peer.peek(&mut one).expect("a byte");
    drop(peer);
    let end = association.receive(LONG).map(|_| ());
    assert_eq!(ended(&end), "lost", "{end:?}");
    assert_eq!(ended(&association.send(&[pdv], LONG)), "closed");
}

#[test]
fn peer_that_closed_its_sending_direction_still_receives() {
    let (mut association, mut peer) = sockets();
    peer.write_all(&data_tf(&pdv(1, 2, b"last")))
        .expect("written");
    peer.shutdown(std::net::Shutdown::Write).expect("a socket");
    let sent = fragment(b"heard", PdvKind::Data, PdvPosition::Last);
    association.send(&[sent], LONG).expect("written");
    match association.receive(LONG) {
        Ok(Event::Pdv(got)) => assert_eq!(got.bytes, b"last"),
        other => panic!("data sent before closing: {other:?}"),
    }
    let end = association.receive(LONG).map(|_| ());
    assert_eq!(ended(&end), "lost", "{end:?}");
    let mut received = Vec::new();
    peer.read_to_end(&mut received).expect("the end");
    assert_eq!(received, data_tf(&pdv(1, 2, b"heard")));
}

#[test]
fn send_returns_why_the_peer_ended() {
    let (mut association, mut peer) = sockets();
    peer.write_all(&USER_ABORT).expect("written");
    drop(peer);
    let pdv = fragment(&[0; 4000], PdvKind::Data, PdvPosition::Last);
    let end = (0..10_000).find_map(|_| association.send(&[pdv], LONG).err());
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
fn slow_data_does_not_extend_the_timeout() {
    let (mut association, mut peer) = sockets();
    let all = data_tf(&pdv(1, 2, &[7; 64]));
    let (last, most) = all.split_last().expect("bytes");
    std::thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || {
            for byte in most {
                peer.write_all(&[*byte]).expect("written");
                let _ = stopped.recv_timeout(Duration::from_millis(2));
            }
            // The rest is sent after the timeout.
            let _ = stopped.recv_timeout(LONG);
            peer.write_all(&[*last]).expect("written");
            stopped.recv_timeout(LONG).unwrap_or_default();
        });
        let over = association.receive(Duration::from_millis(200)).map(|_| ());
        assert_eq!(ended(&over), "timed out", "{over:?}");
        // One for each remaining wait.
        drop(stop);
        match association.receive(LONG) {
            Ok(Event::Pdv(got)) => assert_eq!(got.bytes, [7; 64]),
            other => panic!("the rest: {other:?}"),
        }
    });
}
