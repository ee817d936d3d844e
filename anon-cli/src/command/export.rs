//! `anon export`: sends stored objects to a destination, and skips those that are there.

mod counter;
mod destination;
mod origins;
mod print;
#[cfg(feature = "s3")]
mod s3;

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Instant;

use anon_export::{
    Cancel, DirectorySource, Error, Existing, ExportError, ExportMode, ExportOptions, ExportReport,
    Exporter, Journal, KeyPart, Origins, Overwrite, Remedy, Selection, Sink,
};
use anon_model::ProjectSettings;
use anyhow::Context as _;

use crate::args::Export;
use crate::command::Context;
use crate::exit::{ExitStatus, Failure};
use crate::project::trust::Purpose;
use crate::project::{Project, audit};
use crate::{clock, log, platform};
use print::{Printer, Summary};

/// The destination of an export.
#[derive(Debug)]
struct Destination {
    sink: Arc<dyn Sink>,
    /// Identifies the destination in the journal. It does not depend on how the destination was typed.
    address: String,
}

pub(crate) fn run(context: &Context<'_>, args: &Export) -> anyhow::Result<ExitStatus> {
    let selection = selection(args)?;
    let project = Project::existing_for(context.project(), Purpose::Export)?;
    let settings = context.settings(&project)?;
    log::start_without_file(&context.global)?;
    let origins = origins::open(&project, &settings)?;
    let cancel = Cancel::from(context.signals.cancel().shared());
    let destination = match Destination::open(context, &project, &settings, args, &cancel) {
        // A signal interrupted the password prompt or the login.
        Err(_) if context.signals.caught().is_some() => {
            print::interrupted(context, args)?;
            return Ok(context.exit_status(ExitStatus::Partial));
        }
        Err(error) => {
            // A failed login or an unwritable directory is reported for each selected patient.
            let error = error.downcast::<Error>()?;
            let source = source(&project, &settings);
            let printer = Printer::new(context.report, &cancel, args);
            let failed = Exporter::fail_all(error, &source, &selection, &cancel, &printer);
            return finish(
                context,
                printer,
                &args.destination,
                Err(failed),
                Instant::now(),
            );
        }
        Ok(destination) => destination,
    };
    let exporter = exporter(&project, &settings, &destination, origins, args)?;
    let source = source(&project, &settings);
    let printer = Printer::new(context.report, &cancel, args);
    let start = Instant::now();
    let result = {
        let _counting = counter::start(context.report, &source, &selection, &cancel);
        exporter.export(&source, &selection, &cancel, &printer)
    };
    context.report.end_progress();
    if !args.dry_run {
        let report = match &result {
            Ok(report) => report,
            Err(error) => &*error.report,
        };
        append_audit(&project, report)?;
    }
    finish(context, printer, &destination.address, result, start)
}

/// Returns the stored objects.
fn source(project: &Project, settings: &ProjectSettings) -> DirectorySource {
    DirectorySource::new(project.public(settings.public_dir.as_deref()))
}

fn finish(
    context: &Context<'_>,
    printer: Printer<'_>,
    destination: &str,
    result: Result<ExportReport, ExportError>,
    start: Instant,
) -> anyhow::Result<ExitStatus> {
    let (report, error) = match result {
        Ok(report) => (report, None),
        Err(error) => (*error.report, Some(error.error)),
    };
    let error = error.as_deref();
    let seconds = start.elapsed().as_secs_f64();
    let summary = Summary::new(destination, printer.dry_run, &report, seconds);
    printer.finish(context, summary, error)?;
    Ok(context.exit_status(exit_status(&report, error)))
}

