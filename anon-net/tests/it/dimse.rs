//! Command sets and messages.

use std::io::{BufRead, Read};
use std::time::Duration;

use anon_net::association::{Pdv, PdvKind, PdvPosition};
use anon_net::dimse::{
    Body, Command, Incoming, Malformed, Operation, Originator, Priority, Request, Response, Status,
    SubOperations, receive_command, refuse, send, send_with,
};
use anon_net::testing::memory::{MemoryAssociation, MemoryPeer, pair};
use anon_net::{
    AeTitle, Association, ContextId, Error, Event, InstanceUid, NegotiatedContexts, Uid,
};
use proptest::prelude::*;

use crate::memory_network::{proposal, supported};

const SECOND: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(20);

fn ends(max_pdu_bytes: u32) -> (MemoryAssociation, MemoryAssociation) {
    let proposal = proposal();
    let results = supported().answer(&proposal.contexts);
    let contexts = NegotiatedContexts::new(&proposal.contexts, &results).expect("valid responses");
    let side = |title: &str| MemoryPeer {
        title: title.parse().expect("a title"),
        max_pdu_bytes,
    };
    pair(&side("REQUESTOR"), &side("ACCEPTOR"), &contexts)
}

fn uid(text: &str) -> Uid {
    Uid::new(text).expect("a UID")
}

fn title(text: &str) -> AeTitle {
    AeTitle::new(text).expect("a title")
}

/// A C-ECHO command set is encoded byte for byte as other toolkits encode it.
#[test]
fn echo_is_encoded_as_by_other_toolkits() {
    let echo = Command::Request(Request::new(Operation::Echo, 1, uid("1.2.840.10008.1.1")));
    let mut expected = Vec::new();
    let mut element = |tag: u16, value: &[u8]| {
        expected.extend([0, 0]);
        expected.extend(tag.to_le_bytes());
        expected.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
        expected.extend(value);
    };
    element(0x0000, &[56, 0, 0, 0]);
    element(0x0002, b"1.2.840.10008.1.1\0");
    element(0x0100, &[0x30, 0]);
    element(0x0110, &[1, 0]);
    element(0x0800, &[1, 1]);
    assert_eq!(echo.encode(), expected);
}

/// Encodes elements (number, value) without a group length.
fn set(elements: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (element, value) in elements {
        bytes.extend([0, 0]);
        bytes.extend(element.to_le_bytes());
        bytes.extend(
            u32::try_from(value.len())
                .expect("a short value")
                .to_le_bytes(),
        );
        bytes.extend(*value);
    }
    bytes
}

#[test]
fn each_malformed_command_set_has_its_error() {
    let class: (u16, &[u8]) = (0x0002, b"1.2\0");
    let store: (u16, &[u8]) = (0x0100, &[1, 0]);
    let id: (u16, &[u8]) = (0x0110, &[9, 0]);
    let data: (u16, &[u8]) = (0x0800, &[1, 0]);
    let request = |element| Malformed::Request {
        operation: Operation::Store,
        message_id: 9,
        element,
        has_data_set: true,
    };
    let table: [(&str, Vec<u8>, Malformed); 10] = [
        ("nothing", vec![], Malformed::Missing { element: 0x0100 }),
        ("half a header", vec![0, 0, 0], Malformed::Truncated),
        (
            "a length of 4 GB",
            vec![0, 0, 0, 0, 255, 255, 255, 255],
            Malformed::Truncated,
        ),
        (
            "another group",
            vec![8, 0, 0, 0, 0, 0, 0, 0],
            Malformed::WrongGroup,
        ),
        (
            "no field",
            set(&[class, id, data]),
            Malformed::Missing { element: 0x0100 },
        ),
        (
            "no data set type",
            set(&[class, store, id]),
            Malformed::Missing { element: 0x0800 },
        ),
        (
            "no message id",
            set(&[class, store, data]),
            Malformed::Missing { element: 0x0110 },
        ),
        (
            "an element twice",
            set(&[id, id]),
            Malformed::Duplicate { element: 0x0110 },
        ),
        ("no class", set(&[store, id, data]), request(0x0002)),
        (
            "a path for an instance",
            set(&[class, store, id, data, (0x1000, b"../../x\0")]),
            request(0x1000),
        ),
    ];
    for (what, bytes, expected) in table {
        assert_eq!(Command::decode(&bytes), Err(expected), "{what}");
    }
    let many: Vec<(u16, &[u8])> = (0..100).map(|n| (0x4000 + n, &[][..])).collect();
    assert_eq!(Command::decode(&set(&many)), Err(Malformed::TooMany));
}

