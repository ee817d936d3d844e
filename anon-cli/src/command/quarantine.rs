//! `anon quarantine`: lists refused objects and their reasons, imports them again, removes them.

use std::sync::Arc;

use anon_engine::quarantine::Entry;
use anon_engine::{Category, DirectoryQuarantine, Kept, Quarantine};
use anon_model::{Phi, ProjectSettings};
use anyhow::Context as _;
use serde::Serialize;

use crate::args::Quarantine as What;
use crate::command::Context;
use crate::command::outcome::{self, InstancePrinter};
use crate::exit::ExitStatus;
use crate::log;
use crate::project::lock::Lock;
use crate::project::record::{self, Entries};
use crate::project::settings;
use crate::project::{OpenOptions, OpenProject, Project, open_project};
use crate::report::{self, Table};
use crate::work::control::{Request, Response};
use crate::work::{Job, Jobs, quarantine, run_or_hand_over};

#[derive(Debug, Serialize)]
struct Line {
    event: &'static str,
    entry: String,
    category: &'static str,
    reason: String,
    tag: Option<String>,
    offset: Option<u64>,
    sop_class: Option<String>,
    bytes: u64,
    /// `copied`, `referenced` or `recorded`.
    kept: &'static str,
    source: Option<String>,
}

impl From<Entry> for Line {
    fn from(entry: Entry) -> Self {
        Self {
            event: "entry",
            entry: entry.id.to_string(),
            category: entry.id.category().name(),
            reason: entry.reason,
            tag: entry.tag.map(|tag| tag.to_string()),
            offset: entry.offset,
            sop_class: entry.sop_class,
            bytes: entry.length,
            kept: match entry.kept {
                Kept::Copied => "copied",
                Kept::Referenced => "referenced",
                Kept::Recorded => "recorded",
            },
            source: entry.source.map(Phi::into_exposed),
        }
    }
}

#[derive(Debug, Serialize)]
struct Summary {
    event: &'static str,
    command: &'static str,
    entries: u64,
}

pub(crate) fn run(context: &Context<'_>, what: What) -> anyhow::Result<ExitStatus> {
    let project = Project::existing(context.project())?;
    match what {
        What::List { category } => list(context, &project, category.as_deref()),
        What::Show { entry } => show(context, &project, &entry),
        What::Retry {
            category,
            jobs,
            accept_new_rules,
        } => {
            let options = context.open_options(accept_new_rules, jobs);
            retry(context, &project, category, options)
        }
        What::Clear {
            entries, category, ..
        } => clear(context, &project, entries_of(entries, category)),
    }
}

fn entries_of(entries: Vec<String>, category: Option<String>) -> Entries {
    match category {
        Some(category) => Entries::Category(category),
        None if entries.is_empty() => Entries::All,
        None => Entries::These(entries),
    }
}

/// The quarantine. Reading it is possible while another process holds the project.
fn open(context: &Context<'_>, project: &Project) -> anyhow::Result<DirectoryQuarantine> {
    log::start_without_file(&context.global)?;
    project.check_access()?;
    Ok(open_project::quarantine(project, &settings::load(project)?))
}

fn checked(category: Option<&str>) -> anyhow::Result<Option<Category>> {
    category.map(quarantine::category).transpose()
}

fn list(
    context: &Context<'_>,
    project: &Project,
    category: Option<&str>,
) -> anyhow::Result<ExitStatus> {
    let category = checked(category)?;
    let quarantine = open(context, project)?;
    let report = context.report;
    let mut table = Table::new(&["category", "entry", "size", "reason"]);
    let mut entries = 0;
    for entry in quarantine.entries().context("cannot read the quarantine")? {
        let entry = entry.context("cannot read the quarantine")?;
        if category.is_some_and(|category| category != entry.id.category()) {
            continue;
        }
        if context.signals.cancel().is_cancelled() {
            break;
        }
        entries += 1;
        let short: String = entry.id.digest_text().chars().take(12).collect();
        let event = Line::from(entry);
        report.json(&event)?;
        let mut reason = event.reason;
        if let Some(source) = event.source.filter(|_| report.shows_phi()) {
            reason = format!("{reason} [{source}]");
        }
        let size = report::bytes(event.bytes);
        let lines = table.row([event.category.to_owned(), short, size, reason]);
        lines
            .into_iter()
            .flatten()
            .try_for_each(|line| report.line(&line))?;
    }
    table
        .finish()
        .iter()
        .try_for_each(|line| report.line(line))?;
    report.summary(&Summary {
        event: "summary",
        command: "quarantine list",
        entries,
    })?;
    Ok(context.exit_status(ExitStatus::Done))
}

fn show(context: &Context<'_>, project: &Project, name: &str) -> anyhow::Result<ExitStatus> {
    let quarantine = open(context, project)?;
    let id = quarantine::find(&quarantine, name)?;
    let entry = quarantine
        .entry(&id)
        .context("cannot read the quarantine")?
        .ok_or_else(|| quarantine::no_entry(name))?;
    let event = Line::from(entry);
    context.report.json(&event)?;
    print(context, project, event)?;
    context.report.summary(&Summary {
        event: "summary",
        command: "quarantine show",
        entries: 1,
    })?;
    Ok(ExitStatus::Done)
}

fn print(context: &Context<'_>, project: &Project, event: Line) -> anyhow::Result<()> {
    let report = context.report;
    let line = |text: String| report.line(&text);
    line(format!("entry:    {}", event.entry))?;
    line(format!("reason:   {}", event.reason))?;
    for (label, value) in [
        ("element: ", event.tag),
        ("at byte: ", event.offset.map(|offset| offset.to_string())),
        ("class:   ", event.sop_class),
    ] {
        if let Some(value) = value {
            line(format!("{label} {value}"))?;
        }
    }
    line(format!(
        "size:     {}, {}",
        report::bytes(event.bytes),
        event.kept
    ))?;
    match event.source {
        Some(source) if report.shows_phi() => line(format!("source:   {source}"))?,
        Some(_) => line("source:   known; --show-phi shows the path".into())?,
        None => {}
    }
    if event.kept == "copied" {
        let original = project.quarantine().join(&event.entry).join("original");
        line(format!("original: {}", original.display()))?;
    }
    Ok(())
}

fn retry(
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
        let (context, project, settings) = (self.context, self.project, self.settings);
        let cancel = context.signals.cancel();
        let open = OpenProject::open(project, settings, self.options, lock)?;
        let jobs = Arc::new(Jobs::new(project, settings, &open, cancel));
        let holder = outcome::listen(context, project, &jobs);
        let print = |instance| self.printer.print(&instance);
        let done = jobs.retry(self.category.as_deref(), cancel, &print);
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

fn clear(context: &Context<'_>, project: &Project, entries: Entries) -> anyhow::Result<ExitStatus> {
    if let Entries::Category(category) = &entries {
        checked(Some(category))?;
    }
    let quarantine = open(context, project)?;
    let mut clear = Clear {
        context,
        quarantine,
        entries,
    };
    let cleared = run_or_hand_over(project, &context.signals, &mut clear)?;
    context.report.line(&format!("{cleared} entries removed"))?;
    context.report.summary(&Summary {
        event: "summary",
        command: "quarantine clear",
        entries: cleared,
    })?;
    Ok(context.exit_status(ExitStatus::Done))
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
