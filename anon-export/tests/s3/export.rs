//! Exports to a service that fails: each fault is told of its patient, the rest goes on, and what is told
//! as sent is there byte for byte.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use anon_export::s3::{S3Config, S3Sink};
use anon_export::{
    Backoff, Cancel, DirectorySource, ExportError, ExportEvent, ExportOptions, ExportReport,
    Exporter, MemorySource, ObjectKey, Observer, PatientReport, Selection,
};

use crate::fake_s3::{FakeS3, RequestHead, RequestKind, ServiceFault};
use crate::setup::{PART, bytes, config};
use crate::shared::Test;

const PATIENTS: u8 = 4;
/// Whose requests have the fault.
const VICTIM: &str = "S-1/";

/// Of each patient two objects in one request, and one in two parts.
pub(crate) fn source() -> Test<MemorySource> {
    let mut source = MemorySource::new();
    for patient in 0..PATIENTS {
        for (n, len) in [7, 90_000, PART + 9].into_iter().enumerate() {
            let (of, instance) = (format!("S-{patient}"), format!("1.3.{patient}.{n}"));
            let key = ObjectKey::new([&of, "1.1", "1.2", &instance])?;
            source.insert(key, bytes(len, patient));
        }
    }
    Ok(source)
}

fn is_of_victim(head: &RequestHead) -> bool {
    let prefix = head.query.get("prefix").map_or("", String::as_str);
    head.path.contains(VICTIM) || prefix.replace("%2F", "/").contains(VICTIM)
}

/// What was told.
#[derive(Default)]
pub(crate) struct CollectedEvents {
    sent: Mutex<BTreeSet<ObjectKey>>,
    pub(crate) patients: Mutex<BTreeMap<String, PatientReport>>,
}

impl fmt::Debug for CollectedEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CollectedEvents")
    }
}

impl Observer for CollectedEvents {
    fn event(&self, event: &ExportEvent<'_>) {
        match event {
            ExportEvent::Sent { key, .. } => {
                self.sent.lock().expect("the keys").insert((*key).clone());
            }
            ExportEvent::PatientEnded { report } => {
                let (name, report) = (report.patient.to_string(), (*report).clone());
                self.patients
                    .lock()
                    .expect("the patients")
                    .insert(name, report);
            }
            _ => {}
        }
    }
}

pub(crate) fn export(
    config: &S3Config,
    source: &MemorySource,
    told: &CollectedEvents,
) -> Test<Result<ExportReport, ExportError>> {
    let options = ExportOptions::default()
        .with_attempts(NonZeroU32::MIN.saturating_add(1))
        .with_backoff(Backoff::new(Duration::ZERO, Duration::ZERO));
    let exporter = Exporter::new(Arc::new(S3Sink::open(config.clone())?)).with_options(options);
    Ok(exporter.export(source, &Selection::all(), &Cancel::new(), told))
}

