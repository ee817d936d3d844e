//! Uncompressed objects for nodes that do not accept their transfer syntax.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use anon_export::{
    Cancel, DicomError, DicomSink, Error, Exporter, MemorySource, ObjectKey, Remedy, Selection,
    Sink, Stored,
};
use anon_net::dimse::{Operation, Status};
use anon_net::service::{Retries, Scu, Timeouts};
use anon_net::testing::{Reply, Script, ScriptedPeer};
use anon_net::{PdvKind, SupportedContexts};

use crate::archive::{CT, EXPLICIT, image, uid};
use crate::support::{EventLog, without_backoff};

const IMPLICIT: &str = "1.2.840.10008.1.2";
const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
const JPEG_2000: &str = "1.2.840.10008.1.2.4.90";

fn key(n: u32) -> ObjectKey {
    ObjectKey::new(["S-1", "1.1", "1.2", &format!("1.3.{n}")]).expect("a key")
}

fn accepting(syntaxes: &[&str]) -> Script {
    let syntaxes = syntaxes.iter().map(|syntax| uid(syntax)).collect();
    Script::accepting(SupportedContexts::new().with(uid(CT), syntaxes))
}

fn expect_stores(script: Script, count: usize) -> Script {
    (0..count).fold(script, |script, _| {
        script
            .expect(Operation::Store)
            .answer(Reply::new(Status::SUCCESS))
    })
}

fn sink(peer: &ScriptedPeer) -> DicomSink {
    let scu = Scu::new(Arc::new(peer.clone()), "US".parse().expect("a title"))
        .with_retries(Retries::new(1, Duration::ZERO))
        .with_timeouts(Timeouts::all(Duration::ZERO));
    let node = "ARCHIVE@there:104".parse().expect("a node");
    DicomSink::new(scu, node, NonZeroUsize::MIN)
}

fn put(sink: &DicomSink, n: u32, object: &[u8]) -> Result<Stored, Error> {
    sink.put(&key(n), object.len() as u64, &mut &*object)
}

/// The data set of [`image`].
fn data_set(object: &[u8]) -> &[u8] {
    let first = [8, 0, 0x16, 0];
    let at = object.windows(4).position(|tag| tag == first);
    object.split_at(at.expect("a data set")).1
}

/// Returns a data set of [`image`] without VRs.
fn without_vrs(mut explicit: &[u8]) -> Vec<u8> {
    let mut implicit = Vec::new();
    while let Some((tag, after)) = explicit.split_first_chunk::<4>() {
        let (length, after) = match after {
            [b'O', b'B', 0, 0, a, b, c, d, after @ ..] => {
                (u32::from_le_bytes([*a, *b, *c, *d]), after)
            }
            [_, _, a, b, after @ ..] => (u16::from_le_bytes([*a, *b]).into(), after),
            _ => break,
        };
        let (value, after) = after.split_at(usize::try_from(length).expect("small"));
        implicit.extend(tag);
        implicit.extend(length.to_le_bytes());
        implicit.extend(value);
        explicit = after;
    }
    implicit
}

#[test]
fn node_that_accepts_implicit_vr_only_gets_rewritten_objects() {
    let script = expect_stores(accepting(&[IMPLICIT]), 3);
    let find = Script::accepting(SupportedContexts::new()).expect_release();
    let check = Script::accepting(SupportedContexts::new()).expect_release();
    let peer = ScriptedPeer::new()
        .then(check)
        .then(find)
        .then(script.expect_release());
    let mut source = MemorySource::new();
    for n in 0..3 {
        // The second one needs several fragments.
        source.insert(key(n), image(&key(n), CT, 300 + n as usize % 2 * 200_000));
    }
    let sink = Arc::new(sink(&peer));
    let log = EventLog::default();
    let report = Exporter::new(Arc::clone(&sink) as Arc<dyn Sink>)
        .with_options(without_backoff())
        .export(&source, &Selection::all(), &Cancel::new(), &log)
        .expect("an export");
    drop(sink);
    let received = peer.finish().expect("the scripts were played");
    assert_eq!((report.counts.sent, report.counts.rewritten), (3, 3));
    let mut data_sets: Vec<_> = received.iter().map(|it| it.data_set.clone()).collect();
    data_sets.retain(|bytes| !bytes.is_empty());
    let mut expected: Vec<_> = source
        .iter()
        .map(|(_, object)| without_vrs(data_set(object)))
        .collect();
    data_sets.sort();
    expected.sort();
    assert!(data_sets == expected);
}

