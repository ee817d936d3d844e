//! Implements the trait `Store`: wraps a store of outputs and keeps a manifest of the published objects, as a
//! program would that passes them on.
//!
//! It shows that seven methods make a store. Only de-identified objects can reach it, because only
//! `Plan::apply` makes the type that `stage` accepts. The manifest grows in `publish`, when the pseudonyms
//! are durable. `check_store` checks that the store keeps the contract of the trait.
//!
//! ```text
//! cargo run -p anon-examples --bin write_your_own_store
//! ```

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::sync::{Arc, Mutex, PoisonError};

use anon_engine::quarantine::MemoryQuarantine;
use anon_engine::store::{MemoryStore, Staged, Store, StoreError, StoredObject};
use anon_engine::{Deidentified, Engine, OutputPath, Policy, Received, testing::conformance};
use anon_model::{Identity, SiteId, UidRoot};
use anon_script::builtin;
use anyhow::Context as _;

#[derive(Debug, Default)]
struct WithManifest<S> {
    inner: S,
    manifest: Mutex<Vec<(OutputPath, u64)>>,
}

impl<S: Store> Store for WithManifest<S> {
    fn stage(&self, object: &Deidentified<'_>) -> Result<Staged, StoreError> {
        self.inner.stage(object)
    }

    fn publish(&self, group: Vec<Staged>) -> Vec<Result<(), StoreError>> {
        let entries: Vec<_> = group
            .iter()
            .map(|staged| (staged.path().clone(), staged.bytes()))
            .collect();
        let results = self.inner.publish(group);
        let published = entries
            .into_iter()
            .zip(&results)
            .filter(|(_, result)| result.is_ok());
        let mut manifest = self.manifest.lock().unwrap_or_else(PoisonError::into_inner);
        manifest.extend(published.map(|(entry, _)| entry));
        results
    }

    fn discard(&self, staged: Staged) -> Result<(), StoreError> {
        self.inner.discard(staged)
    }

    fn contains(&self, path: &OutputPath) -> Result<bool, StoreError> {
        self.inner.contains(path)
    }

    fn stored(&self, path: &OutputPath) -> Result<Option<StoredObject>, StoreError> {
        self.inner.stored(path)
    }

    fn confirm(&self, paths: &[OutputPath]) -> Result<Vec<bool>, StoreError> {
        self.inner.confirm(paths)
    }

    fn remove_study(&self, patient: &str, study: &str) -> Result<(), StoreError> {
        self.inner.remove_study(patient, study)
    }
}

fn main() -> anyhow::Result<()> {
    conformance::check_store(&|| Arc::new(WithManifest::<MemoryStore>::default()))?;

    let store = Arc::new(WithManifest::<MemoryStore>::default());
    let root = UidRoot::new("1.2.826.0.1.3680043.10.474")?;
    let lookups = anon_model::MemoryStore::new(Identity::new(SiteId::new("527408119")?, root)?)?;
    let rules = builtin("rsna-v17").context("is built in")?;
    let policy = Policy::new(Arc::new(rules), "527408119", "EXAMPLE");
    let quarantine = Arc::new(MemoryQuarantine::new());
    let engine = Engine::builder(policy, Arc::new(lookups), store.clone(), quarantine)
        .workers(0)
        .start()?;
    for (_, bytes) in anon_examples::files() {
        engine.process(Received::part10(bytes))?;
    }
    for (path, bytes) in &*store
        .manifest
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
    {
        println!("{bytes:>8} {path}");
    }
    Ok(())
}
