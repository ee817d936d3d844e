//! Faults of a service, each with its error; nothing is told stored that is not, nothing is left.

use std::io::{self, Read};
use std::time::Duration;

use anon_export::s3::{S3Error, S3Sink, ServiceText};
use anon_export::{Error, Remedy, Sink as _};

use crate::fake_s3::{FakeS3, RequestKind, ServiceFault};
use crate::setup::{PART, bytes, config, impatient, key, put};
use crate::shared::Test;

/// The error of a put while every request of a kind has a fault.
#[track_caller]
fn fails(kind: RequestKind, fault: &ServiceFault, object: &[u8]) -> Test<S3Error> {
    let order = fault.clone();
    let double = FakeS3::start(move |head, _| (head.kind() == kind).then(|| order.clone()))?;
    // Only who has to wait is impatient: what is well may take its time.
    let config = match fault {
        ServiceFault::Stalls | ServiceFault::Silent => impatient(&double.endpoint()),
        _ => config(&double.endpoint()),
    };
    let sink = S3Sink::open(config)?;
    let error = match put(&sink, &key(1), object) {
        Err(Error::S3(error)) => error,
        other => return Err(format!("{kind:?} {fault:?}: {other:?}").into()),
    };
    let all = format!("{error} {error:?}");
    assert!(!all.contains("CANARY"), "words of the service: {all}");
    assert_eq!(double.uploads(), 0, "{kind:?} {fault:?}: uploads are left");
    Ok(error)
}

#[test]
fn each_fault_of_a_put_has_its_error() -> Test {
    let code = ServiceText::default();
    let throttled = |seconds| S3Error::Throttled {
        retry_after: Some(Duration::from_secs(seconds)),
    };
    let corrupt = |what| S3Error::Corrupt { what };
    let refuses = |status, code| ServiceFault::Refuses(status, code, None);
    let after = Some(("retry-after", "17"));
    let region = Some(("x-amz-bucket-region", "eu-west-1"));
    let denied = S3Error::Denied {
        action: "s3:PutObject",
    };
    for (fault, wanted, remedy) in [
        (
            ServiceFault::Refuses(503, "SlowDown", after),
            throttled(17),
            Remedy::Retry,
        ),
        (refuses(403, "AccessDenied"), denied, Remedy::SkipPatient),
        (refuses(400, "ExpiredToken"), S3Error::Expired, Remedy::Stop),
        (
            refuses(403, "RequestTimeTooSkewed"),
            S3Error::ClockSkew,
            Remedy::Stop,
        ),
        (
            refuses(500, ""),
            S3Error::Server { status: 500, code },
            Remedy::Retry,
        ),
        (refuses(507, ""), S3Error::Full, Remedy::Stop),
        (ServiceFault::WrongTag, corrupt("ETag"), Remedy::Retry),
        (
            ServiceFault::WrongChecksum,
            corrupt("checksum"),
            Remedy::Retry,
        ),
        // What no ETag comes back for is not stored.
        (ServiceFault::Nods, S3Error::NotS3, Remedy::Stop),
        (ServiceFault::Page, S3Error::NotS3, Remedy::Stop),
        (ServiceFault::Resets(10), S3Error::Broken, Remedy::Retry),
        (
            ServiceFault::Resets(2 << 20),
            S3Error::Broken,
            Remedy::Retry,
        ),
    ] {
        let error = fails(RequestKind::Put, &fault, &bytes(4 << 20, 0))?;
        assert_eq!(error, wanted, "{fault:?}");
        assert_eq!(error.remedy(), remedy, "{fault:?}");
    }
    let fault = ServiceFault::Refuses(301, "PermanentRedirect", region);
    match fails(RequestKind::Put, &fault, b"object")? {
        S3Error::WrongRegion { region } => assert_eq!(region.as_str(), "eu-west-1"),
        other => panic!("{other:?}"),
    }
    Ok(())
}

