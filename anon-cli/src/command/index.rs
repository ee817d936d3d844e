//! `anon index`: who is who, one row a study. Its purpose is to show what identifies.

mod csv;
mod file;
mod xlsx;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anon_engine::Cancel;
use anon_model::{PhiIndex, ProjectSettings, StudyRow};
use serde::Serialize;

use crate::args::Index;
use crate::command::Context;
use crate::exit::ExitStatus;
use crate::log;
use crate::project::Project;
use crate::project::{audit, open_project, settings};
use crate::report::Table;

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

/// V17's columns, in its order.
const COLUMNS: [&str; 12] = [
    "ANON-PatientID",
    "ANON-PatientName",
    "PHI-PatientName",
    "PHI-PatientID",
    "DateOffset",
    "PHI-StudyDate",
    "ANON-Accession",
    "PHI-Accession",
    "ANON-StudyInstanceUID",
    "PHI-StudyInstanceUID",
    "Number of Series",
    "Number of Instances",
];

/// The place of the date offset among them.
const DATE_OFFSET: usize = 4;

type Row<'r> = &'r mut dyn FnMut(Line) -> anyhow::Result<()>;

impl Line {
    fn cells(self) -> [String; COLUMNS.len()] {
        [
            self.anon_patient_id,
            self.anon_patient_name,
            self.patient_name,
            self.patient_id,
            self.date_offset.to_string(),
            self.study_date,
            self.anon_accession,
            self.accession,
            self.anon_study_uid,
            self.study_uid,
            self.series.to_string(),
            self.instances.to_string(),
        ]
    }
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
struct Summary {
    event: &'static str,
    command: &'static str,
    studies: u64,
    csv: Option<String>,
    xlsx: Option<String>,
    /// Cells of the workbook that were cut.
    cut: u64,
}

pub(crate) fn run(context: &Context<'_>, args: &Index) -> anyhow::Result<ExitStatus> {
    let project = Project::existing(context.project())?;
    log::start_without_file(&context.global)?;
    let settings = settings::load(&project)?;
    let lookups = open_project::read_lookups(&project, &settings)?;
    // Before anything is shown: what cannot be noted is not shown.
    audit::append(&project.audit_file(), "index", lookups.totals()?.studies)?;
    let mut written = Written {
        studies: 0,
        csv: None,
        xlsx: None,
        cut: 0,
    };
    let done = if args.csv.is_none() && args.xlsx.is_none() {
        show(context, &*lookups, &mut written.studies)
    } else {
        write(context, &project, &settings, &*lookups, args, &mut written)
    };
    match done {
        // What is there is whole, and the summary names it.
        Err(_) if context.signals.caught().is_some() => {}
        done => done?,
    }
    let shown = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    context.report.summary(&Summary {
        event: "summary",
        command: "index",
        studies: written.studies,
        csv: shown(&written.csv),
        xlsx: shown(&written.xlsx),
        cut: written.cut,
    })?;
    Ok(context.exit_status(ExitStatus::Done))
}

/// Writes the files that are wanted.
fn write(
    context: &Context<'_>,
    project: &Project,
    settings: &ProjectSettings,
    lookups: &dyn PhiIndex,
    args: &Index,
    written: &mut Written,
) -> anyhow::Result<()> {
    let cancel = context.signals.cancel();
    if let Some(file) = &args.csv {
        let place = place_of(project, settings, file.as_deref(), "csv");
        let (path, studies) = file::write(&place, |file| {
            csv::write(file, |row| each(cancel, lookups, row))
        })?;
        (written.studies, written.csv) = (studies, Some(path));
    }
    if let Some(file) = &args.xlsx {
        let place = place_of(project, settings, file.as_deref(), "xlsx");
        let mut cut = 0;
        let (path, studies) = file::write(&place, |file| {
            let rows = |row: Row<'_>| each(cancel, lookups, row);
            let done = xlsx::write(file, &project.tmp(), xlsx::SHEET_ROWS, rows)?;
            cut = done.cut;
            Ok(done.studies)
        })?;
        (written.studies, written.xlsx, written.cut) = (studies, Some(path), cut);
    }
    say(context, written)
}

/// What was written, and where.
#[derive(Debug)]
struct Written {
    studies: u64,
    csv: Option<PathBuf>,
    xlsx: Option<PathBuf>,
    /// Cells of the workbook that were cut.
    cut: u64,
}

/// Where a file goes: as asked, else under V17's name in `private/phi_export`.
fn place_of<'p>(
    project: &Project,
    settings: &ProjectSettings,
    file: Option<&'p Path>,
    extension: &'static str,
) -> file::Place<'p> {
    match file {
        Some(path) => file::Place::Given(path),
        None => file::Place::Counted {
            directory: project.phi_export(),
            stem: format!("{}_{}_PHI", settings.site_id, settings.name),
            extension,
        },
    }
}

