//! `anon status`: shows totals, the quarantine and past exports.

mod exports;

use std::collections::BTreeMap;

use anon_engine::Quarantine as _;
use anon_export::journal::{DestinationStatus, RunStatus, destinations};
use anon_model::ProjectSettings;
use anyhow::Context as _;
use serde::Serialize;

use crate::args::Status;
use crate::command::{Context, outcome};
use crate::exit::ExitStatus;
use crate::project::Project;
use crate::project::mark::raise;
use crate::project::open_project::{self, Health};
use crate::project::record::Clashes;
use crate::project::remark::RemarkRecord;
use crate::project::settings;
use crate::work::clashes;
use crate::{clock, log, report};

#[derive(Debug, Serialize)]
struct Summary {
    event: &'static str,
    command: &'static str,
    patients: u64,
    studies: u64,
    series: u64,
    instances: u64,
    quarantined: BTreeMap<String, u64>,
    bytes: u64,
    /// The remarks on the stored instances.
    remarks: Vec<RemarkRecord>,
    /// Values of the index that should be one and are several.
    clashes: Clashes,
    name: String,
    site_id: String,
    rules: Option<String>,
    /// State of the lookup store: `none`, `sound`, `repaired` or `in use`.
    lookup_store: &'static str,
    /// File size of the lookup store.
    lookup_bytes: u64,
    exports: Vec<ExportStatus>,
}

/// What was exported to one destination.
#[derive(Debug, Serialize)]
struct ExportStatus {
    destination: String,
    patients: u64,
    objects: u64,
    bytes: u64,
    /// The time when the last object was sent, or found at the destination.
    last: Option<String>,
    running: bool,
    last_run: Option<LastRun>,
}

#[derive(Debug, Serialize)]
struct LastRun {
    began: String,
    who: String,
    /// `None` if it still runs or was killed.
    ended: Option<String>,
    outcome: Option<&'static str>,
    sent: Option<u64>,
    skipped: Option<u64>,
    failed: Option<u64>,
    left: Option<u64>,
    patients_failed: Option<u64>,
    /// The error that ended it.
    error: Option<String>,
}

pub(crate) fn run(context: &Context<'_>, args: &Status) -> anyhow::Result<ExitStatus> {
    let project = Project::existing(context.project())?;
    log::start_without_file(&context.global)?;
    let settings = settings::load(&project)?;
    if args.raise_counters {
        raise_counters(context, &project, &settings)?;
    }
    let (lookups, health) = open_project::look_at_lookups(&project, &settings)?;
    let totals = lookups.totals()?;
    let counts = open_project::quarantine(&project, &settings)
        .counts()
        .context("cannot read the quarantine")?;
    let journal = project.export_journal(settings.export.journal.as_deref());
    let exports = destinations(&journal).context("cannot read the export journal")?;
    if args.exports {
        let addresses: Vec<&str> = exports.iter().map(|it| &*it.address).collect();
        exports::print(context, &*lookups, &journal, &addresses)?;
    }
    let lookup_bytes = std::fs::metadata(project.lookup_file()).map_or(0, |file| file.len());
    let summary = Summary {
        event: "summary",
        command: "status",
        patients: totals.patients,
        studies: totals.studies,
        series: totals.series,
        instances: totals.instances,
        quarantined: counts
            .into_iter()
            .map(|(category, count)| (category.name().to_owned(), count))
            .collect(),
        bytes: totals.bytes,
        remarks: RemarkRecord::all_of(&lookups.remarks()?),
        clashes: clashes::count(&*lookups)?,
        name: settings.name.clone(),
        site_id: settings.site_id.to_string(),
        rules: lookups.rules()?.map(|rules| rules.name),
        lookup_store: match health {
            Health::None => "none",
            Health::Sound => "sound",
            Health::Repaired => "repaired",
            Health::InUse => "in use",
        },
        lookup_bytes,
        exports: exports.into_iter().map(ExportStatus::from).collect(),
    };
    context.report.summary(&summary)?;
    print(context, &summary)?;
    Ok(context.exit_status(ExitStatus::Done))
}

