//! `anon retrieve`: retrieves studies from a server and de-identifies them.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::sync::Arc;

use anon_model::ProjectSettings;
use anon_net::service::Cancel;
use anyhow::Context as _;
use serde::Serialize;

use crate::args::{Retrieve, Via};
use crate::command::Context;
use crate::command::outcome;
use crate::exit::{ExitStatus, Failure};
use crate::log;
use crate::node::{self, Keys, ListKey, Peer, Purpose, RefusedEntry, Search};
use crate::project::lock::Lock;
use crate::project::record::{FetchProgress, Fetched, RetrieveJob, Retrieved, StudyEvent};
use crate::project::{OpenProject, Project, settings};
use crate::report::Progress;
use crate::work::control::{Request, Response};
use crate::work::{Job, Jobs, run_or_hand_over};

#[derive(Debug, Serialize)]
struct Line<'e, T> {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_entries: Option<&'e [RefusedEntry]>,
    #[serde(flatten)]
    fields: &'e T,
}

pub(crate) fn run(context: &Context<'_>, args: &Retrieve) -> anyhow::Result<ExitStatus> {
    let project = Project::existing(context.project())?;
    let settings = settings::load(&project)?;
    let peer = Peer::resolve(&settings, &args.node, Purpose::Query)?;
    // Another process that holds the project checks its own settings.
    if args.via == Via::Move && !project.socket().exists() {
        node::check_reachable(&settings, &peer)?;
        if !node::is_local(&settings) {
            node::check_access_list(&settings)?;
            outcome::print_who_can_connect(&settings, context.report);
        }
    }
    let search = Search::new(&args.keys.clone().into())?;
    log::start(&project, &settings.log, &context.global)?;
    outcome::warn_of_refused_entries(context, &search.refused);
    let Some((studies, all_asked)) = look_for(context, &project, &settings, args, &search, &peer)?
    else {
        let interrupted = true;
        let nothing = Retrieved {
            interrupted,
            ..Retrieved::default()
        };
        return conclude(context, &nothing, &search.refused, false);
    };
    context
        .report
        .info(&format!("{} studies to retrieve", studies.len()));
    let mut retrieve = Retrieval {
        context,
        project: &project,
        settings: &settings,
        accept_new_rules: args.accept_new_rules,
        job: RetrieveJob {
            node: args.node.clone(),
            level: args.level.into(),
            via: args.via.into(),
            studies,
        },
        printer: RefCell::new(StudyPrinter::new(context)),
    };
    let done = run_or_hand_over(&project, &context.signals, &mut retrieve);
    context.report.end_progress();
    let done = done?;
    retrieve.printer.into_inner().result()?;
    conclude(context, &done, &search.refused, all_asked)
}

