//! `anon retrieve`: retrieves studies from a server and de-identifies them.

mod printer;
mod wanted;

use std::cell::RefCell;
use std::sync::Arc;

use anon_model::ProjectSettings;
use serde::Serialize;

use crate::args::{Retrieve, Via};
use crate::command::Context;
use crate::command::outcome::{self, LeftOutCounts};
use crate::exit::{ExitStatus, Failure};
use crate::log;
use crate::node::{self, LastFind, Peer, Purpose, RefusedEntry, Search};
use crate::project::lock::Lock;
use crate::project::record::{RetrieveJob, RetrieveLevel, Retrieved, StudyEvent};
use crate::project::{OpenProject, Project};
use crate::report::counted;
use crate::work::control::{Request, Response};
use crate::work::{Job, Jobs, run_or_hand_over};
use printer::StudyPrinter;
use wanted::Wanted;

/// The summary.
#[derive(Debug, Serialize)]
struct Summary<'e> {
    event: &'static str,
    command: &'static str,
    refused_entries: &'e [RefusedEntry],
    /// Accession numbers and patient ids without a study.
    not_found: Vec<&'e str>,
    left_out: LeftOutCounts,
    #[serde(flatten)]
    fields: &'e Retrieved,
}

/// How studies are retrieved.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    pub(super) level: RetrieveLevel,
    pub(super) via: Via,
    pub(super) accept_new_rules: bool,
}

pub(crate) fn run(context: &Context<'_>, args: &Retrieve) -> anyhow::Result<ExitStatus> {
    let project = Project::existing(context.project())?;
    let settings = context.settings(&project)?;
    let how = How {
        level: args.level.into(),
        via: args.via,
        accept_new_rules: args.accept_new_rules,
    };
    if let Some(numbers) = &args.from_last_find {
        let last = LastFind::read(&project)?;
        if args.node.as_ref().is_some_and(|node| *node != last.node) {
            return Err(Failure::configuration(format!(
                "the last find was at {}: leave out NODE, or run anon find at the other node first",
                last.node
            )));
        }
        log::start(&project, &settings.log, &context.global)?;
        return of_last_find(context, (&project, &settings), &last, numbers, how);
    }
    let name = args.node.as_deref().unwrap_or_default();
    let peer = resolve(context, (&project, &settings), name, how.via)?;
    let keys = args.keys.clone().into();
    let search = Search::new(&keys)?;
    log::start(&project, &settings.log, &context.global)?;
    outcome::warn_of_refused_entries(context, &search.refused);
    let wanted = wanted::search(context, (&project, &settings), &peer, &keys, search)?;
    retrieve(context, (&project, &settings), name, &wanted, how)
}

/// Retrieves studies of the last find by their numbers.
pub(super) fn of_last_find(
    context: &Context<'_>,
    (project, settings): (&Project, &ProjectSettings),
    last: &LastFind,
    numbers: &str,
    how: How,
) -> anyhow::Result<ExitStatus> {
    let wanted = Wanted::of_last_find(last, numbers)?;
    resolve(context, (project, settings), &last.node, how.via)?;
    retrieve(context, (project, settings), &last.node, &wanted, how)
}

/// Returns the server, and checks that it can send to this project.
fn resolve(
    context: &Context<'_>,
    (project, settings): (&Project, &ProjectSettings),
    name: &str,
    via: Via,
) -> anyhow::Result<Peer> {
    let peer = Peer::resolve(settings, name, Purpose::Query)?;
    // Another process that holds the project checks its own settings.
    if via == Via::Move && !project.socket().exists() {
        node::check_reachable(settings, &peer)?;
        if !node::is_local(settings) {
            node::check_access_list(settings)?;
            outcome::print_who_can_connect(settings, context.report);
        }
    }
    Ok(peer)
}

