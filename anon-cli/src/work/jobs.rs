//! [`Jobs`]: the work of a process that holds the project, for itself and for commands that are
//! started beside it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use anon_engine::{Cancel, DirectoryQuarantine, Engine, EntryId, Store};
use anon_model::{LookupStore, ProjectSettings, RetrieveProgress};
use anon_net::InstanceHandler;
use anon_net::scp::{NoObserver, RunningScp};
use anon_script::Rules;
use anyhow::{Context as _, anyhow};

use crate::exit;
use crate::node::{self, ArrivalLog, Intake, SpaceTimeout};
use crate::project::OpenProject;
use crate::project::Project;
use crate::project::accepted;
use crate::project::record::{
    AdoptJob, AdoptedRow, Deleted, Entries, Instance, RetrieveJob, Retrieved, SettingsChange,
    StudyEvent, Summary, Target,
};
use crate::project::roots::Roots;
use crate::signal::Signals;
use crate::work::acceptance::{self, Acceptance};
use crate::work::clashes::NewClashes;
use crate::work::control::Holder;
use crate::work::control::{Request, Response};
use crate::work::{delete, import, java_index, quarantine, settings as settings_file};

/// How long to wait for a receiver to stop that was started for retrieves.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a request fails that comes while the holder closes the project.
const CLOSED: &str = "the project was closed: run the command again";

/// The parts of an open project that requests need. The references are weak, so that a request that
/// is slow to end does not keep the project open.
#[derive(Debug)]
pub(crate) struct Jobs {
    project: Project,
    settings: ProjectSettings,
    engine: Weak<Engine>,
    lookups: Weak<dyn LookupStore>,
    store: Weak<dyn Store>,
    quarantine: Weak<DirectoryQuarantine>,
    accepted_rules: Arc<Mutex<Option<Arc<dyn Rules>>>>,
    dirs: import::Dirs,
    pub(crate) intake: Arc<Intake>,
    pub(crate) arrivals: Arc<ArrivalLog>,
    receiver: Mutex<Receiver>,
    /// Locked during an acceptance. The entry of one that was finished after it was interrupted.
    finished_acceptance: Mutex<Option<EntryId>>,
}

#[derive(Debug, Default)]
struct Receiver {
    /// The address of the receiver of `serve`.
    serving: Option<SocketAddr>,
    /// A receiver that was started for retrieves, and how many of them use it.
    own: Option<(RunningScp, usize)>,
}

impl Jobs {
    /// Once `cancel` is set, objects that are received no longer wait for free space.
    pub(crate) fn new(
        project: &Project,
        settings: &ProjectSettings,
        open: &OpenProject,
        cancel: &Cancel,
    ) -> Self {
        let lookups: Arc<dyn RetrieveProgress> = Arc::clone(&open.lookups) as _;
        let quarantine = Arc::clone(&open.quarantine) as _;
        let arrivals = Arc::new(ArrivalLog::new(&lookups, quarantine));
        let timeout = SpaceTimeout::new(settings.timeouts.room, cancel.clone());
        let spool = open.spool.clone();
        let intake = Intake::new(&open.engine, spool, timeout, Arc::clone(&arrivals));
        let finished = acceptance::finish(project, &open.engine, &*open.lookups, &open.quarantine)
            .unwrap_or_else(|error| {
                tracing::warn!("an acceptance that was interrupted is not finished: {error:#}");
                None
            });
        Self {
            project: project.clone(),
            settings: settings.clone(),
            engine: Arc::downgrade(&open.engine),
            lookups: Arc::downgrade(&open.lookups),
            store: Arc::downgrade(&open.store),
            quarantine: Arc::downgrade(&open.quarantine),
            accepted_rules: Arc::clone(&open.accepted_rules),
            dirs: import::Dirs::of(project, open),
            intake: Arc::new(intake),
            arrivals,
            receiver: Mutex::default(),
            finished_acceptance: Mutex::new(finished),
        }
    }

    /// Takes requests from commands that are started beside this process. Without a socket, those
    /// commands fail because the project is in use.
    pub(crate) fn listen(jobs: &Arc<Self>, project: &Project, signals: &Signals) -> Option<Holder> {
        let jobs = Arc::clone(jobs);
        let job = move |request, cancel: &Cancel, respond: &(dyn Fn(Response) + Sync)| {
            jobs.answer(request, cancel, respond)
        };
        match Holder::listen(&project.socket(), &project.tmp(), signals, Arc::new(job)) {
            Ok(holder) => Some(holder),
            Err(error) => {
                tracing::warn!(%error, "commands beside this one cannot hand over their work");
                None
            }
        }
    }