#[test]
fn requests_of_other_services_get_a_response() {
    let n_get = set(&[(0x0100, &[0x10, 1]), (0x0110, &[3, 0]), (0x0800, &[1, 1])]);
    let malformed = Command::decode(&n_get).unwrap_err();
    assert_eq!(
        malformed,
        Malformed::UnknownOperation {
            field: 0x0110,
            message_id: Some(3),
            has_data_set: false
        }
    );
    let (mut scu, mut scp) = ends(4096);
    assert!(refuse(&mut scp, ContextId::FIRST, &malformed, SECOND).unwrap());
    let Event::Pdv(response) = scu.receive(SECOND).unwrap() else {
        panic!("no response");
    };
    // Command field 8110H, responding to message 3, no data set, status 0211H.
    let expected = set(&[
        (0x0100, &[0x10, 0x81]),
        (0x0120, &[3, 0]),
        (0x0800, &[1, 1]),
        (0x0900, &[0x11, 2]),
    ]);
    assert_eq!(response.bytes.get(12..), Some(&*expected));
    assert!(!refuse(&mut scp, ContextId::FIRST, &Malformed::Truncated, SECOND).unwrap());
}

#[test]
fn invalid_arguments_have_their_status() {
    for (element, status) in [(0x1000, 0x0117), (0x0002, 0x0115)] {
        let malformed = Malformed::Request {
            operation: Operation::Store,
            message_id: 5,
            element,
            has_data_set: true,
        };
        let (mut scu, mut scp) = ends(4096);
        assert!(refuse(&mut scp, ContextId::FIRST, &malformed, SECOND).unwrap());
        let got = receive_command(&mut scu, SECOND).unwrap();
        let Incoming::Message {
            command: Command::Response(response),
            ..
        } = got
        else {
            panic!("{got:?}");
        };
        assert_eq!(response.status, Status::new(status));
        assert_eq!(
            (response.operation, response.responded_to),
            (Operation::Store, 5)
        );
    }
}

fn any_text(pattern: &'static str) -> impl Strategy<Value = String> {
    proptest::string::string_regex(pattern).expect("a pattern")
}

fn operations() -> impl Strategy<Value = Operation> {
    prop_oneof![
        Just(Operation::Store),
        Just(Operation::Get),
        Just(Operation::Find),
        Just(Operation::Move),
        Just(Operation::Echo)
    ]
}

fn requests() -> impl Strategy<Value = Command> {
    let uids = any_text("[1-9][0-9]{0,5}(\\.[1-9][0-9]{0,3}){0,9}");
    let instance = proptest::option::of(any_text("1(\\.[1-9][0-9]{0,3}){1,9}"));
    let titles = proptest::option::of(any_text("[A-Z]([A-Z ]{0,14}[A-Z])?"));
    let priorities = prop_oneof![
        Just(Priority::Low),
        Just(Priority::Medium),
        Just(Priority::High)
    ];
    let originator = proptest::option::of((any_text("[A-Z]{1,16}"), any::<u16>()));
    let parts = (
        operations(),
        any::<u16>(),
        uids,
        instance,
        titles,
        priorities,
        originator,
    );
    (parts, any::<bool>()).prop_map(|(parts, has_data_set)| {
        let (operation, id, class, instance, destination, priority, originator) = parts;
        let mut request = Request::new(operation, id, uid(&class));
        request.sop_instance = instance.map(|i| InstanceUid::new(&i).expect("a UID"));
        request.destination = destination.map(|t| title(&t));
        request.originator = originator.map(|(t, message_id)| Originator {
            title: title(&t),
            message_id,
        });
        request.has_data_set = has_data_set;
        if operation != Operation::Echo {
            request.priority = priority;
        }
        Command::Request(request)
    })
}

fn responses() -> impl Strategy<Value = Command> {
    let count = || proptest::option::of(any::<u16>());
    let counts = (count(), count(), count(), count());
    let comment = proptest::option::of(any_text("[A-Za-z]([A-Za-z ]{0,60}[A-Za-z])?"));
    (
        operations(),
        any::<u16>(),
        any::<u16>(),
        counts,
        comment,
        any::<bool>(),
    )
        .prop_map(|(operation, id, status, counts, comment, has_data_set)| {
            let request = Request::new(operation, id, uid("1.2.3"));
            let mut response = request.response(Status::new(status));
            response.counts = SubOperations {
                remaining: counts.0,
                completed: counts.1,
                failed: counts.2,
                warning: counts.3,
            };
            response.comment = comment;
            response.has_data_set = has_data_set;
            Command::Response(response)
        })
}

