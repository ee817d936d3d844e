//! Opens a project: builds the engine from settings, rules, lookup store, store and quarantine.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{ops, thread};

use anon_engine::policy::{Dates, StorageClasses};
use anon_engine::quarantine::QuarantineOptions;
use anon_engine::store::DirectoryStoreOptions;
use anon_engine::{
    DirectoryQuarantine, DirectoryStore, Durability, Engine, Event, Kept, Observer, Policy, Spool,
    Store, recover,
};
use anon_model::settings::{self as model, QuarantineFiles, Selection};
use anon_model::{
    DiskOptions, DiskStore, Identity, LookupStore, MemoryStore, OpenError, ProjectSettings,
    RulesHistory, RulesRecord, Secret, Transactions as _,
};
use anon_script::Rules;
use anyhow::Context as _;

use crate::clock;
use crate::exit::Failure;
use crate::project::lock::{self, Held, Lock};
use crate::project::mark::evidence::Evidence;
use crate::project::mark::keeper::Keeper;
use crate::project::rules;
use crate::project::settings::{self, Missing};
use crate::project::{NetworkFs, Project};

/// Files wait in the intake as paths of about 250 bytes each. Those that wait are finished after
/// Ctrl-C. One group of them keeps the workers busy and is finished soon.
const INTAKE_BYTES: usize = 64 << 10;

/// How long a command waits for its workers to end. They are idle by then.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to do if the rules are not those that the stored objects were made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NewRules {
    /// Accept them for new objects.
    Accept,
    /// Fail.
    Refuse,
}

/// How a project is opened for writing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenOptions {
    pub(crate) network_fs: NetworkFs,
    pub(crate) new_rules: NewRules,
    /// Number of worker threads. `None` for one per processor.
    pub(crate) workers: Option<usize>,
}

/// The parts of a project that is open for writing. Dropping it closes the store, then unlocks.
#[derive(Debug)]
pub(crate) struct OpenProject {
    pub(crate) engine: Arc<Engine>,
    pub(crate) lookups: Arc<dyn LookupStore>,
    pub(crate) quarantine: Arc<DirectoryQuarantine>,
    pub(crate) public: PathBuf,
    pub(crate) spool: Spool,
    pub(crate) store: Arc<dyn Store>,
    /// The rules of the settings, if they were changed and accepted while the project is open.
    pub(crate) accepted_rules: Arc<Mutex<Option<Arc<dyn Rules>>>>,
    mark: Keeper,
    _lock: Lock,
}

impl OpenProject {
    /// Opens a project for writing, repairs what a crash left, and starts the workers.
    pub(crate) fn open(
        project: &Project,
        settings: &ProjectSettings,
        options: OpenOptions,
        lock: Lock,
    ) -> anyhow::Result<Self> {
        let public = prepare(project, settings, options.network_fs)?;
        let workers = options
            .workers
            .unwrap_or_else(|| thread::available_parallelism().map_or(1, NonZero::get));
        let rules = rules::of_project(project, settings)?;
        // An existing store was made with a secret: a new one would not fit it.
        let secret = settings::secret(project, settings, missing_secret(project))?;
        let OpenLookups { store, mark } = open_lookups(project, settings, secret.as_ref())?;
        let lookups: Arc<dyn LookupStore> = store;
        check_rules(&*lookups, &*rules, options.new_rules)?;
        let durability = durability(settings);
        let store: Arc<dyn Store> = Arc::new(open_store(project, settings)?);
        let quarantine = Arc::new(quarantine(project, settings));
        let spool =
            Spool::open(project.private().join("spool")).context("cannot open private/spool")?;
        let engine = Engine::builder(
            policy(settings, rules, secret.as_ref())?,
            Arc::clone(&lookups),
            Arc::clone(&store),
            Arc::clone(&quarantine) as _,
        )
        .workers(workers)
        .intake_bytes(INTAKE_BYTES)
        .scratch(spool.dir())
        .clock(crate::clock::system)
        .observer(Arc::new(Logging))
        .start()
        .context("cannot start")?;
        tracing::info!(workers, ?durability, "opened the project");
        Ok(Self {
            engine: Arc::new(engine),
            lookups,
            quarantine,
            public,
            spool,
            store,
            accepted_rules: Arc::default(),
            mark,
            _lock: lock,
        })
    }

