//! `anon quarantine retry`, `accept` and `clear`.

use std::io;
use std::sync::Arc;

use anon_engine::{Cancel, DirectoryQuarantine};
use anon_model::ProjectSettings;
use anyhow::Context as _;

use super::{Summary, checked, open};
use crate::command::Context;
use crate::command::outcome::{self, InstancePrinter};
use crate::exit::ExitStatus;
use crate::log;
use crate::platform::terminal;
use crate::project::lock::Lock;
use crate::project::record::{self, Entries};
use crate::project::settings;
use crate::project::{OpenOptions, OpenProject, Project};
use crate::report;
use crate::work::control::{Request, Response};
use crate::work::{Job, Jobs, quarantine, run_or_hand_over};

pub(super) fn retry(
    context: &Context<'_>,
    project: &Project,
    category: Option<String>,
    options: OpenOptions,
) -> anyhow::Result<ExitStatus> {
    checked(category.as_deref())?;
    let settings = settings::load(project)?;
    project.check_access()?;
    log::start(project, &settings.log, &context.global)?;
    let printer = InstancePrinter::new(context);
    let mut retry = Retry {
        context,
        project,
        settings: &settings,
        options,
        category,
        printer: &printer,
    };
    let summary = run_or_hand_over(project, &context.signals, &mut retry);
    context.report.end_progress();
    let summary = summary?;
    printer.result()?;
    outcome::print_summary(context, "quarantine retry", &summary)?;
    Ok(outcome::exit_status_of(context, &summary))
}

struct Retry<'c> {
    context: &'c Context<'c>,
    project: &'c Project,
    settings: &'c ProjectSettings,
    options: OpenOptions,
    category: Option<String>,
    printer: &'c InstancePrinter<'c>,
}

impl Job for Retry<'_> {
    type Output = record::Summary;

    fn request(&self) -> Request {
        Request::Retry {
            category: self.category.clone(),
        }
    }

    fn run(&mut self, lock: Lock) -> anyhow::Result<record::Summary> {
        let (category, printer) = (self.category.as_deref(), self.printer);
        let work = |jobs: &Jobs, cancel: &Cancel| {
            jobs.retry(category, cancel, &|instance| printer.print(&instance))
        };
        in_project(
            self.context,
            self.project,
            self.settings,
            self.options,
            lock,
            &work,
        )
    }

    fn on_response(&mut self, response: Response) {
        if let Response::Instance(instance) = response {
            self.printer.print(&instance);
        }
    }

    fn output(response: Response) -> Option<record::Summary> {
        summary_of(response)
    }
}

/// Stores one object although it was refused.
pub(super) fn accept(
    context: &Context<'_>,
    project: &Project,
    entry: String,
    reason: String,
    options: OpenOptions,
) -> anyhow::Result<ExitStatus> {
    let settings = settings::load(project)?;
    project.check_access()?;
    log::start(project, &settings.log, &context.global)?;
    let printer = InstancePrinter::new(context);
    let mut accept = Accept {
        context,
        project,
        settings: &settings,
        options,
        entry,
        reason,
        printer: &printer,
    };
    let summary = run_or_hand_over(project, &context.signals, &mut accept);
    context.report.end_progress();
    let summary = summary?;
    printer.result()?;
    let is_stored = summary.stored + summary.duplicates > 0;
    outcome::print_summary(context, "quarantine accept", &summary)?;
    if is_stored {
        context
            .report
            .line("the object is stored, and its entry is removed")?;
    } else {
        context.report.info(
            "the object is not stored: another reason holds than the one that can be accepted",
        );
    }
    Ok(outcome::exit_status_of(context, &summary))
}

struct Accept<'c> {
    context: &'c Context<'c>,
    project: &'c Project,
    settings: &'c ProjectSettings,
    options: OpenOptions,
    entry: String,
    reason: String,
    printer: &'c InstancePrinter<'c>,
}

