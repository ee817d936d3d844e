//! Cancelling ends a call, whatever the service does.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anon_export::s3::S3Sink;
use anon_export::{Cancel, Error};

use crate::fake_s3::{FakeS3, RequestKind, ServiceFault};
use crate::setup::{PART, bytes, config, key, put};
use crate::shared::Test;

#[test]
fn cancelled_put_returns() -> Test {
    for (kind, len) in [(RequestKind::Put, 10), (RequestKind::KeyPart, 2 * PART)] {
        let (notify, notified) = mpsc::channel();
        let server = FakeS3::start(move |head, _| {
            let is_stalled = head.kind() == kind;
            if is_stalled {
                // The test may have ended.
                let _ = notify.send(());
            }
            is_stalled.then_some(ServiceFault::Stalls)
        })?;
        let cancel = Cancel::new();
        let hour = Duration::from_hours(1);
        let sink = S3Sink::open(config(&server.endpoint()).with_stall_timeout(hour))?;
        let sink = sink.with_cancel(cancel.clone());
        let ended = thread::scope(|scope| {
            let putting = scope.spawn(|| put(&sink, &key(1), &bytes(len, 0)));
            notified.recv_timeout(Duration::from_mins(1))?;
            cancel.cancel();
            putting.join().map_err(|_| "it panics".into())
        });
        match ended {
            Ok(Err(Error::Cancelled)) => {}
            other => return other.map(|other| panic!("{kind:?}: {other:?}")),
        }
        assert!(server.objects().is_empty(), "{kind:?}");
        assert_eq!(server.uploads(), 0, "{kind:?}");
    }
    Ok(())
}

/// The service never responds to the login.
#[test]
#[cfg(feature = "cognito")]
fn cancelled_login_returns() -> Test {
    use anon_export::s3::Credentials;

    let (notify, notified) = mpsc::channel();
    let pool = crate::fake_cognito::FakeCognito::start(move |_| {
        // The test may have ended.
        let _ = notify.send(());
        loop {
            thread::park();
        }
    })?;
    let login = Credentials::Cognito(Box::new(pool.login()));
    let config = config("http://127.0.0.1:9").with_credentials(login);
    let cancel = Cancel::new();
    let opened = thread::scope(|scope| {
        let opening = scope.spawn(|| S3Sink::open_with_cancel(config, cancel.clone()));
        let received = notified.recv_timeout(Duration::from_mins(1));
        cancel.cancel();
        received?;
        opening
            .join()
            .map_err(|_| -> Box<dyn std::error::Error> { "it panics".into() })
    })?;
    assert!(matches!(opened, Err(Error::Cancelled)), "{opened:?}");
    Ok(())
}
