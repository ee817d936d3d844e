//! Imports files into an open project.

use std::path::PathBuf;
use std::time::Instant;

use anon_engine::error::with_sources;
use anon_engine::import::EndedEarly;
use anon_engine::source::FileScan;
use anon_engine::{Cancel, Engine, Error, Event, Observer, Outcome, Receipt};
use anyhow::Context as _;

use crate::project::record::{Instance, Summary};
use crate::project::remark::RemarkRecord;
use crate::project::roots::Roots;
use crate::project::{OpenProject, Project};

/// The project's own directories. An import never enters them.
#[derive(Debug, Clone)]
pub(crate) struct Dirs([PathBuf; 2]);

impl Dirs {
    pub(crate) fn of(project: &Project, open: &OpenProject) -> Self {
        Self([project.root().into(), open.public.clone()])
    }
}

/// Imports, and reports each instance when it is durable.
///
/// # Errors
/// If the project's own directories cannot be found.
pub(crate) fn run(
    engine: &Engine,
    own: &Dirs,
    roots: &Roots,
    cancel: &Cancel,
    report: &(dyn Fn(Instance) + Sync),
) -> anyhow::Result<Summary> {
    let started = Instant::now();
    let mut scan = FileScan::new(roots.absolute());
    for directory in &own.0 {
        scan = scan
            .without(directory)
            .context("cannot find the project's own directory")?;
    }
    let events = Events { roots, report };
    let done = anon_engine::import(engine, &mut scan, cancel, &events);
    let skipped = scan.skipped_directories();
    let mut summary = summary_of(done);
    summary.directories_passed =
        skipped.hidden_directories + skipped.linked_directories + skipped.excluded_directories;
    summary.seconds = started.elapsed().as_secs_f64();
    tracing::info!(
        found = summary.found,
        stored = summary.stored,
        duplicates = summary.duplicates,
        ignored = summary.ignored,
        quarantined = summary.quarantined.values().sum::<u64>(),
        failed = summary.failed,
        interrupted = summary.interrupted,
        "import ended"
    );
    Ok(summary)
}

/// Converts the engine's summary.
pub(crate) fn summary_of(done: anon_engine::ImportSummary) -> Summary {
    let mut summary = Summary {
        found: done.found,
        stored: done.stored,
        duplicates: done.duplicates,
        ignored: done.ignored,
        ignored_reasons: done.ignored_reasons,
        archives: done.archives,
        failed: done.failed,
        bytes_in: done.bytes_in,
        bytes_out: done.bytes_out,
        shared_patient: done.shared_patient,
        burned_in_unknown: done.burned_in_unknown,
        other_transfer_syntax: done.other_transfer_syntax,
        storage_classes_refused: done.invalid_classes,
        remarks: RemarkRecord::all_of(&done.remarks),
        ..Summary::default()
    };
    for (category, count) in done.quarantined {
        summary.quarantined.insert(category.name().into(), count);
    }
    match done.ended_early {
        None => summary.error = done.project_failure.as_ref().map(|it| with_sources(it)),
        Some(EndedEarly::Cancelled) => summary.interrupted = true,
        Some(EndedEarly::Failed(error)) => summary.error = Some(with_sources(&error)),
    }
    summary
}

/// Reports the engine's events as records.
pub(crate) struct Events<'t> {
    pub(crate) roots: &'t Roots,
    pub(crate) report: &'t (dyn Fn(Instance) + Sync),
}

impl std::fmt::Debug for Events<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events(..)")
    }
}

impl Observer for Events<'_> {
    fn on_event(&self, event: &Event<'_>) {
        if let Event::Instance {
            number,
            origin,
            result,
        } = event
        {
            let origin = origin.map_or("", |origin| origin.expose());
            let instance = record(*number, self.roots.name_of(origin), result);
            log(&instance);
            (self.report)(instance);
        }
    }
}

/// Logs an outcome. The log names a file by its number, because a path can identify.
fn log(instance: &Instance) {
    let (number, reason) = (instance.number, instance.reason.as_deref());
    match &*instance.outcome {
        "failed" => tracing::error!(file = number, reason, "failed"),
        "quarantined" => {
            let category = instance.category.as_deref();
            tracing::warn!(file = number, category, reason, "quarantined");
        }
        _ if instance.archive => tracing::warn!(file = number, reason, "ignored"),
        outcome => tracing::debug!(file = number, reason, "{outcome}"),
    }
}

fn record(number: u64, source: String, result: &Result<Receipt, Error>) -> Instance {
    let mut instance = Instance {
        number,
        source,
        outcome: "failed".into(),
        output: None,
        patient: None,
        category: None,
        reason: None,
        archive: false,
        entry: None,
        remarks: Vec::new(),
    };
    let receipt = match result {
        Ok(receipt) => receipt,
        Err(error) => {
            instance.reason = Some(with_sources(error));
            return instance;
        }
    };
    instance.outcome = receipt.outcome.name().into();
    instance.remarks = RemarkRecord::all_of(&receipt.remarks);
    match &receipt.outcome {
        Outcome::Stored { path, patient } | Outcome::Duplicate { path, patient } => {
            instance.output = Some(path.to_string());
            instance.patient = Some(patient.clone());
        }
        Outcome::Ignored { reason, archive } => {
            instance.reason = Some(reason.clone());
            instance.archive = *archive;
        }
        Outcome::Quarantined {
            category,
            reason,
            entry,
            ..
        } => {
            instance.entry = Some(entry.to_string());
            instance.category = Some(category.name().into());
            instance.reason = Some(reason.clone());
        }
        other => instance.reason = Some(other.name().into()),
    }
    instance
}
