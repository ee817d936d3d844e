//! Nothing of a body, a refused key or a failing reader is in an event or an error.

use std::error::Error as _;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};

use anon_export::{DirectorySink, MemorySink, ObjectKey, Sink};
use tracing_subscriber::fmt::MakeWriter;

const CANARY: &str = "CANARY^JANE";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("the log")).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("the log").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Log {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

struct Tells;

impl Read for Tells {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other(CANARY))
    }
}

#[test]
fn canaries_do_not_leave() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let mut said = Vec::new();
    tracing::subscriber::with_default(subscriber, || {
        let memory = MemorySink::new();
        let files = DirectorySink::open(directory.path()).expect("a sink");
        let key = ObjectKey::new(["S-1", "1.1", "1.2", "1.3"]).expect("a key");
        for sink in [&memory as &dyn Sink, &files] {
            let len = CANARY.len() as u64;
            for said_len in [len, len, len - 1, len + 1] {
                let put = sink.put(&key, said_len, &mut CANARY.as_bytes());
                said.push(format!("{put:?} {sink:?}"));
            }
            let error = sink.put(&key, len, &mut Tells).expect_err("it fails");
            said.push(format!("{error} {error:?} {:?}", error.source()));
        }
        said.push(format!("{:?}", ObjectKey::new([CANARY, "1", "2", "3"])));
    });
    let said = said.join("\n");
    let log = log.text();
    assert!(
        log.contains("S-1/1.1/1.2/1.3.dcm"),
        "events are taken: {log}"
    );
    assert!(said.contains("Long"), "errors are taken: {said}");
    for text in [&log, &said] {
        assert!(!text.contains("CANARY") && !text.contains("JANE"), "{text}");
    }
    // Nor as a list of numbers.
    assert!(!said.contains("67, 65, 78"), "{said}");
}