    /// Notes the address of a receiver that runs until the process ends.
    pub(crate) fn serves_at(&self, address: SocketAddr) {
        self.receiver().serving = Some(address);
    }

    /// Runs a request that was handed over. Passes each response to `respond`, and returns the one
    /// that ends the request.
    fn answer(
        &self,
        request: Request,
        cancel: &Cancel,
        respond: &(dyn Fn(Response) + Sync),
    ) -> Response {
        let on_instance = |instance| respond(Response::Instance(instance));
        let done = match request {
            Request::Import { roots } => {
                let summary = self.import(&Roots::new(roots), cancel, &on_instance);
                Ok(Response::Summary(Box::new(summary)))
            }
            Request::Retry { category } => self
                .retry(category.as_deref(), cancel, &on_instance)
                .map(|summary| Response::Summary(Box::new(summary))),
            Request::Accept { entry, reason } => self
                .accept(&entry, &reason, cancel, &on_instance)
                .map(|summary| Response::Summary(Box::new(summary))),
            Request::Clear(entries) => self.clear(&entries, cancel).map(Response::Cleared),
            Request::Delete(target) => self.delete(&target).map(Response::Deleted),
            Request::Retrieve(job) => self
                .retrieve(&job, cancel, &mut |event| respond(event.into()))
                .map(|done| Response::Retrieved(Box::new(done))),
            Request::Adopt(job) => self
                .adopt(&job, &|row| respond(Response::Row(row)))
                .map(|()| Response::Adopted(true)),
            Request::Settings(change) => {
                self.change_settings(&change).map(Response::SettingsWritten)
            }
            Request::Cancel(_) => Err(anyhow!("there is nothing to cancel")),
        };
        done.unwrap_or_else(|error| Response::Failed {
            code: exit::code(&error),
            message: format!("{error:#}"),
        })
    }

    /// Imports. A failure is reported in the summary.
    pub(crate) fn import(
        &self,
        roots: &Roots,
        cancel: &Cancel,
        report: &(dyn Fn(Instance) + Sync),
    ) -> Summary {
        let (Some(engine), Some(lookups)) = (self.engine.upgrade(), self.lookups.upgrade()) else {
            return Summary::failed(CLOSED);
        };
        let before = NewClashes::start(&*lookups);
        let mut summary = import::run(&engine, &self.dirs, roots, cancel, report)
            .unwrap_or_else(|error| Summary::failed(&format!("{error:#}")));
        summary.clashes = before.end(&*lookups);
        summary
    }

    /// Imports the originals in the quarantine again, those of a category or all.
    pub(crate) fn retry(
        &self,
        category: Option<&str>,
        cancel: &Cancel,
        report: &(dyn Fn(Instance) + Sync),
    ) -> anyhow::Result<Summary> {
        let category = category.map(quarantine::category).transpose()?;
        let engine = self.engine.upgrade().context(CLOSED)?;
        let entries = self.quarantine.upgrade().context(CLOSED)?;
        let lookups = self.lookups.upgrade().context(CLOSED)?;
        let before = NewClashes::start(&*lookups);
        let mut summary = quarantine::retry(&engine, &entries, category, cancel, report)?;
        summary.clashes = before.end(&*lookups);
        Ok(summary)
    }

    /// Stores an entry of the quarantine, although it was refused.
    pub(crate) fn accept(
        &self,
        entry: &str,
        reason: &str,
        cancel: &Cancel,
        report: &(dyn Fn(Instance) + Sync),
    ) -> anyhow::Result<Summary> {
        let engine = self.engine.upgrade().context(CLOSED)?;
        let entries = self.quarantine.upgrade().context(CLOSED)?;
        let lookups = self.lookups.upgrade().context(CLOSED)?;
        // One at a time: the project notes the one that is being accepted.
        let mut finished = self
            .finished_acceptance
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let interrupted = acceptance::finish(&self.project, &engine, &*lookups, &entries)
            .context("an acceptance that was interrupted is not finished")?;
        *finished = interrupted.or(*finished);
        let id = match quarantine::find_if_any(&*entries, entry)? {
            Some(id) => id,
            None if finished.is_some_and(|id| quarantine::is_named(&id, entry)) => {
                *finished = None;
                return Ok(acceptance::finished_summary());
            }
            None => return Err(quarantine::no_entry(entry)),
        };
        let before = NewClashes::start(&*lookups);
        let acceptance = Acceptance::new(&self.project, &entries, id, reason)?;
        let mut summary = acceptance.run(&engine, cancel, report)?;
        summary.clashes = before.end(&*lookups);
        Ok(summary)
    }

