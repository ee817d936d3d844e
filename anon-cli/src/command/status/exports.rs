//! `anon status --exports`: what each destination has of each patient.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use anon_export::journal::{PatientStatus, patients};
use anon_model::PhiIndex;
use anyhow::Context as _;
use serde::Serialize;

use crate::command::Context;
use crate::{clock, report};

/// One patient at one destination.
#[derive(Debug, Serialize)]
struct ExportEvent<'e> {
    event: &'static str,
    destination: &'e str,
    patient: &'e str,
    /// `complete`, `incomplete`, or `never` if nothing was exported yet.
    state: &'static str,
    /// Instances in the project.
    stored: u64,
    /// Objects at the destination.
    objects: u64,
    bytes: u64,
    /// The time when the last object was sent, or found at the destination.
    last: Option<String>,
    /// When the last export ended that sent something or failed.
    ended: Option<String>,
    sent: Option<u64>,
    failed: Option<u64>,
    left: Option<u64>,
    error: Option<&'e str>,
}

/// Prints each patient of the project, and of each destination.
pub(super) fn print(
    context: &Context<'_>,
    lookups: &dyn PhiIndex,
    journal: &Path,
    destinations: &[&str],
) -> anyhow::Result<()> {
    let mut stored = BTreeMap::new();
    lookups.patients(&mut |row| {
        if row.instances > 0 {
            stored.insert(row.pseudonym, row.instances);
        }
        ControlFlow::Continue(())
    })?;
    for destination in destinations {
        let mut left = stored.clone();
        let known = patients(journal, destination).context("cannot read the export journal")?;
        for status in &known {
            let stored = left.remove(status.patient.as_str()).unwrap_or(0);
            print_patient(context, &of_status(destination, status, stored))?;
        }
        for (patient, stored) in &left {
            print_patient(context, &never(destination, patient, *stored))?;
        }
    }
    Ok(())
}

fn of_status<'e>(destination: &'e str, status: &'e PatientStatus, stored: u64) -> ExportEvent<'e> {
    let end = status.last_export.as_ref();
    let is_complete = status.is_complete() && status.objects >= stored;
    ExportEvent {
        event: "export",
        destination,
        patient: status.patient.as_str(),
        state: if is_complete {
            "complete"
        } else {
            "incomplete"
        },
        stored,
        objects: status.objects,
        bytes: status.bytes,
        last: status.last.map(clock::text),
        ended: end.map(|end| clock::text(end.when)),
        sent: end.map(|end| end.counts.sent),
        failed: end.map(|end| end.counts.failed),
        left: end.map(|end| end.counts.left),
        error: end.and_then(|end| end.error.as_deref()),
    }
}

fn never<'e>(destination: &'e str, patient: &'e str, stored: u64) -> ExportEvent<'e> {
    ExportEvent {
        event: "export",
        destination,
        patient,
        state: "never",
        stored,
        objects: 0,
        bytes: 0,
        last: None,
        ended: None,
        sent: None,
        failed: None,
        left: None,
        error: None,
    }
}

fn print_patient(context: &Context<'_>, event: &ExportEvent<'_>) -> anyhow::Result<()> {
    context.report.json(event)?;
    let ExportEvent {
        destination,
        patient,
        stored,
        objects,
        ..
    } = event;
    let mut parts = match event.last.as_deref().or(event.ended.as_deref()) {
        None => vec!["never exported".to_owned()],
        Some(last) => {
            let bytes = report::bytes(event.bytes);
            vec![format!(
                "{objects} of {stored} objects, {bytes}, last {last}"
            )]
        }
    };
    for (count, what) in [(event.failed, "failed"), (event.left, "not attempted")] {
        if let Some(count @ 1..) = count {
            parts.push(format!("{count} {what}"));
        }
    }
    let mut line = format!("{destination}  {patient}: {}", parts.join(", "));
    if let Some(error) = event.error {
        line.push_str(": ");
        line.push_str(error);
    }
    context.report.line(&line)
}
