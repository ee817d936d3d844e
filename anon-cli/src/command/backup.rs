//! `anon backup`: writes a project into one file. The file identifies patients.

use std::path::Path;

use serde::Serialize;

use crate::args::Backup;
use crate::command::Context;
use crate::exit::ExitStatus;
use crate::project::backup::{self, Made, Quarantined};
use crate::project::{Project, settings};
use crate::{log, report};

#[derive(Debug, Serialize)]
struct Summary<'s> {
    event: &'static str,
    command: &'static str,
    file: &'s Path,
    bytes: u64,
    patients: u64,
    studies: u64,
    series: u64,
    instances: u64,
    /// Destinations of exports whose journal is in it.
    destinations: u64,
    /// Entries of the quarantine that are in it.
    quarantined: u64,
    /// Entries of the quarantine that are not in it.
    quarantine_left_out: u64,
}

pub(crate) fn run(context: &Context<'_>, args: &Backup) -> anyhow::Result<ExitStatus> {
    let project = Project::existing(context.project())?;
    log::start_without_file(&context.global)?;
    let settings = settings::load(&project)?;
    let quarantined = if args.with_quarantine {
        Quarantined::Include
    } else {
        Quarantined::LeaveOut
    };
    let made = backup::make(&project, &settings, &args.file, quarantined)?;
    let report = context.report;
    report.info(
        "the backup holds originals and what leads back to them: keep it as private as the project; \
         public/ is not in it, back it up as files",
    );
    report.summary(&summary(&args.file, &made))?;
    report.line(&format!(
        "backed up {}, {}, {} into {}, {}",
        report::counted(made.totals.patients, "patient"),
        report::counted(made.totals.studies, "study"),
        report::counted(made.totals.instances, "instance"),
        args.file.display(),
        report::bytes(made.bytes)
    ))?;
    if made.quarantine_left_out > 0 {
        report.line(&format!(
            "not in it: {} of the quarantine (--with-quarantine)",
            report::counted(made.quarantine_left_out, "entry")
        ))?;
    }
    Ok(context.exit_status(ExitStatus::Done))
}

fn summary<'s>(file: &'s Path, made: &Made) -> Summary<'s> {
    Summary {
        event: "summary",
        command: "backup",
        file,
        bytes: made.bytes,
        patients: made.totals.patients,
        studies: made.totals.studies,
        series: made.totals.series,
        instances: made.totals.instances,
        destinations: made.destinations,
        quarantined: made.quarantined,
        quarantine_left_out: made.quarantine_left_out,
    }
}
