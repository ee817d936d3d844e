//! `anon quarantine retry`, `accept` and `clear`.

use std::io;
use std::sync::Arc;

use anon_engine::DirectoryQuarantine;
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
    let summary = process_again(context, project, options, Selection::Category(category))?;
    outcome::print_summary(context, "quarantine retry", &summary)?;
    Ok(outcome::exit_status_of(context, &summary))
}

/// Stores one object although it was refused.
pub(super) fn accept(
    context: &Context<'_>,
    project: &Project,
    entry: String,
    reason: String,
    options: OpenOptions,
) -> anyhow::Result<ExitStatus> {
    let selection = Selection::Accepted { entry, reason };
    let summary = process_again(context, project, options, selection)?;
    let is_stored = summary.stored + summary.duplicates > 0;
    outcome::print_summary(context, "quarantine accept", &summary)?;
    if is_stored {
        context
            .report
            .line("the object is stored, and its entry is removed")?;
    } else if let Some(why) = why_not_stored(&summary) {
        context.report.info(why);
    }
    Ok(outcome::exit_status_of(context, &summary))
}

/// Returns why an entry that was to be accepted is still there. `None` if something failed, which was
/// reported.
fn why_not_stored(summary: &record::Summary) -> Option<&'static str> {
    if summary.quarantined.values().any(|count| *count > 0) {
        Some("the object is not stored: another reason holds than the one that can be accepted")
    } else if summary.interrupted && summary.failed == 0 {
        Some("interrupted before the object was stored: nothing was changed")
    } else {
        None
    }
}

/// Which entries are processed again.
enum Selection {
    /// Those of a category, or all.
    Category(Option<String>),
    /// One, although its reason still holds, and why a person accepts that.
    Accepted { entry: String, reason: String },
}

fn process_again(
    context: &Context<'_>,
    project: &Project,
    options: OpenOptions,
    selection: Selection,
) -> anyhow::Result<record::Summary> {
    let settings = context.settings(project)?;
    project.check_access()?;
    log::start(project, &settings.log, &context.global)?;
    let printer = InstancePrinter::new(context);
    let mut job = ProcessAgain {
        context,
        project,
        settings: &settings,
        options,
        selection,
        printer: &printer,
    };
    let summary = run_or_hand_over(project, &context.signals, &mut job);
    context.report.end_progress();
    let summary = summary?;
    printer.result()?;
    Ok(summary)
}

struct ProcessAgain<'c> {
    context: &'c Context<'c>,
    project: &'c Project,
    settings: &'c ProjectSettings,
    options: OpenOptions,
    selection: Selection,
    printer: &'c InstancePrinter<'c>,
}

impl Job for ProcessAgain<'_> {
    type Output = record::Summary;

    fn request(&self) -> Request {
        match &self.selection {
            Selection::Category(category) => Request::Retry {
                category: category.clone(),
            },
            Selection::Accepted { entry, reason } => Request::Accept {
                entry: entry.clone(),
                reason: reason.clone(),
            },
        }
    }

    fn run(&mut self, lock: Lock) -> anyhow::Result<record::Summary> {
        let (context, project) = (self.context, self.project);
        let cancel = context.signals.cancel();
        let open = OpenProject::open(project, self.settings, self.options, lock)?;
        let jobs = Arc::new(Jobs::new(project, self.settings, &open, cancel));
        let holder = outcome::listen(context, project, &jobs);
        let print = |instance| self.printer.print(&instance);
        let done = match &self.selection {
            Selection::Category(category) => jobs.retry(category.as_deref(), cancel, &print),
            Selection::Accepted { entry, reason } => jobs.accept(entry, reason, cancel, &print),
        };
        outcome::wait_for_others(context, holder);
        drop(jobs);
        let mut summary = done?;
        outcome::close(open, &mut summary);
        Ok(summary)
    }

    fn on_response(&mut self, response: Response) {
        if let Response::Instance(instance) = response {
            self.printer.print(&instance);
        }
    }

    fn output(response: Response) -> Option<record::Summary> {
        match response {
            Response::Summary(summary) => Some(*summary),
            _ => None,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_reason_is_named_only_for_an_object_that_was_refused_again() {
        let mut summary = record::Summary {
            failed: 1,
            ..record::Summary::default()
        };
        assert_eq!(why_not_stored(&summary), None);
        summary.failed = 0;
        summary.interrupted = true;
        let why = why_not_stored(&summary);
        assert!(why.is_some_and(|why| why.contains("nothing was changed")));
        summary.quarantined.insert("Burned_In".to_owned(), 1);
        let why = why_not_stored(&summary);
        assert!(why.is_some_and(|why| why.contains("another reason holds")));
    }
}
