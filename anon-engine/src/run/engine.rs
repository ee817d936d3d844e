//! [`Engine`]: de-identifies and stores objects, on its own threads or on the caller's.
//!
//! ```text
//! submit, try_submit ──► Intake ──► workers ──┐
//!                       (bytes)       │       ├──► CommitQueue ──► committer ──► receipts
//! process ────────────────► caller's thread ──┘    (groups)
//!                                       └─ refused ─► FilingQueue ──► filers ──► receipts
//! ```

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use anon_model::LookupStore;
use crossbeam_channel::bounded;

use crate::deid::policy::Policy;
use crate::error::Error;
use crate::keep::quarantine::Quarantine;
use crate::keep::received::Received;
use crate::keep::recover::recover;
use crate::keep::store::Store;
use crate::run::claim::Claims;
use crate::run::commit_queue::CommitQueue;
use crate::run::committer;
use crate::run::core::Core;
use crate::run::event::{Event, NoObserver, Observer, notify};
use crate::run::filing_queue::{FILERS, FilingQueue};
use crate::run::intake::{IfFull, Intake, NotAdmitted};
use crate::run::receipt::Receipt;
use crate::run::reply::Reply;
use crate::run::schedule::{BulkGuard, Schedule};
use crate::run::worker;

/// How long dropping an engine waits for its threads. After that, each thread ends on its own after
/// the object it is at.
const DROP_PATIENCE: Duration = Duration::from_secs(10);

/// Default of [`EngineBuilder::intake_bytes`].
const INTAKE_BYTES: usize = 64 << 20;

/// De-identifies and stores objects. All methods take `&self`, so an [`Arc`] can share it.
///
/// Callbacks run on a thread of the engine. They must return soon, and must not call
/// [`process`](Engine::process), [`submit`](Engine::submit) or [`stop`](Engine::stop) of the same
/// engine. They may call [`try_submit`](Engine::try_submit), and may drop the engine.
pub struct Engine {
    core: Arc<Core>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    running: Arc<ThreadCount>,
}

/// Builds an [`Engine`]. See [`Engine::builder`].
#[derive(Debug)]
pub struct EngineBuilder {
    policy: Policy,
    lookups: Arc<dyn LookupStore>,
    store: Arc<dyn Store>,
    quarantine: Arc<dyn Quarantine>,
    observer: Arc<dyn Observer>,
    workers: usize,
    intake_bytes: usize,
    scratch: Option<PathBuf>,
    clock: Option<fn() -> SystemTime>,
}

/// The intake has no room. Returns the object and the callback.
#[non_exhaustive]
pub struct IntakeFull<F> {
    /// The object.
    pub received: Received,
    /// The callback. It was not called.
    pub on_done: F,
}

impl<F> fmt::Debug for IntakeFull<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IntakeFull({:?})", self.received)
    }
}

/// How an engine stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it was in time or not")]
pub enum Stopped {
    /// Every admitted object was processed.
    Drained,
    /// The time was too short. Objects that were still queued failed with [`Error::Stopped`].
    OutOfTime,
}

impl EngineBuilder {
    /// Sets the number of threads that plan, apply and stage. With 0, only [`Engine::process`] works.
    /// The default is the number of processors.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Sets the memory that waiting objects may take, in bytes. The default is 64 MiB. A larger object
    /// is admitted when no other object waits.
    #[must_use]
    pub fn intake_bytes(mut self, intake_bytes: usize) -> Self {
        self.intake_bytes = intake_bytes;
        self
    }

    /// Sets the observer of the engine's own events. Events about single objects come from
    /// [`import`](fn@crate::import).
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Sets the directory in which large deflated objects are inflated, such as that of a
    /// [`Spool`](crate::Spool). Without one, such objects are refused.
    #[must_use]
    pub fn scratch(mut self, dir: impl Into<PathBuf>) -> Self {
        self.scratch = Some(dir.into());
        self
    }

