//! Sources, sinks and observers for tests of the exporter.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anon_export::{
    Backoff, Capabilities, Error, ExportEvent, ExportOptions, KeyPart, ListedObject, MemorySink,
    MemorySource, ObjectKey, Observer, Origin, Origins, PutOptions, Sink, Stored,
};

pub(crate) fn key(patient: u32, study: u32, n: u32) -> ObjectKey {
    let parts = [
        format!("S-{patient}"),
        format!("1.1.{patient}.{study}"),
        format!("1.2.{patient}.{study}"),
        format!("1.3.{patient}.{study}.{n}"),
    ];
    ObjectKey::new(parts.each_ref().map(String::as_str)).expect("a key")
}

pub(crate) fn bytes(key: &ObjectKey) -> Vec<u8> {
    let len = 10 + key.to_string().bytes().map(usize::from).sum::<usize>() % 900;
    key.to_string().bytes().cycle().take(len).collect()
}

/// Returns the keys of `objects` objects for each of `patients` patients, half of them in a second
/// study.
pub(crate) fn keys(patients: u32, objects: u32) -> BTreeSet<ObjectKey> {
    (0..patients)
        .flat_map(|patient| (0..objects).map(move |n| key(patient, n % 2, n)))
        .collect()
}

pub(crate) fn source(keys: &BTreeSet<ObjectKey>) -> MemorySource {
    let mut source = MemorySource::new();
    for key in keys {
        source.insert(key.clone(), bytes(key));
    }
    source
}

/// Writes the objects as files.
pub(crate) fn files(root: &Path, keys: &BTreeSet<ObjectKey>) {
    for key in keys {
        write(root, key, &bytes(key));
    }
}

pub(crate) fn write(root: &Path, key: &ObjectKey, bytes: &[u8]) {
    let path = root.join(key.to_string());
    fs::create_dir_all(path.parent().expect("a series")).expect("a directory");
    let mut file = File::create(path).expect("a file");
    file.write_all(bytes).expect("written");
}

/// Returns what the sink lists of these patients.
pub(crate) fn listed(sink: &dyn Sink, patients: u32) -> BTreeSet<ObjectKey> {
    let mut all = BTreeSet::new();
    for patient in 0..patients {
        let patient = KeyPart::new(format!("S-{patient}")).expect("a name");
        sink.list(&patient, &mut |listed| {
            all.insert(listed.key);
            ControlFlow::Continue(())
        })
        .expect("a listing");
    }
    all
}

/// Options without waits between attempts.
pub(crate) fn without_backoff() -> ExportOptions {
    let ms = Duration::from_millis;
    ExportOptions::default().with_backoff(Backoff::new(ms(0), ms(0)))
}

type PutFault = dyn Fn(&ObjectKey, u32) -> Option<Error> + Send + Sync;
type CheckFault = dyn Fn() -> Option<Error> + Send + Sync;
type ListFault = dyn Fn(&KeyPart, u32) -> Option<Error> + Send + Sync;

/// A sink in memory that fails on demand.
pub(crate) struct FaultySink {
    pub(crate) memory: MemorySink,
    fault: Box<PutFault>,
    list_fault: Box<ListFault>,
    check_fault: Box<CheckFault>,
    tries: Mutex<BTreeMap<String, u32>>,
    puts: AtomicU64,
}

impl FaultySink {
    /// Creates a sink whose puts fail with the result of `fault`, which gets the key and the number
    /// of the attempt (from 1).
    pub(crate) fn new(
        fault: impl Fn(&ObjectKey, u32) -> Option<Error> + Send + Sync + 'static,
    ) -> Self {
        Self {
            memory: MemorySink::new(),
            fault: Box::new(fault),
            list_fault: Box::new(|_, _| None),
            check_fault: Box::new(|| None),
            tries: Mutex::default(),
            puts: AtomicU64::new(0),
        }
    }

    /// Sets the failures of listings.
    pub(crate) fn with_list_fault(
        self,
        fault: impl Fn(&KeyPart, u32) -> Option<Error> + Send + Sync + 'static,
    ) -> Self {
        let list_fault = Box::new(fault);
        Self { list_fault, ..self }
    }

    /// Sets the failure of checks.
    pub(crate) fn with_check_fault(
        self,
        fault: impl Fn() -> Option<Error> + Send + Sync + 'static,
    ) -> Self {
        let check_fault = Box::new(fault);
        Self {
            check_fault,
            ..self
        }
    }

    /// Returns the number of puts that reached the memory.
    pub(crate) fn puts(&self) -> u64 {
        self.puts.load(Ordering::Relaxed)
    }

    pub(crate) fn tries(&self, of: &impl fmt::Display) -> u32 {
        let tries = self.tries.lock().expect("the tries");
        tries.get(&of.to_string()).copied().unwrap_or_default()
    }

    fn count_try(&self, of: &impl fmt::Display) -> u32 {
        let mut tries = self.tries.lock().expect("the tries");
        let tries = tries.entry(of.to_string()).or_default();
        *tries += 1;
        *tries
    }
}

impl fmt::Debug for FaultySink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultySink")
    }
}

