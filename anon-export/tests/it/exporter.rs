//! The exporter: every way in which an object, a patient or a destination can fail.

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroUsize};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use anon_export::{
    BackendError, Cancel, Counts, Error, ExportError, ExportEvent, ExportMode, ExportOptions,
    ExportReport, Exporter, KeyPart, MemorySink, ObjectKey, Quiet, Remedy, Selection, Sink, Source,
};
use proptest::prelude::*;

use crate::support::{
    CallbackObserver, EventLog, FaultySink, bytes, key, keys, listed, source, without_backoff,
};

fn failure(remedy: Remedy) -> Error {
    BackendError::new(remedy, "simulated failure").into()
}

fn attempts(attempts: u32) -> ExportOptions {
    without_backoff().with_attempts(NonZeroU32::new(attempts).expect("some"))
}

fn export(
    sink: &Arc<FaultySink>,
    source: &dyn Source,
    options: ExportOptions,
    log: &EventLog,
) -> Result<ExportReport, ExportError> {
    Exporter::new(Arc::clone(sink) as Arc<dyn Sink>)
        .with_options(options)
        .export(source, &Selection::all(), &Cancel::new(), log)
}

#[track_caller]
fn check_sum(counts: &Counts) {
    let Counts {
        found,
        sent,
        skipped,
        failed,
        left,
        ..
    } = *counts;
    assert_eq!(found, sent + skipped + failed + left, "{counts:?}");
}

#[test]
fn everything_is_sent_once() {
    let keys = keys(5, 20);
    let sink = Arc::new(FaultySink::new(|_, _| None));
    let log = EventLog::default();
    let report = export(&sink, &source(&keys), without_backoff(), &log).expect("an export");
    assert!(report.is_complete());
    assert_eq!((report.patients, report.counts.sent), (5, 100));
    let size: usize = keys.iter().map(|key| bytes(key).len()).sum();
    assert_eq!(report.counts.bytes_sent, size as u64);
    for key in &keys {
        assert_eq!(*sink.memory.get(key).expect("stored"), *bytes(key), "{key}");
    }
    let report = export(&sink, &source(&keys), without_backoff(), &log).expect("an export");
    assert_eq!((report.counts.sent, report.counts.skipped), (0, 100));
    assert_eq!(report.counts.bytes_skipped, size as u64);
    assert_eq!((log.count("sent"), log.count("skipped")), (100, 100));
}

#[test]
fn patient_events_enclose_the_events_of_its_objects() {
    let sink = Arc::new(FaultySink::new(|_, _| None));
    let log = EventLog::default();
    export(&sink, &source(&keys(6, 10)), without_backoff(), &log).expect("an export");
    let lines = log.lines();
    for patient in 0..6 {
        let of = format!("S-{patient}");
        let own: Vec<&String> = lines.iter().filter(|line| line.contains(&of)).collect();
        assert_eq!(own.len(), 12);
        assert!(own[0].starts_with("started"), "{own:?}");
        assert!(own[11].starts_with("ended"), "{own:?}");
    }
}

/// Measures how many calls run concurrently. No call returns before enough calls have started.
#[derive(Default)]
struct Rendezvous {
    /// Started calls, running calls, and the maximum of running calls.
    counts: Mutex<(usize, usize, usize)>,
    changed: Condvar,
}

impl Rendezvous {
    fn wait_for(&self, min: usize) -> Option<Error> {
        let mut counts = self.counts.lock().expect("the counts");
        counts.0 += 1;
        counts.1 += 1;
        counts.2 = counts.2.max(counts.1);
        self.changed.notify_all();
        let timeout = Duration::from_secs(30);
        let are_missing = |counts: &mut (usize, usize, usize)| counts.0 < min;
        let waited = self
            .changed
            .wait_timeout_while(counts, timeout, are_missing);
        let (mut counts, waited) = waited.expect("the counts");
        counts.1 -= 1;
        waited.timed_out().then(|| failure(Remedy::Stop))
    }

    fn max_running(&self) -> usize {
        self.counts.lock().expect("the counts").2
    }
}

