//! Responses of an acceptor to proposals, byte for byte.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use anon_net::association::ul::{Acceptor, Implementation};
use anon_net::error::RejectReason;
use anon_net::{Association, Error, SupportedContexts};

use crate::memory_network::uid;
use crate::ul::{LONG, Port, acceptor};
use crate::wire::{
    AfterLastByte, Request, USER_ABORT, Wire, abort, accept, application, context, data_tf, ended,
    item, maximum, pdu, pdv, result, role, user,
};

const fn rejection(result: u8, source: u8, reason: u8) -> [u8; 10] {
    [3, 0, 0, 0, 0, 4, 0, result, source, reason]
}

#[track_caller]
fn check(acceptor: &Acceptor, bytes: &[u8], expected: &[u8], end: &str, case: &str) {
    for step in [usize::MAX, 1] {
        let wire = Wire::new(bytes.to_vec(), AfterLastByte::Silence).in_steps_of(step);
        let (accepted, written) = accept(acceptor, wire);
        assert_eq!(ended(&accepted), end, "{case}, {step} bytes at a time");
        assert_eq!(written.take(), expected, "{case}, {step} bytes at a time");
    }
}

#[test]
fn unacceptable_request_is_rejected() {
    let ok = Request::new;
    let strict = acceptor().with_calling_titles(["FRIEND".parse().expect("a title")]);
    let open = acceptor();
    let table: [(&str, &Acceptor, Request, [u8; 10]); 8] = [
        (
            "another title is called",
            &open,
            ok().with(|r| r.called = b"SOMEBODY ELSE   ".to_vec()),
            rejection(1, 1, 7),
        ),
        (
            "no title is called",
            &open,
            ok().with(|r| r.called = vec![b' '; 16]),
            rejection(1, 1, 7),
        ),
        ("a stranger calls", &strict, ok(), rejection(1, 1, 3)),
        (
            "nobody calls",
            &open,
            ok().with(|r| r.calling = vec![b' '; 16]),
            rejection(1, 1, 3),
        ),
        (
            "version 2 only",
            &open,
            ok().with(|r| r.version = 2),
            rejection(1, 2, 2),
        ),
        (
            "no version",
            &open,
            ok().with(|r| r.version = 0),
            rejection(1, 2, 2),
        ),
        (
            "another application context",
            &open,
            ok().with(|r| r.items[0] = item(0x10, b"1.2.3")),
            rejection(1, 1, 2),
        ),
        (
            "no application context",
            &open,
            ok().with(|r| drop(r.items.remove(0))),
            rejection(1, 1, 2),
        ),
    ];
    for (case, acceptor, request, expected) in table {
        check(acceptor, &request.bytes(), &expected, "refused", case);
    }
}

#[test]
fn invalid_request_is_aborted() {
    let ok = Request::new;
    let three = |ids: [u8; 3]| {
        let contexts = ids.map(|id| context(id, "1.2.1", &["1.2.10"]));
        ok().with_contexts(contexts.to_vec()).bytes()
    };
    let last = |value: Vec<u8>| ok().with(|r| r.items[2] = value).bytes();
    let long = |kind, length: u32| [&[kind, 0][..], &length.to_be_bytes()].concat();
    let table: Vec<(&str, Vec<u8>, u8)> = vec![
        ("data before a request", data_tf(&pdv(1, 0, b"x")), 2),
        ("a release before a request", pdu(5, &[0; 4]), 2),
        ("a response", ok().with(|r| r.kind = 2).bytes(), 2),
        ("a rejection", rejection(1, 1, 1).to_vec(), 2),
        ("garbage", vec![0xEF; 40], 1),
        ("type 0", pdu(0, &[0; 4]), 1),
        ("type 8", pdu(8, &[0; 4]), 1),
        ("4 GB", long(1, u32::MAX), 6),
        ("longer than is read", long(1, 256 * 1024 + 1), 6),
        ("length 0", pdu(1, &[]), 6),
        ("cut in the titles", pdu(1, &[0, 1, 0, 0, b'A']), 6),
        ("no context", ok().with_contexts(vec![]).bytes(), 6),
        ("an even id", three([1, 2, 3]), 6),
        ("id 0", three([0, 1, 3]), 6),
        ("an id twice", three([1, 3, 1]), 6),
        (
            "a context without an abstract syntax",
            ok().with_contexts(vec![item(0x20, &[1, 0, 0, 0])]).bytes(),
            6,
        ),
        (
            "a context without an id",
            ok().with_contexts(vec![item(0x20, &[1])]).bytes(),
            6,
        ),
        (
            "a response to a context",
            ok().with_contexts(vec![result(1, 0, "1.2.10")]).bytes(),
            5,
        ),
        ("an item that overruns", last(vec![0x50, 0, 0, 9, 1]), 6),
        ("half an item header", last(vec![0x50, 0]), 6),
        (
            "a sub-item that overruns",
            last(user(&[&[0x52, 0, 0, 9, 1]])),
            6,
        ),
        (
            "a limit of three bytes",
            last(user(&[&item(0x51, &[0; 3])])),
            6,
        ),
        ("a limit that leaves no room", last(user(&[&maximum(7)])), 6),
        (
            "a role that overruns",
            last(user(&[&item(0x54, &[0, 9, 1])])),
            6,
        ),
        (
            "a role without roles",
            last(user(&[&item(0x54, &[0, 1, b'1'])])),
            6,
        ),
    ];
    for (case, bytes, reason) in table {
        check(&acceptor(), &bytes, &abort(reason), "protocol", case);
    }
}