#[test]
fn each_fault_of_an_upload_in_parts_has_its_error() -> Test {
    let object = bytes(2 * PART + 1, 0);
    let slow = ServiceFault::Refuses(503, "SlowDown", None);
    let throttled = S3Error::Throttled { retry_after: None };
    for (kind, fault, wanted) in [
        (RequestKind::Create, slow.clone(), throttled.clone()),
        (RequestKind::Create, ServiceFault::Page, S3Error::NotS3),
        (RequestKind::KeyPart, slow.clone(), throttled.clone()),
        (
            RequestKind::KeyPart,
            ServiceFault::Resets(1 << 20),
            S3Error::Broken,
        ),
        (
            RequestKind::KeyPart,
            ServiceFault::WrongTag,
            S3Error::Corrupt { what: "ETag" },
        ),
        (
            RequestKind::KeyPart,
            ServiceFault::WrongChecksum,
            S3Error::Corrupt {
                what: "checksum of a part",
            },
        ),
        (RequestKind::KeyPart, ServiceFault::Nods, S3Error::NotS3),
        (RequestKind::Complete, slow, throttled.clone()),
        (
            RequestKind::Complete,
            ServiceFault::RefusesWithin("SlowDown"),
            throttled,
        ),
        (
            RequestKind::Complete,
            ServiceFault::RefusesWithin("InternalError"),
            S3Error::Server {
                status: 200,
                code: ServiceText::new("InternalError"),
            },
        ),
        (RequestKind::Complete, ServiceFault::Page, S3Error::NotS3),
    ] {
        let error = fails(kind, &fault, &object)?;
        assert_eq!(error, wanted, "{kind:?} {fault:?}");
    }
    Ok(())
}

/// A page of a listing that is longer than any is not taken in.
#[test]
fn an_answer_without_an_end_is_not_read() -> Test {
    for (count, fine) in [(1 << 20, true), (24 << 20, false)] {
        let double = FakeS3::start(move |head, _| {
            (head.kind() == RequestKind::List).then_some(ServiceFault::Blank(count))
        })?;
        let sink = S3Sink::open(config(&double.endpoint()))?;
        match sink.check() {
            Ok(()) if fine => {}
            Err(Error::S3(S3Error::NotS3)) if !fine => {}
            other => panic!("{count} blanks: {other:?}"),
        }
    }
    Ok(())
}

/// Small bodies fit into the buffers of a connection: only the answer does not come.
#[test]
fn a_service_that_falls_silent() -> Test {
    for fault in [ServiceFault::Stalls, ServiceFault::Silent] {
        let error = fails(RequestKind::Put, &fault, b"object")?;
        assert_eq!(error, S3Error::Stalled, "{fault:?}");
        assert_eq!(error.remedy(), Remedy::Retry);
        let order = fault.clone();
        let double = FakeS3::start(move |head, _| {
            let last = head.header("content-length") == Some("9");
            (head.kind() == RequestKind::KeyPart && last).then(|| order.clone())
        })?;
        let sink = S3Sink::open(impatient(&double.endpoint()))?;
        match put(&sink, &key(1), &bytes(PART + 9, 0)) {
            Err(Error::S3(S3Error::Stalled)) => {}
            other => panic!("{fault:?}: {other:?}"),
        }
        assert_eq!(double.uploads(), 0, "{fault:?}");
        assert!(double.objects().is_empty(), "{fault:?}");
    }
    Ok(())
}

/// A body that no buffer holds stands still.
#[test]
fn a_service_that_stops_reading() -> Test {
    let double =
        FakeS3::start(|head, _| (head.kind() == RequestKind::Put).then_some(ServiceFault::Stalls))?;
    let large = 48 << 20;
    let sink = S3Sink::open(impatient(&double.endpoint()).with_part_bytes(large))?;
    match put(&sink, &key(1), &bytes(32 << 20, 0)) {
        Err(Error::S3(S3Error::Stalled)) => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

/// A part that fails once is sent again: the object does not begin anew.
#[test]
fn a_part_is_tried_again() -> Test {
    for fault in [
        ServiceFault::Refuses(503, "SlowDown", None),
        ServiceFault::Resets(1 << 20),
    ] {
        let order = fault.clone();
        let double = FakeS3::start(move |head, before| {
            (head.kind() == RequestKind::KeyPart && before == 1).then(|| order.clone())
        })?;
        let sink = S3Sink::open(config(&double.endpoint()))?;
        let object = bytes(3 * PART, 7);
        put(&sink, &key(1), &object)?;
        let there = double.objects().into_values().next();
        assert!(there.as_ref() == Some(&object), "{fault:?}: read back");
        assert_eq!(double.seen(RequestKind::Create).len(), 1, "{fault:?}");
        assert_eq!(
            double.seen(RequestKind::KeyPart).len(),
            4,
            "{fault:?}: parts sent"
        );
        assert_eq!(double.uploads(), 0, "{fault:?}");
    }
    Ok(())
}

/// A reader that gives some bytes, and then fails or panics.
struct FailingReader(usize, fn() -> io::Error);

impl Read for FailingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err((self.1)());
        }
        let n = buffer.len().min(self.0);
        self.0 -= n;
        Ok(n)
    }
}

