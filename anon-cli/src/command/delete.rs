//! `anon delete`: a patient or a study, its files and its lookups, all or nothing.

use anon_engine::{DirectoryStore, Store as _};
use anon_model::{LookupStore, Totals};
use anyhow::Context as _;
use serde::Serialize;

use crate::args::Delete;
use crate::command::Context;
use crate::exit::Ended;
use crate::lock::Lock;
use crate::project::Project;
use crate::settings::Missing;
use crate::{audit, log, report, settings, wire};

#[derive(Debug, Serialize)]
struct Summary {
    event: &'static str,
    command: &'static str,
    patients: u64,
    studies: u64,
    series: u64,
    instances: u64,
    bytes: u64,
}

pub(crate) fn run(context: &Context<'_>, args: &Delete) -> anyhow::Result<Ended> {
    let project = Project::existing(&context.global)?;
    let settings = settings::load(&project)?;
    project.check_access()?;
    let _lock = Lock::take(&project.lock_file())?;
    log::start(&project, &settings.log, &context.global)?;
    let secret = settings::secret(&project, &settings, Missing::Refuse)?;
    let lookups = wire::open_lookups(&project, &settings, secret.as_ref())?;
    let store = wire::open_store(&project, &settings)?;
    // What a crash left is repaired first, an earlier deletion included.
    anon_engine::recover(&*lookups, &store).context("cannot repair what a crash left")?;
    let before = match (&args.patient, &args.study) {
        (Some(patient), _) => lookups.patient(patient)?.map(|row| row.instances),
        (_, Some(study)) => lookups.study(study)?.map(|row| row.instances),
        (None, None) => None,
    };
    let Some(before) = before else {
        let hint = "this project has no such patient or study; `anon patients` lists anonymous ids";
        context.report.talk(hint);
        print(context, Totals::default())?;
        return Ok(Ended::Partly);
    };
    audit::append(&project.audit_file(), "delete", before)?;
    let totals = remove(&*lookups, &store, args)?;
    print(context, totals)?;
    Ok(Ended::Done)
}

/// Takes it out of the index, then removes its files. If that fails, the next command that opens the
/// project for writing goes on with it.
fn remove(
    lookups: &dyn LookupStore,
    store: &DirectoryStore,
    args: &Delete,
) -> anyhow::Result<Totals> {
    let deleted = match (&args.patient, &args.study) {
        (Some(patient), _) => lookups.delete_patient(patient)?,
        (_, Some(study)) => lookups.delete_study(study)?,
        (None, None) => None,
    };
    let Some(deleted) = deleted else {
        return Ok(Totals::default());
    };
    for [patient, study] in &deleted.removal.directories {
        store
            .remove_study(patient, study)
            .context("the lookups are gone, and a file is left: run the same command again")?;
    }
    lookups.settle(deleted.removal.group, &[])?;
    lookups.flush()?;
    let Totals {
        studies, instances, ..
    } = deleted.totals;
    tracing::info!(studies, instances, "deleted");
    Ok(deleted.totals)
}

fn print(context: &Context<'_>, totals: Totals) -> anyhow::Result<()> {
    context.report.json(&Summary {
        event: "summary",
        command: "delete",
        patients: totals.patients,
        studies: totals.studies,
        series: totals.series,
        instances: totals.instances,
        bytes: totals.bytes,
    })?;
    context.report.line(&format!(
        "deleted {} studies with {} instances, {}",
        totals.studies,
        totals.instances,
        report::bytes(totals.bytes)
    ))
}
