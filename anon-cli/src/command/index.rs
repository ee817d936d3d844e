//! `anon index`: lists originals and pseudonyms, one row per study. Its output identifies patients.

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

/// One row, in the order of the columns of V17.
#[derive(Debug, Serialize)]
struct IndexRow {
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

/// The columns of V17, in its order.
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

/// The index of the date offset in [`COLUMNS`].
const DATE_OFFSET: usize = 4;

type OnRow<'r> = &'r mut dyn FnMut(IndexRow) -> anyhow::Result<()>;

impl IndexRow {
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

impl From<StudyRow> for IndexRow {
    fn from(row: StudyRow) -> Self {
        let exposed = |value: Option<anon_model::Phi<String>>| {
            value.map_or_else(String::new, anon_model::Phi::into_exposed)
        };
        Self {
            event: "study",
            anon_patient_id: row.patient.clone(),
            // V17 uses one pseudonym for Patient ID and Patient's Name.
            anon_patient_name: row.patient,
            patient_name: row.patient_phi.name.into_exposed(),
            patient_id: row.patient_phi.id.into_exposed(),
            date_offset: row.phi.date_offset,
            study_date: exposed(row.phi.date),
            anon_accession: row.accession.unwrap_or_default(),
            accession: exposed(row.phi.accession),
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
    /// Truncated cells of the workbook.
    cut: u64,
}

pub(crate) fn run(context: &Context<'_>, args: &Index) -> anyhow::Result<ExitStatus> {
    let project = Project::existing(context.project())?;
    log::start_without_file(&context.global)?;
    let settings = settings::load(&project)?;
    let lookups = open_project::read_lookups(&project, &settings)?;
    // Written first: without an audit entry nothing is shown.
    audit::append(&project.audit_file(), "index", lookups.totals()?.studies)?;
    let mut written = WrittenFiles {
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
        // The summary names the files that are complete.
        Err(_) if context.signals.caught().is_some() => {}
        done => done?,
    }
    let text = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    context.report.summary(&Summary {
        event: "summary",
        command: "index",
        studies: written.studies,
        csv: text(&written.csv),
        xlsx: text(&written.xlsx),
        cut: written.cut,
    })?;
    Ok(context.exit_status(ExitStatus::Done))
}

/// Writes the files of `--csv` and `--xlsx`.
fn write(
    context: &Context<'_>,
    project: &Project,
    settings: &ProjectSettings,
    lookups: &dyn PhiIndex,
    args: &Index,
    written: &mut WrittenFiles,
) -> anyhow::Result<()> {
    let cancel = context.signals.cancel();
    if let Some(file) = &args.csv {
        let target = file_target(project, settings, file.as_deref(), "csv");
        let (path, studies) = file::write(&target, |file| {
            csv::write(file, |row| for_each_study(cancel, lookups, row))
        })?;
        (written.studies, written.csv) = (studies, Some(path));
    }
    if let Some(file) = &args.xlsx {
        let target = file_target(project, settings, file.as_deref(), "xlsx");
        let mut cut = 0;
        let (path, studies) = file::write(&target, |file| {
            let rows = |on_row: OnRow<'_>| for_each_study(cancel, lookups, on_row);
            let done = xlsx::write(file, &project.tmp(), xlsx::SHEET_ROWS, rows)?;
            cut = done.cut;
            Ok(done.studies)
        })?;
        (written.studies, written.xlsx, written.cut) = (studies, Some(path), cut);
    }
    print_files(context, written)
}

/// The files written.
#[derive(Debug)]
struct WrittenFiles {
    studies: u64,
    csv: Option<PathBuf>,
    xlsx: Option<PathBuf>,
    /// Truncated cells of the workbook.
    cut: u64,
}

/// Returns where to write a file: as given, else in `private/phi_export` with the name of V17.
fn file_target<'p>(
    project: &Project,
    settings: &ProjectSettings,
    file: Option<&'p Path>,
    extension: &'static str,
) -> file::Target<'p> {
    match file {
        Some(path) => file::Target::Given(path),
        None => file::Target::Counted {
            directory: project.phi_export(),
            stem: format!("{}_{}_PHI", settings.site_id, settings.name),
            extension,
        },
    }
}

fn print_files(context: &Context<'_>, written: &WrittenFiles) -> anyhow::Result<()> {
    let report = context.report;
    for path in [&written.csv, &written.xlsx].into_iter().flatten() {
        report.line(&format!(
            "wrote {} studies to {}, readable by you alone",
            written.studies,
            path.display()
        ))?;
    }
    if written.cut > 0 {
        report.warn(&format!(
            "{} values are truncated in the workbook because they exceed the size of a cell: use --csv",
            written.cut
        ));
    }
    Ok(())
}

/// Prints all studies, and counts them.
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
    let shown = for_each_study(context.signals.cancel(), lookups, &mut |study| {
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

/// Calls `on_row` for each study. Returns their number. A signal is an error, so no partial index is written.
fn for_each_study(
    cancel: &Cancel,
    lookups: &dyn PhiIndex,
    on_row: OnRow<'_>,
) -> anyhow::Result<u64> {
    let mut count = 0;
    let mut done = Ok(());
    lookups.studies(&mut |study| {
        if cancel.is_cancelled() {
            done = Err(Interrupted.into());
        } else {
            count += 1;
            done = on_row(study.into());
        }
        if done.is_err() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    done.map(|()| count)
}

/// A signal arrived before the last study.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
struct Interrupted;

#[cfg(test)]
mod tests {
    use anon_model::{Adoption as _, ExternalStudy, Identity, MemoryStore, Phi};

    use super::*;

    /// A truncated index would look like a complete one.
    #[test]
    fn a_signal_before_the_last_study_is_an_error() {
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
        assert_eq!(for_each_study(&cancel, &store, &mut |_| Ok(())).unwrap(), 9);
        let part = for_each_study(&cancel, &store, &mut |_| {
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