/// By default four patients run in parallel, and objects up to the limit of the sink; never more.
#[test]
fn patients_and_objects_run_in_parallel() {
    for (options, patients, objects) in [
        (without_backoff(), 4, 16),
        (without_backoff().with_objects(NonZeroUsize::MIN), 4, 1),
        (without_backoff().with_patients(NonZeroUsize::MIN), 1, 16),
    ] {
        let (listings, puts) = <(Arc<Rendezvous>, Arc<Rendezvous>)>::default();
        let (listing, putting) = (Arc::clone(&listings), Arc::clone(&puts));
        let sink = FaultySink::new(move |_, _| putting.wait_for(objects))
            .with_list_fault(move |_, _| listing.wait_for(patients));
        let log = EventLog::default();
        let report = export(&Arc::new(sink), &source(&keys(9, 16)), options, &log);
        assert!(report.expect("an export").is_complete());
        assert_eq!(
            (listings.max_running(), puts.max_running()),
            (patients, objects)
        );
    }
}

/// The progress events add up to the bytes of the objects.
#[test]
fn progress_events_add_up_to_the_sent_bytes() {
    let bytes = AtomicU64::new(0);
    let observer = CallbackObserver(|event: &ExportEvent<'_>| {
        if let ExportEvent::Progress { bytes: more } = event {
            bytes.fetch_add(*more, Ordering::Relaxed);
        }
    });
    let report = Exporter::new(Arc::new(MemorySink::new()))
        .export(
            &source(&keys(3, 5)),
            &Selection::all(),
            &Cancel::new(),
            &observer,
        )
        .expect("an export");
    assert_eq!(bytes.into_inner(), report.counts.bytes_sent);
}

#[test]
fn temporary_error_is_retried() {
    let sink = Arc::new(FaultySink::new(|_, attempt| {
        (attempt < 4).then(|| failure(Remedy::Retry))
    }));
    let log = EventLog::default();
    let report = export(&sink, &source(&keys(1, 2)), attempts(4), &log).expect("an export");
    assert!(report.is_complete());
    assert_eq!((report.counts.sent, log.count("retrying")), (2, 6));
    assert_eq!(sink.puts(), 2);
}

#[test]
fn retry_waits_as_long_as_the_destination_asks() {
    let asked = Duration::from_millis(30);
    let sink = Arc::new(FaultySink::new(move |_, attempt| {
        let error = BackendError::new(Remedy::Retry, "slow down").with_retry_after(asked);
        (attempt < 2).then(|| error.into())
    }));
    let waits = Mutex::new(Vec::new());
    let observer = CallbackObserver(|event: &ExportEvent<'_>| {
        if let ExportEvent::Retrying { wait, .. } = event {
            waits.lock().expect("the waits").push(*wait);
        }
    });
    Exporter::new(Arc::clone(&sink) as Arc<dyn Sink>)
        .with_options(without_backoff())
        .export(
            &source(&keys(1, 1)),
            &Selection::all(),
            &Cancel::new(),
            &observer,
        )
        .expect("an export");
    assert_eq!(*waits.lock().expect("the waits"), [asked]);
}

/// A requested wait of years is a failure: each object is tried once.
#[test]
fn too_long_requested_wait_is_a_failure() {
    let sink = Arc::new(FaultySink::new(|_, _| {
        let error = BackendError::new(Remedy::Retry, "slow down");
        Some(error.with_retry_after(Duration::MAX).into())
    }));
    let log = EventLog::default();
    let report = export(&sink, &source(&keys(1, 3)), without_backoff(), &log).expect("an export");
    assert_eq!((report.counts.failed, log.count("retrying")), (3, 0));
    assert_eq!(sink.tries(&key(0, 0, 0)), 1);
}

#[test]
fn persistent_error_fails_after_the_last_attempt() {
    let bad = key(0, 1, 1);
    let failing = bad.clone();
    let sink = Arc::new(FaultySink::new(move |key, _| {
        (*key == failing).then(|| failure(Remedy::Retry))
    }));
    let log = EventLog::default();
    let report = export(&sink, &source(&keys(2, 6)), attempts(3), &log).expect("an export");
    assert_eq!((report.counts.sent, report.counts.failed), (11, 1));
    assert_eq!(report.patients_failed, 1);
    assert_eq!(sink.tries(&bad), 3);
    let line = format!("failed {bad} the destination failed: simulated failure");
    assert!(log.lines().contains(&line), "{:?}", log.lines());
}

