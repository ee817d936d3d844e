//! `DicomSink` against scripted peers: every kind of failure.

use std::io::{self, Read};
use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anon_export::{
    Cancel, DicomError, DicomSink, Error, Exporter, MemorySource, ObjectKey, Put, Remedy,
    Selection, Sink, Stored,
};
use anon_net::dimse::{Operation, Status};
use anon_net::error::{AbortedBy, RejectReason, RejectResult};
use anon_net::service::{Retries, Scu, ServiceError, Timeouts};
use anon_net::testing::{Gate, MemoryNetwork, Reply, Script, ScriptedPeer};
use anon_net::{Association, Dial, Error as NetError, Node, Proposal, SupportedContexts};

use crate::archive::{Archive, CT, EXPLICIT, MR, QueryBehavior, StoreFault, image, uid};
use crate::support::{EventLog, keys, without_backoff};

fn key(n: u32) -> ObjectKey {
    ObjectKey::new(["S-1", "1.1", "1.2", &format!("1.3.{n}")]).expect("a key")
}

fn accepting() -> Script {
    Script::accepting(SupportedContexts::new().with(uid(CT), vec![uid(EXPLICIT)]))
}

fn expect_store(script: Script, status: u16) -> Script {
    script
        .expect(Operation::Store)
        .answer(Reply::new(Status::new(status)))
}

fn sink(peer: &ScriptedPeer, associations: usize) -> DicomSink {
    let scu = Scu::new(Arc::new(peer.clone()), "US".parse().expect("a title"))
        .with_retries(Retries::new(1, Duration::ZERO))
        // No waiting: a script has no clock.
        .with_timeouts(Timeouts::all(Duration::ZERO));
    let node = "ARCHIVE@there:104".parse().expect("a node");
    DicomSink::new(scu, node, NonZeroUsize::new(associations).expect("some"))
}

fn put(sink: &DicomSink, class: &str, n: u32) -> Result<Stored, Error> {
    let object = image(&key(n), class, 300);
    sink.put(&key(n), object.len() as u64, &mut &*object)
}

/// Puts an object to a peer with this script, and expects that the script is played to its end.
#[track_caller]
fn put_to(script: Script) -> Result<Stored, Error> {
    let peer = ScriptedPeer::new().then(script);
    let sink = sink(&peer, 1);
    let stored = put(&sink, CT, 1);
    drop(sink);
    let played = peer.finish().map(drop);
    assert_eq!(played, Ok(()), "{stored:?}");
    stored
}

#[test]
fn objects_share_an_association_that_is_released() {
    let script = (0..3).fold(accepting(), |script, _| expect_store(script, 0));
    let peer = ScriptedPeer::new().then(script.expect_release());
    let sink = sink(&peer, 4);
    for n in 0..3 {
        assert_eq!(put(&sink, CT, n).expect("put").put, Put::Created);
    }
    drop(sink);
    peer.finish().expect("the script was played");
}

#[test]
fn warning_status_is_reported_and_object_is_stored() {
    for (status, words) in [
        (0xB000, "coerced"),
        (0xB006, "discarded"),
        (0xB007, "SOP class"),
    ] {
        let stored =
            put_to(expect_store(accepting(), status).expect_release()).expect("it is stored");
        let warning = stored.warning.expect("a warning");
        assert!(
            warning.contains(words) && warning.contains(&format!("{status:04X}")),
            "{warning}"
        );
    }
}

#[test]
fn each_failure_status_has_a_remedy_and_keeps_the_association() {
    for (status, remedy) in [
        (0xA700, Remedy::Retry),
        (0xA701, Remedy::Retry),
        (0x0122, Remedy::Skip),
        (0xA900, Remedy::Skip),
        (0xC000, Remedy::Skip),
        (0xCFFF, Remedy::Skip),
        (0x0110, Remedy::Skip),
        (0x0124, Remedy::SkipPatient),
    ] {
        let error =
            put_to(expect_store(accepting(), status).expect_release()).expect_err("refused");
        assert_eq!(error.remedy(), remedy, "{status:04X}: {error:?}");
        let text = error.text();
        assert!(text.contains(&format!("{status:04X}")), "{text}");
        assert!(!text.contains("1.3.1"), "{text}");
    }
}