proptest! {
    #[test]
    fn commands_round_trip(command in prop_oneof![
        requests(),
        responses(),
        any::<u16>().prop_map(|responded_to| Command::Cancel { responded_to }),
    ]) {
        let bytes = command.encode();
        prop_assert_eq!(bytes.len() % 2, 0);
        let rest = u32::from_le_bytes(bytes[8..12].try_into().unwrap());
        prop_assert_eq!(rest as usize, bytes.len() - 12);
        prop_assert_eq!(Command::decode(&bytes), Ok(command));
    }

    #[test]
    fn any_bytes_decode_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Command::decode(&bytes);
    }

    /// A message arrives complete, however the peer fragments it.
    #[test]
    fn messages_arrive_complete(
        body in proptest::collection::vec(any::<u8>(), 0..5000),
        max_pdu in 8_u32..600,
        step in 1_usize..700,
    ) {
        let (mut scu, mut scp) = ends(max_pdu);
        let store = Command::Request(
            Request::new(Operation::Store, 2, uid("1.2.840.10008.5.1.4.1.1.2"))
                .with_instance(InstanceUid::new("1.2.3").unwrap()),
        );
        let sent = store.clone();
        let expected = body.clone();
        let sender = std::thread::spawn(move || {
            send_with(&mut scu, ContextId::FIRST, &sent, &mut &*body, SECOND).map(|()| scu)
        });
        let got = receive_command(&mut scp, SECOND).unwrap();
        let context = ContextId::FIRST;
        prop_assert_eq!(got, Incoming::Message { context, command: store });
        let mut body = Body::new(&mut scp, context, SECOND);
        let mut read = Vec::new();
        let mut piece = vec![0; step];
        loop {
            let n = body.read(&mut piece).unwrap();
            if n == 0 {
                break;
            }
            read.extend_from_slice(&piece[..n]);
        }
        prop_assert!(body.is_done());
        prop_assert_eq!(body.received(), expected.len() as u64);
        prop_assert_eq!(read, expected);
        drop(sender.join().unwrap().unwrap());
    }
}

fn pdv(kind: PdvKind, position: PdvPosition, bytes: &[u8]) -> Pdv<'_> {
    Pdv {
        context: ContextId::FIRST,
        kind,
        position,
        bytes,
    }
}

