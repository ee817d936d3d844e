//! An export whose end is wished ends, whatever the service does.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anon_export::s3::S3Sink;
use anon_export::{Cancel, Error};

use crate::fake_s3::{FakeS3, RequestKind, ServiceFault};
use crate::setup::{PART, bytes, config, key, put};
use crate::shared::Test;

#[test]
fn a_put_is_given_up() -> Test {
    for (kind, len) in [(RequestKind::Put, 10), (RequestKind::KeyPart, 2 * PART)] {
        let (told, hears) = mpsc::channel();
        let double = FakeS3::start(move |head, _| {
            let stalls = head.kind() == kind;
            if stalls {
                // The test may have ended.
                let _ = told.send(());
            }
            stalls.then_some(ServiceFault::Stalls)
        })?;
        let cancel = Cancel::new();
        let hour = Duration::from_hours(1);
        let sink = S3Sink::open(config(&double.endpoint()).with_stall_timeout(hour))?;
        let sink = sink.with_cancel(cancel.clone());
        let ended = thread::scope(|scope| {
            let putting = scope.spawn(|| put(&sink, &key(1), &bytes(len, 0)));
            hears.recv_timeout(Duration::from_mins(1))?;
            cancel.cancel();
            putting.join().map_err(|_| "it panics".into())
        });
        match ended {
            Ok(Err(Error::Cancelled)) => {}
            other => return other.map(|other| panic!("{kind:?}: {other:?}")),
        }
        assert!(double.objects().is_empty(), "{kind:?}");
        assert_eq!(double.uploads(), 0, "{kind:?}");
    }
    Ok(())
}

/// A login at a service that does not answer.
#[test]
#[cfg(feature = "cognito")]
fn a_login_is_given_up() -> Test {
    use anon_export::s3::Credentials;

    let (told, hears) = mpsc::channel();
    let pool = crate::fake_cognito::FakeCognito::start(move |_| {
        // The test may have ended.
        let _ = told.send(());
        loop {
            thread::park();
        }
    })?;
    let login = Credentials::Cognito(Box::new(pool.login()));
    let config = config("http://127.0.0.1:9").with_credentials(login);
    let cancel = Cancel::new();
    let opened = thread::scope(|scope| {
        let opening = scope.spawn(|| S3Sink::open_with_cancel(config, cancel.clone()));
        let asked = hears.recv_timeout(Duration::from_mins(1));
        cancel.cancel();
        asked?;
        opening
            .join()
            .map_err(|_| -> Box<dyn std::error::Error> { "it panics".into() })
    })?;
    assert!(matches!(opened, Err(Error::Cancelled)), "{opened:?}");
    Ok(())
}
