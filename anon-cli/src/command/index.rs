//! `anon index`: lists originals and pseudonyms, one row per study. Its output identifies patients.

mod clashes;
mod columns;
mod csv;
mod file;
mod xlsx;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anon_engine::Cancel;
use anon_model::{Phi, PhiIndex, ProjectSettings, StudyRow};
use serde::Serialize;

use self::columns::{Columns, FurtherCells};
use crate::args::Index;
use crate::command::Context;
use crate::exit::ExitStatus;
use crate::log;
use crate::project::Project;
use crate::project::{audit, open_project, settings};
use crate::report::{self, Table};

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
    #[serde(flatten)]
    further: FurtherCells,
}

type OnRow<'r> = &'r mut dyn FnMut(IndexRow) -> anyhow::Result<()>;

impl IndexRow {
    fn new(row: StudyRow, further: FurtherCells) -> Self {
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
            further,
        }
    }

    /// Returns the cells in the order of [`Columns::captions`].
    fn cells(self) -> Vec<String> {
        let v17 = [
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
        ];
        v17.into_iter().chain(self.further.into_texts()).collect()
    }
}

fn exposed(value: Option<Phi<String>>) -> String {
    value.map_or_else(String::new, Phi::into_exposed)
}

#[derive(Debug, Serialize)]
struct Summary {
    event: &'static str,
    command: &'static str,
    patients: u64,
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
    if args.clashes {
        return clashes::run(context, &project, &*lookups);
    }
    // Written first: without an audit entry nothing is shown.
    audit::append(&project.audit_file(), "index", lookups.totals()?.studies)?;
    let rows = Rows {
        cancel: context.signals.cancel(),
        lookups: &*lookups,
        columns: Columns::new(args.columns.as_deref()),
    };
    let mut written = WrittenFiles::default();
    let done = if args.csv.is_none() && args.xlsx.is_none() {
        show(context, &rows, &mut written.counts)
    } else {
        write(context, &project, &settings, &rows, args, &mut written)
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
        patients: written.counts.patients,
        studies: written.counts.studies,
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
    rows: &Rows<'_>,
    args: &Index,
    written: &mut WrittenFiles,
) -> anyhow::Result<()> {
    let captions = rows.columns.captions();
    if let Some(file) = &args.csv {
        let target = file_target(project, settings, file.as_deref(), "csv");
        let counts = &mut written.counts;
        let (path, _) = file::write(&target, |file| {
            csv::write(file, &captions, |on_row| rows.visit(counts, on_row))
        })?;
        written.csv = Some(path);
    }
    if let Some(file) = &args.xlsx {
        let target = file_target(project, settings, file.as_deref(), "xlsx");
        let mut cut = 0;
        let counts = &mut written.counts;
        let (path, _) = file::write(&target, |file| {
            let layout = xlsx::Layout {
                captions: &captions,
                sheet_rows: xlsx::SHEET_ROWS,
            };
            let rows = |on_row: OnRow<'_>| rows.visit(counts, on_row);
            let done = xlsx::write(file, &project.tmp(), layout, rows)?;
            cut = done.cut;
            Ok(done.studies)
        })?;
        (written.xlsx, written.cut) = (Some(path), cut);
    }
    print_files(context, written)
}

/// The patients and studies of an index.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    patients: u64,
    studies: u64,
}

/// The files written.
#[derive(Debug, Default)]
struct WrittenFiles {
    counts: Counts,
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
            "wrote {} to {}, readable by you alone",
            report::counted(written.counts.studies, "study"),
            path.display()
        ))?;
    }
    if written.cut > 0 {
        report.warn(&format!(
            "the workbook has {} that is cut at the size of a cell: use --csv",
            report::counted(written.cut, "value")
        ));
    }
    Ok(())
}

/// Prints all studies, and counts them.
fn show(context: &Context<'_>, rows: &Rows<'_>, counts: &mut Counts) -> anyhow::Result<()> {
    let report = context.report;
    let headers = [
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
    ];
    let headers: Vec<_> = headers.into_iter().chain(rows.columns.headers()).collect();
    let mut table = Table::new(&headers);
    let shown = rows.visit(counts, &mut |study| {
        report.json(&study)?;
        // People see the pseudonym of Patient ID and Patient's Name once.
        let cells = study.cells().into_iter().enumerate();
        let cells = cells.filter_map(|(column, cell)| (column != 1).then_some(cell));
        let lines = table.row(cells).into_iter().flatten();
        lines.into_iter().try_for_each(|line| report.line(&line))
    });
    table
        .finish()
        .iter()
        .try_for_each(|line| report.line(line))?;
    if shown? == 0 {
        report.line("no studies yet: import, receive or retrieve objects first")?;
    }
    Ok(())
}

/// The rows of an index.
struct Rows<'r> {
    cancel: &'r Cancel,
    lookups: &'r dyn PhiIndex,
    columns: Columns,
}

impl Rows<'_> {
    /// Calls `on_row` for each study. Returns their number, and counts them and their patients. A
    /// signal is an error, so no partial index is written.
    fn visit(&self, counts: &mut Counts, on_row: OnRow<'_>) -> anyhow::Result<u64> {
        *counts = Counts::default();
        let mut done = Ok(());
        let mut patient = None;
        self.lookups.studies(&mut |study| {
            let of = study.patient.clone();
            done = self.row(study, on_row);
            if done.is_err() {
                return ControlFlow::Break(());
            }
            counts.studies += 1;
            // The studies of a patient follow each other.
            if patient.as_ref() != Some(&of) {
                counts.patients += 1;
                patient = Some(of);
            }
            ControlFlow::Continue(())
        })?;
        done.map(|()| counts.studies)
    }

    fn row(&self, study: StudyRow, on_row: OnRow<'_>) -> anyhow::Result<()> {
        if self.cancel.is_cancelled() {
            return Err(Interrupted.into());
        }
        let further = self.columns.cells(self.lookups, &study)?;
        on_row(IndexRow::new(study, further))
    }
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
        let rows = Rows {
            cancel: &cancel,
            lookups: &store,
            columns: Columns::default(),
        };
        let mut counts = Counts::default();
        assert_eq!(rows.visit(&mut counts, &mut |_| Ok(())).unwrap(), 9);
        assert_eq!((counts.patients, counts.studies), (9, 9));
        let part = rows.visit(&mut counts, &mut |_| {
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
