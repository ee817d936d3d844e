//! Prints the events and the summary of an export.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anon_export::{
    Cancel, Counts, Error, ExportEvent, ExportReport, KeyPart, ObjectKey, Observer, PatientReport,
};
use serde::Serialize;

use crate::args::Export;
use crate::command::Context;
use crate::report::{self, Report};

#[derive(Debug, Serialize)]
struct PatientEvent<'p> {
    event: &'static str,
    patient: &'p str,
    found: u64,
    sent: u64,
    skipped: u64,
    failed: u64,
    left: u64,
    warnings: u64,
    rewritten: u64,
    bytes: u64,
    /// The studies of `--study` that the patient has.
    studies: Vec<&'p str>,
    error: Option<&'p str>,
}

/// A study of `--study` that the project does not have.
#[derive(Debug, Serialize)]
struct StudyEvent<'p> {
    event: &'static str,
    study: &'p str,
    error: &'p str,
}

#[derive(Debug, Serialize)]
struct ObjectEvent<'k> {
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
    /// In a dry run, objects that would be sent.
    sent: u64,
    skipped: u64,
    failed: u64,
    left: u64,
    warnings: u64,
    /// Sent objects that were rewritten into another transfer syntax, because the node accepts no
    /// other.
    rewritten: u64,
    /// These objects by the name of that transfer syntax.
    rewritten_into: BTreeMap<&'static str, u64>,
    bytes: u64,
    bytes_skipped: u64,
    /// Selected ids that the project does not have.
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
            rewritten: counts.rewritten,
            rewritten_into: BTreeMap::new(),
            bytes: counts.bytes_sent,
            bytes_skipped: counts.bytes_skipped,
            unknown: Vec::new(),
            interrupted: false,
            error: None,
            seconds,
        }
    }
}

/// Prints an export as it runs.
#[derive(Debug)]
pub(super) struct Printer<'r> {
    report: &'r Report,
    cancel: &'r Cancel,
    pub(super) dry_run: bool,
    began: Instant,
    asked: Asked,
    objects: AtomicU64,
    bytes: AtomicU64,
    state: Mutex<PrinterState>,
}

/// What was asked for, in the order in which it was typed.
#[derive(Debug, Default)]
pub(super) struct Asked {
    patients: Vec<String>,
    studies: Vec<String>,
}

impl Asked {
    pub(super) fn new(args: &Export) -> Self {
        Self {
            patients: args.patient.clone(),
            studies: args.study.clone(),
        }
    }

    /// Describes an id by its position on the command line: `study 2 of 3`.
    fn place(&self, what: &str, id: &str) -> String {
        let typed = match what {
            "study" => &self.studies,
            _ => &self.patients,
        };
        match typed.iter().position(|it| it == id) {
            Some(at) if typed.len() > 1 => format!("{what} {} of {}", at + 1, typed.len()),
            _ => what.to_owned(),
        }
    }
}

#[derive(Debug, Default)]
struct PrinterState {
    unknown: Vec<String>,
    /// The studies of `--study` of which objects were processed, by patient.
    studies: BTreeMap<KeyPart, BTreeSet<String>>,
    /// Patients that were not started, by error.
    not_started: BTreeMap<String, u64>,
    rewritten_into: BTreeMap<&'static str, u64>,
    /// The first failure to print.
    failure: Option<anyhow::Error>,
}

/// For each error, people see this many patients that were not started, and the number of the others. JSON
/// lists all.
const MAX_LISTED: u64 = 10;

