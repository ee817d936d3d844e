//! C-STORE of DICOM files (PS3.10 section 7).

use std::io::Write as _;
use std::path::PathBuf;

use anon_net::service::{SendItem, SendOutcome, ServiceError};
use anon_net::testing::ScriptedPeer;
use anon_net::{Command, PdvKind, Remedy};
use tempfile::TempDir;

use crate::memory_network::uid;
use crate::send::{CT, EXPLICIT, accepting, send, taking};

/// An element of group 0002: number, VR, value.
type Element<'a> = (u16, &'a [u8; 2], Vec<u8>);

fn elements() -> Vec<Element<'static>> {
    let text = |value: &str| {
        let mut bytes = value.as_bytes().to_vec();
        if bytes.len() % 2 == 1 {
            bytes.push(0);
        }
        bytes
    };
    vec![
        (0x0001, b"OB", vec![0, 1]),
        (0x0002, b"UI", text(CT)),
        (0x0003, b"UI", text("1.2.3.4.5")),
        (0x0010, b"UI", text(EXPLICIT)),
        (0x0012, b"UI", text("1.2.9")),
        (0x0016, b"AE", text("SOMEBODY")),
    ]
}

fn header(elements: &[Element<'_>]) -> Vec<u8> {
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    for (number, vr, value) in elements {
        bytes.extend([2, 0]);
        bytes.extend(number.to_le_bytes());
        bytes.extend(*vr);
        let length = u32::try_from(value.len()).expect("a short value");
        if matches!(*vr, b"OB" | b"UN") {
            bytes.extend([0, 0]);
            bytes.extend(length.to_le_bytes());
        } else {
            bytes.extend(&length.to_le_bytes()[..2]);
        }
        bytes.extend(value);
    }
    bytes
}

fn file(directory: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = directory.path().join(name);
    let mut file = std::fs::File::create(&path).expect("a file");
    file.write_all(bytes).expect("a file");
    path
}

/// Sends a file with these bytes and returns the data set that the peer receives.
#[track_caller]
fn sent(bytes: &[u8]) -> Vec<u8> {
    let directory = TempDir::new().expect("a directory");
    let path = file(&directory, "a.dcm", bytes);
    let peer = ScriptedPeer::new().then(taking(accepting(), 1).expect_release());
    let (result, _) = send(&peer, [SendItem::file(path)]);
    assert_eq!(result.expect("sent").stored, 1);
    let mut received = peer.finish().expect("the script was played");
    received.remove(0).data_set
}

/// Returns the error of sending a file with these bytes.
#[track_caller]
fn refused(bytes: &[u8]) -> String {
    let directory = TempDir::new().expect("a directory");
    let path = file(&directory, "a.dcm", bytes);
    let (result, outcomes) = send(&ScriptedPeer::new(), [SendItem::file(path)]);
    assert_eq!(result.expect("a report").failed, 1);
    let [(0, SendOutcome::Failed(error))] = &outcomes[..] else {
        return format!("{outcomes:?}");
    };
    assert_eq!(error.remedy(), Remedy::Skip);
    error.to_string()
}

#[test]
fn data_set_of_a_file_is_sent_unchanged() {
    let data_set: Vec<u8> = (0..100_000_u32).map(|i| i.to_le_bytes()[0]).collect();
    let mut bytes = header(&elements());
    bytes.extend(&data_set);
    assert_eq!(sent(&bytes), data_set);
}

#[test]
fn sop_class_and_instance_come_from_the_header() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, "a.dcm", &header(&elements()));
    let peer = ScriptedPeer::new().then(taking(accepting(), 1).expect_release());
    send(&peer, [SendItem::file(path)]).0.unwrap();
    let received = peer.finish().unwrap();
    let Command::Request(request) = &received[0].command else {
        panic!("{received:?}");
    };
    assert_eq!(request.sop_class, uid(CT));
    assert_eq!(request.sop_instance, Some("1.2.3.4.5".parse().unwrap()));
    assert!(
        received[0].data_set.is_empty(),
        "a data set without an element"
    );
}

#[test]
fn all_valid_headers_are_read() {
    let group_length = |length: u32| (0x0000, b"UL", length.to_le_bytes().to_vec());
    let mut with_length = elements();
    with_length.insert(0, group_length(130));
    let mut wrong_length = elements();
    wrong_length.insert(0, group_length(4));
    let mut private = elements();
    private.push((0x0102, b"OB", vec![7; 100_000]));
    private.push((0x0103, b"UN", vec![]));
    let mut spaces = elements();
    spaces[1].2 = format!("{CT} ").into_bytes();
    let mut order = elements();
    order.reverse();
    for (what, elements) in [
        ("a group length", with_length),
        ("a wrong group length", wrong_length),
        ("a long private element", private),
        ("a UID with a space", spaces),
        ("any order", order),
    ] {
        let mut bytes = header(&elements);
        bytes.extend([8, 0, 0x16, 0]);
        assert_eq!(sent(&bytes), [8, 0, 0x16, 0], "{what}");
    }
}