#[test]
fn each_peer_failure_has_a_remedy() {
    let by = AbortedBy::User;
    let reason = RejectReason::CallingTitle;
    for (script, remedy) in [
        (
            Script::rejecting(RejectResult::Permanent, reason),
            Remedy::Stop,
        ),
        (
            Script::rejecting(RejectResult::Transient, RejectReason::LocalLimit),
            Remedy::Retry,
        ),
        (
            Script::unreachable(io::ErrorKind::ConnectionRefused),
            Remedy::Retry,
        ),
        (
            accepting().expect(Operation::Store).abort(by),
            Remedy::Retry,
        ),
        (accepting().expect(Operation::Store).cut(), Remedy::Retry),
        (
            accepting().expect(Operation::Store).expect_abort(),
            Remedy::Retry,
        ),
        (
            accepting()
                .expect(Operation::Store)
                .release()
                .expect_release(),
            Remedy::Retry,
        ),
        (
            accepting()
                .expect(Operation::Store)
                .answer(Reply::new(Status::SUCCESS).to_message(999))
                .expect_abort(),
            Remedy::Stop,
        ),
    ] {
        let script_text = format!("{script:?}");
        let error = put_to(script).expect_err("it fails");
        assert!(
            matches!(error, Error::Dicom(DicomError::Service(_))),
            "{script_text}: {error:?}"
        );
        assert_eq!(error.remedy(), remedy, "{script_text}: {error:?}");
    }
}

#[test]
fn object_without_accepted_context_fails_alone() {
    let peer = ScriptedPeer::new()
        .then(accepting().expect_release())
        .then(expect_store(accepting(), 0).expect_release());
    let sink = sink(&peer, 1);
    let error = put(&sink, MR, 1).expect_err("no context for MR");
    let Error::Dicom(DicomError::Service(ServiceError::ContextRefused { sop_class, .. })) = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!((sop_class, error.remedy()), (&uid(MR), Remedy::Skip));
    put(&sink, CT, 2).expect("CT is accepted");
    drop(sink);
    peer.finish().expect("the scripts were played");
}

/// A new pair of SOP class and transfer syntax ends the association. The next association proposes
/// both.
#[test]
fn new_presentation_context_opens_a_new_association() {
    let both = SupportedContexts::new()
        .with(uid(CT), vec![uid(EXPLICIT)])
        .with(uid(MR), vec![uid(EXPLICIT)]);
    let then = (0..3).fold(Script::accepting(both), |script, _| expect_store(script, 0));
    let peer = ScriptedPeer::new()
        .then(expect_store(accepting(), 0).expect_release())
        .then(then.expect_release());
    let sink = sink(&peer, 1);
    for (n, class) in [CT, MR, CT, MR].into_iter().enumerate() {
        put(&sink, class, u32::try_from(n).expect("small")).expect("put");
    }
    drop(sink);
    peer.finish().expect("the scripts were played");
}

/// No object fails if the peer ends the association between two objects.
#[test]
fn association_that_the_peer_ended_is_reopened() {
    for ended in [
        expect_store(accepting(), 0).release().expect_release(),
        expect_store(accepting(), 0).abort(AbortedBy::Provider),
        expect_store(accepting(), 0).cut(),
    ] {
        let peer = ScriptedPeer::new()
            .then(ended)
            .then(expect_store(accepting(), 0).expect_release());
        let sink = sink(&peer, 1);
        for n in 0..2 {
            put(&sink, CT, n).expect("put");
        }
        drop(sink);
        peer.finish().expect("the scripts were played");
    }
}

#[test]
fn object_with_another_uid_than_its_key_is_not_sent() {
    let peer = ScriptedPeer::new();
    let sink = sink(&peer, 1);
    let object = image(&key(1), CT, 300);
    let error = sink.put(&key(2), object.len() as u64, &mut &*object);
    let error = error.expect_err("another instance");
    assert!(
        matches!(error, Error::Dicom(DicomError::OtherInstance)),
        "{error:?}"
    );
    let error = sink
        .put(&key(2), 9, &mut &b"not DICOM"[..])
        .expect_err("not a DICOM file");
    assert_eq!(error.remedy(), Remedy::Skip);
    peer.finish().expect("no association was opened");
}

