//! What an import prints.

use serde::Serialize;

use super::advice;
use crate::command::Context;
use crate::project::record::{Instance, Summary};
use crate::report;

#[derive(Debug, Serialize)]
struct Line<'e, T> {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'e str>,
    #[serde(flatten)]
    fields: &'e T,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    advice: Vec<String>,
}

/// One file: in JSON each, for people those that need a look.
pub(super) fn instance(context: &Context<'_>, instance: &Instance) -> anyhow::Result<()> {
    let report = context.report;
    report.json(&Line {
        event: "instance",
        command: None,
        fields: instance,
        advice: Vec::new(),
    })?;
    if !matches!(&*instance.outcome, "quarantined" | "failed") {
        return Ok(());
    }
    let name = if report.shows_phi() {
        instance.source.clone()
    } else {
        format!("file {}", instance.number)
    };
    let what = match &instance.category {
        Some(category) => format!("{} ({category})", instance.outcome),
        None => instance.outcome.clone(),
    };
    let reason = instance.reason.as_deref().unwrap_or("no reason is known");
    let entry = instance.entry.as_deref().map(short).unwrap_or_default();
    report.line(&format!("{name}: {what}: {reason}{entry}"))
}

/// What `anon quarantine show` needs of an entry's name.
fn short(entry: &str) -> String {
    let digest = entry.split_once('/').map_or(entry, |(_, digest)| digest);
    let digits: String = digest.chars().take(12).collect();
    format!(" [{digits}]")
}

/// The end of an import, or of another command that works as one.
pub(crate) fn summary(
    context: &Context<'_>,
    command: &str,
    summary: &Summary,
) -> anyhow::Result<()> {
    let report = context.report;
    let advice = advice::of(context, &summary.storage_classes_refused);
    report.summary(&Line {
        event: "summary",
        command: Some(command),
        fields: summary,
        advice: advice.clone(),
    })?;
    let quarantined: u64 = summary.quarantined.values().sum();
    report.line(&format!(
        "{} files: {} stored, {} duplicates, {} ignored, {quarantined} quarantined, {} failed",
        summary.found, summary.stored, summary.duplicates, summary.ignored, summary.failed
    ))?;
    report.line(&format!(
        "{} in, {} out, {:.1} s",
        report::bytes(summary.bytes_in),
        report::bytes(summary.bytes_out),
        summary.seconds
    ))?;
    for (category, count) in &summary.quarantined {
        report.line(&format!("quarantined: {category} {count}"))?;
    }
    if summary.interrupted {
        report.line("ended early; the same command goes on where this stopped")?;
    }
    if let Some(error) = &summary.error {
        report.line(&format!("ended early: {error}"))?;
    }
    for line in advice {
        report.line(&line)?;
    }
    remarks(context, summary);
    Ok(())
}

/// What people should know of what was stored, once a run.
fn remarks(context: &Context<'_>, summary: &Summary) {
    let report = context.report;
    let quarantined = summary.quarantined.values().any(|count| *count > 0);
    if quarantined && !report.is_json() {
        let command = context.command_line("quarantine show ENTRY");
        report.info(&format!("{command} says more of an entry in [brackets]"));
    }
    if (quarantined || summary.failed > 0) && !report.is_json() && !report.shows_phi() {
        report.info("files are named by their place in the run; --show-phi names their paths");
    }
    warn_of_shared_patient(context, summary.shared_patient);
    if summary.burned_in_unknown > 0 {
        report.warn(&format!(
            "{} objects are ultrasound or secondary capture and do not say if text is burned into \
             their pixels; pixels are not cleaned: look at them before they leave",
            summary.burned_in_unknown
        ));
    }
    if summary.directories_passed > 0 {
        report.info(&format!(
            "{} directories were not entered: hidden ones, links, or the project's own",
            summary.directories_passed
        ));
    }
}

/// Objects without a patient are stored, and not what they seem.
pub(crate) fn warn_of_shared_patient(context: &Context<'_>, count: u64) {
    if count > 0 {
        context.report.warn(&format!(
            "{count} objects name no patient: they share one anonymous patient, and their dates became \
             20000101 (missing_patient_id)"
        ));
    }
}