/// Returns what the arguments select.
fn selection(args: &Export) -> anyhow::Result<Selection> {
    let parts = |ids: &[String], what: &str| {
        let part = |id: &String| {
            KeyPart::new(id.as_str()).map_err(|error| {
                Failure::configuration(format!("--{what}: not an anonymous id: {error}"))
            })
        };
        ids.iter()
            .map(part)
            .collect::<anyhow::Result<Vec<KeyPart>>>()
    };
    if args.all {
        return Ok(Selection::all());
    }
    Ok(Selection::of(
        parts(&args.patient, "patient")?,
        parts(&args.study, "study")?,
    ))
}

fn exporter(
    project: &Project,
    settings: &ProjectSettings,
    destination: &Destination,
    origins: Option<Arc<dyn Origins>>,
    args: &Export,
) -> anyhow::Result<Exporter> {
    let root = project.export_journal(settings.export.journal.as_deref());
    if !root.is_dir() {
        // If it fails, opening the journal fails and says why.
        let _ = platform::own_directory(&root);
    }
    let journal = Journal::open(&root, &destination.address, &audit::who(), clock::system);
    let journal = journal.map_err(|error| match error {
        Error::Busy => Failure::cannot_run(format!("{}: {error}", destination.address)),
        error => anyhow::Error::new(error).context(Failure::CannotRun(format!(
            "cannot open the export journal in {}: change export.journal to another directory",
            root.display()
        ))),
    })?;
    let patients = NonZeroUsize::new(settings.export.patients.into());
    let attempts = NonZeroU32::new(settings.export.attempts.into());
    let mode = if args.dry_run {
        ExportMode::DryRun
    } else {
        ExportMode::Send
    };
    let existing = if args.again {
        Existing::SendAgain
    } else {
        Existing::Skip
    };
    let overwrite = if args.replace {
        Overwrite::Any
    } else {
        Overwrite::SameOriginal
    };
    let options = ExportOptions::default()
        .with_existing(existing)
        .with_overwrite(overwrite)
        .with_patients(patients.unwrap_or(NonZeroUsize::MIN))
        .with_attempts(attempts.unwrap_or(NonZeroU32::MIN))
        .with_mode(mode);
    let exporter = Exporter::new(Arc::clone(&destination.sink))
        .with_journal(Arc::new(journal))
        .with_options(options);
    Ok(match origins {
        Some(origins) => exporter.with_origins(origins),
        None => exporter,
    })
}

/// Appends who, when and how many to the audit trail, if this account may. The journal has them anyway.
fn append_audit(project: &Project, report: &ExportReport) -> anyhow::Result<()> {
    if std::fs::read_dir(project.private()).is_err() {
        return Ok(());
    }
    audit::append(&project.audit_file(), "export", report.counts.sent)
        .context("the objects reported as sent are at the destination, but the audit trail failed")
}

fn exit_status(report: &ExportReport, error: Option<&Error>) -> ExitStatus {
    match error {
        None if report.is_complete() => ExitStatus::Done,
        // A signal determines the exit code.
        None | Some(Error::Cancelled) => ExitStatus::Partial,
        Some(error) if is_configuration_error(error) => ExitStatus::BadConfiguration,
        Some(error) if is_peer_error(error) => ExitStatus::PeerFailed,
        Some(_) => ExitStatus::CannotContinue,
    }
}

/// Returns true if a setting is missing or wrong, so that the destination was not contacted.
fn is_configuration_error(error: &Error) -> bool {
    match error {
        #[cfg(feature = "s3")]
        Error::S3(error) => {
            use anon_export::s3::S3Error;
            matches!(
                error,
                S3Error::Setting { .. }
                    | S3Error::Cleartext
                    | S3Error::NoRegion
                    | S3Error::NoCredentials
            )
        }
        _ => false,
    }
}

/// Returns true if the remote destination failed, not this machine.
fn is_peer_error(error: &Error) -> bool {
    match error {
        Error::Dicom(_) => true,
        #[cfg(feature = "s3")]
        Error::S3(_) => true,
        #[cfg(feature = "cognito")]
        Error::Cognito(_) => true,
        Error::Backend(error) => error.remedy != Remedy::Skip,
        _ => false,
    }
}
