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
    CallbackObserver, EventLog, FaultySink, bytes, hasty, key, keys, listed, source,
};

fn fails(remedy: Remedy) -> Error {
    BackendError::new(remedy, "as it was told").into()
}

fn attempts(attempts: u32) -> ExportOptions {
    hasty().with_attempts(NonZeroU32::new(attempts).expect("some"))
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
fn adds_up(counts: &Counts) {
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
fn everything_arrives_and_is_not_sent_again() {
    let keys = keys(5, 20);
    let sink = Arc::new(FaultySink::new(|_, _| None));
    let log = EventLog::default();
    let report = export(&sink, &source(&keys), hasty(), &log).expect("an export");
    assert!(report.is_complete());
    assert_eq!((report.patients, report.counts.sent), (5, 100));
    let size: usize = keys.iter().map(|key| bytes(key).len()).sum();
    assert_eq!(report.counts.bytes_sent, size as u64);
    for key in &keys {
        assert_eq!(*sink.memory.get(key).expect("there"), *bytes(key), "{key}");
    }
    let report = export(&sink, &source(&keys), hasty(), &log).expect("an export");
    assert_eq!((report.counts.sent, report.counts.skipped), (0, 100));
    assert_eq!(report.counts.bytes_skipped, size as u64);
    assert_eq!((log.count("sent"), log.count("skipped")), (100, 100));
}

#[test]
fn a_patient_is_begun_before_its_objects_and_ends_after_them() {
    let sink = Arc::new(FaultySink::new(|_, _| None));
    let log = EventLog::default();
    export(&sink, &source(&keys(6, 10)), hasty(), &log).expect("an export");
    let lines = log.lines();
    for patient in 0..6 {
        let of = format!("S-{patient}");
        let own: Vec<&String> = lines.iter().filter(|line| line.contains(&of)).collect();
        assert_eq!(own.len(), 12);
        assert!(own[0].starts_with("begun"), "{own:?}");
        assert!(own[11].starts_with("ended"), "{own:?}");
    }
}

/// How many are at work at once. Nobody leaves before so many have come.
#[derive(Default)]
struct Rendezvous {
    /// Came, are here, were here at most.
    counts: Mutex<(usize, usize, usize)>,
    changed: Condvar,
}

impl Rendezvous {
    fn meet(&self, least: usize) -> Option<Error> {
        let mut counts = self.counts.lock().expect("the counts");
        counts.0 += 1;
        counts.1 += 1;
        counts.2 = counts.2.max(counts.1);
        self.changed.notify_all();
        let patience = Duration::from_secs(30);
        let are_missing = |counts: &mut (usize, usize, usize)| counts.0 < least;
        let waited = self
            .changed
            .wait_timeout_while(counts, patience, are_missing);
        let (mut counts, waited) = waited.expect("the counts");
        counts.1 -= 1;
        waited.timed_out().then(|| fails(Remedy::Stop))
    }

    fn most(&self) -> usize {
        self.counts.lock().expect("the counts").2
    }
}

/// Four patients at once if nothing is said, and objects up to the limit; never more.
#[test]
fn patients_and_objects_go_in_parallel() {
    for (options, patients, objects) in [
        (hasty(), 4, 16),
        (hasty().with_objects(NonZeroUsize::MIN), 4, 1),
        (hasty().with_patients(NonZeroUsize::MIN), 1, 16),
    ] {
        let (walkers, senders) = <(Arc<Rendezvous>, Arc<Rendezvous>)>::default();
        let (walking, sending) = (Arc::clone(&walkers), Arc::clone(&senders));
        let sink = FaultySink::new(move |_, _| sending.meet(objects))
            .with_lists(move |_, _| walking.meet(patients));
        let log = EventLog::default();
        let report = export(&Arc::new(sink), &source(&keys(9, 16)), options, &log);
        assert!(report.expect("an export").is_complete());
        assert_eq!((walkers.most(), senders.most()), (patients, objects));
    }
}

/// What is told as on its way comes to the bytes of the objects.
#[test]
fn progress_adds_up() {
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
fn what_can_pass_is_tried_again() {
    let sink = Arc::new(FaultySink::new(|_, attempt| {
        (attempt < 4).then(|| fails(Remedy::Retry))
    }));
    let log = EventLog::default();
    let report = export(&sink, &source(&keys(1, 2)), attempts(4), &log).expect("an export");
    assert!(report.is_complete());
    assert_eq!((report.counts.sent, log.count("retrying")), (2, 6));
    assert_eq!(sink.puts(), 2);
}

#[test]
fn what_the_destination_asks_for_is_waited() {
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
        .with_options(hasty())
        .export(
            &source(&keys(1, 1)),
            &Selection::all(),
            &Cancel::new(),
            &observer,
        )
        .expect("an export");
    assert_eq!(*waits.lock().expect("the waits"), [asked]);
}

/// A wait of years is a failure, and each object is tried once.
#[test]
fn who_asks_for_too_long_a_wait_is_not_waited_for() {
    let sink = Arc::new(FaultySink::new(|_, _| {
        let error = BackendError::new(Remedy::Retry, "slow down");
        Some(error.with_retry_after(Duration::MAX).into())
    }));
    let log = EventLog::default();
    let report = export(&sink, &source(&keys(1, 3)), hasty(), &log).expect("an export");
    assert_eq!((report.counts.failed, log.count("retrying")), (3, 0));
    assert_eq!(sink.tries(&key(0, 0, 0)), 1);
}

#[test]
fn what_does_not_pass_fails_after_the_last_attempt() {
    let bad = key(0, 1, 1);
    let told = bad.clone();
    let sink = Arc::new(FaultySink::new(move |key, _| {
        (*key == told).then(|| fails(Remedy::Retry))
    }));
    let log = EventLog::default();
    let report = export(&sink, &source(&keys(2, 6)), attempts(3), &log).expect("an export");
    assert_eq!((report.counts.sent, report.counts.failed), (11, 1));
    assert_eq!(report.patients_failed, 1);
    assert_eq!(sink.tries(&bad), 3);
    let line = format!("failed {bad} the destination failed: as it was told");
    assert!(log.lines().contains(&line), "{:?}", log.lines());
}

#[test]
fn what_cannot_be_put_is_tried_once_and_the_rest_goes_on() {
    let bad = key(0, 0, 2);
    let told = bad.clone();
    let sink = Arc::new(FaultySink::new(move |key, _| {
        (*key == told).then(|| fails(Remedy::Skip))
    }));
    let log = EventLog::default();
    let report = export(&sink, &source(&keys(2, 6)), hasty(), &log).expect("an export");
    assert_eq!((report.counts.sent, report.counts.failed), (11, 1));
    assert_eq!((sink.tries(&bad), log.count("retrying")), (1, 0));
}

/// Of each patient one end, with an error unless all of it was sent.
#[track_caller]
fn each_is_told(log: &EventLog, patients: u32, objects: u64, words: &str) {
    let lines = log.lines();
    for patient in 0..patients {
        let beginning = format!("ended S-{patient} ");
        let mut own = lines.iter().filter(|line| line.starts_with(&beginning));
        let told = own.next().expect("each patient has an end");
        assert_eq!(own.next(), None, "one end");
        let is_whole = told.contains(&format!("sent: {objects},"));
        let is_well = told.ends_with("error: None");
        assert_eq!(is_well, is_whole, "{told}");
        assert!(is_well || told.contains(words), "{told}");
    }
}

#[test]
fn an_error_that_stops_is_told_of_each_patient_and_keeps_what_was_done() {
    let told = key(1, 0, 4);
    let sink = Arc::new(FaultySink::new(move |key, _| {
        (*key == told).then(|| fails(Remedy::Stop))
    }));
    let log = EventLog::default();
    let ended = export(&sink, &source(&keys(50, 8)), hasty(), &log).expect_err("it stops");
    assert_eq!(ended.error.remedy(), Remedy::Stop);
    adds_up(&ended.report.counts);
    assert_eq!(ended.report.counts.failed, 1);
    assert!(ended.report.counts.sent < 399, "{:?}", ended.report);
    let there = listed(&sink.memory, 50).len() as u64;
    assert_eq!(there, ended.report.counts.sent);
    assert_eq!(ended.report.patients, 50);
    each_is_told(&log, 50, 8, "as it was told");
}

/// The destination is asked once, and every patient that was selected has the answer.
#[test]
fn a_destination_that_cannot_be_used_is_told_of_each_patient() {
    for (remedy, tries) in [(Remedy::Stop, 0), (Remedy::Retry, 4)] {
        let sink = FaultySink::new(|_, _| None).with_check(move || Some(fails(remedy)));
        let sink = Arc::new(sink);
        let log = EventLog::default();
        let ended = export(&sink, &source(&keys(1000, 1)), hasty(), &log).expect_err("no use");
        let report = &ended.report;
        assert_eq!((report.patients, report.patients_failed), (1000, 1000));
        assert_eq!((report.counts.found, sink.puts()), (0, 0));
        assert_eq!((log.count("retrying"), log.count("begun")), (tries, 0));
        each_is_told(&log, 1000, 1, "as it was told");
        assert_eq!(sink.tries(&"S-0"), 0, "a listing");
    }
    let part = |text: &str| KeyPart::new(text).expect("a part");
    let selection = Selection::of([part("S-1"), part("S-99")], [part("1.1.2.0")]);
    let log = EventLog::default();
    let error = fails(Remedy::Stop);
    let source = source(&keys(4, 2));
    let ended = Exporter::fail_all(error, &source, &selection, &Cancel::new(), &log);
    let report = &ended.report;
    assert_eq!((report.patients_failed, report.unknown), (2, 1));
    assert!(!report.is_complete());
    assert_eq!((log.count("ended S-1 "), log.count("ended S-2 ")), (1, 1));
}

/// Who may look at some patients only may export those.
#[test]
fn a_check_that_is_denied_ends_nothing() {
    let sink = FaultySink::new(|_, _| None).with_check(|| Some(fails(Remedy::SkipPatient)));
    let log = EventLog::default();
    let report = export(&Arc::new(sink), &source(&keys(3, 4)), hasty(), &log);
    assert!(report.expect("an export").is_complete());
}

/// Each patient is listed once, and of none more objects are tried than are needed to know.
#[test]
fn what_is_denied_is_told_of_its_patient_and_the_others_go_on() {
    let denies = || Some(fails(Remedy::SkipPatient));
    let is_denied = |patient: &KeyPart| matches!(patient.as_str(), "S-1" | "S-3");
    for of_listing in [true, false] {
        let lists = move |patient: &KeyPart, _| (of_listing && is_denied(patient)).then(denies)?;
        let puts = move |key: &ObjectKey, _| is_denied(key.patient()).then(denies)?;
        let sink = Arc::new(FaultySink::new(puts).with_lists(lists));
        let log = EventLog::default();
        let options = hasty().with_objects(NonZeroUsize::MIN.saturating_add(1));
        let report = export(&sink, &source(&keys(5, 60)), options, &log).expect("it goes on");
        let counts = report.counts;
        assert_eq!((counts.sent, counts.failed), (180, 120));
        assert_eq!((report.patients, report.patients_failed), (5, 2));
        each_is_told(&log, 5, 60, "as it was told");
        for patient in ["S-1", "S-3"] {
            assert_eq!(sink.tries(&patient), 1, "{patient}: a listing");
            assert_eq!(log.count(&format!("failed {patient}/")), 60);
            let keys = keys(5, 60);
            let own = keys.iter().filter(|key| key.patient().as_str() == patient);
            let tried: u32 = own.map(|key| sink.tries(key)).sum();
            // The limit, and who was on the way.
            let expected = if of_listing { 0..=0 } else { 8..=9 };
            assert!(expected.contains(&tried), "{patient}: {tried}");
        }
    }
}

/// Some buckets take no other bytes in the place of what is there: that is no word about the patient.
#[test]
fn a_denied_object_does_not_stop_its_patient() {
    let is_locked = |key: &ObjectKey| key.to_string().bytes().rev().nth(4) != Some(b'7');
    let denies = move |key: &ObjectKey, _| is_locked(key).then(|| fails(Remedy::SkipPatient));
    let options = hasty().with_objects(NonZeroUsize::MIN);
    let sink = Arc::new(FaultySink::new(denies));
    let log = EventLog::default();
    let one: BTreeSet<ObjectKey> = (0..40).map(|n| key(0, 0, n)).collect();
    let twelve = options.with_give_up_after(NonZeroU32::new(12).expect("some"));
    let report = export(&sink, &source(&one), twelve, &log).expect("it goes on");
    assert_eq!((report.counts.sent, report.counts.failed), (4, 36));
    assert!(one.iter().all(|key| sink.tries(key) == 1));
}

#[test]
fn a_destination_that_never_answers_is_given_up() {
    let sink = Arc::new(FaultySink::new(|_, _| Some(fails(Remedy::Retry))));
    let log = EventLog::default();
    let options = attempts(2).with_give_up_after(NonZeroU32::new(5).expect("some"));
    let ended = export(&sink, &source(&keys(50, 8)), options, &log).expect_err("given up");
    assert_eq!(ended.error.remedy(), Remedy::Retry);
    adds_up(&ended.report.counts);
    let failed = ended.report.counts.failed;
    // Those that were on their way when it was given up fail or are left.
    assert!((5..5 + 16).contains(&failed), "{failed}");
}

#[test]
fn one_answer_between_failures_is_enough_to_go_on() {
    let sink = Arc::new(FaultySink::new(|key, _| {
        let n = key.to_string().bytes().rev().nth(4);
        n.is_some_and(|n| n % 2 == 1).then(|| fails(Remedy::Retry))
    }));
    let options = attempts(1)
        .with_give_up_after(NonZeroU32::new(4).expect("some"))
        .with_objects(NonZeroUsize::MIN)
        .with_patients(NonZeroUsize::MIN);
    let log = EventLog::default();
    let all: BTreeSet<ObjectKey> = (0..40).map(|n| key(0, 0, n)).collect();
    let report = export(&sink, &source(&all), options, &log).expect("it goes on");
    assert_eq!((report.counts.sent, report.counts.failed), (20, 20));
}

#[test]
fn a_patient_that_cannot_be_listed_is_left_alone() {
    let sink = FaultySink::new(|_, _| None)
        .with_lists(|patient, _| (patient.as_str() == "S-1").then(|| fails(Remedy::Skip)));
    let sink = Arc::new(sink);
    let log = EventLog::default();
    let report = export(&sink, &source(&keys(3, 4)), hasty(), &log).expect("an export");
    assert_eq!((report.counts.sent, report.counts.failed), (8, 4));
    assert_eq!(report.patients_failed, 1);
    assert_eq!(log.count("failed S-1/"), 4);
    assert_eq!(listed(&sink.memory, 1).len(), 4);
}

#[test]
fn a_listing_that_can_pass_is_asked_for_again() {
    let sink = FaultySink::new(|_, _| None)
        .with_lists(|_, attempt| (attempt < 3).then(|| fails(Remedy::Retry)));
    let sink = Arc::new(sink);
    let log = EventLog::default();
    let report = export(&sink, &source(&keys(2, 3)), attempts(3), &log).expect("an export");
    assert!(report.is_complete());
    assert_eq!(log.count("retrying None"), 4);
}

#[test]
fn a_destination_that_cannot_list_is_sent_everything() {
    let sink = FaultySink::new(|_, _| None).with_lists(|_, _| Some(Error::NoListing));
    let sink = Arc::new(sink);
    let log = EventLog::default();
    for _ in 0..2 {
        let report = export(&sink, &source(&keys(2, 3)), hasty(), &log).expect("an export");
        assert!(report.is_complete());
    }
    // The sink compares: the second time it says that all is there.
    assert_eq!((log.count("sent"), log.count("skipped")), (6, 6));
}

/// The end is wished after some objects; exporting again does the rest.
#[test]
fn a_cancelled_export_is_resumed() {
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
        let exporter = Exporter::new(Arc::clone(&sink) as Arc<dyn Sink>).with_options(hasty());
        let ended = exporter
            .export(&source(&keys), &Selection::all(), &cancel, &observer)
            .expect_err("it was cancelled");
        assert!(matches!(*ended.error, Error::Cancelled), "{ended:?}");
        adds_up(&ended.report.counts);
        assert_eq!(ended.report.counts.failed, 0);
        let first = ended.report.counts.sent;
        assert_eq!(listed(&*sink, 8).len() as u64, first, "after {after}");
        let rest = exporter
            .export(&source(&keys), &Selection::all(), &Cancel::new(), &Quiet)
            .expect("the rest");
        assert_eq!((rest.counts.skipped, rest.counts.sent), (first, 64 - first));
    }
}

/// Who waits for a further try does not wait out the end.
#[test]
fn a_cancelled_export_does_not_wait() {
    let sink = Arc::new(FaultySink::new(|_, _| Some(fails(Remedy::Retry))));
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
fn a_selection_is_exported_and_what_is_unknown_is_told() {
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
    let there = listed(&*sink, 4);
    let expected = keys(4, 6).into_iter().filter(|key| {
        let [patient, study, ..] = key.parts();
        patient.as_str() == "S-1" || study.as_str() == "1.1.2.0"
    });
    assert_eq!(there, expected.collect());
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
fn a_dry_run_tells_what_would_be_sent_and_sends_nothing() {
    let keys = keys(3, 4);
    let sink = Arc::new(FaultySink::new(|_, _| None));
    let half: BTreeSet<ObjectKey> = keys.iter().take(6).cloned().collect();
    let log = EventLog::default();
    export(&sink, &source(&half), hasty(), &log).expect("a half");
    let other = Arc::new(FaultySink::new(|_, _| None));
    let options = hasty().with_mode(ExportMode::DryRun);
    let report = export(&other, &source(&keys), options, &log).expect("a dry run");
    assert_eq!((report.counts.sent, report.counts.found), (12, 12));
    let size: usize = keys.iter().map(|key| bytes(key).len()).sum();
    assert_eq!(report.counts.bytes_sent, size as u64);
    assert!(other.memory.is_empty());
    assert_eq!(other.puts(), 0);
}

/// A bug in a sink is told where it is, and nobody waits for it.
#[test]
fn a_sink_that_panics_does_not_hang_the_export() {
    let sink = FaultySink::new(|key, _| {
        assert!(!key.to_string().ends_with("3.dcm"), "a bug of the sink");
        None
    });
    let sink = Arc::new(sink);
    let export = || export(&sink, &source(&keys(4, 6)), hasty(), &EventLog::default());
    assert!(catch_unwind(AssertUnwindSafe(export)).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever fails: counts add up, what is told as sent is there and nothing else, and the next
    /// export finishes the job.
    #[test]
    fn random_faults_lose_nothing(
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
            (mixed % 100 < share).then(|| fails(remedy))
        };
        let sink = FaultySink::new(move |key, attempt| fault(&key.to_string(), attempt))
            .with_lists(move |patient, attempt| fault(patient.as_str(), attempt));
        let sink = Arc::new(sink);
        let log = EventLog::default();
        let options = attempts(3)
            .with_patients(NonZeroUsize::new(patients).expect("some"))
            .with_objects(NonZeroUsize::new(objects).expect("some"));
        let ended = export(&sink, &source(&keys), options, &log);
        let report = ended.unwrap_or_else(|ended| *ended.report);
        adds_up(&report.counts);
        prop_assert_eq!(report.counts.sent, log.count("sent"));
        prop_assert_eq!(report.counts.failed, log.count("failed"));
        prop_assert_eq!((report.patients, log.count("ended")), (5, 5));
        each_is_told(&log, 5, 9, "as it was told");
        let there = listed(&sink.memory, 5);
        prop_assert_eq!(there.len() as u64, report.counts.sent);
        for line in log.lines().iter().filter_map(|line| line.strip_prefix("sent ")) {
            let key: ObjectKey = line.trim_end_matches(" None").parse().expect("a key");
            prop_assert!(there.contains(&key));
        }
        let healthy: Arc<dyn Sink> = Arc::new(sink.memory.clone());
        let second = Exporter::new(healthy)
            .export(&source(&keys), &Selection::all(), &Cancel::new(), &Quiet)
            .expect("nothing fails now");
        prop_assert_eq!(second.counts.skipped, report.counts.sent);
        prop_assert_eq!(listed(&sink.memory, 5), keys);
    }
}