fn say(context: &Context<'_>, written: &Written) -> anyhow::Result<()> {
    let report = context.report;
    for path in [&written.csv, &written.xlsx].into_iter().flatten() {
        report.line(&format!(
            "{} studies in {}, written for you alone",
            written.studies,
            path.display()
        ))?;
    }
    if written.cut > 0 {
        report.warn(&format!(
            "{} values are longer than a cell may be, and cut in the workbook; --csv has all of them",
            written.cut
        ));
    }
    Ok(())
}

/// Shows each study, and counts them.
fn show(context: &Context<'_>, lookups: &dyn PhiIndex, studies: &mut u64) -> anyhow::Result<()> {
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
    let shown = each(context.signals.cancel(), lookups, &mut |study| {
        report.json(&study)?;
        *studies += 1;
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
    });
    table
        .finish()
        .iter()
        .try_for_each(|line| report.line(line))?;
    shown.map(drop)
}

/// Shows each study; how many there were. A part of them is none: a signal in between is an error.
fn each(cancel: &Cancel, lookups: &dyn PhiIndex, row: Row<'_>) -> anyhow::Result<u64> {
    let mut count = 0;
    let mut done = Ok(());
    lookups.studies(&mut |study| {
        if cancel.is_cancelled() {
            done = Err(Interrupted.into());
        } else {
            count += 1;
            done = row(study.into());
        }
        if done.is_err() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    done.map(|()| count)
}

/// A signal came before the last study.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
struct Interrupted;

#[cfg(test)]
mod tests {
    use anon_model::{Adoption as _, ExternalStudy, Identity, MemoryStore, Phi};

    use super::*;

    /// A signal in the middle of a file leaves none: half an index looks like a whole one.
    #[test]
    fn a_part_of_the_studies_is_an_error() {
        let store =
            MemoryStore::new(Identity::new("5".parse().unwrap(), "1.2".parse().unwrap()).unwrap())
                .unwrap();
        let studies: Vec<ExternalStudy> = (1..=9)
            .map(|n| ExternalStudy {
                patient_key: Phi::new(format!("P{n}")),
                patient_name: format!("5-{n:06}"),
                study_uid: Phi::new(format!("1.3.{n}")),
                study_name: format!("1.2.5.{n}"),
                accession_name: String::new(),
                patient: anon_model::PatientPhi::default(),
                study: anon_model::StudyPhi::default(),
            })
            .collect();
        store
            .adopt_studies(&studies, &[], anon_model::Adopting::AllOrNothing)
            .unwrap();
        let (cancel, mut shown) = (Cancel::new(), 0);
        assert_eq!(each(&cancel, &store, &mut |_| Ok(())).unwrap(), 9);
        let part = each(&cancel, &store, &mut |_| {
            shown += 1;
            if shown == 4 {
                cancel.cancel();
            }
            Ok(())
        });
        assert!(part.unwrap_err().is::<Interrupted>());
        assert_eq!(shown, 4);
    }
}
