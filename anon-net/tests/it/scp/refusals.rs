//! Messages that are refused or cannot be understood.

use anon_net::association::{PdvKind, PdvPosition};
use anon_net::dimse::{Command, Operation, Request, Status};
use anon_net::scp::AssociationEnd;
use anon_net::{Association, Event, InstanceUid};

use super::served::{aborted, memory, single_response, with};
use super::support::{
    CT, CT_CONTEXT, ECHO_CONTEXT, FIND, FIND_CONTEXT, Peer, TIMEOUT, VERIFICATION, echo, store,
    title, uid,
};

/// The data set of a refused request is discarded, and the association continues.
#[test]
fn refused_requests_keep_the_association() {
    let named = |operation, class| Request::new(operation, 4, uid(class));
    let instance = InstanceUid::new("1.2.3").expect("a UID");
    let verification = named(Operation::Store, VERIFICATION).with_instance(instance.clone());
    let mut bare = store(4, "1.2.3");
    bare.sop_instance = None;
    let find = named(Operation::Find, FIND);
    let table: [(&str, u8, Request, u16); 9] = [
        (
            "a CT as Verification",
            ECHO_CONTEXT,
            store(4, "1.2"),
            0x0122,
        ),
        ("Verification stored", ECHO_CONTEXT, verification, 0x0122),
        (
            "another class than the context's",
            CT_CONTEXT,
            named(Operation::Store, "1.2.840.10008.5.1.4.1.1.4").with_instance(instance),
            0x0122,
        ),
        ("no SOP instance UID", CT_CONTEXT, bare, 0x0115),
        ("C-FIND", FIND_CONTEXT, find.clone(), 0x0211),
        ("C-FIND elsewhere", CT_CONTEXT, find, 0x0122),
        (
            "C-MOVE",
            FIND_CONTEXT,
            named(Operation::Move, FIND).with_destination(title("ANY")),
            0x0211,
        ),
        ("C-GET", FIND_CONTEXT, named(Operation::Get, FIND), 0x0211),
        (
            "C-GET of a storage class",
            CT_CONTEXT,
            named(Operation::Get, CT),
            0x0211,
        ),
    ];
    for (case, on, request, code) in table {
        let (status, summary) = single_response(&memory(), |peer| {
            Ok(peer.send_with(on, &request, &vec![0; 40_000])?)
        });
        assert_eq!(status.code(), code, "{case}");
        let refused = u64::from(request.operation == Operation::Store);
        assert_eq!(summary.counts.offered, refused, "{case}");
        assert_eq!(summary.counts.refused, refused, "{case}");
        assert_eq!(summary.counts.taken(), 0, "{case}");
    }
}

#[test]
fn echo_is_served_on_any_context_and_with_a_data_set() {
    let mut bare = store(4, "1.2.3");
    bare.has_data_set = false;
    let (status, _) = single_response(&memory(), |peer| Ok(peer.send(CT_CONTEXT, &bare)?));
    assert_eq!(status.code(), 0x0115);
    // A C-ECHO on another context.
    let (status, _) = single_response(&memory(), |peer| Ok(peer.send(CT_CONTEXT, &echo(3))?));
    assert_eq!(status.code(), 0x0122);
    // A C-ECHO with a data set, which is not allowed.
    let mut odd = echo(3);
    odd.has_data_set = true;
    let (status, _) = single_response(&memory(), |peer| {
        Ok(peer.send_with(ECHO_CONTEXT, &odd, b"why")?)
    });
    assert_eq!(status.code(), 0x0000);
}

/// Encodes elements (number, value) of group 0000 without a group length.
fn set(elements: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (element, value) in elements {
        bytes.extend([0, 0]);
        bytes.extend(element.to_le_bytes());
        let length = u32::try_from(value.len()).expect("a short value");
        bytes.extend(length.to_le_bytes());
        bytes.extend(*value);
    }
    bytes
}