#[test]
fn other_protocols_get_no_response() {
    let table: [(&str, &[u8], &str); 6] = [
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n", "protocol"),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "protocol"),
        ("TLS", &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3], "protocol"),
        ("an abort", &USER_ABORT, "protocol"),
        ("nothing", b"", "timed out"),
        ("half a header", &[1, 0, 0], "timed out"),
    ];
    for (case, bytes, end) in table {
        check(&acceptor(), bytes, b"", end, case);
    }
    for (then, end) in [
        (AfterLastByte::Close, "lost"),
        (AfterLastByte::Reset, "lost"),
    ] {
        let half = Request::new().bytes()[..50].to_vec();
        let (accepted, written) = accept(&acceptor(), Wire::new(half, then));
        assert_eq!(
            (ended(&accepted), written.take()),
            (end, vec![]),
            "{then:?}"
        );
    }
}

#[test]
fn acceptance_is_encoded_byte_for_byte() {
    let implementation = Implementation::new(uid("1.2.3.4"), "TEST").expect("a name");
    let supported = SupportedContexts::new()
        .with(uid("1.2.1"), vec![uid("1.2.11"), uid("1.2.10")])
        .with(uid("1.2.2"), vec![uid("1.2.10")])
        .with_scp_role(uid("1.2.2"));
    let acceptor = Acceptor::new("ACCEPTOR".parse().expect("a title"), supported)
        .with_max_pdu_bytes(0x0102_0304)
        .with_implementation(implementation);
    let request = Request::new()
        .with_contexts(vec![
            context(5, "1.2.1", &["1.2.10", "1.2.11"]),
            context(3, "1.2.2", &["1.2.10"]),
            context(1, "1.2.9", &["1.2.10"]),
            context(255, "1.2.2", &["1.2.99"]),
            context(9, "not a uid", &["1.2.10"]),
            context(11, "1.2.2", &[]),
        ])
        .with_user(&[&maximum(0), &role("1.2.1", 1, 1), &role("1.2.2", 1, 1)])
        .bytes();
    let mut body = vec![0, 1, 0, 0];
    body.extend(b"ACCEPTOR        REQUESTOR       ");
    body.extend([0; 32]);
    body.extend(application());
    let implicit = "1.2.840.10008.1.2";
    for (id, code, syntax) in [
        (1, 3, implicit),
        (3, 0, "1.2.10"),
        // Transfer syntaxes in the acceptor's order, not the peer's.
        (5, 0, "1.2.11"),
        (9, 3, implicit),
        (11, 4, implicit),
        (255, 4, implicit),
    ] {
        body.extend(result(id, code, syntax));
    }
    body.extend(user(&[
        // The announced maximum length is not longer than the buffer.
        &maximum(0x0100_0000),
        &item(0x52, b"1.2.3.4"),
        &role("1.2.1", 1, 0),
        &role("1.2.2", 1, 1),
        &item(0x55, b"TEST"),
    ]));
    let (accepted, written) = accept(&acceptor, Wire::new(request, AfterLastByte::Silence));
    let accepted = accepted.expect("an association");
    assert_eq!(written.take(), pdu(2, &body));
    let agreed: Vec<_> = accepted
        .contexts()
        .iter()
        .map(|c| (c.id.get(), c.transfer_syntax.as_str(), c.scu, c.scp))
        .collect();
    let expected = [(3, "1.2.10", true, true), (5, "1.2.11", true, false)];
    assert_eq!(agreed, expected);
    assert_eq!(accepted.max_pdu_bytes(), u32::MAX, "0 is no limit");
}

