//! Nothing of a body, a refused key or a failing reader is in an event or an error.

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

use crate::support::{hasty, keys};

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

/// A source whose objects cannot be read, and say so with what they hold.
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
fn canaries_do_not_leave_an_export() {
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
    let told = crate::support::EventLog::default();
    let clock = || SystemTime::UNIX_EPOCH;
    let journal = Journal::open(directory.path(), "memory", "me", clock).expect("a journal");
    // The threads of the export have no subscriber of their own. Events of other tests come along.
    tracing::subscriber::set_global_default(subscriber).expect("the only one");
    let ended = Exporter::new(Arc::new(MemorySink::new()))
        .with_options(hasty())
        .with_journal(Arc::new(journal))
        .export(
            &UnreadableSource(source),
            &Selection::all(),
            &Cancel::new(),
            &told,
        );
    let report = ended.expect("the others go on");
    assert_eq!((report.counts.sent, report.counts.failed), (3, 3));
    let mut said = told.lines().join("\n") + &log.text();
    for (name, bytes) in files(directory.path()) {
        said.push_str(&name);
        said.push_str(&String::from_utf8_lossy(&bytes));
    }
    assert!(
        said.contains("S-0") && said.contains("export ended"),
        "{said}"
    );
    assert!(!said.contains("CANARY") && !said.contains("JANE"), "{said}");
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
fn canaries_do_not_leave() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = CapturedLog::default();
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
            let error = sink
                .put(&key, len, &mut FailingReader)
                .expect_err("it fails");
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
