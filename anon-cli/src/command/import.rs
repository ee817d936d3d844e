//! `anon import`: de-identifies files, directories and DICOMDIR media.

mod advice;
mod print;
pub(crate) mod run;

use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anon_engine::source::Scan;
use anon_model::ProjectSettings;
use anyhow::Context as _;

use crate::args::Import;
use crate::command::{Context, init};
use crate::control::{Answer, Ask, Handed, Holder, hand_over};
use crate::exit::{Ended, Failure};
use crate::lock::{self, Held, Lock};
use crate::project::Project;
use crate::record::{Instance, Summary};
use crate::report::Progress;
use crate::roots::Roots;
use crate::wire::{NewRules, Session};
use crate::work::Work;
use crate::{log, settings};

/// How often, and how long after each other, a project is asked for that somebody else holds: what
/// takes work answers at once, and short commands are over soon.
pub(crate) const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) fn run(context: &Context<'_>, args: &Import) -> anyhow::Result<Ended> {
    let project = Project::chosen(&context.global)?;
    for (place, path) in args.paths.iter().enumerate() {
        std::fs::metadata(path).with_context(|| {
            // Paths can identify: without --show-phi this one is told by its place.
            Failure::CannotRun(if context.report.shows_phi() {
                format!("cannot import {}", path.display())
            } else {
                format!("cannot import PATH number {}", place + 1)
            })
        })?;
    }
    let settings = open_or_make(context, &project, args)?;
    log::start(&project, &settings.log, &context.global)?;
    let roots = Roots::of(&args.paths).context(Failure::CannotRun(
        "the working directory cannot be found".into(),
    ))?;
    let telling = Telling::new(context);
    let summary = import_or_hand_over(context, &project, &settings, args, &roots, &telling);
    context.report.end_progress();
    let summary = summary?;
    // If nobody reads, that is the error to tell: the summary would only meet it again.
    telling.result()?;
    print::summary(context, "import", &summary)?;
    Ok(how_it_ended(context, &summary))
}

/// The exit code of an import, or of anything else that has such a summary.
pub(crate) fn how_it_ended(context: &Context<'_>, summary: &Summary) -> Ended {
    let otherwise = match &summary.error {
        Some(_) => Ended::CannotGoOn,
        None if summary.is_clean() => Ended::Done,
        None => Ended::Partly,
    };
    context.ended(otherwise)
}

pub(crate) use advice::to_take_in;
pub(crate) use print::{summary as print_summary, warn_of_shared_patient};

fn open_or_make(
    context: &Context<'_>,
    project: &Project,
    args: &Import,
) -> anyhow::Result<ProjectSettings> {
    if project.exists() {
        let settings = settings::load(project)?;
        init::check_against(project, &settings, &args.options)?;
        return Ok(settings);
    }
    let settings = init::make(context, project, &args.options)?;
    context.report.talk(&format!(
        "made a project in {}, site id {}",
        project.root().display(),
        settings.site_id
    ));
    Ok(settings)
}

/// Imports if the project is free, hands over if its holder takes work, and gives up otherwise.
fn import_or_hand_over(
    context: &Context<'_>,
    project: &Project,
    settings: &ProjectSettings,
    args: &Import,
    roots: &Roots,
    telling: &Telling<'_>,
) -> anyhow::Result<Summary> {
    let mut holder = None;
    for _ in 0..TRIES {
        match Lock::try_take(&project.lock_file())? {
            Held::ByUs(lock) => {
                return import_here(context, project, settings, args, lock, roots, telling);
            }
            Held::ByOther(pid) => holder = pid,
        }
        let counting = Counting::start(context, project, roots);
        let mut tell = |answer| {
            if let Answer::Instance(instance) = answer {
                telling.tell(&instance);
            }
            Ok(())
        };
        let ask = Ask::Import {
            roots: roots.as_slice().to_vec(),
        };
        match hand_over(&project.socket(), &ask, &context.signals, &mut tell)? {
            Handed::Done(Answer::Summary(summary)) => return Ok(*summary),
            Handed::Done(_) => return Err(odd_answer()),
            Handed::Nobody => drop(counting),
        }
        if context.signals.cancel().is_cancelled() {
            break;
        }
        pause();
    }
    Err(lock::in_use(holder))
}

/// Waits before the holder of the project is asked again.
pub(crate) fn pause() {
    // Nothing is ever sent: a pause that needs no sleep.
    let _ = crossbeam_channel::never::<()>().recv_timeout(PAUSE);
}

/// A holder that ends other work than was handed over.
pub(crate) fn odd_answer() -> anyhow::Error {
    Failure::cannot_run("the process that holds the project answered something else than was asked")
}

