//! `anon import-java-index`: the pseudonyms of the Java anonymizer, taken over.

use std::fs::File;

use anon_model::java_index::{JavaIndex, Limits, ReadError, Report as Outcomes, RowOutcome};
use anon_model::settings::{MissingPatientId, PatientKey};
use anon_model::{Adopting, Identity, MemoryStore, ProjectSettings};
use anyhow::Context as _;
use serde::Serialize;

use crate::args::{ImportJavaIndex, NewProject};
use crate::command::{Context, new_project};
use crate::exit::{ExitStatus, Failure};
use crate::log;
use crate::project::Project;
use crate::project::lock::Lock;
use crate::project::settings::Missing;
use crate::project::{audit, open_project, settings};

/// Refused rows that people are shown.
const SHOWN: usize = 20;

#[derive(Debug, Serialize)]
struct Line {
    event: &'static str,
    row: u32,
    outcome: &'static str,
    reason: Option<String>,
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
    let project = Project::chosen(context.project())?;
    let index = read(context, args)?;
    let adopting = if args.skip_bad_rows {
        Adopting::WhatCanBe
    } else {
        Adopting::AllOrNothing
    };
    let exists = project.exists();
    if !exists {
        let options = with_identity(&args.options, &index)?;
        let tried = try_out(&index, adopting)?;
        if !(tried.is_clean() || args.skip_bad_rows) {
            return conclude(context, args, &index, &tried, false);
        }
        let settings = new_project::make(context, &project, &options)?;
        context.report.info(&format!(
            "made a project in {}, site id {}",
            project.root().display(),
            settings.site_id
        ));
    }
    let settings = settings::load(&project)?;
    if exists {
        new_project::check_against(&project, &settings, &args.options)?;
    }
    check_identity(&settings, &index)?;
    let outcomes = take_over(context, &project, &settings, &index, adopting)?;
    conclude(context, args, &index, &outcomes, !exists)
}

fn read(context: &Context<'_>, args: &ImportJavaIndex) -> anyhow::Result<JavaIndex> {
    // A path can identify.
    let cannot = || {
        Failure::CannotRun(if context.report.shows_phi() {
            format!("cannot read {}", args.file.display())
        } else {
            "cannot read the index".into()
        })
    };
    let file = File::open(&args.file).with_context(cannot)?;
    if file.metadata().with_context(cannot)?.is_dir() {
        return Err(std::io::Error::from(std::io::ErrorKind::IsADirectory)).with_context(cannot);
    }
    JavaIndex::read(file, &Limits::default()).map_err(|error| match error {
        ReadError::Io(error) => anyhow::Error::new(error).context(cannot()),
        error => Failure::configuration(error.to_string()),
    })
}

/// The options of a new project, under the identity of the index.
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

/// What would come of the index in a new project.
fn try_out(index: &JavaIndex, adopting: Adopting) -> anyhow::Result<Outcomes> {
    let identity = Identity::new(index.site().clone(), index.root().clone())
        .context(Failure::Configuration("the index".into()))?;
    let store = MemoryStore::new(identity).context("the system has no random numbers to give")?;
    Ok(index.take_into(&store, MissingPatientId::Shared, adopting)?)
}

fn check_identity(settings: &ProjectSettings, index: &JavaIndex) -> anyhow::Result<()> {
    let (site, root) = (index.site(), index.root());
    if (&settings.site_id, &settings.uid_root) != (site, root) {
        return Err(Failure::configuration(format!(
            "the index was made under site id {site} and UID root {root}, and the project has {} \
             and {}: take it over into a project of its own, which is made if --project DIR names \
             none that exists",
            settings.site_id, settings.uid_root
        )));
    }
    if settings.patient_key == PatientKey::IdAndIssuer {
        return Err(Failure::configuration(
            "the project has patient_key = \"id+issuer\", and the index tells no issuers: its \
             patients would not be found again",
        ));
    }
    Ok(())
}

fn take_over(
    context: &Context<'_>,
    project: &Project,
    settings: &ProjectSettings,
    index: &JavaIndex,
    adopting: Adopting,
) -> anyhow::Result<Outcomes> {
    project.check_access()?;
    let _lock = Lock::take(&project.lock_file())?;
    log::start(project, &settings.log, &context.global)?;
    open_project::prepare(project, settings, context.network_fs())?;
    // A new secret is no secret of a store that is there.
    let missing = if project.lookup_file().exists() {
        Missing::Refuse
    } else {
        Missing::Make
    };
    let secret = settings::secret(project, settings, missing)?;
    let lookups = open_project::open_lookups(project, settings, secret.as_ref())?;
    let store = open_project::open_store(project, settings)?;
    anon_engine::recover(&*lookups, &store).context("cannot repair what a crash left")?;
    audit::append(
        &project.audit_file(),
        "import-java-index",
        index.len() as u64,
    )?;
    let outcomes = index.take_into(&*lookups, settings.missing_patient_id, adopting)?;
    tracing::info!(
        rows = index.len(),
        "took over an index of the Java anonymizer"
    );
    Ok(outcomes)
}

fn conclude(
    context: &Context<'_>,
    args: &ImportJavaIndex,
    index: &JavaIndex,
    outcomes: &Outcomes,
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
    for (row, outcome) in outcomes.rows() {
        let (count, outcome, reason) = match outcome {
            RowOutcome::Taken => (&mut summary.taken, "taken", None),
            RowOutcome::AlreadyThere => (&mut summary.already_there, "already_there", None),
            RowOutcome::HeldBack => (&mut summary.held_back, "held_back", None),
            RowOutcome::Refused(why) => (&mut summary.refused, "refused", Some(why.to_string())),
        };
        *count += 1;
        if let Some(reason) = &reason
            && summary.refused <= SHOWN
        {
            context.report.line(&format!("row {row}: {reason}"))?;
        }
        context.report.json(&Line {
            event: "row",
            row: *row,
            outcome,
            reason,
        })?;
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