    /// Sets the clock by which objects are [processed](crate::Source::processed_at). Without one, objects are
    /// refused whose rules write the date or the time.
    #[must_use]
    pub fn clock(mut self, clock: fn() -> SystemTime) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Repairs what an interrupted engine left behind, and starts the threads.
    ///
    /// # Errors
    /// If recovery fails, or a thread cannot be started.
    pub fn start(self) -> Result<Engine, Error> {
        let recovered = recover(&*self.lookups, &*self.store)?;
        notify(&*self.observer, &Event::Recovered(&recovered));
        let schedule = Arc::new(Schedule::default());
        let intake = Arc::new(Intake::new(self.intake_bytes, Arc::clone(&schedule)));
        let core = Arc::new(Core {
            policy: self.policy,
            lookups: self.lookups,
            store: self.store,
            quarantine: self.quarantine,
            observer: self.observer,
            scratch: self.scratch,
            clock: self.clock,
            claims: Arc::new(Claims::new(Arc::clone(&intake))),
            intake,
            commit_queue: CommitQueue::new(schedule),
            filing: FilingQueue::default(),
            plan_memory: Arc::default(),
            poison: OnceLock::new(),
        });
        let engine = Engine {
            core,
            threads: Mutex::default(),
            running: Arc::default(),
        };
        engine.spawn("anon-commit", committer::run)?;
        for number in 0..self.workers {
            engine.spawn(&format!("anon-worker-{number}"), worker::run)?;
        }
        let filers = if self.workers > 0 { FILERS } else { 0 };
        for number in 0..filers {
            engine.spawn(&format!("anon-filer-{number}"), worker::run_filer)?;
        }
        Ok(engine)
    }
}

impl Engine {
    /// Returns a builder for an engine with these parts.
    pub fn builder(
        policy: Policy,
        lookups: Arc<dyn LookupStore>,
        store: Arc<dyn Store>,
        quarantine: Arc<dyn Quarantine>,
    ) -> EngineBuilder {
        EngineBuilder {
            policy,
            lookups,
            store,
            quarantine,
            observer: Arc::new(NoObserver),
            workers: thread::available_parallelism().map_or(2, usize::from),
            intake_bytes: INTAKE_BYTES,
            scratch: None,
            clock: None,
        }
    }

    /// Processes one object on the caller's thread. If several threads call this at once, their
    /// objects are made durable in one group.
    ///
    /// # Errors
    /// If the object could not be processed. Nothing of it is stored then.
    pub fn process(&self, received: Received) -> Result<Receipt, Error> {
        self.process_with_retries(received, &mut |_| false)
    }

    /// As [`process`](Self::process), but calls `again` after a temporary failure, such as a full disk,
    /// and tries once more if it returns true. `again` may block: the object holds nothing that others
    /// need. A failure of the commit, after the object has been written, is not retried.
    ///
    /// # Errors
    /// The last failure, if the object could not be processed. Nothing of it is stored then.
    pub fn process_with_retries(
        &self,
        received: Received,
        again: &mut dyn FnMut(&Error) -> bool,
    ) -> Result<Receipt, Error> {
        let (sender, results) = bounded(1);
        let reply = Reply::new(move |result| {
            // Cannot fail: `results` is alive, below.
            let _ = sender.send(result);
        });
        let job = worker::caller_job(received, reply, &self.core);
        worker::process(&self.core, job, &mut Vec::new(), again);
        committer::run_once(&self.core);
        results.recv().unwrap_or(Err(Error::Stopped))
    }

    /// Submits one object to the workers. Waits while the intake is full. `on_done` is called exactly
    /// once: on a thread of the engine, on a thread in [`process`](Self::process), or on the caller's
    /// if the engine is stopped.
    ///
    /// New pseudonyms are assigned in the order in which objects are submitted.
    pub fn submit(
        &self,
        received: Received,
        on_done: impl FnOnce(Result<Receipt, Error>) + Send + 'static,
    ) {
        match self.core.intake.admit(received, on_done, IfFull::Wait) {
            Ok(()) => {}
            Err(NotAdmitted::Stopped(on_done) | NotAdmitted::Full(_, on_done)) => {
                on_done(Err(Error::Stopped));
            }
        }
    }

    /// Submits one object to the workers if the intake has room for it now.
    ///
    /// # Errors
    /// [`IntakeFull`] with the object and the callback, if it has none. A stopped engine calls `on_done`
    /// instead.
    pub fn try_submit<F>(&self, received: Received, on_done: F) -> Result<(), Box<IntakeFull<F>>>
    where
        F: FnOnce(Result<Receipt, Error>) + Send + 'static,
    {
        match self.core.intake.admit(received, on_done, IfFull::Fail) {
            Ok(()) => Ok(()),
            Err(NotAdmitted::Full(received, on_done)) => {
                Err(Box::new(IntakeFull { received, on_done }))
            }
            Err(NotAdmitted::Stopped(on_done)) => {
                on_done(Err(Error::Stopped));
                Ok(())
            }
        }
    }

    /// Returns the memory that waiting objects take now, in bytes.
    pub fn intake_bytes(&self) -> usize {
        self.core.intake.bytes()
    }

