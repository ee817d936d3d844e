//! `anon quarantine`: lists refused objects, their reasons and what to do about them; imports them
//! again, accepts or removes them.

mod change;
mod what_to_do;

use anon_engine::quarantine::Entry;
use anon_engine::{Category, DirectoryQuarantine, Kept, Quarantine};
use anon_model::Phi;
use anyhow::Context as _;
use serde::Serialize;

use crate::args::Quarantine as What;
use crate::command::Context;
use crate::exit::ExitStatus;
use crate::log;
use crate::project::record::Entries;
use crate::project::settings;
use crate::project::{Project, open_project};
use crate::report::{self, Table};
use crate::work::quarantine;

pub(super) use what_to_do::of_category as what_to_do_about;

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
    /// What to do, with commands to paste.
    advice: Vec<String>,
}

impl Line {
    fn new(context: &Context<'_>, entry: Entry) -> Self {
        Self {
            advice: what_to_do::of_entry(context, &entry),
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
            change::retry(context, &project, category, options)
        }
        What::Accept {
            entry,
            reason,
            accept_new_rules,
        } => {
            let options = context.open_options(accept_new_rules, None);
            change::accept(context, &project, entry, reason, options)
        }
        What::Clear {
            entries,
            category,
            yes,
            ..
        } => change::clear(context, &project, entries_of(entries, category), yes),
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
    let mut first = None;
    for entry in quarantine.entries().context("cannot read the quarantine")? {
        let entry = entry.context("cannot read the quarantine")?;
        if category.is_some_and(|category| category != entry.id.category()) {
            continue;
        }
        if context.signals.cancel().is_cancelled() {
            break;
        }
        entries += 1;
        let short = quarantine::short_id(&entry.id);
        first.get_or_insert_with(|| short.clone());
        let event = Line::new(context, entry);
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
    match (first, category) {
        (Some(first), _) if !report.is_json() => {
            report.info(&format!(
                "what to do about an entry, here the first one:\n  anon quarantine show {first}"
            ));
        }
        (Some(_), _) => {}
        (None, None) => report.line("the quarantine is empty")?,
        (None, Some(category)) => {
            report.line(&format!(
                "the quarantine has no entry of {}",
                category.name()
            ))?;
        }
    }
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
    let event = Line::new(context, entry);
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
    let original = project.quarantine().join(&event.entry).join("original");
    let is_copied = event.kept == "copied";
    let source = event.source.map(|source| {
        if report.shows_phi() {
            source
        } else {
            "known; --show-phi shows the path".to_owned()
        }
    });
    let fields = [
        ("entry", Some(event.entry)),
        ("reason", Some(event.reason)),
        ("element", event.tag),
        ("at byte", event.offset.map(|offset| offset.to_string())),
        ("class", event.sop_class),
        (
            "size",
            Some(format!("{}, {}", report::bytes(event.bytes), event.kept)),
        ),
        ("source", source),
        (
            "original",
            is_copied.then(|| original.display().to_string()),
        ),
    ];
    let fields = fields
        .into_iter()
        .filter_map(|(label, value)| Some((label, value?)));
    for line in report::record(fields) {
        report.line(&line)?;
    }
    report.line("")?;
    event.advice.iter().try_for_each(|line| report.line(line))
}
