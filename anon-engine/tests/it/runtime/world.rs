//! A small project in memory, and objects to import into it.

use std::sync::{Arc, Mutex};

use anon_engine::testing::files::{DataSet, Place, Syntax, ct_small};
use anon_engine::testing::rules::PlainRules;
use anon_engine::{
    Deidentified, Engine, EngineBuilder, Error, Event, MemoryQuarantine, MemoryStore, Observer,
    OutputPath, Policy, Quarantine, Receipt, Received, Staged, Store, StoreError, StoredObject,
};
use anon_model::{Identity, LookupStore, MemoryStore as MemoryLookups, SiteId, UidRoot};
use dicom_core::{Tag, VR};

pub(crate) const SERIES_UID: Tag = Tag(0x0020, 0x000E);
pub(crate) const STUDY_DATE: Tag = Tag(0x0008, 0x0020);

pub(crate) fn identity() -> Identity {
    let site = SiteId::new("99").expect("a site id");
    let root = UidRoot::new("1.2.3").expect("a UID root");
    Identity::new(site, root).expect("a short site id and root")
}

pub(crate) fn lookups() -> Arc<MemoryLookups> {
    Arc::new(MemoryLookups::new(identity()).expect("random numbers"))
}

pub(crate) fn policy() -> Policy {
    Policy::new(Arc::new(PlainRules::default()), "99", "runtime")
}

/// The stores of an engine, for tests to inspect.
pub(crate) struct TestProject {
    pub(crate) lookups: Arc<dyn LookupStore>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) quarantine: Arc<MemoryQuarantine>,
}

impl TestProject {
    pub(crate) fn new() -> Self {
        Self {
            lookups: lookups(),
            store: Arc::new(MemoryStore::new()),
            quarantine: Arc::new(MemoryQuarantine::new()),
        }
    }

    pub(crate) fn builder(&self) -> EngineBuilder {
        let store: Arc<dyn Store> = self.store.clone();
        let quarantine: Arc<dyn Quarantine> = self.quarantine.clone();
        Engine::builder(policy(), self.lookups.clone(), store, quarantine).workers(2)
    }

    pub(crate) fn engine(&self) -> Engine {
        self.builder().start().expect("an engine starts")
    }

    pub(crate) fn quarantined(&self) -> u64 {
        self.quarantine.counts().expect("memory").values().sum()
    }
}

pub(crate) fn ct(place: Place) -> DataSet {
    ct_small(&place)
}

pub(crate) fn bytes(object: &DataSet) -> Vec<u8> {
    object.write(Syntax::ExplicitLittle)
}

pub(crate) fn received(object: &DataSet) -> Received {
    Received::part10(bytes(object))
}

/// The `n`-th of many good objects.
pub(crate) fn nth(n: u32) -> DataSet {
    ct(Place::nth(1, n, 4))
}

/// An object that is refused because it has no Series Instance UID.
pub(crate) fn refused(place: Place) -> DataSet {
    ct(place).without(SERIES_UID)
}

/// The same SOP instance with another date.
pub(crate) fn changed(object: DataSet) -> DataSet {
    object
        .without(STUDY_DATE)
        .put(STUDY_DATE, VR::DA, "19990101")
}

/// The number of an object and its result.
type Numbered = (u32, Result<Receipt, Error>);

/// Results, in the order of completion.
#[derive(Clone, Default)]
pub(crate) struct Results(Arc<Mutex<Vec<Numbered>>>);

impl Results {
    pub(crate) fn callback(&self, n: u32) -> impl FnOnce(Result<Receipt, Error>) + Send + 'static {
        let results = self.clone();
        move |result| results.0.lock().expect("no panics").push((n, result))
    }

    pub(crate) fn take(&self) -> Vec<Numbered> {
        std::mem::take(&mut *self.0.lock().expect("no panics"))
    }
}

pub(crate) fn outcome(result: &Result<Receipt, Error>) -> &'static str {
    match result {
        Ok(receipt) => receipt.outcome.name(),
        Err(_) => "failed",
    }
}

/// Records events as lines of text.
#[derive(Debug, Default)]
pub(crate) struct EventLines(Mutex<Vec<String>>);

impl EventLines {
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("no panics"))
    }
}

impl Observer for EventLines {
    fn on_event(&self, event: &Event<'_>) {
        let line = match event {
            Event::Instance { number, result, .. } => format!("{number} {}", outcome(result)),
            Event::Committed {
                instances,
                unpublished,
            } => format!("commit {instances}-{unpublished}"),
            Event::Warning { message, error } => format!("warning {message}: {error}"),
            _ => return,
        };
        self.0.lock().expect("no panics").push(line);
    }
}

/// A store that replaces no objects.
#[derive(Debug, Default)]
pub(crate) struct SimpleStore {
    inner: MemoryStore,
    /// True if it cannot read its objects back.
    sends_away: bool,
}

impl SimpleStore {
    pub(crate) fn sending_away() -> Self {
        Self {
            sends_away: true,
            ..Self::default()
        }
    }
}

impl Store for SimpleStore {
    fn stage(&self, object: &Deidentified<'_>) -> Result<Staged, StoreError> {
        self.inner.stage(object)
    }
    fn publish(&self, group: Vec<Staged>) -> Vec<Result<(), StoreError>> {
        self.inner.publish(group)
    }
    fn discard(&self, staged: Staged) -> Result<(), StoreError> {
        self.inner.discard(staged)
    }
    fn contains(&self, path: &OutputPath) -> Result<bool, StoreError> {
        self.inner.contains(path)
    }
    fn stored(&self, path: &OutputPath) -> Result<Option<StoredObject>, StoreError> {
        if self.sends_away {
            return Ok(Some(StoredObject::NotReadable));
        }
        self.inner.stored(path)
    }
    fn confirm(&self, paths: &[OutputPath]) -> Result<Vec<bool>, StoreError> {
        self.inner.confirm(paths)
    }
    fn remove_study(&self, patient: &str, study: &str) -> Result<(), StoreError> {
        self.inner.remove_study(patient, study)
    }
}
