//! What an export prints: each patient as it ends, and a summary.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anon_export::{
    Cancel, Counts, Error, ExportEvent, ExportReport, KeyPart, Observer, PatientReport,
};
use serde::Serialize;

use crate::args::Export;
use crate::command::Context;
use crate::report::{self, Report};

#[derive(Debug, Serialize)]
struct Row<'p> {
    event: &'static str,
    patient: &'p str,
    found: u64,
    sent: u64,
    skipped: u64,
    failed: u64,
    left: u64,
    warnings: u64,
    bytes: u64,
    error: Option<&'p str>,
}

#[derive(Debug, Serialize)]
struct WouldSend<'k> {
    event: &'static str,
    object: &'k str,
    bytes: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Summary<'s> {
    event: &'static str,
    command: &'static str,
    destination: &'s str,
    dry_run: bool,
    patients: u64,
    patients_failed: u64,
    found: u64,
    /// In a dry run: that would be sent.
    sent: u64,
    skipped: u64,
    failed: u64,
    left: u64,
    warnings: u64,
    bytes: u64,
    bytes_skipped: u64,
    /// Anonymous ids that were asked for and are none.
    unknown: Vec<String>,
    interrupted: bool,
    error: Option<String>,
    seconds: f64,
}

impl<'s> Summary<'s> {
    pub(super) fn new(
        destination: &'s str,
        dry_run: bool,
        report: &ExportReport,
        seconds: f64,
    ) -> Self {
        let counts = &report.counts;
        Self {
            event: "summary",
            command: "export",
            destination,
            dry_run,
            patients: report.patients,
            patients_failed: report.patients_failed,
            found: counts.found,
            sent: counts.sent,
            skipped: counts.skipped,
            failed: counts.failed,
            left: counts.left,
            warnings: counts.warnings,
            bytes: counts.bytes_sent,
            bytes_skipped: counts.bytes_skipped,
            unknown: Vec::new(),
            interrupted: false,
            error: None,
            seconds,
        }
    }
}

/// Prints what happens.
#[derive(Debug)]
pub(super) struct Printer<'r> {
    report: &'r Report,
    cancel: &'r Cancel,
    pub(super) dry_run: bool,
    began: Instant,
    objects: AtomicU64,
    bytes: AtomicU64,
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    unknown: Vec<String>,
    /// How many patients nothing was begun for, by why.
    missed: BTreeMap<String, u64>,
    /// What could not be printed.
    failure: Option<anyhow::Error>,
}

/// So many patients that have the same error, and nothing else to tell of, are named to people; then the
/// others are counted. JSON names all.
const NAMED: u64 = 10;

