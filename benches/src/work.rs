//! The measured operations: plan and apply, assign, a whole import.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anon_engine::quarantine::{DirectoryQuarantine, QuarantineOptions};
use anon_engine::source::FileScan;
use anon_engine::store::{DirectoryStore, DirectoryStoreOptions, Durability};
use anon_engine::{Cancel, Engine, ImportSummary, NoObserver, Policy, Source, import, plan};
use anon_model::{
    Assigned, DiskOptions, DiskStore, Identity, LookupStore, MemoryStore, Names, NewInstance, Phi,
    SiteId, UidRoot, Wanted,
};
use anyhow::{Context as _, ensure};

const SITE: &str = "527408119";
const ROOT: &str = "1.2.826.0.1.3680043.10.474";

/// Returns a policy with the built-in rules and default settings.
///
/// # Errors
/// If they do not compile.
pub fn policy() -> anyhow::Result<Policy> {
    let rules = anon_script::builtin("rsna-v17").context("is built in")?;
    Ok(Policy::new(Arc::new(rules), SITE, "BENCH"))
}

/// Returns a policy with a profile of PS3.15 and default settings.
///
/// # Errors
/// If there is no such profile.
pub fn policy_of_profile(name: &str) -> anyhow::Result<Policy> {
    let profile = anon_script::profile::Profile::named(name)?;
    Ok(Policy::new(Arc::new(profile), SITE, "BENCH"))
}

/// Makes names for all originals of an object, without a store.
pub fn names(wanted: &Wanted) -> Names {
    let mut number = 0;
    let mut uid = || {
        number += 1;
        format!("{ROOT}.{SITE}.{number}")
    };
    Names {
        patient: format!("{SITE}-000001"),
        study: uid(),
        series: uid(),
        instance: uid(),
        uids: wanted.uids.iter().map(|_| uid()).collect(),
        accessions: wanted.accessions.iter().map(|_| "1".to_owned()).collect(),
        filed_under: None,
        date_offset: None,
    }
}

/// Plans and applies, and writes the output into a reused buffer.
///
/// # Errors
/// If the object is refused.
pub fn plan_apply(
    policy: &Policy,
    bytes: &[u8],
    names: &Names,
    into: &mut Vec<u8>,
) -> anyhow::Result<()> {
    let plan = plan(policy, Source::part10(bytes))?;
    plan.apply_into(names, into)?;
    Ok(())
}

/// Makes the names for one object; see [`names`].
///
/// # Errors
/// If the object is refused.
pub fn names_for(policy: &Policy, bytes: &[u8]) -> anyhow::Result<Names> {
    Ok(names(plan(policy, Source::part10(bytes))?.wanted()))
}

/// Returns the identity of the pseudonyms in every benchmark.
///
/// # Errors
/// Never, with these constants.
pub fn identity() -> anyhow::Result<Identity> {
    Ok(Identity::new(SiteId::new(SITE)?, UidRoot::new(ROOT)?)?)
}

/// Returns an empty lookup store in memory.
///
/// # Errors
/// If the system cannot provide random numbers.
pub fn memory_lookups() -> anyhow::Result<Arc<dyn LookupStore>> {
    Ok(Arc::new(MemoryStore::new(identity()?)?))
}

/// Opens a lookup store on disk, in this file.
///
/// # Errors
/// If it cannot be opened.
pub fn disk_lookups(file: &Path, durability: Durability) -> anyhow::Result<Arc<dyn LookupStore>> {
    let durability = match durability {
        Durability::Full => anon_model::settings::Durability::Full,
        Durability::Relaxed => anon_model::settings::Durability::Relaxed,
    };
    let options = DiskOptions::default().with_durability(durability);
    Ok(Arc::new(DiskStore::open(file, identity()?, &options)?))
}

/// Returns the originals of instance number `n`: four UIDs of its own, in one of the series and studies that it
/// shares with its neighbours.
pub fn wanted(n: u64) -> Wanted {
    let uid = |kind: u64, number: u64| {
        Phi::new(format!(
            "2.25.{}",
            (number * 7 + kind) ^ 0x5DEE_CE66_D1CE_4E5B
        ))
    };
    Wanted {
        patient: Phi::new(format!("SYN{}", n / 1_000)),
        study: uid(1, n / 1_000 + (1 << 40)),
        series: uid(2, n / 200 + (1 << 41)),
        instance: uid(3, n),
        uids: (4..7).map(|kind| uid(kind, n)).collect(),
        ..Wanted::default()
    }
}

/// The number of UIDs in [`wanted`] that no other instance shares.
pub const OWN_UIDS: u64 = 4;

/// Assigns pseudonyms to new instances and commits them as one group.
///
/// # Errors
/// If the store fails.
pub fn assign_new(
    lookups: &dyn LookupStore,
    instances: std::ops::Range<u64>,
) -> anyhow::Result<()> {
    let mut group = Vec::new();
    for n in instances {
        let wanted = wanted(n);
        let Assigned::New(names) = lookups.assign(&wanted)? else {
            anyhow::bail!("instance {n} is not new");
        };
        group.push(NewInstance {
            patient_key: wanted.patient,
            study_uid: wanted.study,
            series_uid: wanted.series,
            instance_uid: wanted.instance,
            names,
            ..NewInstance::default()
        });
    }
    let group = lookups.commit(&group)?;
    lookups.settle(group, &[])?;
    Ok(())
}

/// Assigns again to known instances.
///
/// # Errors
/// If the store fails.
pub fn assign_known(
    lookups: &dyn LookupStore,
    instances: std::ops::Range<u64>,
) -> anyhow::Result<()> {
    for n in instances {
        let Assigned::Duplicate(_) = lookups.assign(&wanted(n))? else {
            anyhow::bail!("instance {n} is new");
        };
    }
    Ok(())
}

/// Imports a tree into a fresh project with this many workers; every file must be stored. Returns the
/// time from the start of the first file until the store is closed. Opening the project is not in it.
///
/// # Errors
/// If the project is not fresh, or a file is not stored.
pub fn import_tree(
    tree: &Path,
    project: &Path,
    workers: usize,
    durability: Durability,
    files: u32,
) -> anyhow::Result<Duration> {
    fs::create_dir_all(project)?;
    let private = project.join("private");
    fs::create_dir(&private).context("the project is not fresh")?;
    let store = DirectoryStore::open(
        project.join("public"),
        private.join("tmp"),
        DirectoryStoreOptions::default().with_durability(durability),
    )?;
    let quarantine = DirectoryQuarantine::new(
        private.join("quarantine"),
        private.join("tmp"),
        QuarantineOptions::default().with_durability(durability),
    );
    let lookups = disk_lookups(&private.join("lookup.redb"), durability)?;
    let engine = Engine::builder(policy()?, lookups, Arc::new(store), Arc::new(quarantine))
        .workers(workers)
        .start()?;
    let started = Instant::now();
    let mut source = FileScan::new([tree.to_owned()]);
    let summary: ImportSummary = import(&engine, &mut source, &Cancel::new(), &NoObserver);
    ensure!(
        summary.stored == u64::from(files),
        "{} of {files} files are stored: {summary:?}",
        summary.stored
    );
    drop(engine);
    Ok(started.elapsed())
}
