//! `anon import-java-index`: adopts the pseudonyms of the Java anonymizer.

use anon_model::ProjectSettings;
use anon_model::java_index::JavaIndex;
use serde::Serialize;

use crate::args::{ImportJavaIndex, NewProject};
use crate::command::{Context, new_project};
use crate::exit::{ExitStatus, Failure};
use crate::log;
use crate::project::Project;
use crate::project::lock::Lock;
use crate::project::record::{AdoptJob, AdoptedRow, RowResult};
use crate::project::trust::Purpose;
use crate::work::control::{Request, Response};
use crate::work::{Job, java_index, run_or_hand_over};

/// How many refused rows are printed for people.
const SHOWN: usize = 20;

#[derive(Debug, Serialize)]
struct Line<'r> {
    event: &'static str,
    #[serde(flatten)]
    row: &'r AdoptedRow,
}

#[derive(Debug, Serialize)]
struct Summary<'s> {
    event: &'static str,
    command: &'static str,
    rows: usize,
    taken: usize,
    already_there: usize,
    held_back: usize,
    refused: usize,
    odd_dates: usize,
    site_id: &'s str,
    uid_root: &'s str,
    project_made: bool,
}

pub(crate) fn run(context: &Context<'_>, args: &ImportJavaIndex) -> anyhow::Result<ExitStatus> {
    let project = Project::chosen(context.project(), Purpose::Any)?;
    let index = java_index::read(&args.file, &args.file.display().to_string())?;
    let job = AdoptJob {
        file: std::path::absolute(&args.file)?,
        skip_bad_rows: args.skip_bad_rows,
    };
    let exists = project.exists();
    if !exists {
        let options = with_identity(&args.options, &index)?;
        let tried = java_index::try_out(&index, job.adopting())?;
        if !(tried.is_clean() || args.skip_bad_rows) {
            let rows: Vec<_> = java_index::rows(&tried).collect();
            return conclude(context, args, &index, &rows, false);
        }
        let settings = new_project::make(context, &project, &options)?;
        context.report.info(&format!(
            "created the project {} in {}, site id {}",
            settings.name,
            project.root().display(),
            settings.site_id
        ));
    }
    let settings = context.settings(&project)?;
    if exists {
        new_project::check_against(&project, &settings, &args.options)?;
    }
    java_index::check_identity(&settings, &index)?;
    project.check_access()?;
    log::start(&project, &settings.log, &context.global)?;
    let mut adoption = Adoption {
        context,
        project: &project,
        settings: &settings,
        index: &index,
        job,
        rows: Vec::new(),
    };
    run_or_hand_over(&project, &context.signals, &mut adoption)?;
    conclude(context, args, &index, &adoption.rows, !exists)
}

struct Adoption<'c> {
    context: &'c Context<'c>,
    project: &'c Project,
    settings: &'c ProjectSettings,
    index: &'c JavaIndex,
    job: AdoptJob,
    rows: Vec<AdoptedRow>,
}

impl Job for Adoption<'_> {
    type Output = ();

    fn request(&self) -> Request {
        Request::Adopt(self.job.clone())
    }

    fn run(&mut self, _lock: Lock) -> anyhow::Result<()> {
        let report = java_index::adopt(
            self.project,
            self.settings,
            self.context.network_fs(),
            self.index,
            self.job.adopting(),
        )?;
        self.rows.extend(java_index::rows(&report));
        Ok(())
    }

    fn on_response(&mut self, response: Response) {
        if let Response::Row(row) = response {
            self.rows.push(row);
        }
    }

    fn output(response: Response) -> Option<()> {
        matches!(response, Response::Adopted(_)).then_some(())
    }
}

/// Returns the options of a new project with the site id and UID root of the index.
fn with_identity(options: &NewProject, index: &JavaIndex) -> anyhow::Result<NewProject> {
    let mut options = options.clone();
    for (option, given, found) in [
        ("--site-id", &mut options.site_id, index.site().as_str()),
        ("--uid-root", &mut options.uid_root, index.root().as_str()),
    ] {
        if given.as_ref().is_some_and(|given| given != found) {
            return Err(Failure::configuration(format!(
                "{option} is another than that of the index, {found}: leave it away"
            )));
        }
        *given = Some(found.to_owned());
    }
    Ok(options)
}

fn conclude(
    context: &Context<'_>,
    args: &ImportJavaIndex,
    index: &JavaIndex,
    rows: &[AdoptedRow],
    project_made: bool,
) -> anyhow::Result<ExitStatus> {
    let mut summary = Summary {
        event: "summary",
        command: "import-java-index",
        rows: index.len(),
        taken: 0,
        already_there: 0,
        held_back: 0,
        refused: 0,
        odd_dates: index.odd_dates(),
        site_id: index.site().as_str(),
        uid_root: index.root().as_str(),
        project_made,
    };
    for row in rows {
        let count = match row.outcome {
            RowResult::Taken => &mut summary.taken,
            RowResult::AlreadyThere => &mut summary.already_there,
            RowResult::HeldBack => &mut summary.held_back,
            RowResult::Refused => &mut summary.refused,
        };
        *count += 1;
        if let Some(reason) = &row.reason
            && summary.refused <= SHOWN
        {
            context.report.line(&format!("row {}: {reason}", row.row))?;
        }
        let event = "row";
        context.report.json(&Line { event, row })?;
    }
    print(context, &summary)?;
    context.report.summary(&summary)?;
    Ok(
        context.exit_status(match (summary.refused, args.skip_bad_rows) {
            (0, _) => ExitStatus::Done,
            (_, true) => ExitStatus::Partial,
            (_, false) => ExitStatus::BadConfiguration,
        }),
    )
}

fn print(context: &Context<'_>, summary: &Summary<'_>) -> anyhow::Result<()> {
    let report = context.report;
    let Summary {
        rows,
        taken,
        already_there,
        refused,
        odd_dates,
        ..
    } = summary;
    if *refused > SHOWN {
        let more = refused - SHOWN;
        report.line(&format!("and {more} more; --format json tells of each row"))?;
    }
    report.line(&format!(
        "{rows} rows: {taken} taken over, {already_there} there already, {refused} refused"
    ))?;
    if summary.held_back > 0 {
        report.info(
            "nothing was taken over, because rows were refused; --skip-bad-rows takes the others",
        );
    }
    if *odd_dates > 0 {
        report.warn(&format!(
            "in {odd_dates} rows ANON-StudyDate is not PHI-StudyDate less DateOffset"
        ));
    }
    Ok(())
}