fn import_here(
    context: &Context<'_>,
    project: &Project,
    settings: &ProjectSettings,
    args: &Import,
    lock: Lock,
    roots: &Roots,
    telling: &Telling<'_>,
) -> anyhow::Result<Summary> {
    let new_rules = if args.accept_new_rules {
        NewRules::Accept
    } else {
        NewRules::Refuse
    };
    let session = Session::open(
        project,
        settings,
        &context.global,
        lock,
        new_rules,
        workers(args.jobs),
    )?;
    let work = Arc::new(Work::new(
        project,
        settings,
        &session,
        context.signals.cancel(),
    ));
    let holder = listen(context, project, &work);
    let counting = Counting::start(context, project, roots);
    let cancel = context.signals.cancel();
    let mut summary = work.import(roots, cancel, &|instance| telling.tell(&instance));
    drop(counting);
    wait_for_others(context, holder);
    close(session, &mut summary);
    Ok(summary)
}

/// Does the work that was handed over until there is none.
pub(crate) fn wait_for_others(context: &Context<'_>, holder: Option<Holder>) {
    let Some(holder) = holder else {
        return;
    };
    if holder.active() > 0 {
        context.report.end_progress();
        let what = "waiting for work that was handed over by a command started beside this one";
        context.report.talk(what);
    }
    holder.finish();
}

/// Ends a session. A failure belongs in the summary: what was done so far is told all the same.
pub(crate) fn close(session: Session, summary: &mut Summary) {
    if let Err(error) = session.close() {
        tracing::error!("{error:#}");
        summary.error.get_or_insert_with(|| format!("{error:#}"));
    }
}

/// Takes work from commands that are started beside this one. Without a socket they are told to wait.
pub(crate) fn listen(context: &Context<'_>, project: &Project, work: &Arc<Work>) -> Option<Holder> {
    let work = Arc::clone(work);
    let job = move |ask, cancel: &anon_engine::Cancel, tell: &(dyn Fn(Answer) + Sync)| {
        work.handed(ask, cancel, tell)
    };
    let socket = project.socket();
    match Holder::listen(&socket, &project.tmp(), &context.signals, Arc::new(job)) {
        Ok(holder) => Some(holder),
        Err(error) => {
            tracing::warn!(%error, "commands beside this one cannot hand over their work");
            None
        }
    }
}

/// Worker threads: as asked, or one a processor.
pub(crate) fn workers(jobs: Option<u16>) -> usize {
    jobs.map_or_else(
        || thread::available_parallelism().map_or(1, NonZero::get),
        usize::from,
    )
}

/// Prints instances as they are done, and ends the import if nobody reads.
#[derive(Debug)]
pub(crate) struct Telling<'c> {
    context: &'c Context<'c>,
    progress: Option<Progress>,
    state: Mutex<(u64, Option<anyhow::Error>)>,
}

impl<'c> Telling<'c> {
    pub(crate) fn new(context: &'c Context<'c>) -> Self {
        Self {
            context,
            progress: context.report.start_progress(),
            state: Mutex::new((0, None)),
        }
    }

    pub(crate) fn tell(&self, instance: &Instance) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += 1;
        if let Some(progress) = &self.progress {
            progress.done(state.0);
        }
        if state.1.is_none()
            && let Err(error) = print::instance(self.context, instance)
        {
            // What cannot be told must not go on unseen.
            self.context.signals.cancel().cancel();
            state.1 = Some(error);
        }
    }

    pub(crate) fn result(self) -> anyhow::Result<()> {
        let state = self
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        match state.1 {
            Some(error) => Err(error.context(Failure::CannotRun(
                "the import ended early, because its events cannot be printed".into(),
            ))),
            None => Ok(()),
        }
    }
}

/// Counts the files for the bar, beside the import, without holding a list of them.
#[derive(Debug)]
struct Counting {
    stop: anon_engine::Cancel,
}

impl Counting {
    fn start(context: &Context<'_>, project: &Project, roots: &Roots) -> Option<Self> {
        let progress = context.report.progress()?;
        let mut scan = Scan::new(roots.absolute())
            .without(project.root())
            .ok()?
            .as_read();
        let stop = anon_engine::Cancel::new();
        let stopped = stop.clone();
        let count = move || {
            let mut files = 0;
            while let Some(_entry) = Iterator::next(&mut scan) {
                files += 1;
                if files % 256 == 0 {
                    progress.counted(files);
                }
                if stopped.is_cancelled() {
                    return;
                }
            }
            progress.all_counted(files);
        };
        // Without a count there is a bar without an end, which is no reason to stop.
        thread::Builder::new()
            .name("count".into())
            .spawn(count)
            .ok()?;
        Some(Self { stop })
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
