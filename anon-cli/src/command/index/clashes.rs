//! `anon index --clashes`: lists values that should be one and are several. Shows pseudonyms; with
//! `--show-phi`, originals too.

use std::ops::ControlFlow;

use anon_model::{Clash, ClashKind, ClashValue, PhiIndex};
use serde::Serialize;

use crate::command::Context;
use crate::exit::ExitStatus;
use crate::project::record::Clashes;
use crate::project::{Project, audit};
use crate::report::Report;
use crate::work::clashes;

/// The studies of a value that people are shown.
const STUDIES_SHOWN: usize = 3;

#[derive(Debug, Serialize)]
struct ClashEvent<'c> {
    event: &'static str,
    kind: &'static str,
    patient: Option<&'c str>,
    study: Option<&'c str>,
    accession: Option<&'c str>,
    values: Vec<ValueEvent<'c>>,
    /// True if there are more values, or more studies with one of them.
    has_more: bool,
}

#[derive(Debug, Serialize)]
struct ValueEvent<'c> {
    /// The pseudonym of an accession number or patient.
    pseudonym: Option<&'c str>,
    /// Only with `--show-phi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    original: Option<&'c str>,
    studies: &'c [String],
}

#[derive(Debug, Serialize)]
struct Summary {
    event: &'static str,
    command: &'static str,
    clashes: Clashes,
}

pub(super) fn run(
    context: &Context<'_>,
    project: &Project,
    lookups: &dyn PhiIndex,
) -> anyhow::Result<ExitStatus> {
    let report = context.report;
    let counts = clashes::count(lookups)?;
    audit::append(&project.audit_file(), "index", counts.sum())?;
    let mut printed = Ok(());
    lookups.clashes(&mut |clash| {
        printed = print(report, &clash);
        if printed.is_err() || context.signals.cancel().is_cancelled() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    printed?;
    if counts.sum() == 0 {
        report.line("nothing clashes")?;
    }
    report.summary(&Summary {
        event: "summary",
        command: "index",
        clashes: counts,
    })?;
    Ok(context.exit_status(ExitStatus::Done))
}

fn print(report: &Report, clash: &Clash) -> anyhow::Result<()> {
    let shows_phi = report.shows_phi();
    let is = |kinds: &[ClashKind]| kinds.contains(&clash.kind).then_some(&*clash.pseudonym);
    let values = clash.values.iter().map(|value| ValueEvent {
        pseudonym: value.pseudonym.as_deref(),
        original: shows_phi.then(|| value.original.expose().as_str()),
        studies: &value.studies,
    });
    report.json(&ClashEvent {
        event: "clash",
        kind: clash.kind.name(),
        patient: clash.patient.as_deref(),
        study: is(&[ClashKind::Accessions, ClashKind::StudyDates]),
        accession: is(&[ClashKind::AccessionPatients]),
        values: values.collect(),
        has_more: clash.has_more,
    })?;
    report.line(&headline(clash))?;
    for value in &clash.values {
        report.line(&value_line(value, shows_phi))?;
    }
    if clash.has_more {
        report.line("  and more")?;
    }
    Ok(())
}

fn headline(clash: &Clash) -> String {
    let (name, count) = (&clash.pseudonym, clash.values.len());
    match clash.kind {
        ClashKind::PatientNames => format!("patient {name} has {count} names"),
        ClashKind::BirthDates => format!("patient {name} has {count} birth dates"),
        ClashKind::Accessions => format!("study {name} has {count} accession numbers"),
        ClashKind::StudyDates => format!("study {name} has {count} dates"),
        ClashKind::AccessionPatients => {
            format!("accession number {name} is that of {count} patients")
        }
        kind => format!("{}: {name}", kind.name()),
    }
}

fn value_line(value: &ClashValue, shows_phi: bool) -> String {
    let original = value.original.expose().as_str();
    let mut words: Vec<&str> = Vec::new();
    words.extend(value.pseudonym.as_deref());
    if shows_phi && !original.is_empty() {
        words.push(original);
    }
    if words.is_empty() {
        words.push("one of them");
    }
    let shown: Vec<&str> = value.studies.iter().map(String::as_str).collect();
    let rest = shown.len().saturating_sub(STUDIES_SHOWN);
    let shown = shown.get(..STUDIES_SHOWN).unwrap_or(&shown).join(", ");
    let more = if rest > 0 {
        format!(" and {rest} more")
    } else {
        String::new()
    };
    format!("  {}: in {shown}{more}", words.join(" = "))
}
