//! `anon export`: what is stored goes to a destination, and what is there is skipped.

mod count;
mod destination;
mod print;
#[cfg(feature = "s3")]
mod s3;

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Instant;

use anon_export::{
    Cancel, DirectorySource, Error, ExportError, ExportMode, ExportOptions, ExportReport, Exporter,
    Journal, KeyPart, Remedy, Selection, Sink,
};
use anon_model::ProjectSettings;
use anyhow::Context as _;

use crate::args::Export;
use crate::command::Context;
use crate::exit::{ExitStatus, Failure};
use crate::project::Project;
use crate::project::{audit, settings};
use crate::{clock, log};
use print::{Printer, Summary};

/// Where an export goes to.
#[derive(Debug)]
struct Destination {
    sink: Arc<dyn Sink>,
    /// Identifies the destination in the journal. One place has one address, however it was typed.
    address: String,
}

pub(crate) fn run(context: &Context<'_>, args: &Export) -> anyhow::Result<ExitStatus> {
    let selection = selection(args)?;
    let project = Project::existing(context.project())?;
    let settings = settings::load(&project)?;
    log::start_without_file(&context.global)?;
    let cancel = Cancel::from(context.signals.cancel().shared());
    let destination = match Destination::typed(context, &project, &settings, args, &cancel) {
        // It waited for a password, or for who takes it.
        Err(_) if context.signals.caught().is_some() => {
            print::interrupted(context, args)?;
            return Ok(context.exit_status(ExitStatus::Partial));
        }
        Err(error) => {
            // A login that failed, a directory that cannot be written: whoever was asked for hears of it.
            let error = error.downcast::<Error>()?;
            let source = source(&project, &settings);
            let printer = Printer::new(context.report, &cancel, args.dry_run);
            let ended = Exporter::fail_all(error, &source, &selection, &cancel, &printer);
            return finish(
                context,
                printer,
                &args.destination,
                Err(ended),
                Instant::now(),
            );
        }
        Ok(destination) => destination,
    };
    let exporter = exporter(&project, &settings, &destination, args)?;
    let source = source(&project, &settings);
    let printer = Printer::new(context.report, &cancel, args.dry_run);
    let began = Instant::now();
    let ended = {
        let _counting = count::start(context.report, &source, &selection, &cancel);
        exporter.export(&source, &selection, &cancel, &printer)
    };
    context.report.end_progress();
    if !args.dry_run {
        let report = match &ended {
            Ok(report) => report,
            Err(ended) => &*ended.report,
        };
        note(&project, report)?;
    }
    finish(context, printer, &destination.address, ended, began)
}

/// What is stored.
fn source(project: &Project, settings: &ProjectSettings) -> DirectorySource {
    DirectorySource::new(project.public(settings.public_dir.as_deref()))
}

fn finish(
    context: &Context<'_>,
    printer: Printer<'_>,
    destination: &str,
    ended: Result<ExportReport, ExportError>,
    began: Instant,
) -> anyhow::Result<ExitStatus> {
    let (report, error) = match ended {
        Ok(report) => (report, None),
        Err(ended) => (*ended.report, Some(ended.error)),
    };
    let error = error.as_deref();
    let seconds = began.elapsed().as_secs_f64();
    let summary = Summary::new(destination, printer.dry_run, &report, seconds);
    printer.finish(context, summary, error)?;
    Ok(context.exit_status(ended_as(&report, error)))
}

/// What was selected.
fn selection(args: &Export) -> anyhow::Result<Selection> {
    let parts = |ids: &[String], what: &str| {
        let part = |id: &String| {
            KeyPart::new(id.as_str()).map_err(|error| {
                Failure::configuration(format!("--{what}: no anonymous id looks so: {error}"))
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
    args: &Export,
) -> anyhow::Result<Exporter> {
    let root = project.export_journal(settings.export.journal.as_deref());
    let journal = Journal::open(&root, &destination.address, &audit::who(), clock::system);
    let journal = journal.map_err(|error| match error {
        Error::Busy => Failure::cannot_run(format!("{}: {error}", destination.address)),
        error => anyhow::Error::new(error).context(Failure::CannotRun(format!(
            "no export without a journal in {} (export.journal moves it)",
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
    let options = ExportOptions::default()
        .with_patients(patients.unwrap_or(NonZeroUsize::MIN))
        .with_attempts(attempts.unwrap_or(NonZeroU32::MIN))
        .with_mode(mode);
    Ok(Exporter::new(Arc::clone(&destination.sink))
        .with_journal(Arc::new(journal))
        .with_options(options))
}

/// Notes who, when and how many, where this account may: the journal has it in any case.
fn note(project: &Project, report: &ExportReport) -> anyhow::Result<()> {
    if std::fs::read_dir(project.private()).is_err() {
        return Ok(());
    }
    audit::append(&project.audit_file(), "export", report.counts.sent)
        .context("the objects that are told as sent are at the destination")
}

fn ended_as(report: &ExportReport, error: Option<&Error>) -> ExitStatus {
    match error {
        None if report.is_complete() => ExitStatus::Done,
        // A signal names the exit code.
        None | Some(Error::Cancelled) => ExitStatus::Partial,
        Some(error) if is_of_settings(error) => ExitStatus::BadConfiguration,
        Some(error) if is_of_peer(error) => ExitStatus::PeerFailed,
        Some(_) => ExitStatus::CannotContinue,
    }
}

/// True if something has to be set before anybody can be asked.
fn is_of_settings(error: &Error) -> bool {
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

/// True if a remote destination refused or is away, rather than something of this machine.
fn is_of_peer(error: &Error) -> bool {
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
