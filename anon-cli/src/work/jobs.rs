//! [`Jobs`]: what a process that holds the project does, for itself and for commands that are started
//! beside it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use anon_engine::{Cancel, Engine, Store};
use anon_model::{LookupStore, ProjectSettings, RetrieveProgress};
use anon_net::InstanceHandler;
use anon_net::scp::{NoObserver, RunningScp};
use anyhow::{Context as _, anyhow};

use crate::exit;
use crate::node::{self, ArrivalLog, Intake, SpaceTimeout};
use crate::project::OpenProject;
use crate::project::Project;
use crate::project::record::{Deleted, RetrieveJob, Retrieved, StudyEvent, Summary, Target};
use crate::project::roots::Roots;
use crate::project::settings;
use crate::signal::Signals;
use crate::work::control::Holder;
use crate::work::control::{Request, Response};
use crate::work::{delete, import};

/// How long our own receiver may take to end when a retrieve is over.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a holder works with. Its references are weak: work that is slow to end must not keep the
/// project open.
#[derive(Debug)]
pub(crate) struct Jobs {
    project: Project,
    settings: ProjectSettings,
    engine: Weak<Engine>,
    lookups: Weak<dyn LookupStore>,
    store: Weak<dyn Store>,
    dirs: import::Dirs,
    pub(crate) intake: Arc<Intake>,
    pub(crate) arrivals: Arc<ArrivalLog>,
    /// Where the receiver listens, while one runs; and one that runs for retrieves alone, with how
    /// many they are.
    receiver: Mutex<Receiver>,
}

#[derive(Debug, Default)]
struct Receiver {
    serving: Option<SocketAddr>,
    own: Option<(RunningScp, usize)>,
}

impl Jobs {
    /// What comes over the network does not wait for room any more once `cancel` says so.
    pub(crate) fn new(
        project: &Project,
        settings: &ProjectSettings,
        session: &OpenProject,
        cancel: &Cancel,
    ) -> Self {
        let lookups: Arc<dyn RetrieveProgress> = Arc::clone(&session.lookups) as _;
        let quarantine = Arc::clone(&session.quarantine) as _;
        let arrivals = Arc::new(ArrivalLog::new(&lookups, quarantine));
        let timeout = SpaceTimeout::new(settings.timeouts.room, cancel.clone());
        let spool = session.spool.clone();
        let intake = Intake::new(&session.engine, spool, timeout, Arc::clone(&arrivals));
        Self {
            project: project.clone(),
            settings: settings.clone(),
            engine: Arc::downgrade(&session.engine),
            lookups: Arc::downgrade(&session.lookups),
            store: Arc::downgrade(&session.store),
            dirs: import::Dirs::of(project, session),
            intake: Arc::new(intake),
            arrivals,
            receiver: Mutex::default(),
        }
    }

    /// Takes requests from commands that are started beside this process. Without a socket they are
    /// told to wait.
    pub(crate) fn listen(jobs: &Arc<Self>, project: &Project, signals: &Signals) -> Option<Holder> {
        let jobs = Arc::clone(jobs);
        let job = move |request, cancel: &Cancel, tell: &(dyn Fn(Response) + Sync)| {
            jobs.handed(request, cancel, tell)
        };
        match Holder::listen(&project.socket(), &project.tmp(), signals, Arc::new(job)) {
            Ok(holder) => Some(holder),
            Err(error) => {
                tracing::warn!(%error, "commands beside this one cannot hand over their work");
                None
            }
        }
    }

    /// Says where a receiver of the project listens that runs all the time.
    pub(crate) fn serves_at(&self, address: SocketAddr) {
        self.receiver().serving = Some(address);
    }

    /// Does work that was handed over: what comes of it is told, and the last word given back.
    pub(crate) fn handed(
        &self,
        request: Request,
        cancel: &Cancel,
        tell: &(dyn Fn(Response) + Sync),
    ) -> Response {
        let done = match request {
            Request::Import { roots } => Ok(Response::Summary(Box::new(self.import(
                &Roots::new(roots),
                cancel,
                &|instance| tell(Response::Instance(instance)),
            )))),
            Request::Delete(target) => self.delete(&target).map(Response::Deleted),
            Request::Retrieve(job) => {
                let told = self.retrieve(&job, cancel, &mut |event| tell(event.into()));
                told.map(|done| Response::Retrieved(Box::new(done)))
            }
            Request::Cancel(_) => Err(anyhow!("there is nothing to cancel")),
        };
        done.unwrap_or_else(|error| Response::Failed {
            code: exit::code(&error),
            message: format!("{error:#}"),
        })
    }

    /// Imports; a failure is in the summary.
    pub(crate) fn import(
        &self,
        roots: &Roots,
        cancel: &Cancel,
        tell: &(dyn Fn(crate::project::record::Instance) + Sync),
    ) -> Summary {
        let Some(engine) = self.engine.upgrade() else {
            return Summary::failed("the project was closed");
        };
        import::run(&engine, &self.dirs, roots, cancel, tell)
            .unwrap_or_else(|error| Summary::failed(&format!("{error:#}")))
    }

    fn delete(&self, target: &Target) -> anyhow::Result<Option<Deleted>> {
        let lookups = self.lookups.upgrade().context("the project was closed")?;
        let store = self.store.upgrade().context("the project was closed")?;
        delete::remove(&*lookups, &*store, &self.project, target)
    }

    /// Fetches studies, and tells each as it is done with.
    pub(crate) fn retrieve(
        &self,
        job: &RetrieveJob,
        cancel: &Cancel,
        tell: &mut dyn FnMut(StudyEvent),
    ) -> anyhow::Result<Retrieved> {
        let began = Instant::now();
        let lookups = self.lookups.upgrade().context("the project was closed")?;
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
        let mut done = fetch.run(&*lookups, &self.arrivals, cancel, tell)?;
        done.seconds = began.elapsed().as_secs_f64();
        Ok(done)
    }

    /// The settings as they are now, with the receiver as it was started.
    fn settings_now(&self) -> anyhow::Result<ProjectSettings> {
        let mut settings = settings::load(&self.project)?;
        settings.scp = self.settings.scp.clone();
        if let Some(address) = self.receiver().serving {
            settings.scp.port = address.port();
        }
        Ok(settings)
    }

    /// A receiver for as long as this is kept: the one that serves, or one for the purpose.
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
        // Counts and addresses: no panic leaves them half changed.
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