    /// Ends the workers and writes what waits for the next commit.
    ///
    /// # Errors
    /// If it cannot be written. Dropping could not report that.
    pub(crate) fn close(self) -> anyhow::Result<()> {
        self.engine.stop(PATIENCE);
        let accepted = self.accepted_rules.lock();
        if let Some(rules) = &*accepted.unwrap_or_else(PoisonError::into_inner) {
            // Not earlier: until now the old rules were in use.
            check_rules(&*self.lookups, &**rules, NewRules::Accept)?;
        }
        self.mark.close()
    }
}

/// What to do without a secret: one is made for a project that has given no pseudonyms.
pub(crate) fn missing_secret(project: &Project) -> Missing {
    if project.lookup_file().exists() || project.mark_file().exists() {
        Missing::Refuse
    } else {
        Missing::Make
    }
}

/// Creates missing directories and returns the directory of outputs.
///
/// # Errors
/// If access to a directory is too wide, or its file system is not allowed.
pub(crate) fn prepare(
    project: &Project,
    settings: &ProjectSettings,
    network_fs: NetworkFs,
) -> anyhow::Result<PathBuf> {
    let public = project.public(settings.public_dir.as_deref());
    project.make_directories(&public)?;
    project.check_access()?;
    project.check_file_system(network_fs)?;
    project.check_same_file_system(&public)?;
    Ok(public)
}

/// Opens the store of outputs.
pub(crate) fn open_store(
    project: &Project,
    settings: &ProjectSettings,
) -> anyhow::Result<DirectoryStore> {
    let options = DirectoryStoreOptions::default().with_durability(durability(settings));
    let public = project.public(settings.public_dir.as_deref());
    DirectoryStore::open(public, project.tmp(), options).context("cannot open the store of outputs")
}

/// A lookup store that is open for writing, and the mark that is kept of it.
#[derive(Debug)]
pub(crate) struct OpenLookups {
    store: Arc<DiskStore>,
    mark: Keeper,
}

impl OpenLookups {
    /// Writes what waits, and lets no older copy be taken any more.
    ///
    /// # Errors
    /// If it cannot be written. Dropping could not report that.
    pub(crate) fn close(self) -> anyhow::Result<()> {
        self.mark.close()
    }
}

impl ops::Deref for OpenLookups {
    type Target = dyn LookupStore;

    fn deref(&self) -> &Self::Target {
        &*self.store
    }
}

/// Opens the lookup store for writing.
///
/// # Errors
/// If it is not that of the project, or an older copy; if it is lost.
pub(crate) fn open_lookups(
    project: &Project,
    settings: &ProjectSettings,
    secret: Option<&Secret>,
) -> anyhow::Result<OpenLookups> {
    let identity = identity(settings, secret)?;
    let evidence = Evidence::gather(project, settings, &identity)?;
    let is_there = project.lookup_file().exists();
    if !is_there {
        evidence.check_none(project)?;
    }
    let store = Arc::new(open_store_file(project, settings, identity)?);
    if is_there {
        let position = store.position()?;
        evidence.check(project, &position)?;
        if let Some(numbers) = evidence.lost_numbers(&position) {
            store.raise_counters(numbers, position.group)?;
        }
    }
    let mark = Keeper::start(project, &store, evidence.mark())?;
    Ok(OpenLookups { store, mark })
}

/// Opens the file of the lookup store for writing, whatever is known of it.
pub(crate) fn open_store_file(
    project: &Project,
    settings: &ProjectSettings,
    identity: Identity,
) -> anyhow::Result<DiskStore> {
    DiskStore::open(&project.lookup_file(), identity, &disk_options(settings)).map_err(explain)
}

