//! The sink that is a DICOM node, against peers that play scripts: every way to fail.

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
use crate::support::{EventLog, hasty, keys};

fn key(n: u32) -> ObjectKey {
    ObjectKey::new(["S-1", "1.1", "1.2", &format!("1.3.{n}")]).expect("a key")
}

fn accepting() -> Script {
    Script::accepting(SupportedContexts::new().with(uid(CT), vec![uid(EXPLICIT)]))
}

fn answer(script: Script, status: u16) -> Script {
    script
        .expect(Operation::Store)
        .answer(Reply::new(Status::new(status)))
}

fn sink(peer: &ScriptedPeer, associations: usize) -> DicomSink {
    let scu = Scu::new(Arc::new(peer.clone()), "US".parse().expect("a title"))
        .with_retries(Retries::new(1, Duration::ZERO))
        // A script has no clock: a peer that says nothing has been waited for long enough.
        .with_timeouts(Timeouts::all(Duration::ZERO));
    let node = "ARCHIVE@there:104".parse().expect("a node");
    DicomSink::new(scu, node, NonZeroUsize::new(associations).expect("some"))
}

fn put(sink: &DicomSink, class: &str, n: u32) -> Result<Stored, Error> {
    let object = image(&key(n), class, 300);
    sink.put(&key(n), object.len() as u64, &mut &*object)
}

/// Puts an object to a peer that plays this script to its end.
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
fn objects_share_an_association_that_ends_in_order() {
    let script = (0..3).fold(accepting(), |script, _| answer(script, 0));
    let peer = ScriptedPeer::new().then(script.expect_release());
    let sink = sink(&peer, 4);
    for n in 0..3 {
        assert_eq!(put(&sink, CT, n).expect("put").put, Put::Created);
    }
    drop(sink);
    peer.finish().expect("the script was played");
}

#[test]
fn a_warning_is_told_and_the_object_is_there() {
    for (status, words) in [
        (0xB000, "changed"),
        (0xB006, "dropped"),
        (0xB007, "SOP class"),
    ] {
        let stored = put_to(answer(accepting(), status).expect_release()).expect("it is there");
        let warning = stored.warning.expect("a warning");
        assert!(
            warning.contains(words) && warning.contains(&format!("{status:04X}")),
            "{warning}"
        );
    }
}

#[test]
fn each_refusal_has_its_remedy_and_keeps_the_association() {
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
        let error = put_to(answer(accepting(), status).expect_release()).expect_err("refused");
        assert_eq!(error.remedy(), remedy, "{status:04X}: {error:?}");
        let text = error.text();
        assert!(text.contains(&format!("{status:04X}")), "{text}");
        assert!(!text.contains("1.3.1"), "{text}");
    }
}

#[test]
fn a_peer_that_fails_is_typed() {
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
        let said = format!("{script:?}");
        let error = put_to(script).expect_err("it fails");
        assert!(
            matches!(error, Error::Dicom(DicomError::Service(_))),
            "{said}: {error:?}"
        );
        assert_eq!(error.remedy(), remedy, "{said}: {error:?}");
    }
}

#[test]
fn a_kind_of_object_that_is_refused_fails_alone() {
    let peer = ScriptedPeer::new()
        .then(accepting().expect_release())
        .then(answer(accepting(), 0).expect_release());
    let sink = sink(&peer, 1);
    let error = put(&sink, MR, 1).expect_err("MR is refused");
    let Error::Dicom(DicomError::Service(ServiceError::ContextRefused { sop_class, .. })) = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!((sop_class, error.remedy()), (&uid(MR), Remedy::Skip));
    put(&sink, CT, 2).expect("CT is taken");
    drop(sink);
    peer.finish().expect("the scripts were played");
}

/// A new pair of SOP class and transfer syntax ends the association; the next proposes both.
#[test]
fn a_new_kind_of_object_renegotiates() {
    let both = SupportedContexts::new()
        .with(uid(CT), vec![uid(EXPLICIT)])
        .with(uid(MR), vec![uid(EXPLICIT)]);
    let then = (0..3).fold(Script::accepting(both), |script, _| answer(script, 0));
    let peer = ScriptedPeer::new()
        .then(answer(accepting(), 0).expect_release())
        .then(then.expect_release());
    let sink = sink(&peer, 1);
    for (n, class) in [CT, MR, CT, MR].into_iter().enumerate() {
        put(&sink, class, u32::try_from(n).expect("small")).expect("put");
    }
    drop(sink);
    peer.finish().expect("the scripts were played");
}

