//! `--raise-counters`: accepts an older lookup store, or begins a new one in the place of a lost one,
//! and goes on above every number that was ever seen.

use std::path::Path;

use anon_model::disk::{Numbers, Position, StoreMark};
use anon_model::{Counts, DiskStore, Identity, ProjectSettings, Pseudonyms as _};
use anyhow::Context as _;

use crate::exit::Failure;
use crate::project::lock::Lock;
use crate::project::mark::evidence;
use crate::project::mark::file;
use crate::project::mark::keeper::BLOCK;
use crate::project::mark::{objects, outputs};
use crate::project::settings::Missing;
use crate::project::{NetworkFs, Project, audit, open_project, settings};

/// Raises the counters of the lookup store above the store, the mark, `public/` and the export
/// journals, and makes a new mark. Every other copy of the store is an older one afterwards. Returns
/// the numbers above which it goes on.
///
/// # Errors
/// If the store is of another project; if something cannot be read or written. Nothing is given then.
pub(crate) fn raise_counters(
    project: &Project,
    settings: &ProjectSettings,
    network_fs: NetworkFs,
) -> anyhow::Result<Numbers> {
    let public = open_project::prepare(project, settings, network_fs)?;
    let _lock = Lock::take(&project.lock_file())?;
    // Another secret would give other pseudonyms.
    let secret = settings::secret(project, settings, Missing::Refuse)?;
    let identity = open_project::identity(settings, secret.as_ref())?;
    let mark = file::known(project)?;
    let ceilings = mark.map(|mark| mark.ceilings);
    let seen = seen(project, settings, &identity, &public, ceilings)?;
    let store = open_project::open_store_file(project, settings, identity)?;
    let before = store.position()?;
    check_own(project, &store, &before, mark.as_ref())?;
    let target = before.numbers.max(seen);
    let skipped = [
        target.patients - before.numbers.patients,
        target.uids - before.numbers.uids,
        target.accessions - before.numbers.accessions,
    ];
    let skipped = skipped.into_iter().fold(0, u64::saturating_add);
    audit::append(&project.audit_file(), "raise-counters", skipped)?;
    let group = mark.map_or(0, |mark| mark.group);
    let after = store.raise_counters(target, group)?;
    let mark = StoreMark {
        store: after.store,
        group: after.group,
        ceilings: after.numbers,
    };
    file::write(&project.mark_file(), &mark)
        .context(Failure::CannotRun("cannot write store.mark".into()))?;
    tracing::info!(skipped, "raised the counters");
    Ok(after.numbers)
}

/// Refuses the store of another project: its pseudonyms belong to its own patients. A store without
/// pseudonyms is accepted, such as one that a crash left here before its mark was written.
fn check_own(
    project: &Project,
    store: &DiskStore,
    position: &Position,
    mark: Option<&StoreMark>,
) -> anyhow::Result<()> {
    if mark.is_some_and(|mark| mark.store != position.store) && store.counts()? != Counts::default()
    {
        return Err(evidence::foreign(project));
    }
    Ok(())
}

/// Returns the highest numbers that may have been given, as the project shows them. `ceilings` are those
/// of its mark.
pub(crate) fn seen(
    project: &Project,
    settings: &ProjectSettings,
    identity: &Identity,
    public: &Path,
    ceilings: Option<Numbers>,
) -> anyhow::Result<Numbers> {
    let what = "cannot read the directory of outputs";
    let mut seen = outputs::walk(public, identity, &mut |_| Ok(())).context(what)?;
    let patients = evidence::patients(project, settings)?;
    seen.patients = seen.patients.max(evidence::highest(&patients, identity));
    if let Some(ceilings) = ceilings
        && seen.is_within(ceilings)
    {
        return Ok(seen.max(ceilings));
    }
    // No mark, or one as old as the store: names do not show every UID, and no accession number.
    outputs::walk(public, identity, &mut |object| {
        seen = seen.max(objects::highest_in(object, identity)?);
        Ok(())
    })
    .context(what)?;
    let known = ceilings.unwrap_or_default();
    // What was deleted, and what a deflated object holds, is not seen.
    Ok(seen.max(known).plus(BLOCK))
}