/// Returns the studies to retrieve, and true if every entry of the list was searched for. `None` if
/// a signal ended the search.
fn look_for(
    context: &Context<'_>,
    project: &Project,
    settings: &ProjectSettings,
    args: &Retrieve,
    search: &Search,
    peer: &Peer,
) -> anyhow::Result<Option<(Vec<String>, bool)>> {
    let report = context.report;
    let scu = node::scu(project, settings, peer)?;
    let local = node::LocalNode::from_settings(settings);
    let cancel = Cancel::from(context.signals.cancel().shared());
    let mut studies = Vec::new();
    let found = search.run(&scu, &peer.node, &cancel, &mut |study| {
        studies.push(study.study.expose().to_owned());
    });
    let found = match found {
        _ if context.signals.caught().is_some() => return Ok(None),
        Ok(found) => found,
        Err(error) => return Err(node::peer_failure(&error, &peer.node, &local)),
    };
    // A study that was named and not found is reported like any other study that does not arrive.
    let keys: Keys = args.keys.clone().into();
    for study in node::studies_by_uid(&keys) {
        if !studies.contains(study) {
            studies.push(study.clone());
        }
    }
    let list = keys.list();
    let key = list.map_or(ListKey::AccessionNumber, |(key, _)| key);
    if !found.missing.is_empty() {
        if let Some((_, file)) = list {
            node::write_not_found(file, &found.missing)?;
        }
        report.warn(&format!("not found: {}", key.counted(found.missing.len())));
    }
    for (_, error) in &found.failed {
        let why = node::failure_message(error, &peer.node, &local);
        report.warn(&format!("the query for {} failed: {why}", key.counted(1)));
    }
    let all_asked = found.failed.is_empty() && found.not_asked == 0;
    Ok(Some((studies, all_asked)))
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

fn conclude(
    context: &Context<'_>,
    done: &Retrieved,
    refused: &[RefusedEntry],
    all_asked: bool,
) -> anyhow::Result<ExitStatus> {
    let report = context.report;
    report.summary(&Line {
        event: "summary",
        command: Some("retrieve"),
        refused_entries: Some(refused),
        fields: done,
    })?;
    report.line(&format!(
        "{} of {} studies complete: {} instances stored, {} quarantined, {} excluded, {} missing",
        done.complete, done.studies, done.stored, done.quarantined, done.excluded, done.failed
    ))?;
    for line in outcome::how_to_accept(context, &done.storage_classes_excluded) {
        report.line(&line)?;
    }
    outcome::print_remarks(context, &done.remarks)?;
    outcome::warn_of_shared_patient(context, done.shared_patient);
    if done.interrupted {
        report.line("interrupted: run the same command again to continue")?;
    }
    let otherwise = if done.complete < done.studies && done.stored == 0 {
        ExitStatus::PeerFailed
    } else if done.complete < done.studies
        || done.quarantined > 0
        || !refused.is_empty()
        || !all_asked
    {
        ExitStatus::Partial
    } else {
        ExitStatus::Done
    };
    Ok(context.exit_status(otherwise))
}

/// Shows how far the retrieve is.
fn how_far(progress: &FetchProgress) -> String {
    format!(
        "{} of {} studies  {} of {} instances",
        progress.done, progress.studies, progress.here, progress.expected
    )
}

/// Prints each study when it is done.
struct StudyPrinter<'c> {
    context: &'c Context<'c>,
    live: Option<Progress>,
    number: u64,
    failure: Option<anyhow::Error>,
}

impl<'c> StudyPrinter<'c> {
    fn new(context: &'c Context<'c>) -> Self {
        Self {
            context,
            live: context.report.start_live(),
            number: 0,
            failure: None,
        }
    }

    fn on_event(&mut self, event: &StudyEvent) {
        let study = match event {
            StudyEvent::Study(study) => study,
            StudyEvent::Progress(progress) => {
                if let Some(live) = &self.live {
                    live.set_message(how_far(progress));
                }
                return;
            }
        };
        self.number += 1;
        if self.failure.is_none()
            && let Err(error) = self.print(study)
        {
            // Ends the retrieve, because nobody sees its events.
            self.context.signals.cancel().cancel();
            self.failure = Some(error);
        }
    }

    fn print(&self, study: &Fetched) -> anyhow::Result<()> {
        let report = self.context.report;
        report.json(&Line {
            event: "study",
            command: None,
            refused_entries: None,
            fields: study,
        })?;
        let name = if report.shows_phi() {
            study.study_uid.clone()
        } else {
            format!("study {}", self.number)
        };
        let why = study.error.as_deref();
        let mut why = why.map_or_else(String::new, |why| format!(": {why}"));
        if let Some(comment) = &study.comment {
            let _ = write!(why, "; the server says: {comment}");
        }
        report.line(&format!(
            "{name}: {} of {} stored, {} quarantined, {} excluded{why}",
            study.stored, study.expected, study.quarantined, study.excluded
        ))?;
        if report.shows_phi() {
            for uid in &study.missing {
                report.line(&format!("  missing: {uid}"))?;
            }
        }
        Ok(())
    }

    fn result(self) -> anyhow::Result<()> {
        match self.failure {
            Some(error) => Err(error).context(Failure::CannotRun(
                "the retrieve ended early, because its events cannot be printed".into(),
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far_it_is() {
        let progress = FetchProgress {
            studies: 4,
            done: 1,
            expected: 12,
            here: 7,
        };
        assert_eq!(how_far(&progress), "1 of 4 studies  7 of 12 instances");
    }
}
