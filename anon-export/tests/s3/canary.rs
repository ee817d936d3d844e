//! Events and errors contain no secret, no byte of a body and no message of a service, at any
//! level.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use anon_export::Sink as _;
use anon_export::s3::{AccessKeys, Credentials, S3Sink};
use tracing_subscriber::fmt::MakeWriter;

use crate::fake_s3::{FakeS3, RequestKind, ServiceFault};
use crate::setup::{PART, config, key, put, text};
use crate::shared::Test;

#[derive(Clone, Default)]
struct CapturedLog(Arc<Mutex<Vec<u8>>>);

impl Write for CapturedLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("the log").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for CapturedLog {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

#[test]
fn no_canary_in_events_or_errors_of_the_s3_sink() -> Test {
    let log = CapturedLog::default();
    // With one subscriber, tracing asks that of the thread which reaches an event first. In another test
    // that is none, and the event would be off in this thread, too. With two, it asks both.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let mut output = Vec::new();
    let server = FakeS3::start(|head, before| {
        let is_refused = head.kind() == RequestKind::Put && before == 1;
        is_refused.then_some(ServiceFault::Rejects(403, "AccessDenied", None))
    })?;
    tracing::subscriber::with_default(subscriber, || -> Test {
        let keys = AccessKeys::new(text("CANARYKEY"), text("CANARYSECRET"))
            .with_session_token(text("CANARYTOKEN"));
        let config = config(&server.endpoint()).with_credentials(Credentials::Keys(keys));
        output.push(format!("{config:?}"));
        let sink = S3Sink::open(config)?;
        let object = b"CANARYBODY".repeat(PART / 5);
        put(&sink, &key(1), &object[..1000])?;
        let error = put(&sink, &key(2), &object[..1000]).expect_err("it is refused");
        output.push(format!("{error} {error:?}"));
        put(&sink, &key(3), &object)?;
        sink.list(key(1).patient(), &mut |_| {
            std::ops::ControlFlow::Continue(())
        })?;
        output.push(format!("{sink:?}"));
        Ok(())
    })?;
    let log = String::from_utf8_lossy(&log.0.lock().expect("the log")).into_owned();
    assert!(
        log.contains(&key(1).to_string()),
        "events are captured: {log}"
    );
    for text in [&log, &output.join("\n")] {
        assert!(!text.contains("CANARY"), "{text}");
    }
    Ok(())
}