/// A peer that ended the association between two objects costs nothing.
#[test]
fn an_association_that_ended_meanwhile_is_opened_anew() {
    for ended in [
        answer(accepting(), 0).release().expect_release(),
        answer(accepting(), 0).abort(AbortedBy::Provider),
        answer(accepting(), 0).cut(),
    ] {
        let peer = ScriptedPeer::new()
            .then(ended)
            .then(answer(accepting(), 0).expect_release());
        let sink = sink(&peer, 1);
        for n in 0..2 {
            put(&sink, CT, n).expect("put");
        }
        drop(sink);
        peer.finish().expect("the scripts were played");
    }
}

#[test]
fn an_object_that_is_not_what_its_key_says_is_not_sent() {
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
        .expect_err("no DICOM");
    assert_eq!(error.remedy(), Remedy::Skip);
    peer.finish().expect("nobody was called");
}

/// Half an object is taken back by an abort, and no half is ever stored.
#[test]
fn a_body_of_another_length_is_aborted() {
    let archive = Archive::new(QueryBehavior::Plain);
    let sink = archive.sink(2);
    for (len, said_more) in [(300, true), (300_000, true), (300, false), (300_000, false)] {
        let object = image(&key(1), CT, len);
        let len = object.len() as u64;
        let said = if said_more { len + 2 } else { len - 2 };
        match sink.put(&key(1), said, &mut &*object) {
            Err(Error::Short { .. }) if said_more => {}
            Err(Error::Long { .. }) if !said_more => {}
            other => panic!("{said} of {len}: {other:?}"),
        }
        assert!(archive.len() == 0, "{said} of {len}");
    }
}

#[test]
fn an_association_is_opened_for_the_check_alone() {
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
fn a_node_without_queries_cannot_list() {
    let peer = ScriptedPeer::new().then(accepting().expect_release());
    let listed = sink(&peer, 1).list(key(1).patient(), &mut |_| ControlFlow::Continue(()));
    assert!(matches!(listed, Err(Error::NoListing)), "{listed:?}");
    peer.finish().expect("the script was played");
}

/// A put does not wait for a peer that never answers.
#[test]
fn a_cancelled_put_does_not_wait() {
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

/// A peer that is out of resources for a while, changes one object and refuses another.
#[test]
fn an_export_deals_with_each_answer() {
    let script = [0xA700, 0xA700, 0, 0xB000, 0x0122, 0]
        .into_iter()
        .fold(accepting(), answer);
    let find = Script::accepting(SupportedContexts::new());
    let peer = ScriptedPeer::new()
        .then(Script::accepting(SupportedContexts::new()).expect_release())
        .then(find.expect_release())
        .then(script.expect_release());
    let sink = Arc::new(sink(&peer, 1));
    let log = EventLog::default();
    let report = Exporter::new(Arc::clone(&sink) as Arc<dyn Sink>)
        .with_options(hasty())
        .export(&source(4), &Selection::all(), &Cancel::new(), &log)
        .expect("an export");
    drop(sink);
    peer.finish().expect("the scripts were played");
    let counts = report.counts;
    assert_eq!((counts.sent, counts.warnings, counts.failed), (3, 1, 1));
    assert_eq!(log.count("retrying"), 2);
}

/// It is asked once, and each patient has its error.
#[test]
fn a_node_that_rejects_us_is_asked_once_and_told_of_each_patient() {
    let (log, mut source) = (EventLog::default(), MemorySource::new());
    for key in keys(3, 2) {
        let object = image(&key, CT, 100);
        source.insert(key, object);
    }
    let reason = RejectReason::CallingTitle;
    let peer = ScriptedPeer::new().then(Script::rejecting(RejectResult::Permanent, reason));
    let ended = Exporter::new(Arc::new(sink(&peer, 1)))
        .export(&source, &Selection::all(), &Cancel::new(), &log)
        .expect_err("it is rejected");
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
        let told: Vec<_> = lines
            .iter()
            .filter(|it| it.starts_with(&beginning))
            .collect();
        assert!(
            matches!(*told, [told] if told.contains("the node does not know us: add our AE title")),
            "{lines:?}"
        );
    }
    peer.finish().expect("the script was played");
}

/// Four patients, of whom one has an instance that fails: it is told of the patient, the others go on, what
/// is told as sent is there byte for byte, and once all is well a second export does the rest.
#[test]
fn each_fault_is_told_of_its_patient() {
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
            "does not understand the object",
            false,
        ),
        (StoreFault::Aborts, "ended the association", false),
        (StoreFault::Cuts, "ended the association", false),
        (StoreFault::Silent, "does not answer", false),
        (StoreFault::Warns(0xB000), "", true),
        (StoreFault::Warns(0xB007), "", true),
    ] {
        let is_faulty = Arc::new(AtomicBool::new(true));
        let orders = Arc::clone(&is_faulty);
        let archive = Archive::with_faults(QueryBehavior::Plain, move |instance| {
            (instance == VICTIM && orders.load(Ordering::Relaxed)).then_some(fault)
        });
        let mut source = MemorySource::new();
        for key in keys(4, 3) {
            let object = image(&key, CT, 3000);
            source.insert(key, object);
        }
        let log = EventLog::default();
        let export = |timeouts| {
            Exporter::new(Arc::new(archive.sink_with(timeouts, 3)))
                .with_options(hasty().with_attempts(NonZeroU32::MIN))
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
            let told = lines
                .iter()
                .any(|line| line.starts_with(&format!("sent {key}")));
            let there = archive
                .get(key)
                .is_some_and(|data_set| file.ends_with(&data_set));
            assert_eq!(told, there, "{fault:?}: {key}");
        }
        is_faulty.store(false, Ordering::Relaxed);
        let again = export(Timeouts::default()).expect("all is well");
        assert_eq!(
            (again.counts.sent, again.counts.skipped),
            (failed, 12 - failed)
        );
        assert_eq!(archive.len(), 12, "{fault:?}");
    }
}