impl Job for Accept<'_> {
    type Output = record::Summary;

    fn request(&self) -> Request {
        Request::Accept {
            entry: self.entry.clone(),
            reason: self.reason.clone(),
        }
    }

    fn run(&mut self, lock: Lock) -> anyhow::Result<record::Summary> {
        let (entry, reason) = (self.entry.as_str(), self.reason.as_str());
        let printer = self.printer;
        let work = |jobs: &Jobs, cancel: &Cancel| {
            jobs.accept(entry, reason, cancel, &|instance| printer.print(&instance))
        };
        in_project(
            self.context,
            self.project,
            self.settings,
            self.options,
            lock,
            &work,
        )
    }

    fn on_response(&mut self, response: Response) {
        if let Response::Instance(instance) = response {
            self.printer.print(&instance);
        }
    }

    fn output(response: Response) -> Option<record::Summary> {
        summary_of(response)
    }
}

/// Opens the project, which this process now holds, and works on it.
fn in_project(
    context: &Context<'_>,
    project: &Project,
    settings: &ProjectSettings,
    options: OpenOptions,
    lock: Lock,
    work: &dyn Fn(&Jobs, &Cancel) -> anyhow::Result<record::Summary>,
) -> anyhow::Result<record::Summary> {
    let cancel = context.signals.cancel();
    let open = OpenProject::open(project, settings, options, lock)?;
    let jobs = Arc::new(Jobs::new(project, settings, &open, cancel));
    let holder = outcome::listen(context, project, &jobs);
    let done = work(&jobs, cancel);
    outcome::wait_for_others(context, holder);
    drop(jobs);
    let mut summary = done?;
    outcome::close(open, &mut summary);
    Ok(summary)
}

fn summary_of(response: Response) -> Option<record::Summary> {
    match response {
        Response::Summary(summary) => Some(*summary),
        _ => None,
    }
}

pub(super) fn clear(
    context: &Context<'_>,
    project: &Project,
    entries: Entries,
    yes: bool,
) -> anyhow::Result<ExitStatus> {
    let quarantine = open(context, project)?;
    let count = quarantine::selected(&quarantine, &entries)?.len() as u64;
    if count > 0 && !yes && !confirmed(context, count)? {
        context.report.info("nothing was deleted");
        summarize(context, 0)?;
        return Ok(context.exit_status(ExitStatus::Partial));
    }
    let mut clear = Clear {
        context,
        quarantine,
        entries,
    };
    let cleared = run_or_hand_over(project, &context.signals, &mut clear)?;
    let deleted = format!("{} deleted", report::counted(cleared, "entry"));
    context.report.line(&deleted)?;
    summarize(context, cleared)?;
    Ok(context.exit_status(ExitStatus::Done))
}

fn summarize(context: &Context<'_>, entries: u64) -> anyhow::Result<()> {
    context.report.summary(&Summary {
        event: "summary",
        command: "quarantine clear",
        entries,
    })
}

/// Asks on the terminal. Without one the command line is enough.
fn confirmed(context: &Context<'_>, count: u64) -> anyhow::Result<bool> {
    let entries = report::counted(count, "entry");
    let question = format!("Delete {entries} of the quarantine for good? Type yes: ");
    let ended = || context.signals.caught().is_some();
    match terminal::ask(&question, ended) {
        Ok(None) => Ok(true),
        Ok(Some(answer)) => Ok(answer.trim().eq_ignore_ascii_case("yes")),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        Err(error) => Err(error).context("cannot ask on the terminal"),
    }
}

struct Clear<'c> {
    context: &'c Context<'c>,
    quarantine: DirectoryQuarantine,
    entries: Entries,
}

impl Job for Clear<'_> {
    type Output = u64;

    fn request(&self) -> Request {
        Request::Clear(self.entries.clone())
    }

    fn run(&mut self, _lock: Lock) -> anyhow::Result<u64> {
        let cancel = self.context.signals.cancel();
        quarantine::clear(&self.quarantine, &self.entries, cancel)
    }

    fn on_response(&mut self, _: Response) {}

    fn output(response: Response) -> Option<u64> {
        match response {
            Response::Cleared(cleared) => Some(cleared),
            _ => None,
        }
    }
}