/// An abort discards a partial object: it is never stored.
#[test]
fn body_of_wrong_length_aborts_the_association() {
    let archive = Archive::new(QueryBehavior::Plain);
    let sink = archive.sink(2);
    for (len, is_declared_longer) in [(300, true), (300_000, true), (300, false), (300_000, false)]
    {
        let object = image(&key(1), CT, len);
        let len = object.len() as u64;
        let declared = if is_declared_longer { len + 2 } else { len - 2 };
        match sink.put(&key(1), declared, &mut &*object) {
            Err(Error::Short { .. }) if is_declared_longer => {}
            Err(Error::Long { .. }) if !is_declared_longer => {}
            other => panic!("{declared} of {len}: {other:?}"),
        }
        assert!(archive.len() == 0, "{declared} of {len}");
    }
}

#[test]
fn check_opens_its_own_association() {
    let verification =
        SupportedContexts::new().with(uid("1.2.840.10008.1.1"), vec![uid("1.2.840.10008.1.2")]);
    let script = |status| {
        Script::accepting(verification.clone())
            .expect(Operation::Echo)
            .answer(Reply::new(Status::new(status)))
            .expect_release()
    };
    for (script, remedy) in [
        (script(0), None),
        (script(0x0122), Some(Remedy::Skip)),
        (accepting().expect_release(), None),
        (
            Script::rejecting(RejectResult::Permanent, RejectReason::CalledTitle),
            Some(Remedy::Stop),
        ),
        (
            Script::unreachable(io::ErrorKind::ConnectionRefused),
            Some(Remedy::Retry),
        ),
    ] {
        let peer = ScriptedPeer::new().then(script);
        let checked = sink(&peer, 1).check();
        assert_eq!(
            checked.as_ref().err().map(Error::remedy),
            remedy,
            "{checked:?}"
        );
        peer.finish().expect("the script was played");
    }
}

#[test]
fn node_without_query_service_cannot_list() {
    let peer = ScriptedPeer::new().then(accepting().expect_release());
    let listed = sink(&peer, 1).list(key(1).patient(), &mut |_| ControlFlow::Continue(()));
    assert!(matches!(listed, Err(Error::NoListing)), "{listed:?}");
    peer.finish().expect("the script was played");
}

/// A cancelled put does not wait for the peer.
#[test]
fn cancelled_put_returns_at_once() {
    let cancel = Cancel::new();
    cancel.cancel();
    let peer = ScriptedPeer::new();
    let sink = sink(&peer, 1).with_cancel(&cancel);
    let object = image(&key(1), CT, 300);
    let put = sink.put(&key(1), object.len() as u64, &mut &*object);
    assert!(matches!(put, Err(Error::Cancelled)), "{put:?}");
}

fn source(count: u32) -> MemorySource {
    let mut source = MemorySource::new();
    for n in 0..count {
        source.insert(key(n), image(&key(n), CT, 300));
    }
    source
}

/// A peer that is temporarily out of resources, coerces one object and rejects another.
#[test]
fn export_handles_each_store_status() {
    let script = [0xA700, 0xA700, 0, 0xB000, 0x0122, 0]
        .into_iter()
        .fold(accepting(), expect_store);
    let find = Script::accepting(SupportedContexts::new());
    let peer = ScriptedPeer::new()
        .then(Script::accepting(SupportedContexts::new()).expect_release())
        .then(find.expect_release())
        .then(script.expect_release());
    let sink = Arc::new(sink(&peer, 1));
    let log = EventLog::default();
    let report = Exporter::new(Arc::clone(&sink) as Arc<dyn Sink>)
        .with_options(without_backoff())
        .export(&source(4), &Selection::all(), &Cancel::new(), &log)
        .expect("an export");
    drop(sink);
    peer.finish().expect("the scripts were played");
    let counts = report.counts;
    assert_eq!((counts.sent, counts.warnings, counts.failed), (3, 1, 1));
    assert_eq!(log.count("retrying"), 2);
}

