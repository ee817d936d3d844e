//! Imports the originals in the quarantine again, or removes entries from it.

use std::sync::Arc;
use std::time::Instant;

use anon_engine::{
    Cancel, Category, DirectoryQuarantine, Engine, EntryId, ObjectSource, Quarantine, SourceItem,
};
use anon_model::Phi;
use anyhow::Context as _;

use crate::exit::Failure;
use crate::project::record::{Entries, Instance, Summary};
use crate::project::roots::Roots;
use crate::work::import::{self, Events};

/// Imports the originals of a category again, or all of them, and reports each when it is durable.
///
/// # Errors
/// If the quarantine cannot be read. A failed import is reported in the summary.
pub(crate) fn retry(
    engine: &Engine,
    quarantine: &Arc<DirectoryQuarantine>,
    category: Option<Category>,
    cancel: &Cancel,
    report: &(dyn Fn(Instance) + Sync),
) -> anyhow::Result<Summary> {
    let started = Instant::now();
    let mut originals = Originals {
        quarantine: Arc::clone(quarantine),
        ids: ids(&**quarantine, category)?.into_iter(),
    };
    let roots = Roots::new(Vec::new());
    let events = Events {
        roots: &roots,
        report,
    };
    let done = anon_engine::import(engine, &mut originals, cancel, &events);
    let mut summary = import::summary_of(done);
    summary.seconds = started.elapsed().as_secs_f64();
    Ok(summary)
}

/// Removes entries and returns how many were there. Stops early, without an error, when cancelled.
///
/// # Errors
/// If an entry that is named does not exist (nothing is removed then), or one cannot be removed.
pub(crate) fn clear(
    quarantine: &dyn Quarantine,
    entries: &Entries,
    cancel: &Cancel,
) -> anyhow::Result<u64> {
    let mut cleared = 0;
    for id in &selected(quarantine, entries)? {
        if cancel.is_cancelled() {
            break;
        }
        cleared += u64::from(quarantine.clear(id).context("cannot remove an entry")?);
    }
    Ok(cleared)
}

/// Returns the ids of the entries.
///
/// # Errors
/// If an entry that is named does not exist.
pub(crate) fn selected(
    quarantine: &dyn Quarantine,
    entries: &Entries,
) -> anyhow::Result<Vec<EntryId>> {
    match entries {
        Entries::All => ids(quarantine, None),
        Entries::Category(name) => ids(quarantine, Some(category(name)?)),
        Entries::These(names) => names.iter().map(|name| find(quarantine, name)).collect(),
    }
}

/// The category of this name. Upper and lower case are the same.
///
/// # Errors
/// If there is no such category.
pub(crate) fn category(name: &str) -> anyhow::Result<Category> {
    let found = Category::ALL
        .into_iter()
        .find(|category| category.name().eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        Failure::configuration(format!(
            "there is no category {name:?}; the categories are {}",
            Category::ALL.map(Category::name).join(", ")
        ))
    })
}

/// The entry with this id, or with an id that begins so. `CATEGORY/` may stand before it.
///
/// # Errors
/// If there is no such entry, or more than one.
pub(crate) fn find(quarantine: &dyn Quarantine, name: &str) -> anyhow::Result<EntryId> {
    find_if_any(quarantine, name)?.ok_or_else(|| no_entry(name))
}

/// As [`find`]. `None` if there is no such entry.
pub(crate) fn find_if_any(
    quarantine: &dyn Quarantine,
    name: &str,
) -> anyhow::Result<Option<EntryId>> {
    if let Ok(id) = name.parse::<EntryId>() {
        let entry = quarantine
            .entry(&id)
            .context("cannot read the quarantine")?;
        return Ok(entry.map(|entry| entry.id));
    }
    let (of_category, digits) = match name.split_once('/') {
        Some((name, digits)) => (Some(category(name)?), digits),
        None => (None, name),
    };
    let mut found = ids(quarantine, of_category)?;
    found.retain(|id| id.digest_text().starts_with(digits));
    match *found {
        [id] => Ok(Some(id)),
        [] => Ok(None),
        _ => Err(Failure::configuration(format!(
            "{} entries begin with {name}: type more of the id",
            found.len()
        ))),
    }
}

/// True if [`find`] takes the name for this id.
pub(crate) fn is_named(id: &EntryId, name: &str) -> bool {
    let (is_of_category, digits) = match name.split_once('/') {
        Some((of, digits)) => (id.category().name().eq_ignore_ascii_case(of), digits),
        None => (true, name),
    };
    is_of_category && id.digest_text().starts_with(digits)
}

/// Returns the start of an entry's digest, enough to name it.
pub(crate) fn short_id(id: &EntryId) -> String {
    id.digest_text().chars().take(12).collect()
}

pub(crate) fn no_entry(name: &str) -> anyhow::Error {
    Failure::configuration(format!(
        "there is no entry {name}; to see them:\n  anon quarantine list"
    ))
}

/// The ids of all entries, or of those of a category, sorted.
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

/// The originals of entries, one after the other.
#[derive(Debug)]
struct Originals {
    quarantine: Arc<DirectoryQuarantine>,
    ids: std::vec::IntoIter<EntryId>,
}

impl ObjectSource for Originals {
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