fn retrieve(
    context: &Context<'_>,
    (project, settings): (&Project, &ProjectSettings),
    node: &str,
    wanted: &Wanted,
    how: How,
) -> anyhow::Result<ExitStatus> {
    if wanted.is_interrupted {
        let nothing = Retrieved {
            interrupted: true,
            ..Retrieved::default()
        };
        return conclude(context, &nothing, wanted, false);
    }
    let count = counted(wanted.studies.len() as u64, "study");
    context.report.info(&format!("{count} to retrieve"));
    let studies = wanted.studies.iter().map(|study| study.uid.clone());
    let mut retrieve = Retrieval {
        context,
        project,
        settings,
        accept_new_rules: how.accept_new_rules,
        job: RetrieveJob {
            node: node.to_owned(),
            level: how.level,
            via: how.via.into(),
            studies: studies.collect(),
        },
        printer: RefCell::new(StudyPrinter::new(context, wanted)),
    };
    let done = run_or_hand_over(project, &context.signals, &mut retrieve);
    context.report.end_progress();
    let done = done?;
    let all_came = retrieve.printer.into_inner().result()?;
    conclude(context, &done, wanted, all_came)
}

struct Retrieval<'c> {
    context: &'c Context<'c>,
    project: &'c Project,
    settings: &'c ProjectSettings,
    accept_new_rules: bool,
    job: RetrieveJob,
    printer: RefCell<StudyPrinter<'c>>,
}

impl Job for Retrieval<'_> {
    type Output = Retrieved;

    fn request(&self) -> Request {
        Request::Retrieve(Box::new(self.job.clone()))
    }

    fn run(&mut self, lock: Lock) -> anyhow::Result<Retrieved> {
        let (context, project, settings) = (self.context, self.project, self.settings);
        let cancel = context.signals.cancel();
        let options = context.open_options(self.accept_new_rules, None);
        let open = OpenProject::open(project, settings, options, lock)?;
        let jobs = Arc::new(Jobs::new(project, settings, &open, cancel));
        let holder = outcome::listen(context, project, &jobs);
        let done = jobs.retrieve(&self.job, cancel, &mut |event| {
            self.printer.borrow_mut().on_event(&event);
        });
        outcome::wait_for_others(context, holder);
        drop(jobs);
        open.close()?;
        done
    }

    fn on_response(&mut self, response: Response) {
        let printer = self.printer.get_mut();
        match response {
            Response::Study(study) => printer.on_event(&StudyEvent::Study(study)),
            Response::Progress(progress) => printer.on_event(&StudyEvent::Progress(progress)),
            _ => {}
        }
    }

    fn output(response: Response) -> Option<Retrieved> {
        match response {
            Response::Retrieved(done) => Some(*done),
            _ => None,
        }
    }
}

/// Prints the summary. `all_came` is true if something came of each key with a study.
fn conclude(
    context: &Context<'_>,
    done: &Retrieved,
    wanted: &Wanted,
    all_came: bool,
) -> anyhow::Result<ExitStatus> {
    let report = context.report;
    report.summary(&Summary {
        event: "summary",
        command: "retrieve",
        refused_entries: &wanted.refused,
        not_found: wanted.not_found().collect(),
        left_out: wanted.left_out,
        fields: done,
    })?;
    report.line(&format!(
        "{} of {} complete: {} stored, {} quarantined, {} excluded, {} missing",
        done.complete,
        counted(done.studies, "study"),
        counted(done.stored, "instance"),
        done.quarantined,
        done.excluded,
        done.failed
    ))?;
    for line in outcome::how_to_accept(context, &done.storage_classes_excluded) {
        report.line(&line)?;
    }
    outcome::print_remarks(context, &done.remarks)?;
    outcome::warn_of_shared_patient(context, done.shared_patient);
    outcome::warn_of_clashes(context, done.clashes);
    if done.interrupted {
        report.line("interrupted: run the same command again to continue")?;
    }
    let is_partial = done.complete < done.studies
        || done.quarantined > 0
        || done.unusable > 0
        || !wanted.is_found_completely()
        || !all_came;
    let otherwise = if done.complete < done.studies && done.stored == 0 {
        ExitStatus::PeerFailed
    } else if is_partial {
        ExitStatus::Partial
    } else {
        ExitStatus::Done
    };
    Ok(context.exit_status(otherwise))
}