#[test]
fn other_files_are_refused() {
    let whole = header(&elements());
    for length in [0, 1, 131, 132, 133, 135, 137, 140, 145, 200, 250] {
        refused(&whole[..length]);
    }
    let without = |number| -> Vec<u8> {
        let rest = elements();
        header(
            &rest
                .into_iter()
                .filter(|e| e.0 != number)
                .collect::<Vec<_>>(),
        )
    };
    let with = |index: usize, value: &[u8]| {
        let mut elements = elements();
        elements[index].2 = value.to_vec();
        header(&elements)
    };
    let mut long = elements();
    for _ in 0..20 {
        long.push((0x0102, b"OB", vec![7; 100_000]));
    }
    let mut no_vr = whole.clone();
    no_vr[136..138].copy_from_slice(&[0, 4]);
    let mut four_gb = whole.clone();
    four_gb[140..144].copy_from_slice(&[255; 4]);
    for (what, bytes) in [
        ("no class", without(2)),
        ("no instance", without(3)),
        ("no transfer syntax", without(0x10)),
        ("an empty class", with(1, b"")),
        ("a path for an instance", with(2, b"../../etc/passwd")),
        ("no text", with(2, &[255, 254])),
        ("a long UID", with(3, &b"1".repeat(60_000))),
        ("a header of 2 MB", header(&long)),
        ("an element without a VR", no_vr),
        ("a value of 4 GB", four_gb),
        ("text", b"GET / HTTP/1.1".repeat(100)),
        ("no preamble", whole[128..].to_vec()),
    ] {
        let problem = refused(&bytes);
        assert!(problem.contains("not a DICOM file"), "{what}: {problem}");
        assert!(!problem.contains("passwd"), "{problem}");
    }
}

#[test]
fn missing_files_fail_and_others_are_sent() {
    let directory = TempDir::new().unwrap();
    let good = || SendItem::file(file(&directory, "good.dcm", &header(&elements())));
    let missing = || SendItem::file(directory.path().join("missing.dcm"));
    let folder = || SendItem::file(directory.path());
    let peer = ScriptedPeer::new().then(taking(accepting(), 2).expect_release());
    let (result, mut outcomes) = send(&peer, [missing(), good(), folder(), good(), missing()]);
    let report = result.unwrap();
    assert_eq!(
        (report.stored, report.failed, report.associations),
        (2, 3, 1)
    );
    outcomes.sort_by_key(|(number, _)| *number);
    for (number, outcome) in &outcomes {
        let failed = matches!(
            outcome,
            SendOutcome::Failed(ServiceError::Unreadable { .. })
        );
        assert_eq!(failed, number % 2 == 0, "{outcomes:?}");
    }
}

#[test]
fn file_removed_during_the_send_fails() {
    let directory = TempDir::new().unwrap();
    let paths = ["a", "b", "c"].map(|name| file(&directory, name, &header(&elements())));
    let gone = paths[1].clone();
    // The last item is requested after the headers of the others were read.
    let mut items = paths
        .into_iter()
        .map(SendItem::file)
        .collect::<Vec<_>>()
        .into_iter();
    let mut items = std::iter::from_fn(|| {
        let item = items.next();
        if item.is_none() {
            std::fs::remove_file(&gone).expect("a file");
        }
        item
    });
    let peer = ScriptedPeer::new().then(taking(accepting(), 2).expect_release());
    let (result, outcomes) = send(&peer, &mut items);
    let report = result.unwrap();
    assert_eq!(
        (report.stored, report.failed, report.associations),
        (2, 1, 1)
    );
    assert!(
        matches!(
            outcomes[1],
            (1, SendOutcome::Failed(ServiceError::Unreadable { .. }))
        ),
        "{outcomes:?}"
    );
}

/// A file that shrinks during the transfer is neither sent completely nor counted as sent.
#[test]
fn file_that_shrinks_during_the_transfer_fails() {
    let directory = TempDir::new().unwrap();
    let mut bytes = header(&elements());
    bytes.resize(1_000_000, 7);
    let shrinking = file(&directory, "a.dcm", &bytes);
    let good = file(&directory, "b.dcm", &header(&elements()));
    let path = shrinking.clone();
    let shrink = move || {
        let file = std::fs::File::options().write(true).open(&path);
        file.and_then(|file| file.set_len(300_000)).expect("a file");
    };
    let script = accepting()
        .with_max_pdu_bytes(200_000)
        .expect_command()
        .act(shrink)
        .expect_fragment(PdvKind::Data)
        .expect_abort();
    let peer = ScriptedPeer::new()
        .then(script)
        .then(taking(accepting(), 1).expect_release());
    let (result, outcomes) = send(&peer, [shrinking, good].map(SendItem::file));
    let report = result.unwrap();
    assert_eq!(
        (report.stored, report.failed, report.associations),
        (1, 1, 2)
    );
    let (0, SendOutcome::Failed(error)) = &outcomes[0] else {
        panic!("{outcomes:?}");
    };
    assert_eq!(error.remedy(), Remedy::Skip, "{error:?}");
}

/// Opening a named pipe would block until another process writes to it.
#[cfg(unix)]
#[test]
fn named_pipe_is_refused() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    if !made.is_ok_and(|status| status.success()) {
        return;
    }
    let (result, outcomes) = send(&ScriptedPeer::new(), [SendItem::file(path)]);
    assert_eq!(result.unwrap().failed, 1, "{outcomes:?}");
}

#[test]
fn debug_output_has_neither_path_nor_uid() {
    let file = SendItem::file("/data/DOE^JANE/1.dcm");
    let instance = "1.2.3.777".parse().unwrap();
    let data_set = SendItem::data_set(uid(CT), instance, uid(EXPLICIT), b"DOE^JANE".to_vec());
    let shown = format!("{file:?} {data_set:?}");
    for canary in ["DOE", "777", "68, 79"] {
        assert!(!shown.contains(canary), "{shown}");
    }
}
