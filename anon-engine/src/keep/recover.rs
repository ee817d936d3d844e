//! [`recover`]: repairs what a crash left between a commit and its settlement.
//!
//! ```text
//! commit ──► publish ──► settle        a crash here: some of the group's files are visible
//!         ▲───────────▲
//! ```
//!
//! Recovery reads only the intents of unsettled groups, never the whole store. A file that exists
//! stays and is made durable. An instance whose file is missing is removed from the index; its
//! source can be imported again. If an instance replaces another, the file that is there decides which
//! of the two the index holds.

use std::slice;

use anon_model::{Group, Transactions};

use crate::deid::output_path::OutputPath;
use crate::error::{Error, StoreError};
use crate::keep::output_digest;
use crate::keep::store::Store;

/// What [`recover`] repaired.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// Groups that were committed but not settled.
    pub groups: u64,
    /// Instances of those groups whose files exist.
    pub published: u64,
    /// Instances of those groups whose files are missing. They are removed from the index.
    pub unpublished: u64,
    /// Deleted studies whose files had not been removed yet.
    pub removed_studies: u64,
}

/// Settles a group whose one instance replaces another: the index keeps the record of the file that is
/// there. Returns true if that is the new one.
///
/// # Errors
/// If the lookup store or the store fails. Nothing is settled then.
pub(crate) fn settle_replacement(
    lookups: &dyn Transactions,
    store: &dyn Store,
    (group, digest): (Group, [u8; 16]),
    path: &OutputPath,
) -> Result<bool, Error> {
    let is_new = match store.stored(path)? {
        Some(object) => output_digest::of_stored(object).map_err(StoreError::Read)? == digest,
        None => false,
    };
    if is_new {
        store.confirm(slice::from_ref(path))?;
    }
    let unpublished: &[usize] = if is_new { &[] } else { &[0] };
    lookups.settle(group, unpublished)?;
    Ok(is_new)
}

/// Repairs the state that a crash left. [`EngineBuilder::start`](crate::EngineBuilder::start) calls
/// it.
///
/// # Errors
/// If the lookup store or the store fails. The next call continues where this one stopped.
pub fn recover(lookups: &dyn Transactions, store: &dyn Store) -> Result<Recovered, Error> {
    let mut recovered = Recovered::default();
    for intent in lookups.unsettled()? {
        let paths: Vec<Option<OutputPath>> = intent
            .outputs
            .iter()
            // An invalid path was never written.
            .map(|parts| OutputPath::new(parts.each_ref().map(String::as_str)).ok())
            .collect();
        if let (Some(digest), [Some(path)]) = (intent.replaces, paths.as_slice()) {
            let is_new = settle_replacement(lookups, store, (intent.group, digest), path)?;
            recovered.groups += 1;
            recovered.published += u64::from(is_new);
            continue;
        }
        let known: Vec<OutputPath> = paths.iter().flatten().cloned().collect();
        let mut there = store.confirm(&known)?.into_iter();
        let mut unpublished = Vec::new();
        for (position, path) in paths.iter().enumerate() {
            if path.is_none() || there.next() != Some(true) {
                unpublished.push(position);
            }
        }
        lookups.settle(intent.group, &unpublished)?;
        recovered.groups += 1;
        recovered.unpublished += unpublished.len() as u64;
        recovered.published += (paths.len() - unpublished.len()) as u64;
    }
    for removal in lookups.unsettled_removals()? {
        for [patient, study] in &removal.directories {
            store.remove_study(patient, study)?;
            recovered.removed_studies += 1;
        }
        lookups.settle(removal.group, &[])?;
    }
    if recovered != Recovered::default() {
        lookups.flush()?;
        tracing::info!(
            groups = recovered.groups,
            published = recovered.published,
            unpublished = recovered.unpublished,
            removed_studies = recovered.removed_studies,
            "recovered what an earlier run left"
        );
    }
    Ok(recovered)
}
