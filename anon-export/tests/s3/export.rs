//! Exports to a failing service: each fault fails only its patient, and everything reported as sent
//! is stored byte for byte.

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
/// The patient whose requests fail.
const VICTIM: &str = "S-1/";

/// Two objects that are sent in one request and one multipart object for each patient.
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

/// Records the events of an export.
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
    events: &CollectedEvents,
) -> Test<Result<ExportReport, ExportError>> {
    let options = ExportOptions::default()
        .with_attempts(NonZeroU32::MIN.saturating_add(1))
        .with_backoff(Backoff::new(Duration::ZERO, Duration::ZERO));
    let exporter = Exporter::new(Arc::new(S3Sink::open(config.clone())?)).with_options(options);
    Ok(exporter.export(source, &Selection::all(), &Cancel::new(), events))
}

/// The expected end of an export with a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExpectedEnd {
    /// Everything is sent.
    Complete,
    /// Only the patient with the fault has this error.
    PatientFails(&'static str),
    /// The export ends early with this error.
    Stops(&'static str),
}

/// Exports while the first or all requests of a kind for the victim have a fault, and then again
/// without it.
#[track_caller]
fn check(kind: RequestKind, fault: &ServiceFault, once: bool, ends: ExpectedEnd) -> Test {
    let what = format!("{kind:?} {fault:?}");
    let is_faulty = Arc::new(AtomicBool::new(true));
    let (injected, enabled) = (fault.clone(), Arc::clone(&is_faulty));
    let server = FakeS3::start(move |head, _| {
        let has_fault =
            head.kind() == kind && is_of_victim(head) && enabled.load(Ordering::Relaxed);
        if has_fault && once {
            enabled.store(false, Ordering::Relaxed);
        }
        has_fault.then(|| injected.clone())
    })?;
    // Short timeouts only for faults that stall: other requests may be slow.
    let stalls = matches!(fault, ServiceFault::Stalls | ServiceFault::Silent);
    let timeout = Duration::from_secs(if stalls { 3 } else { 60 });
    let config = config(&server.endpoint()).with_stall_timeout(timeout);
    let (source, events) = (source()?, CollectedEvents::default());
    let ended = export(&config, &source, &events)?;
    let sent = events.sent.into_inner()?;
    let patients = events.patients.into_inner()?;
    let stored = server.objects();
    let name = |key: &ObjectKey| format!("trials/TRIAL-7/{key}");
    for (key, object) in source.iter() {
        if sent.contains(key) {
            let is_stored = stored.get(&name(key)).is_some_and(|it| it == object);
            assert!(is_stored, "{what}: {key} is reported as sent");
        }
    }
    assert_eq!(server.uploads(), 0, "{what}: leftover uploads");
    let report = match (ended, ends) {
        (Ok(report), ExpectedEnd::Complete) => {
            assert!(report.is_complete(), "{what}: {report:?} {patients:?}");
            report
        }
        (Ok(report), ExpectedEnd::PatientFails(words)) => {
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
        (Err(ended), ExpectedEnd::Stops(words)) => {
            let text = ended.error.text();
            assert!(
                text.contains(words) && !text.contains("CANARY"),
                "{what}: {text}"
            );
            // A patient that was not finished gets the error; a finished one gets none.
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
    // Again, without the fault.
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
    assert!(
        server.objects() == all,
        "{what}: exactly the exported objects"
    );
    assert_eq!(server.uploads(), 0, "{what}");
    Ok(())
}

/// A file that is changed or removed during its multipart upload is not stored, and no upload is
/// left.
#[test]
fn object_that_changes_during_upload_is_not_stored() -> Test {
    type Damage = fn(&Path) -> io::Result<()>;
    let changes: [(Damage, &str); 3] = [
        (
            |path| File::options().append(true).open(path)?.write_all(b"more"),
            "changed during the export",
        ),
        (
            |path| {
                let file = File::options().write(true).open(path)?;
                file.set_modified(UNIX_EPOCH + Duration::from_secs(4_000_000_000))
            },
            "changed during the export",
        ),
        (
            |path| fs::remove_file(path),
            "was removed after it was listed",
        ),
    ];
    for (damage, words) in changes {
        let directory = tempfile::tempdir()?;
        for (key, object) in source()?.iter() {
            let path = directory.path().join(key.to_string());
            fs::create_dir_all(path.parent().ok_or("a series")?)?;
            File::create(&path)?.write_all(object)?;
        }
        let victim = directory.path().join("S-1/1.1/1.2/1.3.1.2.dcm");
        let is_changed = AtomicBool::new(false);
        let server = FakeS3::start(move |head, _| {
            let has_fault = head.kind() == RequestKind::KeyPart && is_of_victim(head);
            if has_fault && !is_changed.swap(true, Ordering::Relaxed) {
                damage(&victim).expect("the file is changed");
            }
            None
        })?;
        // Memory for one part only: the rest of the file is read after the first part was sent.
        let config = config(&server.endpoint()).with_memory_bytes(PART as u64);
        let events = CollectedEvents::default();
        let exporter = Exporter::new(Arc::new(S3Sink::open(config)?));
        let files = DirectorySource::new(directory.path());
        let report = exporter.export(&files, &Selection::all(), &Cancel::new(), &events)?;
        assert_eq!(
            (report.counts.sent, report.counts.failed),
            (11, 1),
            "{words}"
        );
        let patients = events.patients.into_inner()?;
        let error = patients.get("S-1").and_then(|it| it.error.as_ref());
        assert!(
            error.is_some_and(|it| it.text().contains(words)),
            "{error:?}"
        );
        let stored = server.objects();
        assert_eq!((stored.len(), server.uploads()), (11, 0), "{words}");
        assert!(
            !stored.keys().any(|it| it.ends_with("1.3.1.2.dcm")),
            "{words}"
        );
    }
    Ok(())
}

const SLOW_DOWN: ServiceFault = ServiceFault::Rejects(503, "SlowDown", None);

#[test]
fn temporary_fault_is_retried() -> Test {
    for (kind, fault) in [
        (RequestKind::List, SLOW_DOWN),
        (RequestKind::List, ServiceFault::Resets(0)),
        (RequestKind::Put, SLOW_DOWN),
        (RequestKind::Put, ServiceFault::Resets(5)),
        (RequestKind::Put, ServiceFault::Stalls),
        (RequestKind::Put, ServiceFault::WrongTag),
        (RequestKind::Create, SLOW_DOWN),
        (RequestKind::KeyPart, ServiceFault::Resets(1 << 20)),
        (RequestKind::KeyPart, ServiceFault::Stalls),
        (RequestKind::KeyPart, ServiceFault::WrongChecksum),
        (RequestKind::Complete, SLOW_DOWN),
        (
            RequestKind::Complete,
            ServiceFault::RejectsWithSuccessStatus("InternalError"),
        ),
        (RequestKind::Complete, ServiceFault::Silent),
    ] {
        check(kind, &fault, true, ExpectedEnd::Complete)?;
    }
    Ok(())
}

#[test]
fn persistent_fault_fails_only_its_patient() -> Test {
    let rejects = ServiceFault::Rejects(400, "EntityTooLarge", None);
    // A policy can concern a single prefix.
    let denies = ServiceFault::Rejects(403, "AccessDenied", None);
    for (kind, fault, words) in [
        (RequestKind::List, SLOW_DOWN, "throttles requests"),
        (
            RequestKind::List,
            ServiceFault::Stalls,
            "did not respond in time",
        ),
        (RequestKind::Put, SLOW_DOWN, "throttles requests"),
        (RequestKind::Put, rejects, "EntityTooLarge"),
        (RequestKind::List, denies.clone(), "s3:ListBucket"),
        (RequestKind::Put, denies.clone(), "s3:PutObject"),
        (RequestKind::Create, denies.clone(), "s3:PutObject"),
        (RequestKind::KeyPart, denies.clone(), "s3:PutObject"),
        (RequestKind::Complete, denies, "s3:PutObject"),
        (RequestKind::Put, ServiceFault::Resets(5), "was lost"),
        (
            RequestKind::Put,
            ServiceFault::Silent,
            "did not respond in time",
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
        (RequestKind::Create, SLOW_DOWN, "throttles requests"),
        (
            RequestKind::KeyPart,
            ServiceFault::Resets(1 << 20),
            "was lost",
        ),
        (
            RequestKind::KeyPart,
            ServiceFault::Stalls,
            "did not respond in time",
        ),
        (
            RequestKind::KeyPart,
            ServiceFault::WrongTag,
            "other bytes than were sent",
        ),
        (RequestKind::Complete, SLOW_DOWN, "throttles requests"),
        (
            RequestKind::Complete,
            ServiceFault::RejectsWithSuccessStatus("InternalError"),
            "InternalError",
        ),
    ] {
        check(kind, &fault, false, ExpectedEnd::PatientFails(words))?;
    }
    Ok(())
}

#[test]
fn fault_of_the_whole_destination_fails_each_patient() -> Test {
    let rejects = |status, code| ServiceFault::Rejects(status, code, None);
    for (kind, fault, words) in [
        (
            RequestKind::Put,
            rejects(403, "InvalidAccessKeyId"),
            "access key",
        ),
        (
            RequestKind::Put,
            rejects(403, "SignatureDoesNotMatch"),
            "secret",
        ),
        (RequestKind::Put, rejects(400, "ExpiredToken"), "expired"),
        (RequestKind::Put, rejects(404, "NoSuchBucket"), "bucket"),
        (RequestKind::Put, rejects(507, ""), "no space"),
        (
            RequestKind::Put,
            ServiceFault::EmptySuccess,
            "does not speak S3",
        ),
        (
            RequestKind::Complete,
            ServiceFault::WebPage,
            "does not speak S3",
        ),
    ] {
        check(kind, &fault, false, ExpectedEnd::Stops(words))?;
    }
    Ok(())
}