#[test]
fn unusual_but_legal_request_is_accepted() {
    let ok = Request::new;
    let open = acceptor();
    let any = acceptor().with_any_called_title();
    let friend = acceptor().with_calling_titles(["REQUESTOR".parse().expect("a title")]);
    let many = (0..128u8).map(|n| context(n * 2 + 1, "1.2.1", &["1.2.10"]));
    let syntaxes: Vec<String> = (0..38)
        .map(|n| format!("1.2.840.10008.1.2.4.{n}"))
        .collect();
    let mut names: Vec<&str> = syntaxes.iter().map(String::as_str).collect();
    names.push("1.2.10");
    let full = (0..128u8).map(|n| context(n * 2 + 1, "1.2.1", &names));
    let table: Vec<(&str, &Acceptor, Request, usize)> = vec![
        ("version 3", &open, ok().with(|r| r.version = 3), 1),
        (
            "a title with spaces before",
            &open,
            ok().with(|r| r.called = b"        ACCEPTOR".to_vec()),
            1,
        ),
        (
            "a title with NULs after",
            &open,
            ok().with(|r| r.calling = b"REQUESTOR\0\0\0\0\0\0\0".to_vec()),
            1,
        ),
        (
            "any called title",
            &any,
            ok().with(|r| r.called = b"\xFFWHATEVER       ".to_vec()),
            1,
        ),
        ("a known calling title", &friend, ok(), 1),
        (
            "an unknown item",
            &open,
            ok().with(|r| r.items.insert(1, item(0x77, b"what"))),
            1,
        ),
        (
            "no user information",
            &open,
            ok().with(|r| drop(r.items.pop())),
            1,
        ),
        (
            "asynchronous operations, extended negotiation, user identity",
            &open,
            ok().with_user(&[
                &maximum(4096),
                &item(0x53, &[0, 4, 0, 4]),
                &item(0x56, b"\0\x051.2.1\x01"),
                &item(0x57, b"\0\x051.2.1\0\x011\0\0"),
                &item(0x58, b"\x02\x01\0\x04user\0\x06secret"),
            ]),
            1,
        ),
        (
            "a NUL after a UID",
            &open,
            ok().with_contexts(vec![context(1, "1.2.1\0", &["1.2.10\0"])]),
            1,
        ),
        (
            "128 contexts",
            &open,
            ok().with_contexts(many.collect()),
            128,
        ),
        (
            "128 contexts of 39 transfer syntaxes",
            &open,
            ok().with_contexts(full.collect()),
            128,
        ),
        (
            "nothing in common",
            &open,
            ok().with_contexts(vec![context(1, "1.2.9", &["1.2.10"])]),
            0,
        ),
    ];
    for (case, acceptor, request, contexts) in table {
        let (accepted, written) =
            accept(acceptor, Wire::new(request.bytes(), AfterLastByte::Silence));
        let accepted = accepted.unwrap_or_else(|error| panic!("{case}: {error:?}"));
        assert_eq!(accepted.contexts().len(), contexts, "{case}");
        assert_eq!(written.take()[0], 2, "{case}");
        drop(accepted);
        assert_eq!(written.take(), USER_ABORT, "{case}: it is dropped");
    }
}

/// Reads everything that a peer on a socket receives until the end.
fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset also counts as the end.
    let _ = stream.read_to_end(&mut bytes);
    bytes
}

fn connect(port: &Port) -> TcpStream {
    TcpStream::connect((port.node.host(), port.node.port())).expect("a stream")
}

#[test]
fn invalid_data_gets_an_abort_before_the_close() {
    let port = Port::open();
    let acceptor = acceptor();
    std::thread::scope(|scope| {
        let accepted = scope.spawn(|| acceptor.accept(port.stream()));
        let mut peer = connect(&port);
        peer.write_all(&vec![0xEE; 100_000]).expect("written");
        peer.shutdown(Shutdown::Write).expect("a stream");
        assert_eq!(read_to_end(&mut peer), abort(1));
        assert_eq!(ended(&accepted.join().expect("a thread")), "protocol");
    });
}

#[test]
fn rejection_over_the_limit_follows_the_request() {
    let port = Port::open();
    let acceptor = acceptor();
    for (reason, expected) in [
        (RejectReason::LocalLimit, rejection(2, 3, 2)),
        (RejectReason::Congestion, rejection(2, 3, 1)),
        (RejectReason::NoReason, rejection(1, 1, 1)),
    ] {
        std::thread::scope(|scope| {
            let rejected = scope.spawn(|| acceptor.reject(port.stream(), reason));
            let mut peer = connect(&port);
            peer.write_all(&Request::new().bytes()).expect("written");
            assert_eq!(read_to_end(&mut peer), expected);
            drop(peer);
            rejected.join().expect("a thread").expect("a rejection");
        });
    }
    std::thread::scope(|scope| {
        let rejected = scope.spawn(|| acceptor.reject(port.stream(), RejectReason::LocalLimit));
        drop(connect(&port));
        let nobody = rejected.join().expect("a thread");
        assert!(matches!(nobody, Err(Error::Lost)), "{nobody:?}");
    });
}

#[test]
fn slow_request_does_not_extend_artim() {
    let artim = Duration::from_millis(300);
    let port = Port::open();
    let acceptor = acceptor().with_artim(artim);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let accepted = scope.spawn(|| acceptor.accept(port.stream()));
        let mut peer = connect(&port);
        let tick = Duration::from_millis(20);
        peer.set_read_timeout(Some(tick)).expect("a socket");
        for byte in Request::new().bytes() {
            // The time between two bytes: waiting for a response that does not come.
            let read = peer
                .write_all(&[byte])
                .and_then(|()| peer.read(&mut [0; 16]));
            if !matches!(&read, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock) {
                break;
            }
        }
        let over = accepted.join().expect("a thread");
        assert!(matches!(over, Err(Error::TimedOut { .. })), "{over:?}");
    });
    assert!(began.elapsed() >= artim, "waits for the whole timeout");
    assert!(began.elapsed() < LONG, "and not longer");
}