impl Sink for FaultySink {
    fn capabilities(&self) -> Capabilities {
        self.memory.capabilities()
    }

    fn check(&self) -> Result<(), Error> {
        (self.check_fault)().map_or(Ok(()), Err)
    }

    fn put(&self, key: &ObjectKey, len: u64, body: &mut dyn Read) -> Result<Stored, Error> {
        self.put_with(key, len, body, &PutOptions::default())
    }

    fn origin_of(&self, key: &ObjectKey) -> Result<Option<Origin>, Error> {
        self.memory.origin_of(key)
    }

    fn put_with(
        &self,
        key: &ObjectKey,
        len: u64,
        body: &mut dyn Read,
        options: &PutOptions<'_>,
    ) -> Result<Stored, Error> {
        if let Some(error) = (self.fault)(key, self.count_try(key)) {
            return Err(error);
        }
        self.puts.fetch_add(1, Ordering::Relaxed);
        self.memory.put_with(key, len, body, options)
    }

    fn list(
        &self,
        patient: &KeyPart,
        each: &mut dyn FnMut(ListedObject) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        match (self.list_fault)(patient, self.count_try(patient)) {
            Some(error) => Err(error),
            None => self.memory.list(patient, each),
        }
    }
}

/// Known origins.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownOrigins(pub(crate) BTreeMap<ObjectKey, Origin>);

impl KnownOrigins {
    /// Each object has an original of its own: `first`, the next number, and so on.
    pub(crate) fn of(keys: &BTreeSet<ObjectKey>, first: u128, version: u64) -> Self {
        let origins = (first..).map(|original| Origin::new(original, version));
        Self(keys.iter().cloned().zip(origins).collect())
    }
}

impl Origins for KnownOrigins {
    fn of_patient(
        &self,
        patient: &KeyPart,
        each: &mut dyn FnMut(ObjectKey, Origin) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        for (key, origin) in &self.0 {
            if key.patient() == patient && each(key.clone(), *origin).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// A sink that calls a hook before each put.
pub(crate) struct HookedSink<S> {
    pub(crate) sink: S,
    hook: Box<dyn Fn(&ObjectKey) + Send + Sync>,
}

impl<S: Sink> HookedSink<S> {
    pub(crate) fn new(sink: S, hook: impl Fn(&ObjectKey) + Send + Sync + 'static) -> Self {
        let hook = Box::new(hook);
        Self { sink, hook }
    }
}

impl<S: Sink> fmt::Debug for HookedSink<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HookedSink({:?})", self.sink)
    }
}

impl<S: Sink> Sink for HookedSink<S> {
    fn capabilities(&self) -> Capabilities {
        self.sink.capabilities()
    }

    fn put(&self, key: &ObjectKey, len: u64, body: &mut dyn Read) -> Result<Stored, Error> {
        self.put_with(key, len, body, &PutOptions::default())
    }

    fn origin_of(&self, key: &ObjectKey) -> Result<Option<Origin>, Error> {
        self.sink.origin_of(key)
    }

    fn put_with(
        &self,
        key: &ObjectKey,
        len: u64,
        body: &mut dyn Read,
        options: &PutOptions<'_>,
    ) -> Result<Stored, Error> {
        (self.hook)(key);
        self.sink.put_with(key, len, body, options)
    }

    fn list(
        &self,
        patient: &KeyPart,
        each: &mut dyn FnMut(ListedObject) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.sink.list(patient, each)
    }
}

/// Records events, one line each.
#[derive(Debug, Default)]
pub(crate) struct EventLog(Mutex<Vec<String>>);

impl EventLog {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().expect("the log").clone()
    }

    pub(crate) fn count(&self, beginning: &str) -> u64 {
        let lines = self.lines();
        let found = lines.iter().filter(|line| line.starts_with(beginning));
        found.count() as u64
    }
}

impl Observer for EventLog {
    fn event(&self, event: &ExportEvent<'_>) {
        let line = match event {
            ExportEvent::PatientStarted { patient } => format!("started {patient}"),
            ExportEvent::Progress { .. } => return,
            ExportEvent::Sent { key, warning, .. } => format!("sent {key} {warning:?}"),
            ExportEvent::Skipped { key, .. } => format!("skipped {key}"),
            ExportEvent::Retrying {
                key,
                attempt,
                error,
                wait,
            } => {
                format!("retrying {key:?} {attempt} {wait:?} {}", error.text())
            }
            ExportEvent::Failed { key, error, .. } => format!("failed {key} {}", error.text()),
            ExportEvent::PatientEnded { report } => {
                let error = report.error.as_ref().map(|error| error.text());
                format!(
                    "ended {} {:?} error: {error:?}",
                    report.patient, report.counts
                )
            }
            other => format!("{other:?}"),
        };
        self.0.lock().expect("the log").push(line);
    }
}

/// Calls a function for each event.
pub(crate) struct CallbackObserver<F>(pub(crate) F);

impl<F> fmt::Debug for CallbackObserver<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallbackObserver")
    }
}

impl<F: Fn(&ExportEvent<'_>) + Send + Sync> Observer for CallbackObserver<F> {
    fn event(&self, event: &ExportEvent<'_>) {
        (self.0)(event);
    }
}