impl<'r> Printer<'r> {
    pub(super) fn new(report: &'r Report, cancel: &'r Cancel, args: &Export) -> Self {
        Self {
            report,
            cancel,
            dry_run: args.dry_run,
            asked: Asked::new(args),
            began: Instant::now(),
            objects: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, PrinterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints the counts of patients that were not started, then the summary.
    pub(super) fn finish(
        self,
        context: &Context<'_>,
        mut summary: Summary<'_>,
        error: Option<&Error>,
    ) -> anyhow::Result<()> {
        let state = self
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = state.failure {
            return Err(failure);
        }
        for (error, count) in state.not_started {
            let rest = count.saturating_sub(MAX_LISTED);
            if rest > 0 {
                let patients = if rest == 1 { "patient" } else { "patients" };
                self.report
                    .line(&format!("the remaining {rest} {patients}: {error}"))?;
            }
        }
        summary.unknown = state.unknown;
        summary.rewritten_into = state.rewritten_into;
        match error {
            Some(Error::Cancelled) => summary.interrupted = true,
            Some(error) => summary.error = Some(error.text()),
            None => {}
        }
        self.report.summary(&summary)?;
        print_totals(context, &summary)
    }

    fn patient_ended(&self, patient: &PatientReport) -> anyhow::Result<()> {
        let counts = &patient.counts;
        let error = patient.error.as_ref().map(|error| error.text());
        let error = error.as_deref();
        let studies = self.state().studies.remove(&patient.patient);
        let studies = studies.unwrap_or_default();
        self.report.json(&PatientEvent {
            event: "patient",
            patient: patient.patient.as_str(),
            found: counts.found,
            sent: counts.sent,
            skipped: counts.skipped,
            failed: counts.failed,
            left: counts.left,
            warnings: counts.warnings,
            rewritten: counts.rewritten,
            bytes: counts.bytes_sent,
            studies: studies.iter().map(String::as_str).collect(),
            error,
        })?;
        if let Some(error) = error.filter(|_| counts.found == 0) {
            return self.not_started(&patient.patient, error);
        }
        let places = studies.iter().map(|study| self.asked.place("study", study));
        let places: Vec<String> = places.collect();
        let line = patient_line(patient, &places, error, self.dry_run);
        self.report.line(&line)
    }

    /// Prints a patient that was not started, up to a maximum for each error.
    fn not_started(&self, patient: &KeyPart, error: &str) -> anyhow::Result<()> {
        let count = {
            let mut state = self.state();
            let count = state.not_started.entry(error.to_owned()).or_default();
            *count += 1;
            *count
        };
        if count > MAX_LISTED {
            return Ok(());
        }
        self.report.line(&format!("{patient}: {error}"))
    }

    fn unknown(&self, what: &str, id: &KeyPart) -> anyhow::Result<()> {
        self.state().unknown.push(id.to_string());
        let error = format!("there is no such {what} in this project");
        if what == "study" {
            let (event, study) = ("study", id.as_str());
            self.report.json(&StudyEvent {
                event,
                study,
                error: &error,
            })?;
        } else {
            self.report.json(&PatientEvent {
                event: "patient",
                patient: id.as_str(),
                found: 0,
                sent: 0,
                skipped: 0,
                failed: 0,
                left: 0,
                warnings: 0,
                rewritten: 0,
                bytes: 0,
                studies: Vec::new(),
                error: Some(&error),
            })?;
        }
        let place = self.asked.place(what, id.as_str());
        self.report.line(&format!("{place}, {id}: {error}"))
    }

    fn done(&self, key: &ObjectKey) {
        let [patient, study, ..] = key.parts();
        if self.asked.studies.iter().any(|it| it == study.as_str()) {
            let mut state = self.state();
            let studies = state.studies.entry(patient.clone()).or_default();
            studies.insert(study.to_string());
        }
        let objects = self.objects.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(progress) = self.report.progress() {
            progress.done(objects);
        }
    }

    fn bytes_sent(&self, bytes: u64) {
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if let Some(progress) = self.report.progress() {
            let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let rate = bytes.saturating_mul(1000) / millis.max(1);
            progress.set_message(format!("{}/s", report::bytes(rate)));
        }
    }

    /// Prints an object that would be sent.
    fn would_send(&self, object: &str, bytes: u64) -> anyhow::Result<()> {
        let event = "object";
        self.report.json(&ObjectEvent {
            event,
            object,
            bytes,
        })?;
        let bytes = report::bytes(bytes);
        self.report.line(&format!("{object}  {bytes}"))
    }

    fn print(&self, event: &ExportEvent<'_>) -> anyhow::Result<()> {
        match event {
            ExportEvent::Progress { bytes } => self.bytes_sent(*bytes),
            ExportEvent::Sent {
                key,
                len,
                rewritten,
                ..
            } => {
                self.done(key);
                if let Some(name) = rewritten {
                    *self.state().rewritten_into.entry(name).or_default() += 1;
                }
                if self.dry_run {
                    return self.would_send(&key.to_string(), *len);
                }
            }
            ExportEvent::Skipped { key, .. } | ExportEvent::Failed { key, .. } => self.done(key),
            ExportEvent::PatientEnded { report } => return self.patient_ended(report),
            ExportEvent::UnknownPatient { patient } => return self.unknown("patient", patient),
            ExportEvent::UnknownStudy { study } => return self.unknown("study", study),
            _ => {}
        }
        Ok(())
    }
}

impl Observer for Printer<'_> {
    fn event(&self, event: &ExportEvent<'_>) {
        if let Err(error) = self.print(event) {
            self.state().failure.get_or_insert(error);
            // Nobody would see the outcome of the rest.
            self.cancel.cancel();
        }
    }
}

/// Prints the summary of an export that a signal ended before its destination was open.
pub(super) fn interrupted(context: &Context<'_>, args: &Export) -> anyhow::Result<()> {
    let report = ExportReport::default();
    let mut summary = Summary::new(&args.destination, args.dry_run, &report, 0.0);
    summary.interrupted = true;
    context.report.summary(&summary)?;
    print_totals(context, &summary)
}

fn patient_line(
    patient: &PatientReport,
    studies: &[String],
    error: Option<&str>,
    dry_run: bool,
) -> String {
    let Counts {
        sent,
        skipped,
        failed,
        left,
        warnings,
        rewritten,
        bytes_sent,
        ..
    } = patient.counts;
    let studies = match studies {
        [] => String::new(),
        studies => format!(" ({})", studies.join(", ")),
    };
    let mut line = format!(
        "{}{studies}: {sent} {} ({}), {skipped} already there",
        patient.patient,
        if dry_run { "to be sent" } else { "sent" },
        report::bytes(bytes_sent)
    );
    for (count, what) in [
        (failed, "failed"),
        (warnings, "with a warning"),
        (rewritten, "rewritten"),
        (left, "not attempted"),
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

fn print_totals(context: &Context<'_>, summary: &Summary<'_>) -> anyhow::Result<()> {
    let report = context.report;
    let sent = if summary.dry_run {
        "to be sent"
    } else {
        "sent"
    };
    let patients_failed = match summary.patients_failed {
        0 => String::new(),
        count => format!(" ({count} failed)"),
    };
    report.line(&format!(
        "{} patients{patients_failed}, {} objects: {} {sent} ({}), {} already there, {} failed, {:.1} s",
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
            "{} objects were accepted with a warning: the destination may have changed them",
            summary.warnings
        ))?;
    }
    for (name, count) in &summary.rewritten_into {
        report.line(&format!(
            "{count} objects were rewritten into {name}: the destination does not accept their transfer \
             syntax"
        ))?;
    }
    if summary.interrupted {
        report.line("interrupted: run the same command again to continue")?;
    }
    if let Some(error) = &summary.error {
        report.line(&format!(
            "stopped by an error: {error}; run the same command again to continue"
        ))?;
    }
    Ok(())
}
