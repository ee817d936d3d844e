//! Events and errors contain nothing of a body, a rejected key or a reader's message.

use std::error::Error as _;
use std::fs;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use anon_export::{
    Cancel, DirectorySink, Error, Exporter, Journal, KeyPart, MemorySink, MemorySource, ObjectKey,
    Selection, Sink, Source, SourceObject,
};
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{keys, without_backoff};

const CANARY: &str = "CANARY^JANE";

#[derive(Clone, Default)]
struct CapturedLog(Arc<Mutex<Vec<u8>>>);

impl CapturedLog {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("the log")).into_owned()
    }
}

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

struct FailingReader;

impl Read for FailingReader {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other(CANARY))
    }
}

/// A source whose objects fail with a message that identifies a patient.
#[derive(Debug)]
struct UnreadableSource(MemorySource);

impl Source for UnreadableSource {
    fn patients(&self, each: &mut dyn FnMut(KeyPart) -> ControlFlow<()>) -> Result<(), Error> {
        self.0.patients(each)
    }

    fn objects(
        &self,
        patient: &KeyPart,
        each: &mut dyn FnMut(SourceObject) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.0.objects(patient, each)
    }

    fn open(&self, key: &ObjectKey) -> Result<Box<dyn Read + Send + '_>, Error> {
        if key.to_string().contains("1.3.1.") {
            return Ok(Box::new(FailingReader));
        }
        self.0.open(key)
    }

    fn state(&self, key: &ObjectKey) -> Result<SourceObject, Error> {
        self.0.state(key)
    }
}

#[test]
fn no_canary_in_journal_events_or_log_of_an_export() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = CapturedLog::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let mut source = MemorySource::new();
    for key in keys(2, 3) {
        source.insert(key, CANARY.as_bytes());
    }
    let events = crate::support::EventLog::default();
    let clock = || SystemTime::UNIX_EPOCH;
    let journal = Journal::open(directory.path(), "memory", "me", clock).expect("a journal");
    // The export's threads use the global subscriber. Events of other tests are captured too.
    tracing::subscriber::set_global_default(subscriber).expect("no other global subscriber");
    let ended = Exporter::new(Arc::new(MemorySink::new()))
        .with_options(without_backoff())
        .with_journal(Arc::new(journal))
        .export(
            &UnreadableSource(source),
            &Selection::all(),
            &Cancel::new(),
            &events,
        );
    let report = ended.expect("the other objects are exported");
    assert_eq!((report.counts.sent, report.counts.failed), (3, 3));
    let mut output = events.lines().join("\n") + &log.text();
    for (name, bytes) in files(directory.path()) {
        output.push_str(&name);
        output.push_str(&String::from_utf8_lossy(&bytes));
    }
    assert!(
        output.contains("S-0") && output.contains("export ended"),
        "{output}"
    );
    assert!(
        !output.contains("CANARY") && !output.contains("JANE"),
        "{output}"
    );
}

fn files(root: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(root).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push((path.display().to_string(), fs::read(&path).expect("a file")));
        }
    }
    all
}

#[test]
fn no_canary_in_events_or_errors_of_a_sink() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = CapturedLog::default();
    // With one subscriber, tracing asks that of the thread which reaches an event first. In another test
    // that is none, and the event would be off in this thread, too. With two, it asks both.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let mut output = Vec::new();
    tracing::subscriber::with_default(subscriber, || {
        let memory = MemorySink::new();
        let files = DirectorySink::open(directory.path()).expect("a sink");
        let key = ObjectKey::new(["S-1", "1.1", "1.2", "1.3"]).expect("a key");
        for sink in [&memory as &dyn Sink, &files] {
            let len = CANARY.len() as u64;
            for declared_len in [len, len, len - 1, len + 1] {
                let put = sink.put(&key, declared_len, &mut CANARY.as_bytes());
                output.push(format!("{put:?} {sink:?}"));
            }
            let error = sink
                .put(&key, len, &mut FailingReader)
                .expect_err("it fails");
            output.push(format!("{error} {error:?} {:?}", error.source()));
        }
        output.push(format!("{:?}", ObjectKey::new([CANARY, "1", "2", "3"])));
    });
    let output = output.join("\n");
    let log = log.text();
    assert!(
        log.contains("S-1/1.1/1.2/1.3.dcm"),
        "events are captured: {log}"
    );
    assert!(output.contains("Long"), "errors are captured: {output}");
    for text in [&log, &output] {
        assert!(!text.contains("CANARY") && !text.contains("JANE"), "{text}");
    }
    // The bytes may not appear as a list of numbers either.
    assert!(!output.contains("67, 65, 78"), "{output}");
}
