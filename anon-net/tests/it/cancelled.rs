//! Cancelling during an operation: inside a large object, while a peer does not read, does not
//! respond, or does not release.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anon_net::association::ul::{Acceptor, UlDial};
use anon_net::error::AbortedBy;
use anon_net::service::{Cancel, Scu, SendError, SendItem, ServiceError, StorageContext, Timeouts};
use anon_net::testing::{Reply, Script, ScriptedPeer};
use anon_net::{Association, Error, Event, Node, Operation, PdvKind, Status, SupportedContexts};

use crate::memory_network::uid;
use crate::send::{CT, EXPLICIT, accepting, item_of, node, scu};
use crate::ul::{LONG, Port};

const GIB: u64 = 1 << 30;
/// More than the buffers between two sides hold.
const BETWEEN: u64 = 64 << 20;

fn sort() -> StorageContext {
    StorageContext {
        sop_class: uid(CT),
        transfer_syntax: uid(EXPLICIT),
    }
}

/// A script that cancels as soon as it receives the first fragment of a data set.
fn cancelling(cancel: &Cancel) -> Script {
    let wish = cancel.clone();
    accepting()
        .with_max_pdu_bytes(16)
        .expect_command()
        .expect_fragment(PdvKind::Data)
        .act(move || wish.cancel())
        .expect_abort()
}

#[test]
fn cancelled_object_is_aborted_between_two_fragments() {
    let cancel = Cancel::new();
    let peer = ScriptedPeer::new().then(cancelling(&cancel));
    let mut events = 0;
    let mut items = [item_of(CT, EXPLICIT, 1), item_of(CT, EXPLICIT, 2)].into_iter();
    let error = scu(&peer)
        .send(&node(), &mut items, &cancel, &mut |_| events += 1)
        .expect_err("cancelled");
    assert!(matches!(error.error, ServiceError::Cancelled), "{error:?}");
    assert_eq!((error.report.failed, error.report.associations), (0, 1));
    assert_eq!(events, 0, "no outcome was reported");
    peer.finish().expect("the script was played");

    let cancel = Cancel::new();
    let peer = ScriptedPeer::new().then(cancelling(&cancel));
    let mut sender = scu(&peer).sender(&node());
    let instance = "1.2.3".parse().expect("a UID");
    let ended = sender.store(&sort(), &instance, &mut &[0; 99][..], 99, &cancel);
    assert!(matches!(ended, Err(ServiceError::Cancelled)), "{ended:?}");
    assert!(!sender.is_open());
    peer.finish().expect("the script was played");
}

/// The SCU waits neither for a response nor for another attempt.
#[test]
fn cancelled_object_without_a_response_is_aborted() {
    let cancel = Cancel::new();
    let wish = cancel.clone();
    let script = accepting()
        .expect(Operation::Store)
        .act(move || wish.cancel())
        .silence()
        .expect_abort();
    let peer = ScriptedPeer::new().then(script);
    let error = scu(&peer)
        .send(
            &node(),
            &mut [item_of(CT, EXPLICIT, 1)].into_iter(),
            &cancel,
            &mut |_| {},
        )
        .expect_err("cancelled");
    assert!(matches!(error.error, ServiceError::Cancelled), "{error:?}");
    peer.finish().expect("the script was played");
}

fn over_tcp() -> Scu {
    let dial = Arc::new(UlDial::new());
    Scu::new(dial, "US".parse().expect("a title")).with_timeouts(Timeouts::all(LONG))
}

fn acceptor() -> Acceptor {
    let supported = SupportedContexts::new().with(uid(CT), vec![uid(EXPLICIT)]);
    Acceptor::new("ACCEPTOR".parse().expect("a title"), supported)
}

/// Creates a sparse file with a CT image of 2 GiB.
fn two_gib() -> io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new()?;
    let element = |element: u16, vr: &[u8; 2], value: &[u8]| {
        let length = u16::try_from(value.len()).unwrap_or_default();
        let head = [
            &2u16.to_le_bytes()[..],
            &element.to_le_bytes(),
            vr,
            &length.to_le_bytes(),
        ];
        [&head.concat(), value].concat()
    };
    let meta = [
        element(0x0002, b"UI", b"1.2.840.10008.5.1.4.1.1.2\0"),
        element(0x0003, b"UI", b"1.2.3\0"),
        element(0x0010, b"UI", b"1.2.840.10008.1.2.1\0"),
    ]
    .concat();
    let length = u32::try_from(meta.len()).unwrap_or_default();
    file.write_all(&[0; 128])?;
    file.write_all(b"DICM")?;
    file.write_all(&element(0x0000, b"UL", &length.to_le_bytes()))?;
    file.write_all(&meta)?;
    File::set_len(file.as_file(), 2 * GIB)?;
    Ok(file)
}

fn send_file(node: &Node, file: &tempfile::NamedTempFile, cancel: &Cancel) -> SendError {
    let mut items = [SendItem::file(file.path())].into_iter();
    let sent = over_tcp().send(node, &mut items, cancel, &mut |_| {});
    sent.expect_err("cancelled")
}