#[test]
fn skipped_object_is_tried_once_and_others_are_sent() {
    let bad = key(0, 0, 2);
    let failing = bad.clone();
    let sink = Arc::new(FaultySink::new(move |key, _| {
        (*key == failing).then(|| failure(Remedy::Skip))
    }));
    let log = EventLog::default();
    let report = export(&sink, &source(&keys(2, 6)), without_backoff(), &log).expect("an export");
    assert_eq!((report.counts.sent, report.counts.failed), (11, 1));
    assert_eq!((sink.tries(&bad), log.count("retrying")), (1, 0));
}

/// Checks that each patient ends once, with an error unless all its objects were sent.
#[track_caller]
fn check_patients_ended(log: &EventLog, patients: u32, objects: u64, words: &str) {
    let lines = log.lines();
    for patient in 0..patients {
        let beginning = format!("ended S-{patient} ");
        let mut own = lines.iter().filter(|line| line.starts_with(&beginning));
        let ended = own.next().expect("each patient ends");
        assert_eq!(own.next(), None, "ends once");
        let is_whole = ended.contains(&format!("sent: {objects},"));
        let is_well = ended.ends_with("error: None");
        assert_eq!(is_well, is_whole, "{ended}");
        assert!(is_well || ended.contains(words), "{ended}");
    }
}

#[test]
fn stop_error_is_reported_for_each_patient_and_sent_objects_stay() {
    let failing = key(1, 0, 4);
    let sink = Arc::new(FaultySink::new(move |key, _| {
        (*key == failing).then(|| failure(Remedy::Stop))
    }));
    let log = EventLog::default();
    let ended =
        export(&sink, &source(&keys(50, 8)), without_backoff(), &log).expect_err("it stops");
    assert_eq!(ended.error.remedy(), Remedy::Stop);
    check_sum(&ended.report.counts);
    assert_eq!(ended.report.counts.failed, 1);
    assert!(ended.report.counts.sent < 399, "{:?}", ended.report);
    let stored = listed(&sink.memory, 50).len() as u64;
    assert_eq!(stored, ended.report.counts.sent);
    assert_eq!(ended.report.patients, 50);
    check_patients_ended(&log, 50, 8, "simulated failure");
}

/// The destination is checked once, and each selected patient gets the error.
#[test]
fn failed_check_is_reported_for_each_patient() {
    for (remedy, tries) in [(Remedy::Stop, 0), (Remedy::Retry, 4)] {
        let sink = FaultySink::new(|_, _| None).with_check_fault(move || Some(failure(remedy)));
        let sink = Arc::new(sink);
        let log = EventLog::default();
        let ended = export(&sink, &source(&keys(1000, 1)), without_backoff(), &log)
            .expect_err("the check fails");
        let report = &ended.report;
        assert_eq!((report.patients, report.patients_failed), (1000, 1000));
        assert_eq!((report.counts.found, sink.puts()), (0, 0));
        assert_eq!((log.count("retrying"), log.count("started")), (tries, 0));
        check_patients_ended(&log, 1000, 1, "simulated failure");
        assert_eq!(sink.tries(&"S-0"), 0, "a listing");
    }
    let part = |text: &str| KeyPart::new(text).expect("a part");
    let selection = Selection::of([part("S-1"), part("S-99")], [part("1.1.2.0")]);
    let log = EventLog::default();
    let error = failure(Remedy::Stop);
    let source = source(&keys(4, 2));
    let ended = Exporter::fail_all(error, &source, &selection, &Cancel::new(), &log);
    let report = &ended.report;
    assert_eq!((report.patients_failed, report.unknown), (2, 1));
    assert!(!report.is_complete());
    assert_eq!((log.count("ended S-1 "), log.count("ended S-2 ")), (1, 1));
}

/// Access may be denied to the destination as a whole but allowed for single patients.
#[test]
fn denied_check_does_not_end_the_export() {
    let sink = FaultySink::new(|_, _| None).with_check_fault(|| Some(failure(Remedy::SkipPatient)));
    let log = EventLog::default();
    let report = export(
        &Arc::new(sink),
        &source(&keys(3, 4)),
        without_backoff(),
        &log,
    );
    assert!(report.expect("an export").is_complete());
}

