//! Deletes a patient or a study: files and lookups, all or nothing.

use anon_engine::Store;
use anon_model::{LookupStore, ProjectSettings, Totals};
use anyhow::Context as _;

use crate::node::LastFind;
use crate::project::record::{Deleted, Target};
use crate::project::settings::Missing;
use crate::project::{Project, audit, open_project, settings};

/// Deletes in a project that this process has locked and not opened.
pub(crate) fn delete(
    project: &Project,
    settings: &ProjectSettings,
    target: &Target,
) -> anyhow::Result<Option<Deleted>> {
    let secret = settings::secret(project, settings, Missing::Refuse)?;
    let lookups = open_project::open_lookups(project, settings, secret.as_ref())?;
    let store = open_project::open_store(project, settings)?;
    // Repairs what a crash left first, for instance an earlier deletion.
    anon_engine::recover(&*lookups, &store).context("cannot repair what a crash left")?;
    let deleted = remove(&*lookups, &store, project, target)?;
    lookups.close()?;
    Ok(deleted)
}

/// Removes a patient or a study from the index, then its files. If a file cannot be removed, the next
/// command that opens the project for writing tries again. Returns `None` if it does not exist.
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
    // It holds original UIDs, perhaps of these studies.
    LastFind::remove(project)?;
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
            .context("the lookups were deleted, but a file was not: run the same command again")?;
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