/// How an export ends that meets a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExpectedEnd {
    /// All is sent.
    Well,
    /// The patient has this error, and the others none.
    WithPatient(&'static str),
    /// No object can be put until a person has looked.
    Early(&'static str),
}

/// Exports while the victim's requests of a kind have a fault, the first of them or all; and then again
/// without it.
#[track_caller]
fn check(kind: RequestKind, fault: &ServiceFault, once: bool, ends: ExpectedEnd) -> Test {
    let what = format!("{kind:?} {fault:?}");
    let is_faulty = Arc::new(AtomicBool::new(true));
    let (order, orders) = (fault.clone(), Arc::clone(&is_faulty));
    let double = FakeS3::start(move |head, _| {
        let is_meant = head.kind() == kind && is_of_victim(head) && orders.load(Ordering::Relaxed);
        if is_meant && once {
            orders.store(false, Ordering::Relaxed);
        }
        is_meant.then(|| order.clone())
    })?;
    // Only who has to wait is impatient: what is well may take its time.
    let waits = matches!(fault, ServiceFault::Stalls | ServiceFault::Silent);
    let patience = Duration::from_secs(if waits { 3 } else { 60 });
    let config = config(&double.endpoint()).with_stall_timeout(patience);
    let (source, told) = (source()?, CollectedEvents::default());
    let ended = export(&config, &source, &told)?;
    let sent = told.sent.into_inner()?;
    let patients = told.patients.into_inner()?;
    let there = double.objects();
    let name = |key: &ObjectKey| format!("trials/TRIAL-7/{key}");
    for (key, object) in source.iter() {
        if sent.contains(key) {
            let is_there = there.get(&name(key)).is_some_and(|it| it == object);
            assert!(is_there, "{what}: {key} is told as sent");
        }
    }
    assert_eq!(double.uploads(), 0, "{what}: uploads are left");
    let report = match (ended, ends) {
        (Ok(report), ExpectedEnd::Well) => {
            assert!(report.is_complete(), "{what}: {report:?} {patients:?}");
            report
        }
        (Ok(report), ExpectedEnd::WithPatient(words)) => {
            assert_eq!(report.patients_failed, 1, "{what}: {patients:?}");
            for (patient, report) in &patients {
                let error = report.error.as_ref().map(|error| error.text());
                if patient == "S-1" {
                    assert!(
                        error.as_ref().is_some_and(|it| it.contains(words)),
                        "{what}: {error:?}"
                    );
                    assert!(report.counts.failed > 0, "{what}: {report:?}");
                } else {
                    assert_eq!((error, report.counts.sent), (None, 3), "{what}: {patient}");
                }
            }
            report
        }
        (Err(ended), ExpectedEnd::Early(words)) => {
            let text = ended.error.text();
            assert!(
                text.contains(words) && !text.contains("CANARY"),
                "{what}: {text}"
            );
            // Whoever was not done with is told of with what ended it; who was, with nothing.
            assert_eq!(
                patients.len(),
                usize::from(PATIENTS),
                "{what}: {patients:?}"
            );
            for (patient, report) in &patients {
                let error = report.error.as_ref().map(|error| error.text());
                let is_whole = report.counts.sent == 3;
                assert_eq!(error.is_none(), is_whole, "{what}: {patient} {report:?}");
                assert!(
                    error.as_ref().is_none_or(|it| it.contains(words)),
                    "{what}: {patient} {error:?}"
                );
            }
            *ended.report
        }
        (other, _) => return Err(format!("{what}: {other:?}").into()),
    };
    assert_eq!(report.counts.sent, sent.len() as u64, "{what}");
    // And again, when all is well.
    is_faulty.store(false, Ordering::Relaxed);
    let again = export(&config, &source, &CollectedEvents::default())??;
    assert!(again.is_complete(), "{what}: {again:?}");
    assert!(
        again.counts.skipped >= report.counts.sent,
        "{what}: {report:?} {again:?}"
    );
    let all: BTreeMap<String, Vec<u8>> = source
        .iter()
        .map(|(key, object)| (name(key), object.to_vec()))
        .collect();
    assert!(double.objects() == all, "{what}: exactly the set");
    assert_eq!(double.uploads(), 0, "{what}");
    Ok(())
}

/// A file that is written to, or goes, while its parts travel: nothing of it is put, and nothing is left.
#[test]
fn what_changes_on_its_way_is_not_put() -> Test {
    type Damage = fn(&Path) -> io::Result<()>;
    let spoils: [(Damage, &str); 3] = [
        (
            |path| File::options().append(true).open(path)?.write_all(b"more"),
            "changed while it was read",
        ),
        (
            |path| {
                let file = File::options().write(true).open(path)?;
                file.set_modified(UNIX_EPOCH + Duration::from_secs(4_000_000_000))
            },
            "changed while it was read",
        ),
        (|path| fs::remove_file(path), "has gone"),
    ];
    for (spoil, words) in spoils {
        let directory = tempfile::tempdir()?;
        for (key, object) in source()?.iter() {
            let path = directory.path().join(key.to_string());
            fs::create_dir_all(path.parent().ok_or("a series")?)?;
            File::create(&path)?.write_all(object)?;
        }
        let victim = directory.path().join("S-1/1.1/1.2/1.3.1.2.dcm");
        let is_spoilt = AtomicBool::new(false);
        let double = FakeS3::start(move |head, _| {
            let is_meant = head.kind() == RequestKind::KeyPart && is_of_victim(head);
            if is_meant && !is_spoilt.swap(true, Ordering::Relaxed) {
                spoil(&victim).expect("it is spoilt");
            }
            None
        })?;
        // One part is all the memory there is: the rest is read when the first has gone.
        let config = config(&double.endpoint()).with_memory_bytes(PART as u64);
        let told = CollectedEvents::default();
        let exporter = Exporter::new(Arc::new(S3Sink::open(config)?));
        let files = DirectorySource::new(directory.path());
        let report = exporter.export(&files, &Selection::all(), &Cancel::new(), &told)?;
        assert_eq!(
            (report.counts.sent, report.counts.failed),
            (11, 1),
            "{words}"
        );
        let patients = told.patients.into_inner()?;
        let error = patients.get("S-1").and_then(|it| it.error.as_ref());
        assert!(
            error.is_some_and(|it| it.text().contains(words)),
            "{error:?}"
        );
        let there = double.objects();
        assert_eq!((there.len(), double.uploads()), (11, 0), "{words}");
        assert!(
            !there.keys().any(|it| it.ends_with("1.3.1.2.dcm")),
            "{words}"
        );
    }
    Ok(())
}

const SLOW: ServiceFault = ServiceFault::Refuses(503, "SlowDown", None);

#[test]
fn what_passes_stops_nothing() -> Test {
    for (kind, fault) in [
        (RequestKind::List, SLOW),
        (RequestKind::List, ServiceFault::Resets(0)),
        (RequestKind::Put, SLOW),
        (RequestKind::Put, ServiceFault::Resets(5)),
        (RequestKind::Put, ServiceFault::Stalls),
        (RequestKind::Put, ServiceFault::WrongTag),
        (RequestKind::Create, SLOW),
        (RequestKind::KeyPart, ServiceFault::Resets(1 << 20)),
        (RequestKind::KeyPart, ServiceFault::Stalls),
        (RequestKind::KeyPart, ServiceFault::WrongChecksum),
        (RequestKind::Complete, SLOW),
        (
            RequestKind::Complete,
            ServiceFault::RefusesWithin("InternalError"),
        ),
        (RequestKind::Complete, ServiceFault::Silent),
    ] {
        check(kind, &fault, true, ExpectedEnd::Well)?;
    }
    Ok(())
}

#[test]
fn what_does_not_pass_is_told_of_its_patient() -> Test {
    let refuses = ServiceFault::Refuses(400, "EntityTooLarge", None);
    // A policy can name one prefix.
    let denies = ServiceFault::Refuses(403, "AccessDenied", None);
    for (kind, fault, words) in [
        (RequestKind::List, SLOW, "fewer requests"),
        (
            RequestKind::List,
            ServiceFault::Stalls,
            "did not answer in time",
        ),
        (RequestKind::Put, SLOW, "fewer requests"),
        (RequestKind::Put, refuses, "EntityTooLarge"),
        (RequestKind::List, denies.clone(), "s3:ListBucket"),
        (RequestKind::Put, denies.clone(), "s3:PutObject"),
        (RequestKind::Create, denies.clone(), "s3:PutObject"),
        (RequestKind::KeyPart, denies.clone(), "s3:PutObject"),
        (RequestKind::Complete, denies, "s3:PutObject"),
        (RequestKind::Put, ServiceFault::Resets(5), "broke"),
        (
            RequestKind::Put,
            ServiceFault::Silent,
            "did not answer in time",
        ),
        (
            RequestKind::Put,
            ServiceFault::WrongTag,
            "other bytes than were sent",
        ),
        (
            RequestKind::Put,
            ServiceFault::WrongChecksum,
            "other bytes than were sent",
        ),
        (RequestKind::Create, SLOW, "fewer requests"),
        (RequestKind::KeyPart, ServiceFault::Resets(1 << 20), "broke"),
        (
            RequestKind::KeyPart,
            ServiceFault::Stalls,
            "did not answer in time",
        ),
        (
            RequestKind::KeyPart,
            ServiceFault::WrongTag,
            "other bytes than were sent",
        ),
        (RequestKind::Complete, SLOW, "fewer requests"),
        (
            RequestKind::Complete,
            ServiceFault::RefusesWithin("InternalError"),
            "InternalError",
        ),
    ] {
        check(kind, &fault, false, ExpectedEnd::WithPatient(words))?;
    }
    Ok(())
}

#[test]
fn what_holds_for_all_is_told_of_each_patient() -> Test {
    let refuses = |status, code| ServiceFault::Refuses(status, code, None);
    for (kind, fault, words) in [
        (
            RequestKind::Put,
            refuses(403, "InvalidAccessKeyId"),
            "access key",
        ),
        (
            RequestKind::Put,
            refuses(403, "SignatureDoesNotMatch"),
            "secret",
        ),
        (RequestKind::Put, refuses(400, "ExpiredToken"), "expired"),
        (RequestKind::Put, refuses(404, "NoSuchBucket"), "bucket"),
        (RequestKind::Put, refuses(507, ""), "no room"),
        (RequestKind::Put, ServiceFault::Nods, "does not speak S3"),
        (
            RequestKind::Complete,
            ServiceFault::Page,
            "does not speak S3",
        ),
    ] {
        check(kind, &fault, false, ExpectedEnd::Early(words))?;
    }
    Ok(())
}