/// The peer reads. It gets an A-ABORT of the service user long before the end of the object.
#[test]
fn cancelling_ends_a_2_gib_object_soon() {
    let file = two_gib().expect("a sparse file");
    let (port, cancel) = (Port::open(), Cancel::new());
    thread::scope(|scope| {
        let wish = &cancel;
        let peer = scope.spawn(|| {
            let mut association = acceptor().accept(port.stream()).expect("an association");
            let mut received = 0;
            loop {
                match association.receive(LONG) {
                    Ok(Event::Pdv(pdv)) if pdv.kind == PdvKind::Data => {
                        received += pdv.bytes.len() as u64;
                        wish.cancel();
                    }
                    Ok(_) => {}
                    Err(error) => break (received, error),
                }
            }
        });
        let error = send_file(&port.node, &file, wish);
        assert!(matches!(error.error, ServiceError::Cancelled), "{error:?}");
        let (received, end) = peer.join().expect("a thread");
        assert!(
            received < BETWEEN,
            "{received} bytes were received after cancelling"
        );
        let is_abort = matches!(
            end,
            Error::Aborted {
                by: AbortedBy::User
            }
        );
        assert!(is_abort, "{end:?}");
    });
}

/// A reader of zeros that counts the bytes read.
struct Counted<'a>(&'a AtomicU64);

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffer.fill(0);
        self.0.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        Ok(buffer.len())
    }
}

/// Waits until a sender is blocked by a peer that does not read. If it returns too early, the test
/// still passes but proves less.
fn wait_until_blocked(read: &AtomicU64) {
    let gate = anon_net::testing::Gate::new();
    let mut before = u64::MAX;
    loop {
        gate.wait(std::time::Duration::from_millis(200));
        let now = read.load(Ordering::Relaxed);
        if now > 0 && now == before {
            return;
        }
        before = now;
    }
}

#[test]
fn cancelling_does_not_wait_for_a_peer_that_does_not_read() {
    let (port, cancel, read) = (Port::open(), Cancel::new(), AtomicU64::new(0));
    thread::scope(|scope| {
        let peer = scope.spawn(|| acceptor().accept(port.stream()).expect("an association"));
        let sending = scope.spawn(|| {
            let mut sender = over_tcp().sender(&port.node);
            let instance = "1.2.3".parse().expect("a UID");
            sender.store(&sort(), &instance, &mut Counted(&read), 2 * GIB, &cancel)
        });
        let mut peer = peer.join().expect("a thread");
        wait_until_blocked(&read);
        cancel.cancel();
        let ended = sending.join().expect("a thread");
        assert!(matches!(ended, Err(ServiceError::Cancelled)), "{ended:?}");
        assert!(read.load(Ordering::Relaxed) < BETWEEN);
        // A PDU was sent partly, so no A-ABORT can follow.
        let end = loop {
            if let Err(error) = peer.receive(LONG) {
                break error;
            }
        };
        assert!(
            matches!(end, Error::Lost | Error::Aborted { .. }),
            "{end:?}"
        );
    });
}

/// An operation with a node.
type Call = fn(&Node, &Cancel) -> Result<(), ServiceError>;

/// A node that accepts connections and sends nothing.
#[test]
fn cancelling_does_not_wait_for_a_silent_node() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    let mute = Node::new("MUTE".parse().expect("a title"), "127.0.0.1", port).expect("a node");
    let table: [(&str, Call); 2] = [
        ("echo", |mute, cancel| {
            over_tcp().echo(mute, cancel).map(drop)
        }),
        ("send", |mute, cancel| {
            let mut items = [item_of(CT, EXPLICIT, 1)].into_iter();
            let sent = over_tcp().send(mute, &mut items, cancel, &mut |_| {});
            sent.map(drop).map_err(|error| error.error)
        }),
    ];
    for (what, asks) in table {
        let cancel = Cancel::new();
        thread::scope(|scope| {
            let asking = scope.spawn(|| asks(&mute, &cancel));
            cancel.cancel();
            let ended = asking.join().expect("a thread");
            assert!(
                matches!(ended, Err(ServiceError::Cancelled)),
                "{what}: {ended:?}"
            );
        });
    }
}

#[test]
fn cancelled_echo_ends_in_every_phase() {
    let verifying = || {
        let class = uid("1.2.840.10008.1.1");
        Script::accepting(SupportedContexts::new().with(class, vec![uid("1.2.840.10008.1.2")]))
    };
    let cancel = Cancel::new();
    cancel.cancel();
    let peer = ScriptedPeer::new().then(verifying().expect_abort());
    let ended = scu(&peer).echo(&node(), &cancel);
    assert!(matches!(ended, Err(ServiceError::Cancelled)), "{ended:?}");

    let cancel = Cancel::new();
    let wish = cancel.clone();
    let unanswered = verifying()
        .expect(Operation::Echo)
        .act(move || wish.cancel())
        .silence()
        .expect_abort();
    let peer = ScriptedPeer::new().then(unanswered);
    let ended = scu(&peer).echo(&node(), &cancel);
    assert!(matches!(ended, Err(ServiceError::Cancelled)), "{ended:?}");
    peer.finish().expect("the script was played");

    // A response counts even if the peer does not respond to the release.
    let gate = anon_net::testing::Gate::new();
    let cancel = Cancel::new();
    let wish = cancel.clone();
    let clinging = verifying()
        .expect(Operation::Echo)
        .answer(Reply::new(Status::SUCCESS))
        .act(move || wish.cancel())
        .wait(&gate)
        .expect_release();
    let peer = ScriptedPeer::new().then(clinging);
    let ended = scu(&peer).echo(&node(), &cancel);
    assert_eq!(ended.expect("a response"), Status::SUCCESS);
    gate.open();
}
