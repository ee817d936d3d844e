//! A destination of one's own behind the trait `Sink`: here one directory without subdirectories, and
//! an export to it that sends what is missing.
//!
//! What it shows: three methods make a sink; what it writes is visible whole or not at all; errors say
//! what to do about them; `conformance::check` tells if the promises of the trait hold; and a journal
//! knows what was sent, where a destination tells names and lengths only.
//!
//! ```text
//! cargo run -p anon-examples --bin write_your_own_sink DIRECTORY
//! ```

#![expect(clippy::print_stdout, reason = "an example says what it did")]

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

/// `patient+study+series+instance.dcm`, all in one directory.
#[derive(Debug)]
struct Flat {
    root: PathBuf,
    next: AtomicU64,
}

impl Flat {
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

/// A disk that fails does so for every object.
fn failed(error: io::Error) -> Error {
    BackendError::new(Remedy::Stop, error).into()
}

impl Sink for Flat {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new().without_comparing()
    }

    fn put(&self, key: &ObjectKey, len: u64, body: &mut dyn Read) -> Result<Stored, Error> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let fresh = self.root.join(format!("{number}.part"));
        let path = self.root.join(key.to_string().replace('/', "+"));
        let put = Self::write(&fresh, len, body)
            .and_then(|()| fs::rename(&fresh, path).map_err(failed))
            .and_then(|()| {
                File::open(&self.root)
                    .and_then(|it| it.sync_all())
                    .map_err(failed)
            });
        if put.is_err() {
            // The first error is the one to tell.
            let _ = fs::remove_file(&fresh);
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

/// Prints each patient.
#[derive(Debug)]
struct Says;

impl Observer for Says {
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
    let made = AtomicU64::new(0);
    conformance::check(|| {
        let number = made.fetch_add(1, Ordering::Relaxed);
        Flat::open(&directory.join(format!("check/{number}"))).expect("a directory can be made")
    });

    let project = directory.join("project");
    let engine = anon_examples::engine(&project)?;
    for (_, bytes) in anon_examples::files() {
        engine.process(Received::part10(bytes))?;
    }
    let journal = directory.join("journal");
    let journal = Journal::open(&journal, "flat", "example", now)?;
    let exporter = Exporter::new(Arc::new(Flat::open(&directory.join("flat"))?))
        .with_journal(Arc::new(journal));
    let source = DirectorySource::new(project.join("public"));
    for _ in 0..2 {
        let report = exporter.export(&source, &Selection::all(), &Cancel::new(), &Says)?;
        println!(
            "{} sent, {} there before",
            report.counts.sent, report.counts.skipped
        );
    }
    Ok(())
}