/// The node is called once, and each patient gets the error.
#[test]
fn rejected_association_fails_each_patient_after_one_attempt() {
    let (log, mut source) = (EventLog::default(), MemorySource::new());
    for key in keys(3, 2) {
        let object = image(&key, CT, 100);
        source.insert(key, object);
    }
    let reason = RejectReason::CallingTitle;
    let peer = ScriptedPeer::new().then(Script::rejecting(RejectResult::Permanent, reason));
    let ended = Exporter::new(Arc::new(sink(&peer, 1)))
        .export(&source, &Selection::all(), &Cancel::new(), &log)
        .expect_err("the association is rejected");
    let Error::Dicom(DicomError::Service(ServiceError::Association(NetError::Rejected { .. }))) =
        *ended.error
    else {
        panic!("{ended:?}");
    };
    assert_eq!(ended.report.counts.found, 0);
    assert_eq!(ended.report.patients_failed, 3);
    for patient in ["S-0", "S-1", "S-2"] {
        let beginning = format!("ended {patient} ");
        let lines = log.lines();
        let ended: Vec<_> = lines
            .iter()
            .filter(|it| it.starts_with(&beginning))
            .collect();
        assert!(
            matches!(*ended, [line] if line.contains("the node does not know our AE title: add it there")),
            "{lines:?}"
        );
    }
    peer.finish().expect("the script was played");
}

/// One of four patients has an instance that fails. Its error is reported for that patient, the
/// others are exported, everything reported as sent is stored byte for byte, and a second export
/// without the fault sends the rest.
#[test]
fn each_fault_fails_only_its_patient() {
    const VICTIM: &str = "1.3.1.1.1";
    for (fault, words, is_sent) in [
        (StoreFault::Refuses(0xA700), "out of resources", false),
        (
            StoreFault::Refuses(0x0122),
            "does not store objects of this SOP class",
            false,
        ),
        (
            StoreFault::Refuses(0xC000),
            "cannot understand the object",
            false,
        ),
        (StoreFault::Aborts, "ended the association", false),
        (StoreFault::Cuts, "ended the association", false),
        (StoreFault::Silent, "does not respond", false),
        (StoreFault::Warns(0xB000), "", true),
        (StoreFault::Warns(0xB007), "", true),
    ] {
        let is_faulty = Arc::new(AtomicBool::new(true));
        let enabled = Arc::clone(&is_faulty);
        let archive = Archive::with_faults(QueryBehavior::Plain, move |instance| {
            (instance == VICTIM && enabled.load(Ordering::Relaxed)).then_some(fault)
        });
        let mut source = MemorySource::new();
        for key in keys(4, 3) {
            let object = image(&key, CT, 3000);
            source.insert(key, object);
        }
        let log = EventLog::default();
        let export = |timeouts| {
            Exporter::new(Arc::new(archive.sink_with(timeouts, 3)))
                .with_options(without_backoff().with_attempts(NonZeroU32::MIN))
                .export(&source, &Selection::all(), &Cancel::new(), &log)
        };
        let mut timeouts = Timeouts::default();
        if fault == StoreFault::Silent {
            timeouts.dimse = Duration::from_secs(5);
        }
        let report = export(timeouts).expect("the rest goes on");
        let failed = u64::from(!is_sent);
        let counts = report.counts;
        assert_eq!(
            (counts.sent, counts.failed),
            (12 - failed, failed),
            "{fault:?}"
        );
        assert_eq!(report.patients_failed, failed, "{fault:?}");
        assert_eq!(counts.warnings, 1 - failed, "{fault:?}");
        let lines = log.lines();
        let of_patient = |patient: &str| {
            let beginning = format!("ended {patient} ");
            lines.iter().find(|line| line.starts_with(&beginning))
        };
        for patient in ["S-0", "S-1", "S-2", "S-3"] {
            let ended = of_patient(patient).expect("it ended");
            let is_victim = patient == "S-1" && !is_sent;
            assert_eq!(ended.contains("error: None"), !is_victim, "{ended}");
            assert!(!is_victim || ended.contains(words), "{ended}");
        }
        for (key, file) in source.iter() {
            let is_reported = lines
                .iter()
                .any(|line| line.starts_with(&format!("sent {key}")));
            let is_stored = archive
                .get(key)
                .is_some_and(|data_set| file.ends_with(&data_set));
            assert_eq!(is_reported, is_stored, "{fault:?}: {key}");
        }
        is_faulty.store(false, Ordering::Relaxed);
        let again = export(Timeouts::default()).expect("no fault");
        assert_eq!(
            (again.counts.sent, again.counts.skipped),
            (failed, 12 - failed)
        );
        assert_eq!(archive.len(), 12, "{fault:?}");
    }
}