#[test]
fn a_body_that_changes_leaves_nothing() -> Test {
    let double = FakeS3::start(|_, _| None)?;
    let sink = S3Sink::open(config(&double.endpoint()))?;
    let len = 3 * PART as u64;
    let object = bytes(3 * PART, 0);
    let short = sink.put(&key(1), len, &mut &object[..2 * PART + 5]);
    assert!(matches!(short, Err(Error::Short { .. })), "{short:?}");
    let long = sink.put(&key(1), 2 * PART as u64, &mut &*object);
    assert!(matches!(long, Err(Error::Long { .. })), "{long:?}");
    let mut failing = FailingReader(PART + 1, || io::ErrorKind::NotFound.into());
    let gone = sink.put(&key(1), len, &mut failing);
    assert!(matches!(gone, Err(Error::Read { .. })), "{gone:?}");
    let mut panicking = FailingReader(PART + 1, || panic!("the reader panics"));
    let put = std::panic::AssertUnwindSafe(|| sink.put(&key(1), len, &mut panicking));
    assert!(std::panic::catch_unwind(put).is_err(), "it panics");
    assert_eq!(double.seen(RequestKind::Create).len(), 4, "each had begun");
    assert_eq!(
        double.seen(RequestKind::Abort).len(),
        4,
        "each is taken back"
    );
    assert_eq!(double.uploads(), 0);
    assert!(double.objects().is_empty(), "nothing is visible");
    // One that is not even a part costs no request.
    let short = sink.put(&key(1), len, &mut &object[..PART - 1]);
    assert!(matches!(short, Err(Error::Short { .. })), "{short:?}");
    assert_eq!(double.seen(RequestKind::Create).len(), 4);
    Ok(())
}

#[test]
fn what_a_killed_export_left_is_taken_back() -> Test {
    let double = FakeS3::start(|_, _| None)?;
    double.leave_upload("trials/TRIAL-7/S-1/1.1/1.2/1.3.dcm");
    double.leave_upload("trials/TRIAL-7/S-1/something else");
    double.leave_upload("trials/TRIAL-7/S-2/1.1/1.2/1.3.dcm");
    let sink = S3Sink::open(config(&double.endpoint()))?;
    put(&sink, &key(1), b"object")?;
    put(&sink, &key(2), b"object")?;
    assert_eq!(
        double.seen(RequestKind::Uploads).len(),
        1,
        "asked once a patient"
    );
    assert_eq!(
        double.seen(RequestKind::Abort).len(),
        1,
        "ours is taken back"
    );
    assert_eq!(double.uploads(), 2, "what is another's stays");
    Ok(())
}

#[test]
fn uploads_that_cannot_be_listed_stop_nothing() -> Test {
    for fault in [
        ServiceFault::Refuses(403, "AccessDenied", None),
        ServiceFault::Refuses(501, "NotImplemented", None),
        ServiceFault::Page,
    ] {
        let order = fault.clone();
        let double = FakeS3::start(move |head, _| {
            (head.kind() == RequestKind::Uploads).then(|| order.clone())
        })?;
        let sink = S3Sink::open(config(&double.endpoint()))?;
        put(&sink, &key(1), b"object")?;
        assert_eq!(double.objects().len(), 1, "{fault:?}");
    }
    Ok(())
}
