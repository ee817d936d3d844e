//! `anon quarantine`: what was refused and why, and another try.

use std::sync::Arc;

use anon_engine::quarantine::Entry;
use anon_engine::{
    Category, DirectoryQuarantine, EntryId, Kept, ObjectSource, Quarantine, SourceItem,
};
use anon_model::Phi;
use anyhow::Context as _;
use serde::Serialize;

use crate::args::Quarantine as What;
use crate::command::Context;
use crate::command::outcome::{self, InstancePrinter};
use crate::exit::{ExitStatus, Failure};
use crate::log;
use crate::project::Project;
use crate::project::lock::Lock;
use crate::project::roots::Roots;
use crate::project::settings;
use crate::project::{OpenOptions, OpenProject, open_project};
use crate::report::{self, Table};
use crate::work::{Jobs, import};

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
            retry(context, &project, category.as_deref(), options)
        }
        What::Clear {
            entries, category, ..
        } => clear(context, &project, &entries, category.as_deref()),
    }
}

/// The quarantine, to be looked at beside whoever writes.
fn open(context: &Context<'_>, project: &Project) -> anyhow::Result<DirectoryQuarantine> {
    log::start_without_file(&context.global)?;
    project.check_access()?;
    Ok(open_project::quarantine(project, &settings::load(project)?))
}

fn named(category: Option<&str>) -> anyhow::Result<Option<Category>> {
    let Some(name) = category else {
        return Ok(None);
    };
    let found = Category::ALL
        .into_iter()
        .find(|category| category.name().eq_ignore_ascii_case(name));
    match found {
        Some(category) => Ok(Some(category)),
        None => Err(Failure::configuration(format!(
            "there is no category {name:?}; there are {}",
            Category::ALL.map(Category::name).join(", ")
        ))),
    }
}

fn list(
    context: &Context<'_>,
    project: &Project,
    category: Option<&str>,
) -> anyhow::Result<ExitStatus> {
    let category = named(category)?;
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

/// The entry with this id, or with an id that begins so.
fn find(quarantine: &dyn Quarantine, name: &str) -> anyhow::Result<EntryId> {
    if let Ok(id) = name.parse::<EntryId>() {
        return match quarantine
            .entry(&id)
            .context("cannot read the quarantine")?
        {
            Some(_) => Ok(id),
            None => Err(Failure::configuration(format!("there is no entry {name}"))),
        };
    }
    let (category, digits) = match name.split_once('/') {
        Some((category, digits)) => (named(Some(category))?, digits),
        None => (None, name),
    };
    let mut found = Vec::new();
    for entry in quarantine.entries().context("cannot read the quarantine")? {
        let id = entry.context("cannot read the quarantine")?.id;
        let of_category = category.is_none_or(|category| category == id.category());
        if of_category && id.digest_text().starts_with(digits) {
            found.push(id);
        }
    }
    match *found {
        [id] => Ok(id),
        [] => Err(Failure::configuration(format!("there is no entry {name}"))),
        _ => Err(Failure::configuration(format!(
            "{} entries begin with {name}: give more of it",
            found.len()
        ))),
    }
}

fn show(context: &Context<'_>, project: &Project, name: &str) -> anyhow::Result<ExitStatus> {
    let quarantine = open(context, project)?;
    let id = find(&quarantine, name)?;
    let entry = quarantine
        .entry(&id)
        .context("cannot read the quarantine")?
        .with_context(|| Failure::Configuration(format!("there is no entry {name}")))?;
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

/// The ids of all entries, or of a category's, in a stable order.
fn ids(quarantine: &dyn Quarantine, category: Option<Category>) -> anyhow::Result<Vec<EntryId>> {
    let mut ids = Vec::new();
    for entry in quarantine.entries().context("cannot read the quarantine")? {
        let id = entry.context("cannot read the quarantine")?.id;
        if category.is_none_or(|category| category == id.category()) {
            ids.push(id);
        }
    }
    ids.sort_unstable();
    Ok(ids)
}

fn retry(
    context: &Context<'_>,
    project: &Project,
    category: Option<&str>,
    options: OpenOptions,
) -> anyhow::Result<ExitStatus> {
    let category = named(category)?;
    let settings = settings::load(project)?;
    project.check_access()?;
    let lock = Lock::take(&project.lock_file())?;
    log::start(project, &settings.log, &context.global)?;
    let open = OpenProject::open(project, &settings, options, lock)?;
    let jobs = Arc::new(Jobs::new(
        project,
        &settings,
        &open,
        context.signals.cancel(),
    ));
    let holder = outcome::listen(context, project, &jobs);
    let printer = InstancePrinter::new(context);
    let mut summary = again(context, &open, category, &printer)?;
    outcome::wait_for_others(context, holder);
    context.report.end_progress();
    outcome::close(open, &mut summary);
    printer.result()?;
    outcome::print_summary(context, "quarantine retry", &summary)?;
    Ok(outcome::exit_status_of(context, &summary))
}

/// Imports what is there.
fn again(
    context: &Context<'_>,
    open: &OpenProject,
    category: Option<Category>,
    printer: &InstancePrinter<'_>,
) -> anyhow::Result<crate::project::record::Summary> {
    let ids = ids(&*open.quarantine, category)?;
    let roots = Roots::new(Vec::new());
    let tell = |instance| printer.print(&instance);
    let teller = import::Teller {
        roots: &roots,
        tell: &tell,
    };
    let begun = std::time::Instant::now();
    let mut again = Again {
        quarantine: Arc::clone(&open.quarantine),
        ids: ids.into_iter(),
    };
    let cancel = context.signals.cancel();
    let done = anon_engine::import(&open.engine, &mut again, cancel, &teller);
    let mut summary = import::summary_of(done);
    summary.seconds = begun.elapsed().as_secs_f64();
    Ok(summary)
}

/// The originals of the quarantine, one after the other.
#[derive(Debug)]
struct Again {
    quarantine: Arc<DirectoryQuarantine>,
    ids: std::vec::IntoIter<EntryId>,
}

impl ObjectSource for Again {
    fn next(&mut self) -> Option<SourceItem> {
        let id = self.ids.next()?;
        let origin = Phi::new(id.to_string());
        Some(match self.quarantine.received(&id) {
            Ok(Some(received)) => SourceItem::Object(received),
            Ok(None) => SourceItem::Ignored {
                origin,
                reason: "its bytes are not kept: import its source again",
            },
            Err(error) => SourceItem::Failed {
                origin,
                reason: "its original cannot be read",
                error: Some(std::io::Error::other(error)),
            },
        })
    }
}

fn clear(
    context: &Context<'_>,
    project: &Project,
    entries: &[String],
    category: Option<&str>,
) -> anyhow::Result<ExitStatus> {
    let category = named(category)?;
    // The holder counts what is there: nobody takes entries away under it.
    let _lock = Lock::take(&project.lock_file())?;
    let quarantine = open(context, project)?;
    let ids = if entries.is_empty() {
        ids(&quarantine, category)?
    } else {
        let found: anyhow::Result<Vec<EntryId>> =
            entries.iter().map(|name| find(&quarantine, name)).collect();
        found?
    };
    let mut cleared = 0;
    for id in &ids {
        if context.signals.cancel().is_cancelled() {
            break;
        }
        cleared += u64::from(quarantine.clear(id).context("cannot remove an entry")?);
    }
    context.report.line(&format!("{cleared} entries removed"))?;
    context.report.summary(&Summary {
        event: "summary",
        command: "quarantine clear",
        entries: cleared,
    })?;
    Ok(context.exit_status(ExitStatus::Done))
}