/// Opens a copy of a lookup store for reading, wherever it lies.
pub(crate) fn open_copy(path: &Path, identity: Identity) -> anyhow::Result<DiskStore> {
    DiskStore::open_read_only(path, identity, &DiskOptions::default()).context(Failure::CannotRun(
        "cannot open a copy of the lookup store".into(),
    ))
}

/// The state in which a lookup store was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// It does not exist yet.
    None,
    /// Opening it, which checks its headers and last commit, succeeded. Nothing needs repair.
    Sound,
    /// It was not closed because of a crash. It was repaired.
    Repaired,
    /// Another process is writing to it.
    InUse,
}

/// Opens the lookup store for reading, also while another process writes to it.
pub(crate) fn read_lookups(
    project: &Project,
    settings: &ProjectSettings,
) -> anyhow::Result<Arc<dyn LookupStore>> {
    look_at_lookups(project, settings).map(|(lookups, _)| lookups)
}

/// As [`read_lookups`], and returns the state in which it was found.
pub(crate) fn look_at_lookups(
    project: &Project,
    settings: &ProjectSettings,
) -> anyhow::Result<(Arc<dyn LookupStore>, Health)> {
    let (store, health) = look_at_store(project, settings)?;
    if let Some(store) = store {
        return Ok((store, health));
    }
    let secret = settings::secret(project, settings, missing_secret(project))?;
    let empty = MemoryStore::new(identity(settings, secret.as_ref())?)
        .context("the system has no random numbers to give")?;
    Ok((Arc::new(empty), health))
}

/// Opens the lookup store for reading, also while another process writes to it. `None` if there is none.
pub(crate) fn look_at_store(
    project: &Project,
    settings: &ProjectSettings,
) -> anyhow::Result<(Option<Arc<DiskStore>>, Health)> {
    project.check_access()?;
    let path = project.lookup_file();
    let secret = settings::secret(project, settings, missing_secret(project))?;
    let identity = identity(settings, secret.as_ref())?;
    let evidence = Evidence::gather(project, settings, &identity)?;
    if !path.exists() {
        evidence.check_none(project)?;
        return Ok((None, Health::None));
    }
    match DiskStore::open_read_only(&path, identity, &disk_options(settings)) {
        Ok(store) => {
            evidence.check(project, &store.position()?)?;
            let is_settled =
                store.unsettled()?.is_empty() && store.unsettled_removals()?.is_empty();
            let health = if is_settled {
                Health::Sound
            } else {
                Health::InUse
            };
            Ok((Some(Arc::new(store)), health))
        }
        // The last writer was killed. The first command that can lock the project repairs it.
        Err(OpenError::NotClosed) => match Lock::try_take(&project.lock_file())? {
            Held::ByOther(pid) => Err(lock::in_use(pid)),
            Held::ByUs(_lock) => {
                let lookups = open_lookups(project, settings, secret.as_ref())?;
                let store = open_store(project, settings)?;
                recover(&*lookups, &store).context("cannot repair what a crash left")?;
                let OpenLookups { store, mark } = lookups;
                mark.close()?;
                Ok((Some(store), Health::Repaired))
            }
        },
        Err(error) => Err(explain(error)),
    }
}

/// Returns the quarantine. This does not access the disk.
pub(crate) fn quarantine(project: &Project, settings: &ProjectSettings) -> DirectoryQuarantine {
    let mut options = QuarantineOptions::default()
        .with_durability(durability(settings))
        .with_files(match settings.quarantine_files {
            QuarantineFiles::Copy => Kept::Copied,
            QuarantineFiles::Reference => Kept::Referenced,
        });
    if let Some(bytes) = settings.quarantine_max_bytes {
        options = options.with_max_bytes(bytes);
    }
    DirectoryQuarantine::new(project.quarantine(), project.tmp(), options)
}