/// Each patient is listed once, and after the limit of denied objects no further object of the
/// patient is tried.
#[test]
fn denied_patient_fails_and_others_are_exported() {
    let denies = || Some(failure(Remedy::SkipPatient));
    let is_denied = |patient: &KeyPart| matches!(patient.as_str(), "S-1" | "S-3");
    for of_listing in [true, false] {
        let lists = move |patient: &KeyPart, _| (of_listing && is_denied(patient)).then(denies)?;
        let puts = move |key: &ObjectKey, _| is_denied(key.patient()).then(denies)?;
        let sink = Arc::new(FaultySink::new(puts).with_list_fault(lists));
        let log = EventLog::default();
        let options = without_backoff().with_objects(NonZeroUsize::MIN.saturating_add(1));
        let report =
            export(&sink, &source(&keys(5, 60)), options, &log).expect("the export continues");
        let counts = report.counts;
        assert_eq!((counts.sent, counts.failed), (180, 120));
        assert_eq!((report.patients, report.patients_failed), (5, 2));
        check_patients_ended(&log, 5, 60, "simulated failure");
        for patient in ["S-1", "S-3"] {
            assert_eq!(sink.tries(&patient), 1, "{patient}: a listing");
            assert_eq!(log.count(&format!("failed {patient}/")), 60);
            let keys = keys(5, 60);
            let own = keys.iter().filter(|key| key.patient().as_str() == patient);
            let tried: u32 = own.map(|key| sink.tries(key)).sum();
            // The limit, plus one that was in progress.
            let expected = if of_listing { 0..=0 } else { 8..=9 };
            assert!(expected.contains(&tried), "{patient}: {tried}");
        }
    }
}

/// Some buckets do not allow replacing an object. That does not concern the whole patient.
#[test]
fn single_denied_objects_do_not_stop_their_patient() {
    let is_locked = |key: &ObjectKey| key.to_string().bytes().rev().nth(4) != Some(b'7');
    let denies = move |key: &ObjectKey, _| is_locked(key).then(|| failure(Remedy::SkipPatient));
    let options = without_backoff().with_objects(NonZeroUsize::MIN);
    let sink = Arc::new(FaultySink::new(denies));
    let log = EventLog::default();
    let one: BTreeSet<ObjectKey> = (0..40).map(|n| key(0, 0, n)).collect();
    let twelve = options.with_give_up_after(NonZeroU32::new(12).expect("some"));
    let report = export(&sink, &source(&one), twelve, &log).expect("the export continues");
    assert_eq!((report.counts.sent, report.counts.failed), (4, 36));
    assert!(one.iter().all(|key| sink.tries(key) == 1));
}

#[test]
fn destination_that_always_fails_is_given_up() {
    let sink = Arc::new(FaultySink::new(|_, _| Some(failure(Remedy::Retry))));
    let log = EventLog::default();
    let options = attempts(2).with_give_up_after(NonZeroU32::new(5).expect("some"));
    let ended = export(&sink, &source(&keys(50, 8)), options, &log).expect_err("given up");
    assert_eq!(ended.error.remedy(), Remedy::Retry);
    check_sum(&ended.report.counts);
    let failed = ended.report.counts.failed;
    // Objects that were in progress then either fail or are left.
    assert!((5..5 + 16).contains(&failed), "{failed}");
}

#[test]
fn one_success_between_failures_resets_the_count() {
    let sink = Arc::new(FaultySink::new(|key, _| {
        let n = key.to_string().bytes().rev().nth(4);
        n.is_some_and(|n| n % 2 == 1)
            .then(|| failure(Remedy::Retry))
    }));
    let options = attempts(1)
        .with_give_up_after(NonZeroU32::new(4).expect("some"))
        .with_objects(NonZeroUsize::MIN)
        .with_patients(NonZeroUsize::MIN);
    let log = EventLog::default();
    let all: BTreeSet<ObjectKey> = (0..40).map(|n| key(0, 0, n)).collect();
    let report = export(&sink, &source(&all), options, &log).expect("the export continues");
    assert_eq!((report.counts.sent, report.counts.failed), (20, 20));
}

#[test]
fn nothing_is_sent_of_a_patient_that_cannot_be_listed() {
    let sink = FaultySink::new(|_, _| None)
        .with_list_fault(|patient, _| (patient.as_str() == "S-1").then(|| failure(Remedy::Skip)));
    let sink = Arc::new(sink);
    let log = EventLog::default();
    let report = export(&sink, &source(&keys(3, 4)), without_backoff(), &log).expect("an export");
    assert_eq!((report.counts.sent, report.counts.failed), (8, 4));
    assert_eq!(report.patients_failed, 1);
    assert_eq!(log.count("failed S-1/"), 4);
    assert_eq!(listed(&sink.memory, 1).len(), 4);
}

