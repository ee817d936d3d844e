//! `anon patients`: lists the anonymous patients. The output identifies nobody.

use std::ops::ControlFlow;

use serde::Serialize;

use crate::command::Context;
use crate::exit::ExitStatus;
use crate::log;
use crate::project::Project;
use crate::project::{open_project, settings};
use crate::report::{Report, Table};

#[derive(Debug, Serialize)]
struct PatientEvent {
    event: &'static str,
    patient: String,
    studies: u64,
    series: u64,
    instances: u64,
}

#[derive(Debug, Serialize)]
struct Summary {
    event: &'static str,
    command: &'static str,
    patients: u64,
}

pub(crate) fn run(context: &Context<'_>) -> anyhow::Result<ExitStatus> {
    let project = Project::existing(context.project())?;
    log::start_without_file(&context.global)?;
    let settings = settings::load(&project)?;
    let lookups = open_project::read_lookups(&project, &settings)?;
    let report = context.report;
    let mut table = Table::new(&["patient", "studies", "series", "instances"]);
    let mut count = 0;
    let mut printed = Ok(());
    lookups.patients(&mut |row| {
        count += 1;
        let patient = PatientEvent {
            event: "patient",
            patient: row.pseudonym,
            studies: row.studies,
            series: row.series,
            instances: row.instances,
        };
        printed = print(report, &mut table, patient);
        if printed.is_err() || context.signals.cancel().is_cancelled() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    printed?;
    table
        .finish()
        .iter()
        .try_for_each(|line| report.line(line))?;
    if count == 0 {
        report.line("no patients yet: import, receive or retrieve objects first")?;
    }
    report.summary(&Summary {
        event: "summary",
        command: "patients",
        patients: count,
    })?;
    Ok(context.exit_status(ExitStatus::Done))
}

fn print(report: &Report, table: &mut Table, patient: PatientEvent) -> anyhow::Result<()> {
    report.json(&patient)?;
    let numbers = [patient.studies, patient.series, patient.instances];
    let cells = std::iter::once(patient.patient).chain(numbers.map(|n| n.to_string()));
    let lines = table.row(cells).into_iter().flatten();
    lines.into_iter().try_for_each(|line| report.line(&line))
}