    /// Admits no more objects, waits until those in the engine have been processed or `patience` is
    /// over, and ends the threads. Objects that are still queued then fail with [`Error::Stopped`].
    /// Does nothing if the engine is stopped.
    pub fn stop(&self, patience: Duration) -> Stopped {
        self.core.intake.close();
        let deadline = Instant::now().checked_add(patience);
        let drained = self.core.commit_queue.schedule.wait_idle(deadline);
        let ended = self.end(deadline);
        if drained && ended {
            Stopped::Drained
        } else {
            Stopped::OutOfTime
        }
    }

    /// Announces that more objects are coming: groups fill up until the result is dropped.
    pub(crate) fn bulk(&self) -> BulkGuard {
        self.core.commit_queue.schedule.bulk()
    }

    fn spawn(&self, name: &str, run: fn(&Core)) -> Result<(), Error> {
        let core = Arc::clone(&self.core);
        let guard = self.running.enter();
        let body = move || {
            let _guard = guard;
            run(&core);
        };
        let handle = thread::Builder::new()
            .name(name.to_owned())
            .spawn(body)
            .map_err(Error::Start)?;
        self.threads().push(handle);
        Ok(())
    }

    fn threads(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the threads. Returns false if one is still running.
    fn end(&self, deadline: Option<Instant>) -> bool {
        let discarded = self.core.intake.close_and_discard() + self.core.filing.end();
        if discarded > 0 {
            tracing::info!(
                objects = discarded,
                "stopped before these objects were processed; submit them again"
            );
        }
        self.core.commit_queue.schedule.end();
        let threads = std::mem::take(&mut *self.threads());
        let own = thread::current().id();
        if threads.iter().any(|thread| thread.thread().id() == own) {
            // The engine is dropped in a callback, and this thread cannot wait for itself.
            return false;
        }
        if !self.running.wait(deadline) {
            return false;
        }
        // All threads have finished, so joining does not wait. Panics are caught inside them.
        for thread in threads {
            drop(thread.join());
        }
        true
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let deadline = Instant::now() + DROP_PATIENCE;
        if !self.end(Some(deadline)) {
            tracing::info!("the engine is dropped; its last threads are still running");
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("store", &self.core.store)
            .field("quarantine", &self.core.quarantine)
            .field("intake_bytes", &self.intake_bytes())
            .finish_non_exhaustive()
    }
}

/// Counts the threads that are running.
#[derive(Default)]
struct ThreadCount {
    count: Mutex<usize>,
    gone: Condvar,
}

/// A running thread. Counted until this is dropped.
struct ThreadGuard(Arc<ThreadCount>);

impl ThreadCount {
    fn enter(self: &Arc<Self>) -> ThreadGuard {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        ThreadGuard(Arc::clone(self))
    }

    /// Waits until no thread is running. Returns false if the deadline passes first.
    fn wait(&self, deadline: Option<Instant>) -> bool {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        while *count > 0 {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return false;
            }
            let woken = self.gone.wait_timeout(count, left.unwrap_or(DROP_PATIENCE));
            count = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Drop for ThreadGuard {
    fn drop(&mut self) {
        *self.0.count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.gone.notify_all();
    }
}

/// De-identifies one object in memory. Returns the output after its pseudonyms are durable in
/// `lookups`.
///
/// `bytes` is a DICOM file (PS3.10 section 7), as for [`Source::part10`](crate::Source::part10). The
/// same object gives the same output each time. The object is not stored and not added to the PHI
/// index.
///
/// # Errors
/// [`Error::Refused`] if the object cannot be de-identified with certainty; otherwise if the lookup
/// store fails.
pub fn deidentify(
    policy: &Policy,
    lookups: &dyn LookupStore,
    bytes: &[u8],
) -> Result<Vec<u8>, Error> {
    use anon_model::{AssignError, Assigned};

    let plan = crate::deid::plan::plan(policy, crate::deid::plan::Source::part10(bytes))?;
    let (names, new) = match lookups.assign(plan.wanted()) {
        Ok(Assigned::New(names)) => (names, true),
        Ok(Assigned::Duplicate(names)) => (names, false),
        Err(AssignError::Backend(error)) => return Err(Error::Lookup(error)),
        Err(conflict) => {
            let category = crate::Category::CapturePhiError;
            return Err(crate::Refusal::new(category, conflict.to_string()).into());
        }
    };
    let result = plan.apply(&names).map_err(Error::from).and_then(|clean| {
        let output = clean.to_vec().map_err(Error::Source)?;
        let group = lookups.commit(&[])?;
        lookups.settle(group, &[])?;
        lookups.flush()?;
        Ok(output)
    });
    if new {
        lookups.abandon(plan.wanted());
    }
    result
}
