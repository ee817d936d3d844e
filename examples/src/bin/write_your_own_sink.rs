//! Implements the trait `Sink`: one directory without subdirectories. Exports to it, sending only what is
//! missing.
//!
//! It shows that three methods make a sink. Objects become visible completely or not at all. Errors say what
//! to do about them. `conformance::check` checks that the sink keeps the contract of the trait. A journal
//! records what was sent, because this destination lists names and lengths only.
//!
//! ```text
//! cargo run -p anon-examples --bin write_your_own_sink DIRECTORY
//! ```

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use anon_engine::Received;
use anon_export::{
    BackendError, Cancel, Capabilities, DirectorySource, Error, ExportEvent, Exporter, Journal,
    KeyPart, ListedObject, ObjectKey, Observer, Put, Remedy, Selection, Sink, Stored, conformance,
};
use anyhow::Context as _;

/// Writes `patient+study+series+instance.dcm`, all in one directory.
#[derive(Debug)]
struct FlatDirectory {
    root: PathBuf,
    next: AtomicU64,
}

impl FlatDirectory {
    fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        let next = AtomicU64::new(0);
        Ok(Self {
            root: root.into(),
            next,
        })
    }

    fn write(path: &Path, len: u64, body: &mut dyn Read) -> Result<(), Error> {
        let mut file = File::create(path).map_err(failed)?;
        let mut found = 0;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::Read { kind: error.kind() }),
            };
            found += count as u64;
            if found > len {
                return Err(Error::Long { expected: len });
            }
            let piece = buffer.get(..count).unwrap_or_default();
            file.write_all(piece).map_err(failed)?;
        }
        if found < len {
            return Err(Error::Short {
                expected: len,
                found,
            });
        }
        file.sync_all().map_err(failed)
    }
}

/// Stops the export: a failing disk fails for every object.
fn failed(error: io::Error) -> Error {
    BackendError::new(Remedy::Stop, error).into()
}

impl Sink for FlatDirectory {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new().without_comparing()
    }

    fn put(&self, key: &ObjectKey, len: u64, body: &mut dyn Read) -> Result<Stored, Error> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let temporary = self.root.join(format!("{number}.part"));
        let path = self.root.join(key.to_string().replace('/', "+"));
        let put = Self::write(&temporary, len, body)
            .and_then(|()| fs::rename(&temporary, path).map_err(failed))
            .and_then(|()| {
                File::open(&self.root)
                    .and_then(|it| it.sync_all())
                    .map_err(failed)
            });
        if put.is_err() {
            // The first error is returned.
            let _ = fs::remove_file(&temporary);
        }
        put.map(|()| Stored::new(Put::Created))
    }

    fn list(
        &self,
        patient: &KeyPart,
        each: &mut dyn FnMut(ListedObject) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        for entry in fs::read_dir(&self.root).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().replace('+', "/");
            let Ok(key) = name.parse::<ObjectKey>() else {
                continue;
            };
            let len = entry.metadata().map_err(failed)?.len();
            if key.patient() == patient && each(ListedObject::new(key, Some(len))).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// Prints the result of each patient.
#[derive(Debug)]
struct PrintPatients;

impl Observer for PrintPatients {
    fn event(&self, event: &ExportEvent<'_>) {
        if let ExportEvent::PatientEnded { report } = event {
            println!("{}: {} sent", report.patient, report.counts.sent);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the clock of the program, read here only"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

fn main() -> anyhow::Result<()> {
    let directory = PathBuf::from(std::env::args().nth(1).context("name a directory")?);
    let sinks = AtomicU64::new(0);
    conformance::check(|| {
        let number = sinks.fetch_add(1, Ordering::Relaxed);
        FlatDirectory::open(&directory.join(format!("check/{number}")))
            .expect("cannot create a directory")
    });

    let project = directory.join("project");
    let engine = anon_examples::engine(&project)?;
    for (_, bytes) in anon_examples::files() {
        engine.process(Received::part10(bytes))?;
    }
    let journal = directory.join("journal");
    let journal = Journal::open(&journal, "flat", "example", now)?;
    let exporter = Exporter::new(Arc::new(FlatDirectory::open(&directory.join("flat"))?))
        .with_journal(Arc::new(journal));
    let source = DirectorySource::new(project.join("public"));
    for _ in 0..2 {
        let report = exporter.export(&source, &Selection::all(), &Cancel::new(), &PrintPatients)?;
        println!(
            "{} sent, {} already there",
            report.counts.sent, report.counts.skipped
        );
    }
    Ok(())
}
