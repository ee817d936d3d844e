//! `anon restore`: puts a backup into a new project, or in the place of an existing one.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;

use crate::args::Restore;
use crate::command::Context;
use crate::exit::{ExitStatus, Failure};
use crate::platform::terminal;
use crate::project::Project;
use crate::project::backup::{self, Archive, Restored};
use crate::project::trust::Purpose;
use crate::{log, report};

#[derive(Debug, Serialize)]
struct Summary<'s> {
    event: &'static str,
    command: &'static str,
    project: &'s Path,
    /// When the backup was made.
    made: &'s str,
    /// The directory with the files that were replaced. `None` if there were none.
    replaced: Option<PathBuf>,
    patients: u64,
    studies: u64,
    series: u64,
    instances: u64,
    /// Objects in `public/` that the restored lookups do not hold.
    without_record: u64,
    /// Instances of the restored lookups whose files are not in `public/`.
    without_file: u64,
    /// New pseudonyms have higher numbers. `None` if the backup has no lookup store.
    above: Option<Above>,
}

#[derive(Debug, Serialize)]
struct Above {
    patients: u64,
    uids: u64,
    accessions: u64,
}

pub(crate) fn run(context: &Context<'_>, args: &Restore) -> anyhow::Result<ExitStatus> {
    let project = Project::chosen(context.project(), Purpose::Any).map_err(|_| {
        Failure::configuration("name the directory to restore into: anon -p DIR restore FILE")
    })?;
    log::start_without_file(&context.global)?;
    let mut archive = Archive::open(&args.file)?;
    if backup::replaces(&project) && !args.yes && !confirmed(context, &project, &archive)? {
        return Err(Failure::cannot_run("nothing was restored"));
    }
    let restored = backup::restore(&project, &mut archive, context.network_fs())?;
    let made = archive.manifest().made.as_str();
    context
        .report
        .summary(&summary(&project, made, &restored))?;
    print(context, &project, made, &restored)?;
    Ok(context.exit_status(ExitStatus::Done))
}

/// Asks on the terminal. Without one the command line is enough: what is replaced is kept.
fn confirmed(context: &Context<'_>, project: &Project, archive: &Archive) -> anyhow::Result<bool> {
    let question = format!(
        "Replace the lookups and settings of {} by those of {}? Type yes: ",
        project.root().display(),
        archive.manifest().made
    );
    let ended = || context.signals.caught().is_some();
    match terminal::ask(&report::escaped(&question), ended) {
        Ok(None) => Ok(true),
        Ok(Some(answer)) => Ok(answer.trim().eq_ignore_ascii_case("yes")),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        Err(error) => Err(error).context("cannot ask on the terminal"),
    }
}

fn summary<'s>(project: &'s Project, made: &'s str, restored: &Restored) -> Summary<'s> {
    Summary {
        event: "summary",
        command: "restore",
        project: project.root(),
        made,
        replaced: restored.before.clone(),
        patients: restored.totals.patients,
        studies: restored.totals.studies,
        series: restored.totals.series,
        instances: restored.totals.instances,
        without_record: restored.without_record,
        without_file: restored.without_file,
        above: restored.above.map(|numbers| Above {
            patients: numbers.patients,
            uids: numbers.uids,
            accessions: numbers.accessions,
        }),
    }
}

fn print(
    context: &Context<'_>,
    project: &Project,
    made: &str,
    restored: &Restored,
) -> anyhow::Result<()> {
    let line = |text: String| context.report.line(&text);
    line(format!(
        "restored {}, {}, {} of {made} into {}",
        report::counted(restored.totals.patients, "patient"),
        report::counted(restored.totals.studies, "study"),
        report::counted(restored.totals.instances, "instance"),
        project.root().display()
    ))?;
    if let Some(above) = &restored.above {
        line(format!(
            "new numbers are above {} for patients, {} for UIDs and {} for accession numbers",
            above.patients, above.uids, above.accessions
        ))?;
    }
    if restored.without_record > 0 {
        line(format!(
            "{} in public/ came after the backup: they stay, but nothing here leads back to their \
             originals; import those again, under new pseudonyms",
            report::counted(restored.without_record, "object")
        ))?;
    }
    if restored.without_file > 0 {
        line(format!(
            "{} of the index have no file in public/: copy public/ here too, which the backup does not \
             hold",
            report::counted(restored.without_file, "instance")
        ))?;
    }
    if let Some(before) = &restored.before {
        line(format!("what was replaced is in {}", before.display()))?;
    } else {
        context.report.info(
            "if the project was elsewhere before, use it there no more: both places would give the \
             same numbers to different patients",
        );
    }
    Ok(())
}
