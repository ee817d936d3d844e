//! [`Acceptance`]: stores an object from the quarantine although it was refused. One that differs from
//! the stored instance with its UID replaces it.
//!
//! `private/accepting` holds the id of the entry while that is under way. If a crash or a failure leaves
//! it behind, the next process that opens the project, or the next acceptance, looks in the index: an
//! object that was committed loses its entry; one that was not stays in the quarantine, and nothing of
//! it is stored before a person accepts it again.

use std::sync::Arc;
use std::time::Instant;
use std::{fs, io};

use anon_engine::quarantine::Original;
use anon_engine::{
    Cancel, Category, DirectoryQuarantine, Engine, EntryId, ObjectSource, Outcome, Quarantine as _,
    Received, SourceItem,
};
use anon_model::RetrieveProgress;
use anyhow::Context as _;

use crate::exit::Failure;
use crate::platform::files;
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
    /// Reads the entry.
    ///
    /// # Errors
    /// If its bytes are not kept, or its category cannot be accepted.
    pub(crate) fn new(
        project: &'a Project,
        quarantine: &'a Arc<DirectoryQuarantine>,
        id: EntryId,
        reason: &'a str,
    ) -> anyhow::Result<Self> {
        if !ACCEPTED.contains(&id.category()) {
            return Err(Failure::configuration(format!(
                "an entry of {} cannot be accepted, only one of {}; what to do about it:\n  \
                 anon quarantine show {}",
                id.category().name(),
                ACCEPTED.map(Category::name).join(" or "),
                quarantine::short_id(&id)
            )));
        }
        let mut received = received(quarantine, &id)?.ok_or_else(|| {
            Failure::configuration("its bytes are not kept: import its source again")
        })?;
        if !is_unchanged(quarantine, &received, &id)? {
            return Err(Failure::configuration(
                "the file of this entry has changed since it was quarantined: import it again",
            ));
        }
        let known = quarantine.entry(&id);
        if let Some(entry) = known.context("cannot read the quarantine")? {
            received = received.replacing(entry.reason);
        }
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
                "the object is stored, and its entry is not removed: run the same command again",
            )?;
        }
        fs::remove_file(&mark).context("cannot remove private/accepting")?;
        tracing::info!(category = self.id.category().name(), "accepted an object");
        Ok(summary)
    }
}

/// Finishes an acceptance that was interrupted, if the index holds its object. Returns its entry, which
/// is removed.
///
/// # Errors
/// If the quarantine or the project fails. The next process, or the next acceptance, tries again.
pub(crate) fn finish(
    project: &Project,
    engine: &Engine,
    lookups: &dyn RetrieveProgress,
    quarantine: &DirectoryQuarantine,
) -> anyhow::Result<Option<EntryId>> {
    let mark = project.accepting_file();
    let entry = match files::read_private(&mark).map(String::from_utf8) {
        // Not text: the name of no entry.
        Ok(entry) => entry.unwrap_or_default(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context("cannot read private/accepting"),
    };
    let mut finished = None;
    if let Ok(id) = entry.parse::<EntryId>()
        && let Some(received) = received(quarantine, &id)?
        && is_indexed(lookups, &received)?
    {
        // The index may hold another object with its UID: only the engine compares them.
        let outcome = engine.process(received)?.outcome;
        tracing::info!(outcome = outcome.name(), "finished an acceptance");
        if matches!(outcome, Outcome::Stored { .. } | Outcome::Duplicate { .. }) {
            // The engine has removed it, unless that failed.
            quarantine.clear(&id).context("cannot remove the entry")?;
            finished = Some(id);
        }
    }
    fs::remove_file(&mark).context("cannot remove private/accepting")?;
    Ok(finished)
}

/// Returns the summary of an acceptance that [`finish`] has finished.
pub(crate) fn finished_summary() -> Summary {
    Summary {
        found: 1,
        duplicates: 1,
        ..Summary::default()
    }
}

/// True if the index holds an instance with the SOP Instance UID of the object.
fn is_indexed(lookups: &dyn RetrieveProgress, received: &Received) -> anyhow::Result<bool> {
    let uid = match received.sop_instance() {
        Ok(uid) => uid,
        // The quarantine only refers to its file. The entry stays.
        Err(error) => {
            tracing::warn!(%error, "cannot read the object of an acceptance that was interrupted");
            None
        }
    };
    match uid {
        Some(uid) => Ok(lookups.has_instance(&uid)?),
        None => Ok(false),
    }
}

/// Returns false if the quarantine only refers to a file, and the file no longer has the bytes of the
/// entry, which a person has reviewed.
fn is_unchanged(
    quarantine: &DirectoryQuarantine,
    received: &Received,
    id: &EntryId,
) -> anyhow::Result<bool> {
    let Some(path) = received.path() else {
        return Ok(true);
    };
    let what = "cannot read the file of this entry";
    let file = fs::File::open(path).context(what)?;
    let len = file.metadata().context(what)?.len();
    let original = Original::File { file: &file, len };
    Ok(quarantine.find(&original).context(what)?.contains(id))
}

/// Returns the original of an entry, with the reason of its category waived. That it differs from a stored
/// instance is not waived. `None` if it is not kept.
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