/// Compares the rules with those that the stored objects were made with, and records accepted ones.
///
/// # Errors
/// If they differ, objects are stored, and they are not to be accepted.
pub(crate) fn check_rules(
    lookups: &dyn RulesHistory,
    rules: &dyn Rules,
    new_rules: NewRules,
) -> anyhow::Result<()> {
    let known = lookups.rules()?;
    let same = known
        .as_ref()
        .is_some_and(|known| known.digest == rules.digest());
    if same {
        return Ok(());
    }
    if let Some(known) = known
        && new_rules == NewRules::Refuse
        && lookups.is_frozen()?
    {
        return Err(Failure::configuration(format!(
            "the rules {} are not those of the stored objects ({}, accepted {}); to go on with \
             them, add --accept-new-rules to this command",
            rules.name(),
            known.name,
            known.accepted
        )));
    }
    let record = RulesRecord {
        digest: rules.digest(),
        name: rules.name().to_owned(),
        text: rules.text().to_owned(),
        accepted: clock::now(),
    };
    lookups.accept_rules(&record)?;
    tracing::info!(rules = rules.name(), "accepted the rules");
    Ok(())
}

/// Returns what the pseudonyms of a project are made from.
pub(crate) fn identity(
    settings: &ProjectSettings,
    secret: Option<&Secret>,
) -> anyhow::Result<Identity> {
    settings.identity(secret).ok_or_else(|| {
        Failure::configuration("site_id and uid_root do not go together, or a secret is missing")
    })
}

fn disk_options(settings: &ProjectSettings) -> DiskOptions {
    DiskOptions::default()
        .with_durability(settings.durability)
        .with_cache_bytes(settings.store_cache_bytes)
}

fn durability(settings: &ProjectSettings) -> Durability {
    match settings.durability {
        model::Durability::Full => Durability::Full,
        model::Durability::Relaxed => Durability::Relaxed,
    }
}

fn explain(error: OpenError) -> anyhow::Error {
    let failure = match &error {
        // A frozen key was changed in project.toml by hand.
        OpenError::Identity(_) => Failure::Configuration("project.toml".into()),
        _ => Failure::CannotRun("cannot open private/lookup.redb".into()),
    };
    anyhow::Error::new(error).context(failure)
}

/// Builds the engine's policy from the settings.
pub(crate) fn policy(
    settings: &ProjectSettings,
    rules: Arc<dyn Rules>,
    secret: Option<&Secret>,
) -> anyhow::Result<Policy> {
    let classes = settings.accepted_classes().into_iter().collect();
    let syntaxes = match &settings.transfer_syntaxes {
        Selection::All => BTreeSet::new(),
        Selection::These(these) => these.iter().map(|uid| uid.as_str().to_owned()).collect(),
    };
    let dates = match (settings.dates, secret) {
        (model::DateScheme::V17, _) => Dates::V17,
        (model::DateScheme::Keyed, Some(secret)) => Dates::Keyed(*secret.expose()),
        (model::DateScheme::Keyed, None) => {
            return Err(Failure::configuration(
                "dates = \"keyed\" needs private/secret.key",
            ));
        }
    };
    let policy = Policy::new(rules, settings.site_id.as_str(), &*settings.name)
        .with_storage_classes(StorageClasses::Only(classes))
        .with_transfer_syntaxes(syntaxes)
        .with_dates(dates)
        .with_study_conflict(settings.study_patient_conflict)
        .with_burned_in(settings.burned_in)
        .with_strictness(settings.strictness)
        .with_missing_patient_id(settings.missing_patient_id)
        .with_patient_key(settings.patient_key);
    Ok(policy)
}

/// Logs the events of the engine.
#[derive(Debug)]
struct Logging;

impl Observer for Logging {
    fn on_event(&self, event: &Event<'_>) {
        match event {
            Event::Committed {
                instances,
                unpublished,
            } => tracing::debug!(instances, unpublished, "committed"),
            Event::Warning { message, error } => tracing::warn!(%error, "{message}"),
            // The engine logs recovery, the import logs instances.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_of_the_lookup_store_is_as_set() {
        let site = "7".parse().expect("a site id");
        let mut settings = ProjectSettings::new(site);
        assert_eq!(disk_options(&settings).cache_bytes, 64 << 20);
        settings.store_cache_bytes = 5 << 20;
        assert_eq!(disk_options(&settings).cache_bytes, 5 << 20);
    }
}
