//! `anon status`: totals, and what is in quarantine.

use std::collections::BTreeMap;

use anon_engine::Quarantine as _;
use anyhow::Context as _;
use serde::Serialize;

use crate::command::Context;
use crate::exit::Ended;
use crate::project::Project;
use crate::{log, report, settings, wire};

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
    name: String,
    site_id: String,
    rules: Option<String>,
    /// What the lookup store itself takes.
    lookup_bytes: u64,
}

pub(crate) fn run(context: &Context<'_>) -> anyhow::Result<Ended> {
    let project = Project::existing(&context.global)?;
    log::start_without_file(&context.global)?;
    let settings = settings::load(&project)?;
    let lookups = wire::read_lookups(&project, &settings)?;
    let totals = lookups.totals()?;
    let counts = wire::quarantine(&project, &settings)
        .counts()
        .context("cannot count the quarantine")?;
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
        name: settings.name.clone(),
        site_id: settings.site_id.to_string(),
        rules: lookups.rules()?.map(|rules| rules.name),
        lookup_bytes,
    };
    context.report.json(&summary)?;
    print(context, &summary)?;
    Ok(context.ended(Ended::Done))
}

fn print(context: &Context<'_>, summary: &Summary) -> anyhow::Result<()> {
    let line = |text: String| context.report.line(&text);
    line(format!(
        "project {}, site id {}",
        summary.name, summary.site_id
    ))?;
    line(format!(
        "{} patients, {} studies, {} series, {} instances, {}",
        summary.patients,
        summary.studies,
        summary.series,
        summary.instances,
        report::bytes(summary.bytes)
    ))?;
    if summary.quarantined.is_empty() {
        line("nothing in quarantine".into())?;
    }
    for (category, count) in &summary.quarantined {
        line(format!("quarantined: {category} {count}"))?;
    }
    let rules = summary.rules.as_deref().unwrap_or("none used yet");
    line(format!(
        "lookup store: sound, {}; rules: {rules}",
        report::bytes(summary.lookup_bytes)
    ))
}
