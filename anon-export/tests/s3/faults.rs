//! Each fault of a service has its error. No object is reported as stored that is not, and no
//! upload is left.

use std::io::{self, Read};
use std::time::Duration;

use anon_export::s3::{S3Error, S3Sink, ServiceText};
use anon_export::{Error, Remedy, Sink as _};

use crate::fake_s3::{FakeS3, RequestKind, ServiceFault};
use crate::setup::{PART, bytes, config, key, put, with_short_timeouts};
use crate::shared::Test;

/// Returns the error of a put while every request of a kind has a fault.
#[track_caller]
fn fails(kind: RequestKind, fault: &ServiceFault, object: &[u8]) -> Test<S3Error> {
    let fault_of_request = fault.clone();
    let server =
        FakeS3::start(move |head, _| (head.kind() == kind).then(|| fault_of_request.clone()))?;
    // Short timeouts only for faults that stall: other requests may be slow.
    let config = match fault {
        ServiceFault::Stalls | ServiceFault::Silent => with_short_timeouts(&server.endpoint()),
        _ => config(&server.endpoint()),
    };
    let sink = S3Sink::open(config)?;
    let error = match put(&sink, &key(1), object) {
        Err(Error::S3(error)) => error,
        other => return Err(format!("{kind:?} {fault:?}: {other:?}").into()),
    };
    let all = format!("{error} {error:?}");
    assert!(
        !all.contains("CANARY"),
        "contains the service's message: {all}"
    );
    assert_eq!(server.uploads(), 0, "{kind:?} {fault:?}: leftover uploads");
    Ok(error)
}

#[test]
fn each_fault_of_a_single_request_put_has_its_error() -> Test {
    let code = ServiceText::default();
    let throttled = |seconds| S3Error::Throttled {
        retry_after: Some(Duration::from_secs(seconds)),
    };
    let corrupt = |what| S3Error::Corrupt { what };
    let rejects = |status, code| ServiceFault::Rejects(status, code, None);
    let after = Some(("retry-after", "17"));
    let region = Some(("x-amz-bucket-region", "eu-west-1"));
    let denied = S3Error::Denied {
        action: "s3:PutObject",
    };
    for (fault, expected, remedy) in [
        (
            ServiceFault::Rejects(503, "SlowDown", after),
            throttled(17),
            Remedy::Retry,
        ),
        (rejects(403, "AccessDenied"), denied, Remedy::SkipPatient),
        (rejects(400, "ExpiredToken"), S3Error::Expired, Remedy::Stop),
        (
            rejects(403, "RequestTimeTooSkewed"),
            S3Error::ClockSkew,
            Remedy::Stop,
        ),
        (
            rejects(500, ""),
            S3Error::Server { status: 500, code },
            Remedy::Retry,
        ),
        (rejects(507, ""), S3Error::Full, Remedy::Stop),
        (ServiceFault::WrongTag, corrupt("ETag"), Remedy::Retry),
        (
            ServiceFault::WrongChecksum,
            corrupt("checksum"),
            Remedy::Retry,
        ),
        // Without an ETag in the response the object does not count as stored.
        (ServiceFault::EmptySuccess, S3Error::NotS3, Remedy::Stop),
        (ServiceFault::WebPage, S3Error::NotS3, Remedy::Stop),
        (ServiceFault::Resets(10), S3Error::Broken, Remedy::Retry),
        (
            ServiceFault::Resets(2 << 20),
            S3Error::Broken,
            Remedy::Retry,
        ),
    ] {
        let error = fails(RequestKind::Put, &fault, &bytes(4 << 20, 0))?;
        assert_eq!(error, expected, "{fault:?}");
        assert_eq!(error.remedy(), remedy, "{fault:?}");
    }
    let fault = ServiceFault::Rejects(301, "PermanentRedirect", region);
    match fails(RequestKind::Put, &fault, b"object")? {
        S3Error::WrongRegion { region } => assert_eq!(region.as_str(), "eu-west-1"),
        other => panic!("{other:?}"),
    }
    Ok(())
}

#[test]
fn each_fault_of_a_multipart_upload_has_its_error() -> Test {
    let object = bytes(2 * PART + 1, 0);
    let slow = ServiceFault::Rejects(503, "SlowDown", None);
    let throttled = S3Error::Throttled { retry_after: None };
    for (kind, fault, expected) in [
        (RequestKind::Create, slow.clone(), throttled.clone()),
        (RequestKind::Create, ServiceFault::WebPage, S3Error::NotS3),
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
        (
            RequestKind::KeyPart,
            ServiceFault::EmptySuccess,
            S3Error::NotS3,
        ),
        (RequestKind::Complete, slow, throttled.clone()),
        (
            RequestKind::Complete,
            ServiceFault::RejectsWithSuccessStatus("SlowDown"),
            throttled,
        ),
        (
            RequestKind::Complete,
            ServiceFault::RejectsWithSuccessStatus("InternalError"),
            S3Error::Server {
                status: 200,
                code: ServiceText::new("InternalError"),
            },
        ),
        (RequestKind::Complete, ServiceFault::WebPage, S3Error::NotS3),
    ] {
        let error = fails(kind, &fault, &object)?;
        assert_eq!(error, expected, "{kind:?} {fault:?}");
    }
    Ok(())
}