    fn clear(&self, entries: &Entries, cancel: &Cancel) -> anyhow::Result<u64> {
        let quarantine = self.quarantine.upgrade().context(CLOSED)?;
        quarantine::clear(&*quarantine, entries, cancel)
    }

    fn delete(&self, target: &Target) -> anyhow::Result<Option<Deleted>> {
        let lookups = self.lookups.upgrade().context(CLOSED)?;
        let store = self.store.upgrade().context(CLOSED)?;
        delete::remove(&*lookups, &*store, &self.project, target)
    }

    fn adopt(&self, job: &AdoptJob, report: &dyn Fn(AdoptedRow)) -> anyhow::Result<()> {
        let lookups = self.lookups.upgrade().context(CLOSED)?;
        let index = java_index::read(&job.file, "the index")?;
        let adopting = job.adopting();
        let settings = &self.settings;
        let outcomes =
            java_index::adopt_into(&*lookups, &self.project, settings, &index, adopting)?;
        java_index::rows(&outcomes).for_each(report);
        Ok(())
    }

    fn change_settings(&self, change: &SettingsChange) -> anyhow::Result<bool> {
        // Locked until the rules are stored, so that they are those of the last change.
        let mut accepted = self
            .accepted_rules
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (written, rules) = settings_file::apply_while_open(&self.project, change)?;
        if rules.is_some() {
            *accepted = rules;
        }
        Ok(written)
    }

    /// Retrieves studies, and reports each when it is done.
    pub(crate) fn retrieve(
        &self,
        job: &RetrieveJob,
        cancel: &Cancel,
        report: &mut dyn FnMut(StudyEvent),
    ) -> anyhow::Result<Retrieved> {
        let started = Instant::now();
        let lookups = self.lookups.upgrade().context(CLOSED)?;
        let handler: Arc<dyn InstanceHandler> = Arc::clone(&self.intake) as _;
        let settings = self.settings_now()?;
        let classes = node::shared_classes(&self.settings, &settings)?;
        let fetch = node::Fetch::new(&self.project, &settings, classes, job, handler)?;
        let _receiver = if fetch.needs_receiver() {
            Some(self.receiving()?)
        } else {
            None
        };
        let _active = self.arrivals.start_retrieve();
        let before = NewClashes::start(&*lookups);
        let mut done = fetch.run(&*lookups, &self.arrivals, cancel, report)?;
        done.clashes = before.end(&*lookups);
        done.seconds = started.elapsed().as_secs_f64();
        Ok(done)
    }

    /// Reads the settings anew. Those of the receiver stay as it was started.
    fn settings_now(&self) -> anyhow::Result<ProjectSettings> {
        let (mut settings, _) = accepted::load(&self.project)?;
        settings.scp = self.settings.scp.clone();
        if let Some(address) = self.receiver().serving {
            settings.scp.port = address.port();
        }
        Ok(settings)
    }

    /// Keeps a receiver running while the result is kept: the one of `serve`, or else one that is
    /// started for retrieves.
    fn receiving(&self) -> anyhow::Result<Receiving<'_>> {
        let mut receiver = self.receiver();
        if receiver.serving.is_none() {
            match &mut receiver.own {
                Some((_, users)) => *users += 1,
                none => {
                    let running = node::start(
                        &self.project,
                        &self.settings,
                        Arc::clone(&self.intake),
                        Arc::new(NoObserver::default()),
                    )?;
                    *none = Some((running.running, 1));
                }
            }
        }
        Ok(Receiving(self))
    }

    fn receiver(&self) -> std::sync::MutexGuard<'_, Receiver> {
        // A panic cannot leave counts and addresses half changed.
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Receiving<'w>(&'w Jobs);

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        let mut receiver = self.0.receiver();
        let Some((_, users)) = &mut receiver.own else {
            return;
        };
        *users -= 1;
        if *users > 0 {
            return;
        }
        let own = receiver.own.take();
        drop(receiver);
        if let Some((running, _)) = own {
            running.stop(PATIENCE);
        }
    }
}