#[test]
fn failed_listing_is_retried() {
    let sink = FaultySink::new(|_, _| None)
        .with_list_fault(|_, attempt| (attempt < 3).then(|| failure(Remedy::Retry)));
    let sink = Arc::new(sink);
    let log = EventLog::default();
    let report = export(&sink, &source(&keys(2, 3)), attempts(3), &log).expect("an export");
    assert!(report.is_complete());
    assert_eq!(log.count("retrying None"), 4);
}

#[test]
fn everything_is_sent_to_a_destination_that_cannot_list() {
    let sink = FaultySink::new(|_, _| None).with_list_fault(|_, _| Some(Error::NoListing));
    let sink = Arc::new(sink);
    let log = EventLog::default();
    for _ in 0..2 {
        let report =
            export(&sink, &source(&keys(2, 3)), without_backoff(), &log).expect("an export");
        assert!(report.is_complete());
    }
    // The sink compares: the second time it reports that it has everything.
    assert_eq!((log.count("sent"), log.count("skipped")), (6, 6));
}

/// Cancelling after some objects, and exporting again, sends the rest.
#[test]
fn cancelled_export_can_be_resumed() {
    for after in [0, 1, 7, 63] {
        let keys = keys(8, 8);
        let sink = Arc::new(MemorySink::new());
        let cancel = Cancel::new();
        let sent = AtomicU64::new(0);
        let observer = CallbackObserver(|event: &ExportEvent<'_>| {
            if matches!(event, ExportEvent::Sent { .. })
                && sent.fetch_add(1, Ordering::Relaxed) >= after
            {
                cancel.cancel();
            }
        });
        let exporter =
            Exporter::new(Arc::clone(&sink) as Arc<dyn Sink>).with_options(without_backoff());
        let ended = exporter
            .export(&source(&keys), &Selection::all(), &cancel, &observer)
            .expect_err("it was cancelled");
        assert!(matches!(*ended.error, Error::Cancelled), "{ended:?}");
        check_sum(&ended.report.counts);
        assert_eq!(ended.report.counts.failed, 0);
        let first = ended.report.counts.sent;
        assert_eq!(listed(&*sink, 8).len() as u64, first, "after {after}");
        let rest = exporter
            .export(&source(&keys), &Selection::all(), &Cancel::new(), &Quiet)
            .expect("the rest");
        assert_eq!((rest.counts.skipped, rest.counts.sent), (first, 64 - first));
    }
}

/// Cancelling interrupts the wait before the next attempt.
#[test]
fn cancelling_interrupts_backoff() {
    let sink = Arc::new(FaultySink::new(|_, _| Some(failure(Remedy::Retry))));
    let cancel = Cancel::new();
    let hour = Duration::from_hours(1);
    let options = ExportOptions::default().with_backoff(anon_export::Backoff::new(hour, hour));
    let observer = CallbackObserver(|event: &ExportEvent<'_>| {
        if matches!(event, ExportEvent::Retrying { .. }) {
            cancel.cancel();
        }
    });
    let ended = Exporter::new(sink)
        .with_options(options)
        .export(&source(&keys(4, 4)), &Selection::all(), &cancel, &observer)
        .expect_err("it was cancelled");
    assert!(matches!(*ended.error, Error::Cancelled));
    assert_eq!(
        (ended.report.counts.sent, ended.report.counts.failed),
        (0, 0)
    );
}

#[test]
fn selection_is_exported_and_unknown_ids_are_reported() {
    let part = |text: &str| KeyPart::new(text).expect("a part");
    let sink = Arc::new(MemorySink::new());
    let log = EventLog::default();
    let selection = Selection::of(
        [part("S-1"), part("S-99")],
        [part("1.1.2.0"), part("1.1.1.1"), part("9.9")],
    );
    let report = Exporter::new(Arc::clone(&sink) as Arc<dyn Sink>)
        .export(&source(&keys(4, 6)), &selection, &Cancel::new(), &log)
        .expect("an export");
    let stored = listed(&*sink, 4);
    let expected = keys(4, 6).into_iter().filter(|key| {
        let [patient, study, ..] = key.parts();
        patient.as_str() == "S-1" || study.as_str() == "1.1.2.0"
    });
    assert_eq!(stored, expected.collect());
    assert_eq!((report.patients, report.unknown), (2, 2));
    assert!(!report.is_complete());
    let lines = log.lines().join("\n");
    assert!(
        lines.contains("UnknownPatient { patient: KeyPart(\"S-99\") }"),
        "{lines}"
    );
    assert!(
        lines.contains("UnknownStudy { study: KeyPart(\"9.9\") }"),
        "{lines}"
    );
}