/// Lets one association pass; the next are rejected for now, which opens the gate.
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

/// After its first 2 KiB it says so, and waits until another association was rejected.
struct GatedReader<'b> {
    rest: &'b [u8],
    given: usize,
    begun: Gate,
    rejected: Gate,
}

impl Read for GatedReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given > 2048 {
            self.begun.open();
            assert!(
                self.rejected.wait(Duration::from_secs(30)),
                "nobody was rejected"
            );
        }
        let count = self.rest.take(1024).read(buffer)?;
        self.rest = self.rest.get(count..).unwrap_or_default();
        self.given += count;
        Ok(count)
    }
}

/// A peer that takes one association: what finds no room waits for the first, and does not fail.
#[test]
fn a_peer_that_takes_one_association_is_made_do_with() {
    let archive = Archive::new(QueryBehavior::Plain);
    let (begun, rejected) = (Gate::new(), Gate::new());
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
        begun: begun.clone(),
        rejected,
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            assert!(begun.wait(Duration::from_secs(30)), "nothing was begun");
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

/// With no association of ours open there is nothing to make do with.
#[test]
fn a_peer_without_any_room_is_told() {
    let reason = RejectReason::Congestion;
    let error = put_to(Script::rejecting(RejectResult::Transient, reason)).expect_err("no room");
    assert_eq!(error.remedy(), Remedy::Retry);
}

#[test]
fn passes_the_suite() {
    for behavior in [
        QueryBehavior::Plain,
        QueryBehavior::IgnoresKeys,
        QueryBehavior::Repeats,
    ] {
        anon_export::conformance::check(|| Archive::new(behavior).sink(3));
    }
}

/// Whatever an archive leaves out or ignores, an export puts what is missing, and no more.
#[test]
fn an_export_is_resumed_at_an_archive() {
    let archive = Archive::new(QueryBehavior::Plain);
    let half = Exporter::new(Arc::new(archive.sink(2)));
    half.export(
        &source(5),
        &Selection::all(),
        &Cancel::new(),
        &EventLog::default(),
    )
    .expect("a half");
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
        let data_set = archive.get(key).expect("it is there");
        assert!(
            file.ends_with(&data_set),
            "{key}: the data set as it stands in the file"
        );
        // Group 2 is all that is missing.
        assert!(data_set.starts_with(&[8, 0, 0x16, 0]), "{key}");
    }
}