/// Opens one association. Later ones are rejected temporarily, which opens the gate.
#[derive(Debug)]
struct SingleAssociationDial {
    exchange: MemoryNetwork,
    dialled: AtomicBool,
    rejected: Gate,
}

impl Dial for SingleAssociationDial {
    fn dial(
        &self,
        node: &Node,
        proposal: &Proposal,
        timeout: Duration,
    ) -> Result<Box<dyn Association>, NetError> {
        if !self.dialled.swap(true, Ordering::Relaxed) {
            return self.exchange.dial(node, proposal, timeout);
        }
        self.rejected.open();
        let (result, reason) = (RejectResult::Transient, RejectReason::LocalLimit);
        Err(NetError::Rejected { result, reason })
    }
}

/// After 2 KiB, opens `started` and waits until another association was rejected.
struct GatedReader<'b> {
    rest: &'b [u8],
    given: usize,
    started: Gate,
    rejected: Gate,
}

impl Read for GatedReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given > 2048 {
            self.started.open();
            assert!(
                self.rejected.wait(Duration::from_secs(30)),
                "no association was rejected"
            );
        }
        let count = self.rest.take(1024).read(buffer)?;
        self.rest = self.rest.get(count..).unwrap_or_default();
        self.given += count;
        Ok(count)
    }
}

/// The peer accepts one association: other objects wait for it and do not fail.
#[test]
fn objects_share_the_only_association_that_a_peer_accepts() {
    let archive = Archive::new(QueryBehavior::Plain);
    let (started, rejected) = (Gate::new(), Gate::new());
    let dial = SingleAssociationDial {
        exchange: archive.exchange(),
        dialled: AtomicBool::new(false),
        rejected: rejected.clone(),
    };
    let scu = Scu::new(Arc::new(dial), "US".parse().expect("a title"));
    let node = "ARCHIVE@there:104".parse().expect("a node");
    let sink = DicomSink::new(scu, node, NonZeroUsize::MIN.saturating_add(3));
    put(&sink, CT, 0).expect("the first");
    let object = image(&key(1), CT, 9000);
    let mut body = GatedReader {
        rest: &object,
        given: 0,
        started: started.clone(),
        rejected,
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            assert!(
                started.wait(Duration::from_secs(30)),
                "the transfer did not start"
            );
            put(&sink, CT, 2)
        });
        let stored = sink.put(&key(1), object.len() as u64, &mut body);
        stored.expect("on the first association");
        other
            .join()
            .expect("no panic")
            .expect("on the first association too");
    });
    assert_eq!(archive.len(), 3);
}

/// Without an open association the rejection is an error.
#[test]
fn rejection_without_open_association_is_an_error() {
    let reason = RejectReason::Congestion;
    let error = put_to(Script::rejecting(RejectResult::Transient, reason)).expect_err("rejected");
    assert_eq!(error.remedy(), Remedy::Retry);
}

#[test]
fn dicom_sink_passes_the_conformance_suite() {
    for behavior in [
        QueryBehavior::Plain,
        QueryBehavior::IgnoresKeys,
        QueryBehavior::Repeats,
    ] {
        anon_export::conformance::check(|| Archive::new(behavior).sink(3));
    }
}

/// A second export sends exactly the missing objects.
#[test]
fn second_export_sends_only_missing_objects() {
    let archive = Archive::new(QueryBehavior::Plain);
    let half = Exporter::new(Arc::new(archive.sink(2)));
    half.export(
        &source(5),
        &Selection::all(),
        &Cancel::new(),
        &EventLog::default(),
    )
    .expect("the first part");
    let report = Exporter::new(Arc::new(archive.sink(2)))
        .export(
            &source(12),
            &Selection::all(),
            &Cancel::new(),
            &EventLog::default(),
        )
        .expect("the rest");
    assert_eq!((report.counts.skipped, report.counts.sent), (5, 7));
    assert_eq!(archive.len(), 12);
    for (key, file) in source(12).iter() {
        let data_set = archive.get(key).expect("it is stored");
        assert!(
            file.ends_with(&data_set),
            "{key}: the data set is unchanged"
        );
        // Only group 2 was removed.
        assert!(data_set.starts_with(&[8, 0, 0x16, 0]), "{key}");
    }
}