#[test]
fn dry_run_counts_and_sends_nothing() {
    let keys = keys(3, 4);
    let sink = Arc::new(FaultySink::new(|_, _| None));
    let half: BTreeSet<ObjectKey> = keys.iter().take(6).cloned().collect();
    let log = EventLog::default();
    export(&sink, &source(&half), without_backoff(), &log).expect("the first part");
    let other = Arc::new(FaultySink::new(|_, _| None));
    let options = without_backoff().with_mode(ExportMode::DryRun);
    let report = export(&other, &source(&keys), options, &log).expect("a dry run");
    assert_eq!((report.counts.sent, report.counts.found), (12, 12));
    let size: usize = keys.iter().map(|key| bytes(key).len()).sum();
    assert_eq!(report.counts.bytes_sent, size as u64);
    assert!(other.memory.is_empty());
    assert_eq!(other.puts(), 0);
}

/// A panic in a sink reaches the caller, and no thread waits forever.
#[test]
fn a_sink_that_panics_does_not_hang_the_export() {
    let sink = FaultySink::new(|key, _| {
        assert!(!key.to_string().ends_with("3.dcm"), "a bug in the sink");
        None
    });
    let sink = Arc::new(sink);
    let export = || {
        export(
            &sink,
            &source(&keys(4, 6)),
            without_backoff(),
            &EventLog::default(),
        )
    };
    assert!(catch_unwind(AssertUnwindSafe(export)).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// With random faults: the counts add up, exactly the objects reported as sent are stored, and
    /// the next export sends the rest.
    #[test]
    fn random_faults_lose_no_object(
        seed in any::<u64>(),
        share in 0_u64..60,
        stops in any::<bool>(),
        patients in 1_usize..5,
        objects in 1_usize..9,
    ) {
        let keys = keys(5, 9);
        let fault = move |of: &str, attempt: u32| {
            let mixed = of.bytes().fold(seed ^ u64::from(attempt), |sum, byte| {
                (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
            });
            let remedy = match mixed >> 32 & 15 {
                0..=9 => Remedy::Retry,
                10..=12 => Remedy::Skip,
                13..=14 => Remedy::SkipPatient,
                _ if stops => Remedy::Stop,
                _ => Remedy::Skip,
            };
            (mixed % 100 < share).then(|| failure(remedy))
        };
        let sink = FaultySink::new(move |key, attempt| fault(&key.to_string(), attempt))
            .with_list_fault(move |patient, attempt| fault(patient.as_str(), attempt));
        let sink = Arc::new(sink);
        let log = EventLog::default();
        let options = attempts(3)
            .with_patients(NonZeroUsize::new(patients).expect("some"))
            .with_objects(NonZeroUsize::new(objects).expect("some"));
        let ended = export(&sink, &source(&keys), options, &log);
        let report = ended.unwrap_or_else(|ended| *ended.report);
        check_sum(&report.counts);
        prop_assert_eq!(report.counts.sent, log.count("sent"));
        prop_assert_eq!(report.counts.failed, log.count("failed"));
        prop_assert_eq!((report.patients, log.count("ended")), (5, 5));
        check_patients_ended(&log, 5, 9, "simulated failure");
        let stored = listed(&sink.memory, 5);
        prop_assert_eq!(stored.len() as u64, report.counts.sent);
        for line in log.lines().iter().filter_map(|line| line.strip_prefix("sent ")) {
            let key: ObjectKey = line.trim_end_matches(" None").parse().expect("a key");
            prop_assert!(stored.contains(&key));
        }
        let healthy: Arc<dyn Sink> = Arc::new(sink.memory.clone());
        let second = Exporter::new(healthy)
            .export(&source(&keys), &Selection::all(), &Cancel::new(), &Quiet)
            .expect("nothing fails now");
        prop_assert_eq!(second.counts.skipped, report.counts.sent);
        prop_assert_eq!(listed(&sink.memory, 5), keys);
    }
}
