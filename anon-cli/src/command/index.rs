//! `anon index`: who is who, one row a study. Its purpose is to show what identifies.

mod csv;

use std::ops::ControlFlow;

use anon_model::{LookupStore, StudyRow};
use serde::Serialize;

use crate::args::Index;
use crate::command::Context;
use crate::exit::Ended;
use crate::project::Project;
use crate::report::Table;
use crate::{audit, log, settings, wire};

/// One row, in the order of V17's columns.
#[derive(Debug, Serialize)]
struct Line {
    event: &'static str,
    anon_patient_id: String,
    anon_patient_name: String,
    patient_name: String,
    patient_id: String,
    date_offset: i32,
    study_date: String,
    anon_accession: String,
    accession: String,
    anon_study_uid: String,
    study_uid: String,
    series: u64,
    instances: u64,
}

impl From<StudyRow> for Line {
    fn from(row: StudyRow) -> Self {
        let shown = |value: Option<anon_model::Phi<String>>| {
            value.map_or_else(String::new, anon_model::Phi::into_exposed)
        };
        Self {
            event: "study",
            anon_patient_id: row.patient.clone(),
            // V17 gives a patient one pseudonym for both.
            anon_patient_name: row.patient,
            patient_name: row.patient_phi.name.into_exposed(),
            patient_id: row.patient_phi.id.into_exposed(),
            date_offset: row.phi.date_offset,
            study_date: shown(row.phi.date),
            anon_accession: row.accession.unwrap_or_default(),
            accession: shown(row.phi.accession),
            anon_study_uid: row.study,
            study_uid: row.study_uid.into_exposed(),
            series: row.series,
            instances: row.instances,
        }
    }
}

#[derive(Debug, Serialize)]
struct Summary<'s> {
    event: &'static str,
    command: &'static str,
    studies: u64,
    csv: Option<&'s str>,
}

pub(crate) fn run(context: &Context<'_>, args: &Index) -> anyhow::Result<Ended> {
    let project = Project::existing(&context.global)?;
    log::start_without_file(&context.global)?;
    let settings = settings::load(&project)?;
    let lookups = wire::read_lookups(&project, &settings)?;
    // Before anything is shown: what cannot be noted is not shown.
    audit::append(&project.audit_file(), "index", lookups.totals()?.studies)?;
    let studies = match &args.csv {
        Some(path) => {
            let studies = csv::write(path, |row| each(context, &*lookups, row))?;
            context
                .report
                .line(&format!("{studies} studies, written for you alone"))?;
            studies
        }
        None => show(context, &*lookups)?,
    };
    let file = args.csv.as_ref().map(|path| path.to_string_lossy());
    context.report.json(&Summary {
        event: "summary",
        command: "index",
        studies,
        csv: file.as_deref(),
    })?;
    Ok(context.ended(Ended::Done))
}

fn show(context: &Context<'_>, lookups: &dyn LookupStore) -> anyhow::Result<u64> {
    let report = context.report;
    let mut table = Table::new(&[
        "anon patient",
        "patient name",
        "patient id",
        "days",
        "study date",
        "anon acc.",
        "accession",
        "anon study",
        "study",
        "series",
        "instances",
    ]);
    let studies = each(context, lookups, &mut |study| {
        report.json(&study)?;
        let cells = [
            study.anon_patient_id,
            study.patient_name,
            study.patient_id,
            study.date_offset.to_string(),
            study.study_date,
            study.anon_accession,
            study.accession,
            study.anon_study_uid,
            study.study_uid,
            study.series.to_string(),
            study.instances.to_string(),
        ];
        let lines = table.row(cells).into_iter().flatten();
        lines.into_iter().try_for_each(|line| report.line(&line))
    })?;
    table
        .finish()
        .iter()
        .try_for_each(|line| report.line(line))?;
    Ok(studies)
}

/// Shows each study; how many there were.
fn each(
    context: &Context<'_>,
    lookups: &dyn LookupStore,
    row: &mut dyn FnMut(Line) -> anyhow::Result<()>,
) -> anyhow::Result<u64> {
    let mut count = 0;
    let mut done = Ok(());
    lookups.studies(&mut |study| {
        count += 1;
        done = row(study.into());
        if done.is_err() || context.signals.cancel().is_cancelled() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    done.map(|()| count)
}
