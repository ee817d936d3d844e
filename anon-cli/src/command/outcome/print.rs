//! The events and the summary of an import.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{SHOWN, advice};
use crate::command::Context;
use crate::project::record::{Clashes, Instance, Summary};
use crate::project::remark::RemarkRecord;
use crate::report;

/// The number of the first instance of its kind that is only counted.
const BEYOND: u64 = SHOWN + 1;

#[derive(Debug, Serialize)]
struct EventLine<'e, T> {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'e str>,
    #[serde(flatten)]
    fields: &'e T,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    advice: Vec<String>,
}

/// Returns the outcome of an instance, with its category.
pub(super) fn kind_of(instance: &Instance) -> String {
    match &instance.category {
        Some(category) => format!("{} ({category})", instance.outcome),
        None => instance.outcome.clone(),
    }
}

/// Prints one instance. People see only quarantined and failed ones, and archives, the first of each
/// kind; `listed` is its number among those of its kind.
pub(super) fn instance(
    context: &Context<'_>,
    instance: &Instance,
    named: &BTreeSet<String>,
    listed: u64,
) -> anyhow::Result<()> {
    let report = context.report;
    report.json(&EventLine {
        event: "instance",
        command: None,
        fields: instance,
        advice: Vec::new(),
    })?;
    if listed == 0 || listed > BEYOND {
        return Ok(());
    }
    let what = kind_of(instance);
    if listed == BEYOND {
        let shown_by = match &instance.entry {
            Some(_) => format!("{} shows", context.command_line("quarantine list")),
            None => "--format json shows".to_owned(),
        };
        return report.line(&format!(
            "{what}: further files are only counted; {shown_by} them all"
        ));
    }
    let name = if report.shows_phi() || named.contains(&instance.source) {
        instance.source.clone()
    } else {
        format!("file {}", instance.number)
    };
    let reason = instance.reason.as_deref().unwrap_or("unknown reason");
    let entry = instance.entry.as_deref().map(short_id).unwrap_or_default();
    report.line(&format!("{name}: {what}: {reason}{entry}"))
}

/// Returns the start of an entry's digest, enough for `anon quarantine show`.
fn short_id(entry: &str) -> String {
    let digest = entry.split_once('/').map_or(entry, |(_, digest)| digest);
    let digits: String = digest.chars().take(12).collect();
    format!(" [{digits}]")
}

/// Prints the summary of an import, or of another command with such a summary.
pub(crate) fn summary(
    context: &Context<'_>,
    command: &str,
    summary: &Summary,
) -> anyhow::Result<()> {
    let report = context.report;
    let advice = advice::of(context, summary);
    report.summary(&EventLine {
        event: "summary",
        command: Some(command),
        fields: summary,
        advice: advice.clone(),
    })?;
    let quarantined: u64 = summary.quarantined.values().sum();
    report.line(&format!(
        "{}: {} stored, {}, {} ignored, {quarantined} quarantined, {} failed",
        report::counted(summary.found, "file"),
        summary.stored,
        report::counted(summary.duplicates, "duplicate"),
        summary.ignored,
        summary.failed
    ))?;
    report.line(&format!(
        "{} in, {} out, {:.1} s",
        report::bytes(summary.bytes_in),
        report::bytes(summary.bytes_out),
        summary.seconds
    ))?;
    for (reason, count) in &summary.ignored_reasons {
        report.line(&format!("ignored: {reason} ({count})"))?;
    }
    match summary.archives {
        0 => {}
        1 => report.line("1 archive was not read: unpack it and import its files")?,
        many => report.line(&format!(
            "{many} archives were not read: unpack them and import their files"
        ))?,
    }
    for (category, count) in &summary.quarantined {
        report.line(&format!("quarantined: {category} {count}"))?;
    }
    remarks(context, &summary.remarks)?;
    if summary.other_transfer_syntax > 0 {
        report.line(&format!(
            "duplicates of objects that are stored in another transfer syntax: {}",
            summary.other_transfer_syntax
        ))?;
    }
    if summary.interrupted {
        report.line("interrupted: run the same command again to continue")?;
    }
    if let Some(error) = &summary.error {
        report.line(&format!("stopped by an error: {error}"))?;
    }
    for line in advice {
        report.line(&line)?;
    }
    print_remarks(context, summary);
    Ok(())
}

/// Prints remarks on the stored and quarantined objects, once per run.
fn print_remarks(context: &Context<'_>, summary: &Summary) {
    let report = context.report;
    let quarantined = summary.quarantined.values().any(|count| *count > 0);
    if quarantined && !report.is_json() {
        report.info("each entry, and what to do about it:\n  anon quarantine list");
    }
    let has_lines = quarantined || summary.failed > 0 || summary.archives > 0;
    if has_lines && !report.is_json() && !report.shows_phi() {
        report.info("files are numbered in the order of this run; --show-phi shows their paths");
    }
    warn_of_shared_patient(context, summary.shared_patient);
    warn_of_clashes(context, summary.clashes);
    if summary.burned_in_unknown > 0 {
        report.warn(&format!(
            "{} without a word on burned-in text; pixels are not changed: check them before you share \
             them",
            report::counted(
                summary.burned_in_unknown,
                "ultrasound or secondary capture object"
            )
        ));
    }
    if summary.directories_passed > 0 {
        report.info(&format!(
            "skipped {}: hidden, a link, or the project's own",
            report::counted(summary.directories_passed, "directory")
        ));
    }
}

/// The most remarks that people are shown.
const REMARKS_SHOWN: usize = 20;

/// Prints remarks on stored objects, the most frequent ones first if there are many.
pub(crate) fn remarks(context: &Context<'_>, remarks: &[RemarkRecord]) -> anyhow::Result<()> {
    let mut shown: Vec<&RemarkRecord> = remarks.iter().collect();
    if shown.len() > REMARKS_SHOWN {
        shown.sort_by_key(|remark| std::cmp::Reverse(remark.count));
        shown.truncate(REMARKS_SHOWN);
    }
    for remark in &shown {
        context.report.line(&remark.sentence())?;
    }
    match remarks.len() - shown.len() {
        0 => Ok(()),
        more => context.report.line(&format!(
            "and {more} more kinds of values: see remarks with --format json"
        )),
    }
}

/// Warns of clashes that a run found.
pub(crate) fn warn_of_clashes(context: &Context<'_>, clashes: Clashes) {
    let words = clashes.words();
    if !words.is_empty() {
        context.report.warn(&format!(
            "the objects of this run contradict each other or older ones: {}; to list them:",
            words.join(", ")
        ));
        let command = context.command_line("index --clashes");
        context.report.info(&format!("  {command}"));
    }
}

/// Warns of stored objects without a Patient ID.
pub(crate) fn warn_of_shared_patient(context: &Context<'_>, count: u64) {
    if count > 0 {
        context.report.warn(&format!(
            "{} without Patient ID: they share one anonymous patient, and their dates are replaced by \
             20000101 (see missing_patient_id)",
            report::counted(count, "object")
        ));
    }
}