#[test]
fn own_transfer_syntax_is_sent_if_the_node_accepts_it() {
    for syntaxes in [
        &[EXPLICIT][..],
        &[IMPLICIT, EXPLICIT],
        &[BIG_ENDIAN, EXPLICIT],
    ] {
        let script = expect_stores(accepting(syntaxes), 1).expect_release();
        let peer = ScriptedPeer::new().then(script);
        let sink = sink(&peer);
        let object = image(&key(1), CT, 300);
        let stored = put(&sink, 1, &object).expect("it is stored");
        assert_eq!(stored.rewritten, None, "{syntaxes:?}");
        drop(sink);
        let received = peer.finish().expect("the script was played");
        assert!(received[0].data_set == data_set(&object), "{syntaxes:?}");
    }
}

/// The association is aborted, so that the node discards what it has of the object.
#[test]
fn object_that_cannot_be_rewritten_is_not_stored() {
    let aborted = accepting(&[IMPLICIT])
        .expect_fragment(PdvKind::Command)
        .expect_abort();
    let next = expect_stores(accepting(&[IMPLICIT]), 1).expect_release();
    let peer = ScriptedPeer::new().then(aborted).then(next);
    let sink = sink(&peer);
    let mut object = image(&key(1), CT, 300);
    let at = object.windows(2).rposition(|vr| vr == b"OB");
    object[at.expect("pixel data")..][..2].copy_from_slice(b"??");
    let error = put(&sink, 1, &object).expect_err("no VR");
    assert!(
        matches!(error, Error::Dicom(DicomError::Rewrite { .. })),
        "{error:?}"
    );
    assert_eq!(error.remedy(), Remedy::Skip);
    let stored = put(&sink, 2, &image(&key(2), CT, 300)).expect("it is stored");
    assert_eq!(stored.rewritten, Some("Implicit VR Little Endian"));
    drop(sink);
    peer.finish().expect("the scripts were played");
}

#[test]
fn refused_objects_name_what_the_node_must_accept() {
    let mut compressed = image(&key(1), CT, 300);
    let with_nul = |syntax: &str| [syntax.as_bytes(), &[0]].concat();
    let own = with_nul(EXPLICIT);
    let at = compressed.windows(own.len()).position(|it| it == own);
    let at = at.expect("a transfer syntax");
    compressed[at - 2] = u8::try_from(JPEG_2000.len()).expect("short");
    compressed.splice(at..at + own.len(), JPEG_2000.bytes());
    for (object, words) in [
        (
            compressed,
            "CT Image Storage (1.2.840.10008.5.1.4.1.1.2) with the transfer syntax JPEG 2000 Lossless (1.2.840.10008.1.2.4.90)",
        ),
        (
            image(&key(1), CT, 300),
            "CT Image Storage (1.2.840.10008.5.1.4.1.1.2) uncompressed",
        ),
    ] {
        let peer =
            ScriptedPeer::new().then(accepting(&["1.2.840.10008.1.2.4.50"]).expect_release());
        let sink = sink(&peer);
        let error = put(&sink, 1, &object).expect_err("not accepted");
        let text = error.to_string();
        assert!(
            text.contains(words) && text.contains("enable it there"),
            "{text}"
        );
        drop(sink);
        peer.finish().expect("the script was played");
    }
}
