//! `anon delete`: a patient or a study, its files and its lookups, all or nothing.

use anon_engine::Store;
use anon_model::{LookupStore, ProjectSettings, Totals};
use anyhow::Context as _;
use serde::Serialize;

use crate::args::Delete;
use crate::command::{Context, import};
use crate::control::{Answer, Ask, Handed, hand_over};
use crate::exit::Ended;
use crate::lock::{self, Held, Lock};
use crate::project::Project;
use crate::record::{Deleted, Target};
use crate::settings::Missing;
use crate::{audit, log, report, settings, wire};

#[derive(Debug, Serialize)]
struct Summary {
    event: &'static str,
    command: &'static str,
    #[serde(flatten)]
    deleted: Deleted,
}

pub(crate) fn run(context: &Context<'_>, args: &Delete) -> anyhow::Result<Ended> {
    let project = Project::existing(&context.global)?;
    let settings = settings::load(&project)?;
    project.check_access()?;
    log::start(&project, &settings.log, &context.global)?;
    let target = match (&args.patient, &args.study) {
        (Some(patient), _) => Target::Patient(patient.clone()),
        (None, study) => Target::Study(study.clone().unwrap_or_default()),
    };
    let deleted = delete_or_hand_over(context, &project, &settings, &target)?;
    if deleted.is_none() {
        let hint = "this project has no such patient or study; `anon patients` lists anonymous ids";
        context.report.talk(hint);
    }
    print(context, deleted.unwrap_or_default())?;
    Ok(match deleted {
        Some(_) => Ended::Done,
        None => Ended::Partly,
    })
}

/// Deletes if the project is free, hands over if its holder takes work, and gives up otherwise.
fn delete_or_hand_over(
    context: &Context<'_>,
    project: &Project,
    settings: &ProjectSettings,
    target: &Target,
) -> anyhow::Result<Option<Deleted>> {
    let ask = Ask::Delete(target.clone());
    let mut holder = None;
    for _ in 0..import::TRIES {
        match Lock::try_take(&project.lock_file())? {
            Held::ByUs(_lock) => return delete_here(project, settings, target),
            Held::ByOther(pid) => holder = pid,
        }
        match hand_over(&project.socket(), &ask, &context.signals, &mut |_| Ok(()))? {
            Handed::Done(Answer::Deleted(deleted)) => return Ok(deleted),
            Handed::Done(_) => return Err(import::odd_answer()),
            Handed::Nobody => {}
        }
        if context.signals.cancel().is_cancelled() {
            break;
        }
        import::pause();
    }
    Err(lock::in_use(holder))
}

fn delete_here(
    project: &Project,
    settings: &ProjectSettings,
    target: &Target,
) -> anyhow::Result<Option<Deleted>> {
    let secret = settings::secret(project, settings, Missing::Refuse)?;
    let lookups = wire::open_lookups(project, settings, secret.as_ref())?;
    let store = wire::open_store(project, settings)?;
    // What a crash left is repaired first, an earlier deletion included.
    anon_engine::recover(&*lookups, &store).context("cannot repair what a crash left")?;
    remove(&*lookups, &store, project, target)
}

/// Takes a patient or a study out of the index, then removes its files. If that fails, the next
/// command that opens the project for writing goes on with it. None if there is none.
pub(crate) fn remove(
    lookups: &dyn LookupStore,
    store: &dyn Store,
    project: &Project,
    target: &Target,
) -> anyhow::Result<Option<Deleted>> {
    let instances = match target {
        Target::Patient(id) => lookups.patient(id)?.map(|row| row.instances),
        Target::Study(uid) => lookups.study(uid)?.map(|row| row.instances),
    };
    let Some(instances) = instances else {
        return Ok(None);
    };
    audit::append(&project.audit_file(), "delete", instances)?;
    let deleted = match target {
        Target::Patient(id) => lookups.delete_patient(id)?,
        Target::Study(uid) => lookups.delete_study(uid)?,
    };
    let Some(deleted) = deleted else {
        return Ok(None);
    };
    for [patient, study] in &deleted.removal.directories {
        store
            .remove_study(patient, study)
            .context("the lookups are gone, and a file is left: run the same command again")?;
    }
    lookups.settle(deleted.removal.group, &[])?;
    lookups.flush()?;
    let Totals {
        patients,
        studies,
        series,
        instances,
        bytes,
        ..
    } = deleted.totals;
    tracing::info!(studies, instances, "deleted");
    Ok(Some(Deleted {
        patients,
        studies,
        series,
        instances,
        bytes,
    }))
}

fn print(context: &Context<'_>, deleted: Deleted) -> anyhow::Result<()> {
    context.report.summary(&Summary {
        event: "summary",
        command: "delete",
        deleted,
    })?;
    context.report.line(&format!(
        "deleted {} studies with {} instances, {}",
        deleted.studies,
        deleted.instances,
        report::bytes(deleted.bytes)
    ))
}
