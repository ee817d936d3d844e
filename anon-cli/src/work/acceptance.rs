//! [`Acceptance`]: stores an object from the quarantine although it was refused.
//!
//! `private/accepting` holds the id of the entry while that is under way. If a crash comes between the
//! commit and the removal of the entry, the next process that opens the project finishes both.

use std::sync::Arc;
use std::time::Instant;
use std::{fs, io};

use anon_engine::{
    Cancel, Category, DirectoryQuarantine, Engine, EntryId, ObjectSource, Quarantine as _,
    Received, SourceItem,
};
use anyhow::Context as _;

use crate::exit::Failure;
use crate::project::record::{Instance, Summary};
use crate::project::roots::Roots;
use crate::project::{Privacy, Project, audit, write_file};
use crate::work::import::{self, Events};
use crate::work::quarantine;

/// The categories of which objects can be accepted.
const ACCEPTED: [Category; 2] = [Category::BurnedIn, Category::CapturePhiError];

/// An entry that is to be stored.
#[derive(Debug)]
pub(crate) struct Acceptance<'a> {
    project: &'a Project,
    quarantine: &'a DirectoryQuarantine,
    id: EntryId,
    reason: &'a str,
    received: Received,
}

impl<'a> Acceptance<'a> {
    /// Finds the entry with this id, or with an id that begins so.
    ///
    /// # Errors
    /// If there is no such entry, its bytes are not kept, or its category cannot be accepted.
    pub(crate) fn new(
        project: &'a Project,
        quarantine: &'a Arc<DirectoryQuarantine>,
        entry: &str,
        reason: &'a str,
    ) -> anyhow::Result<Self> {
        let id = quarantine::find(&**quarantine, entry)?;
        if !ACCEPTED.contains(&id.category()) {
            return Err(Failure::configuration(format!(
                "an entry of {} cannot be accepted, only one of {}; what to do about it:\n  \
                 anon quarantine show {}",
                id.category().name(),
                ACCEPTED.map(Category::name).join(" or "),
                quarantine::short_id(&id)
            )));
        }
        let received = received(quarantine, &id)?.ok_or_else(|| {
            Failure::configuration("its bytes are not kept: import its source again")
        })?;
        Ok(Self {
            project,
            quarantine,
            id,
            reason,
            received,
        })
    }

    /// Stores the object and removes the entry, or does neither. The audit trail is written first.
    ///
    /// # Errors
    /// If a file of the project cannot be written. Whether the object was stored is in the summary.
    pub(crate) fn run(
        self,
        engine: &Engine,
        cancel: &Cancel,
        report: &(dyn Fn(Instance) + Sync),
    ) -> anyhow::Result<Summary> {
        let started = Instant::now();
        let entry = self.id.to_string();
        audit::append_accepted(&self.project.audit_file(), &entry, self.reason)?;
        let mark = self.project.accepting_file();
        write_file(&mark, entry.as_bytes(), Privacy::Private)
            .context("cannot write private/accepting")?;
        let roots = Roots::new(Vec::new());
        let events = Events {
            roots: &roots,
            report,
        };
        let mut source = One(Some(self.received));
        let done = anon_engine::import(engine, &mut source, cancel, &events);
        let mut summary = import::summary_of(done);
        summary.seconds = started.elapsed().as_secs_f64();
        if summary.stored + summary.duplicates > 0 {
            // The engine has removed it, unless that failed.
            self.quarantine.clear(&self.id).context(
                "the object is stored, and its entry is not removed: the next import removes it",
            )?;
        }
        fs::remove_file(&mark).context("cannot remove private/accepting")?;
        tracing::info!(category = self.id.category().name(), "accepted an object");
        Ok(summary)
    }
}

/// Finishes an acceptance that a crash interrupted.
///
/// # Errors
/// If the quarantine or the project fails. The next process tries again.
pub(crate) fn finish(
    project: &Project,
    engine: &Engine,
    quarantine: &DirectoryQuarantine,
) -> anyhow::Result<()> {
    let mark = project.accepting_file();
    let entry = match fs::read_to_string(&mark) {
        Ok(entry) => entry,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).context("cannot read private/accepting"),
    };
    if let Ok(id) = entry.parse::<EntryId>()
        && let Some(received) = received(quarantine, &id)?
    {
        let receipt = engine.process(received)?;
        tracing::info!(outcome = receipt.outcome.name(), "finished an acceptance");
    }
    fs::remove_file(&mark).context("cannot remove private/accepting")
}

/// Returns the original of an entry with its reason waived. `None` if it is not kept.
fn received(quarantine: &DirectoryQuarantine, id: &EntryId) -> anyhow::Result<Option<Received>> {
    let received = quarantine
        .received(id)
        .context("cannot read the quarantine")?;
    Ok(received.map(|received| received.waiving(id.category())))
}

/// A source of one object.
#[derive(Debug)]
struct One(Option<Received>);

impl ObjectSource for One {
    fn next(&mut self) -> Option<SourceItem> {
        self.0.take().map(SourceItem::Object)
    }
}