impl<'r> Printer<'r> {
    pub(super) fn new(report: &'r Report, cancel: &'r Cancel, dry_run: bool) -> Self {
        Self {
            report,
            cancel,
            dry_run,
            began: Instant::now(),
            objects: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            said: Mutex::default(),
        }
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints the end.
    pub(super) fn finish(
        self,
        context: &Context<'_>,
        mut summary: Summary<'_>,
        error: Option<&Error>,
    ) -> anyhow::Result<()> {
        let said = self
            .said
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = said.failure {
            return Err(failure);
        }
        for (error, count) in said.missed {
            let rest = count.saturating_sub(NAMED);
            if rest > 0 {
                let patients = if rest == 1 { "patient" } else { "patients" };
                self.report
                    .line(&format!("the remaining {rest} {patients}: {error}"))?;
            }
        }
        summary.unknown = said.unknown;
        match error {
            Some(Error::Cancelled) => summary.interrupted = true,
            Some(error) => summary.error = Some(error.text()),
            None => {}
        }
        self.report.summary(&summary)?;
        conclude(context, &summary)
    }

    fn ended(&self, patient: &PatientReport) -> anyhow::Result<()> {
        let counts = &patient.counts;
        let error = patient.error.as_ref().map(|error| error.text());
        let error = error.as_deref();
        self.report.json(&Row {
            event: "patient",
            patient: patient.patient.as_str(),
            found: counts.found,
            sent: counts.sent,
            skipped: counts.skipped,
            failed: counts.failed,
            left: counts.left,
            warnings: counts.warnings,
            bytes: counts.bytes_sent,
            error,
        })?;
        match error {
            Some(error) if counts.found == 0 => self.missed(&patient.patient, error),
            error => self.report.line(&line(patient, error, self.dry_run)),
        }
    }

    /// Nothing was begun for a patient.
    fn missed(&self, patient: &KeyPart, error: &str) -> anyhow::Result<()> {
        let count = {
            let mut said = self.said();
            let count = said.missed.entry(error.to_owned()).or_default();
            *count += 1;
            *count
        };
        if count > NAMED {
            return Ok(());
        }
        self.report.line(&format!("{patient}: {error}"))
    }

    fn unknown(&self, what: &str, id: &KeyPart) -> anyhow::Result<()> {
        self.said().unknown.push(id.to_string());
        let error = format!("there is no such {what} in this project");
        if what == "patient" {
            self.report.json(&Row {
                event: "patient",
                patient: id.as_str(),
                found: 0,
                sent: 0,
                skipped: 0,
                failed: 0,
                left: 0,
                warnings: 0,
                bytes: 0,
                error: Some(&error),
            })?;
        }
        self.report.line(&format!("{id}: {error}"))
    }

    fn done(&self) {
        let objects = self.objects.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(progress) = self.report.progress() {
            progress.done(objects);
        }
    }

    fn moved(&self, bytes: u64) {
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if let Some(progress) = self.report.progress() {
            let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let rate = bytes.saturating_mul(1000) / millis.max(1);
            progress.say(format!("{}/s", report::bytes(rate)));
        }
    }

    /// In a dry run, an object that would be sent.
    fn would_send(&self, object: &str, bytes: u64) -> anyhow::Result<()> {
        let event = "object";
        self.report.json(&WouldSend {
            event,
            object,
            bytes,
        })?;
        let bytes = report::bytes(bytes);
        self.report.line(&format!("{object}  {bytes}"))
    }

    fn hear(&self, event: &ExportEvent<'_>) -> anyhow::Result<()> {
        match event {
            ExportEvent::Progress { bytes } => self.moved(*bytes),
            ExportEvent::Sent { key, len, .. } => {
                self.done();
                if self.dry_run {
                    return self.would_send(&key.to_string(), *len);
                }
            }
            ExportEvent::Skipped { .. } | ExportEvent::Failed { .. } => self.done(),
            ExportEvent::PatientEnded { report } => return self.ended(report),
            ExportEvent::UnknownPatient { patient } => return self.unknown("patient", patient),
            ExportEvent::UnknownStudy { study } => return self.unknown("study", study),
            _ => {}
        }
        Ok(())
    }
}

impl Observer for Printer<'_> {
    fn event(&self, event: &ExportEvent<'_>) {
        if let Err(error) = self.hear(event) {
            self.said().failure.get_or_insert(error);
            // There is no use in going on unheard.
            self.cancel.cancel();
        }
    }
}

/// Prints the end of an export that a signal ended before its destination was open.
pub(super) fn interrupted(context: &Context<'_>, args: &Export) -> anyhow::Result<()> {
    let report = ExportReport::default();
    let mut summary = Summary::new(&args.destination, args.dry_run, &report, 0.0);
    summary.interrupted = true;
    context.report.summary(&summary)?;
    conclude(context, &summary)
}

fn line(patient: &PatientReport, error: Option<&str>, dry_run: bool) -> String {
    let Counts {
        sent,
        skipped,
        failed,
        left,
        warnings,
        bytes_sent,
        ..
    } = patient.counts;
    let mut line = format!(
        "{}: {sent} {} ({}), {skipped} there already",
        patient.patient,
        if dry_run { "to be sent" } else { "sent" },
        report::bytes(bytes_sent)
    );
    for (count, what) in [
        (failed, "failed"),
        (warnings, "with a warning"),
        (left, "left"),
    ] {
        if count > 0 {
            line.extend([", ", &count.to_string(), " ", what]);
        }
    }
    if let Some(error) = error {
        line.push_str(": ");
        line.push_str(error);
    }
    line
}

fn conclude(context: &Context<'_>, summary: &Summary<'_>) -> anyhow::Result<()> {
    let report = context.report;
    let sent = if summary.dry_run {
        "to be sent"
    } else {
        "sent"
    };
    report.line(&format!(
        "{} patients, {} objects: {} {sent} ({}), {} there already, {} failed, {:.1} s",
        summary.patients,
        summary.found,
        summary.sent,
        report::bytes(summary.bytes),
        summary.skipped,
        summary.failed,
        summary.seconds
    ))?;
    if summary.warnings > 0 {
        report.line(&format!(
            "{} objects were taken with a warning: the destination may have changed them",
            summary.warnings
        ))?;
    }
    if summary.interrupted {
        report.line("ended early; the same command goes on where this stopped")?;
    }
    if let Some(error) = &summary.error {
        report.line(&format!(
            "ended early: {error}; the same command goes on where this stopped"
        ))?;
    }
    Ok(())
}