#[test]
fn invalid_commands_get_a_status_or_an_abort() {
    let class: (u16, &[u8]) = (0x0002, b"1.2.840.10008.5.1.4.1.1.2\0");
    let id: (u16, &[u8]) = (0x0110, &[9, 0]);
    let data: (u16, &[u8]) = (0x0800, &[1, 0]);
    let stored: (u16, &[u8]) = (0x0100, &[1, 0]);
    let table: [(&str, Vec<u8>, u16); 3] = [
        (
            "a path for a SOP instance UID",
            set(&[class, stored, id, data, (0x1000, b"../../../etc/pw ")]),
            0x0117,
        ),
        (
            "a SOP instance UID of 200 characters",
            set(&[class, stored, id, data, (0x1000, &[b'1'; 200])]),
            0x0117,
        ),
        ("no SOP class", set(&[stored, id, data]), 0x0115),
    ];
    for (case, command, code) in table {
        let (status, summary) = single_response(&memory(), |peer| {
            peer.put(CT_CONTEXT, PdvKind::Command, PdvPosition::Last, &command)?;
            Ok(peer.put(CT_CONTEXT, PdvKind::Data, PdvPosition::Last, &[0; 10_000])?)
        });
        assert_eq!(status.code(), code, "{case}");
        // It is an object that was offered, whatever is wrong with its command.
        let counts = summary.counts;
        let expected = (1, 1, 10_000);
        assert_eq!(
            (counts.offered, counts.refused, counts.bytes),
            expected,
            "{case}"
        );
    }
    let unanswerable: [(&str, Vec<u8>); 3] = [
        ("garbage", vec![0xFF; 100]),
        ("no message id", set(&[class, stored, data])),
        (
            "an undefined response",
            set(&[(0x0100, &[0x40, 0x81]), data]),
        ),
    ];
    for (case, command) in unanswerable {
        let ending = aborted(&memory(), |peer| {
            Ok(peer.put(CT_CONTEXT, PdvKind::Command, PdvPosition::Last, &command)?)
        });
        assert!(
            matches!(ending, AssociationEnd::Broken(_)),
            "{case}: {ending:?}"
        );
    }
}

/// An N-GET gets a response with its command field, its message id and status 0211.
#[test]
fn operation_of_another_service_gets_0211() {
    let get: [(u16, &[u8]); 3] = [(0x0100, &[0x10, 1]), (0x0110, &[9, 0]), (0x0800, &[1, 1])];
    let summary = with(&memory(), |association| {
        Peer(association).put(CT_CONTEXT, PdvKind::Command, PdvPosition::Last, &set(&get))?;
        let expected: [(u16, &[u8]); 4] = [
            (0x0100, &[0x10, 0x81]),
            (0x0120, &[9, 0]),
            (0x0800, &[1, 1]),
            (0x0900, &[0x11, 2]),
        ];
        match association.receive(TIMEOUT)? {
            Event::Pdv(pdv) => assert!(pdv.bytes.ends_with(&set(&expected)), "{:?}", pdv.bytes),
            Event::Release => return Err("a release".into()),
        }
        Ok(association.release(TIMEOUT)?)
    });
    assert_eq!(summary.ending, AssociationEnd::Released);
}

#[test]
fn cancel_without_an_operation_is_ignored() {
    let (status, _) = single_response(&memory(), |peer| {
        let cancel = Command::Cancel { responded_to: 1 }.encode();
        peer.put(FIND_CONTEXT, PdvKind::Command, PdvPosition::Last, &cancel)?;
        Ok(peer.send(ECHO_CONTEXT, &echo(1))?)
    });
    assert_eq!(status, Status::SUCCESS);
}

#[test]
fn protocol_violation_is_aborted() {
    type Fragment<'a> = (u8, PdvKind, &'a [u8]);
    let response = Command::Response(echo(1).response(Status::SUCCESS)).encode();
    let request = Command::Request(store(1, "1.2.3")).encode();
    let table: [(&str, Vec<Fragment<'_>>); 4] = [
        (
            "a response",
            vec![(ECHO_CONTEXT, PdvKind::Command, &response)],
        ),
        ("data first", vec![(CT_CONTEXT, PdvKind::Data, b"data")]),
        (
            "two commands",
            vec![
                (CT_CONTEXT, PdvKind::Command, &request),
                (CT_CONTEXT, PdvKind::Command, &request),
            ],
        ),
        (
            "data in another context",
            vec![
                (CT_CONTEXT, PdvKind::Command, &request),
                (ECHO_CONTEXT, PdvKind::Data, b"data"),
            ],
        ),
    ];
    for (case, fragments) in table {
        let ending = aborted(&memory(), |peer| {
            for (on, kind, bytes) in fragments {
                peer.put(on, kind, PdvPosition::Last, bytes)?;
            }
            Ok(())
        });
        assert!(
            matches!(ending, AssociationEnd::Broken(_)),
            "{case}: {ending:?}"
        );
    }
}