fn raise_counters(
    context: &Context<'_>,
    project: &Project,
    settings: &ProjectSettings,
) -> anyhow::Result<()> {
    let numbers = raise::raise_counters(project, settings, context.network_fs())?;
    context.report.info(&format!(
        "new numbers are above {} for patients, {} for UIDs and {} for accession numbers; put no \
         other copy of the lookup store back",
        numbers.patients, numbers.uids, numbers.accessions
    ));
    Ok(())
}

impl From<DestinationStatus> for ExportStatus {
    fn from(status: DestinationStatus) -> Self {
        Self {
            patients: status.totals.patients,
            objects: status.totals.objects,
            bytes: status.totals.bytes,
            last: status.totals.last().map(clock::text),
            destination: status.address,
            running: status.is_running,
            last_run: status.last_run.map(LastRun::from),
        }
    }
}

impl From<RunStatus> for LastRun {
    fn from(run: RunStatus) -> Self {
        let end = run.end.as_ref();
        let counts = end.map(|end| end.report.counts);
        Self {
            began: clock::text(run.began),
            ended: end.map(|end| clock::text(end.when)),
            outcome: end.map(|end| end.outcome.name()),
            sent: counts.map(|counts| counts.sent),
            skipped: counts.map(|counts| counts.skipped),
            failed: counts.map(|counts| counts.failed),
            left: counts.map(|counts| counts.left),
            patients_failed: end.map(|end| end.report.patients_failed),
            error: run.end.and_then(|end| end.error),
            who: run.who,
        }
    }
}

fn export_line(exports: &ExportStatus) -> String {
    let ExportStatus {
        destination,
        patients,
        objects,
        ..
    } = exports;
    let bytes = report::bytes(exports.bytes);
    let last = exports.last.as_deref().unwrap_or("never");
    let state = match &exports.last_run {
        _ if exports.running => ", an export is running".to_owned(),
        Some(run) => match (run.outcome, run.failed) {
            (None, _) => ", the last export was killed: run it again".to_owned(),
            (_, Some(failed)) if failed > 0 => format!(", {failed} failed in the last export"),
            (Some("done"), _) => String::new(),
            (Some(outcome), _) => match &run.error {
                Some(error) => format!(", the last export was {outcome}: {error}"),
                None => format!(", the last export was {outcome}"),
            },
        },
        None => String::new(),
    };
    format!(
        "exported to {destination}: {}, {}, {bytes}, last {last}{state}",
        report::counted(*patients, "patient"),
        report::counted(*objects, "object")
    )
}

fn print(context: &Context<'_>, summary: &Summary) -> anyhow::Result<()> {
    let line = |text: String| context.report.line(&text);
    line(format!(
        "project {}, site id {}",
        summary.name, summary.site_id
    ))?;
    line(format!(
        "{}, {}, {}, {}, {}",
        report::counted(summary.patients, "patient"),
        report::counted(summary.studies, "study"),
        report::counted(summary.series, "series"),
        report::counted(summary.instances, "instance"),
        report::bytes(summary.bytes)
    ))?;
    if summary.quarantined.is_empty() {
        line("the quarantine is empty".into())?;
    }
    for (category, count) in &summary.quarantined {
        line(format!("quarantined: {category} {count}"))?;
    }
    outcome::print_remarks(context, &summary.remarks)?;
    let clashes = summary.clashes.words();
    if !clashes.is_empty() {
        line(format!("clashes: {}; to list them:", clashes.join(", ")))?;
        line(format!("  {}", context.command_line("index --clashes")))?;
    }
    for exports in &summary.exports {
        line(export_line(exports))?;
    }
    let rules = summary.rules.as_deref().unwrap_or("none yet");
    line(format!(
        "lookup store: {}, {}; rules: {rules}",
        summary.lookup_store,
        report::bytes(summary.lookup_bytes)
    ))
}