/// A response longer than any real listing is not read to its end.
#[test]
fn too_long_response_is_refused() -> Test {
    for (count, is_accepted) in [(1 << 20, true), (24 << 20, false)] {
        let server = FakeS3::start(move |head, _| {
            (head.kind() == RequestKind::List).then_some(ServiceFault::LongListing(count))
        })?;
        let sink = S3Sink::open(config(&server.endpoint()))?;
        match sink.check() {
            Ok(()) if is_accepted => {}
            Err(Error::S3(S3Error::NotS3)) if !is_accepted => {}
            other => panic!("{count} blanks: {other:?}"),
        }
    }
    Ok(())
}

/// A small body fits into the connection's buffers: only the response is missing.
#[test]
fn service_that_never_responds_times_out() -> Test {
    for fault in [ServiceFault::Stalls, ServiceFault::Silent] {
        let error = fails(RequestKind::Put, &fault, b"object")?;
        assert_eq!(error, S3Error::Stalled, "{fault:?}");
        assert_eq!(error.remedy(), Remedy::Retry);
        let fault_of_request = fault.clone();
        let server = FakeS3::start(move |head, _| {
            let last = head.header("content-length") == Some("9");
            (head.kind() == RequestKind::KeyPart && last).then(|| fault_of_request.clone())
        })?;
        let sink = S3Sink::open(with_short_timeouts(&server.endpoint()))?;
        match put(&sink, &key(1), &bytes(PART + 9, 0)) {
            Err(Error::S3(S3Error::Stalled)) => {}
            other => panic!("{fault:?}: {other:?}"),
        }
        assert_eq!(server.uploads(), 0, "{fault:?}");
        assert!(server.objects().is_empty(), "{fault:?}");
    }
    Ok(())
}

/// A body that is larger than the buffers stalls.
#[test]
fn service_that_stops_reading_times_out() -> Test {
    let server =
        FakeS3::start(|head, _| (head.kind() == RequestKind::Put).then_some(ServiceFault::Stalls))?;
    let large = 48 << 20;
    let sink = S3Sink::open(with_short_timeouts(&server.endpoint()).with_part_bytes(large))?;
    match put(&sink, &key(1), &bytes(32 << 20, 0)) {
        Err(Error::S3(S3Error::Stalled)) => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

/// A part that fails once is sent again without restarting the upload.
#[test]
fn failed_part_is_retried() -> Test {
    for fault in [
        ServiceFault::Rejects(503, "SlowDown", None),
        ServiceFault::Resets(1 << 20),
    ] {
        let fault_of_request = fault.clone();
        let server = FakeS3::start(move |head, before| {
            (head.kind() == RequestKind::KeyPart && before == 1).then(|| fault_of_request.clone())
        })?;
        let sink = S3Sink::open(config(&server.endpoint()))?;
        let object = bytes(3 * PART, 7);
        put(&sink, &key(1), &object)?;
        let stored = server.objects().into_values().next();
        assert!(stored.as_ref() == Some(&object), "{fault:?}: read back");
        assert_eq!(server.seen(RequestKind::Create).len(), 1, "{fault:?}");
        assert_eq!(
            server.seen(RequestKind::KeyPart).len(),
            4,
            "{fault:?}: parts sent"
        );
        assert_eq!(server.uploads(), 0, "{fault:?}");
    }
    Ok(())
}

/// A reader that returns some bytes, and then fails or panics.
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
fn failed_body_leaves_no_object_and_no_upload() -> Test {
    let server = FakeS3::start(|_, _| None)?;
    let sink = S3Sink::open(config(&server.endpoint()))?;
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
    assert_eq!(
        server.seen(RequestKind::Create).len(),
        4,
        "each upload was started"
    );
    assert_eq!(
        server.seen(RequestKind::Abort).len(),
        4,
        "each upload was aborted"
    );
    assert_eq!(server.uploads(), 0);
    assert!(server.objects().is_empty(), "nothing is visible");
    // A body shorter than one part causes no request.
    let short = sink.put(&key(1), len, &mut &object[..PART - 1]);
    assert!(matches!(short, Err(Error::Short { .. })), "{short:?}");
    assert_eq!(server.seen(RequestKind::Create).len(), 4);
    Ok(())
}

#[test]
fn uploads_of_a_killed_export_are_aborted() -> Test {
    let server = FakeS3::start(|_, _| None)?;
    server.leave_upload("trials/TRIAL-7/S-1/1.1/1.2/1.3.dcm");
    server.leave_upload("trials/TRIAL-7/S-1/something else");
    server.leave_upload("trials/TRIAL-7/S-2/1.1/1.2/1.3.dcm");
    let sink = S3Sink::open(config(&server.endpoint()))?;
    put(&sink, &key(1), b"object")?;
    put(&sink, &key(2), b"object")?;
    assert_eq!(
        server.seen(RequestKind::Uploads).len(),
        1,
        "listed once per patient"
    );
    assert_eq!(
        server.seen(RequestKind::Abort).len(),
        1,
        "the leftover upload is aborted"
    );
    assert_eq!(server.uploads(), 2, "uploads of others stay");
    Ok(())
}

#[test]
fn failed_listing_of_uploads_does_not_stop_a_put() -> Test {
    for fault in [
        ServiceFault::Rejects(403, "AccessDenied", None),
        ServiceFault::Rejects(501, "NotImplemented", None),
        ServiceFault::WebPage,
    ] {
        let fault_of_request = fault.clone();
        let server = FakeS3::start(move |head, _| {
            (head.kind() == RequestKind::Uploads).then(|| fault_of_request.clone())
        })?;
        let sink = S3Sink::open(config(&server.endpoint()))?;
        put(&sink, &key(1), b"object")?;
        assert_eq!(server.objects().len(), 1, "{fault:?}");
    }
    Ok(())
}