#[test]
fn wrong_order_of_fragments_ends_the_association() {
    let echo =
        Command::Request(Request::new(Operation::Echo, 1, uid("1.2.840.10008.1.1"))).encode();
    let (half, rest) = echo.split_at(20);
    let second = ContextId::new(5).unwrap();
    let other = |bytes| Pdv {
        context: second,
        ..pdv(PdvKind::Command, PdvPosition::Last, bytes)
    };
    let long = vec![0; 20_000];
    let table: [(&str, Vec<Pdv<'_>>); 4] = [
        (
            "a data set first",
            vec![pdv(PdvKind::Data, PdvPosition::Last, b"DATA")],
        ),
        (
            "a data set inside",
            vec![
                pdv(PdvKind::Command, PdvPosition::More, half),
                pdv(PdvKind::Data, PdvPosition::Last, rest),
            ],
        ),
        (
            "two contexts",
            vec![pdv(PdvKind::Command, PdvPosition::More, half), other(rest)],
        ),
        (
            "a long command",
            vec![pdv(PdvKind::Command, PdvPosition::More, &long)],
        ),
    ];
    for (what, pdvs) in table {
        let (mut scu, mut scp) = ends(40_000);
        scu.send(&pdvs, SECOND).unwrap();
        let got = receive_command(&mut scp, SECOND);
        assert!(
            matches!(got, Err(Error::Protocol { .. })),
            "{what}: {got:?}"
        );
        assert!(
            matches!(scu.receive(SECOND), Err(Error::Aborted { .. })),
            "{what}"
        );
    }
}

#[test]
fn incomplete_command_times_out() {
    let (mut scu, mut scp) = ends(4096);
    let nothing = receive_command(&mut scp, SHORT);
    assert!(
        matches!(nothing, Err(Error::TimedOut { .. })),
        "{nothing:?}"
    );
    let echo = Command::Request(Request::new(Operation::Echo, 1, uid("1.2.840.10008.1.1")));
    send(&mut scu, ContextId::FIRST, &echo, SECOND).unwrap();
    assert!(matches!(
        receive_command(&mut scp, SECOND),
        Ok(Incoming::Message { .. })
    ));

    scu.send(&[pdv(PdvKind::Command, PdvPosition::More, &[0; 8])], SECOND)
        .unwrap();
    let half = receive_command(&mut scp, SHORT);
    assert!(matches!(half, Err(Error::TimedOut { .. })), "{half:?}");
    assert!(matches!(scp.receive(SHORT), Err(Error::Closed)));
}

#[test]
fn incomplete_body_has_an_error() {
    type Break = fn(MemoryAssociation);
    type Expected = fn(&Error) -> bool;
    let table: [(&str, Break, Expected); 4] = [
        ("cut", MemoryAssociation::cut, |e| matches!(e, Error::Lost)),
        ("abort", drop, |e| matches!(e, Error::Aborted { .. })),
        (
            "a command inside",
            |mut scu| {
                scu.send(&[pdv(PdvKind::Command, PdvPosition::Last, &[])], SECOND)
                    .unwrap();
                assert!(matches!(scu.receive(SECOND), Err(Error::Aborted { .. })));
            },
            |e| matches!(e, Error::Protocol { .. }),
        ),
        (
            "release inside",
            |mut scu| assert!(scu.release(SECOND).is_err()),
            |e| matches!(e, Error::Protocol { .. }),
        ),
    ];
    for (what, breaks, expected) in table {
        let (mut scu, mut scp) = ends(4096);
        scu.send(&[pdv(PdvKind::Data, PdvPosition::More, b"0123")], SECOND)
            .unwrap();
        let peer = std::thread::spawn(move || breaks(scu));
        let mut body = Body::new(&mut scp, ContextId::FIRST, SECOND);
        assert!(body.read_to_end(&mut Vec::new()).is_err(), "{what}");
        assert!(body.fill_buf().is_err(), "{what}: the error stays");
        assert_eq!(body.received(), 4);
        let failure = body.failure().expect("a failure");
        assert!(expected(&failure), "{what}: {failure:?}");
        peer.join().unwrap();
    }
}

#[test]
fn unread_body_can_be_dropped() {
    let (mut scu, mut scp) = ends(4096);
    let data = pdv(PdvKind::Data, PdvPosition::More, &[7; 100]);
    scu.send(
        &[data, data, pdv(PdvKind::Data, PdvPosition::Last, &[])],
        SECOND,
    )
    .unwrap();
    Body::new(&mut scp, ContextId::FIRST, SECOND)
        .drain()
        .unwrap();
    let echo = Command::Request(Request::new(Operation::Echo, 1, uid("1.2.840.10008.1.1")));
    send(&mut scu, ContextId::FIRST, &echo, SECOND).unwrap();
    assert!(matches!(
        receive_command(&mut scp, SECOND),
        Ok(Incoming::Message { .. })
    ));
    let mut none = Body::none(&mut scp, ContextId::FIRST);
    assert_eq!(none.fill_buf().unwrap(), b"");
}

struct Unreadable;

impl Read for Unreadable {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::PermissionDenied.into())
    }
}

#[test]
fn unreadable_data_set_is_not_sent() {
    let (mut scu, mut scp) = ends(4096);
    let store = Command::Request(Request::new(Operation::Store, 1, uid("1.2.3")));
    let mut body = std::io::BufReader::new(Unreadable);
    let sent = send_with(&mut scu, ContextId::FIRST, &store, &mut body, SECOND);
    assert!(matches!(sent, Err(Error::Unreadable { .. })), "{sent:?}");
    assert!(matches!(
        receive_command(&mut scp, SECOND),
        Ok(Incoming::Message { .. })
    ));
    assert!(matches!(scp.receive(SECOND), Err(Error::Aborted { .. })));
}

/// Debug output contains nothing that identifies a person.
#[test]
fn debug_output_has_no_canary() {
    let instance = InstanceUid::new("1.2.3.777").unwrap();
    let request = Request::new(Operation::Store, 1, uid("1.2.3")).with_instance(instance);
    let mut response: Response = request.response(Status::SUCCESS);
    response.comment = Some("DOE^JANE".into());
    let shown = format!("{request:?} {response:?}");
    assert!(!shown.contains("777") && !shown.contains("DOE"), "{shown}");
}
