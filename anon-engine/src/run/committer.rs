//! Makes a group of staged objects durable. Only one thread does so at a time.
//!
//! ```text
//! workers ──► CommitQueue ──► Transactions::commit ──► Store::publish ──► receipts ──► Transactions::settle
//!            the next group gathers meanwhile                      └─ of failures: after settle
//! ```
//!
//! A thread in [`Engine::process`](crate::Engine::process) waits for its object anyway, so it commits
//! the group itself if no other thread does. Waking the committer's thread and being woken by it
//! takes as long as the commit of one object.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use anon_model::{BackendError, Group, NewInstance, Remedy, Wanted};

use crate::error::{Error, StoreError};
use crate::keep::recover::settle_replacement;
use crate::keep::store::Staged;
use crate::run::commit_queue::{PendingReceipt, QueuedCommit};
use crate::run::core::Core;
use crate::run::event::Event;

/// Runs the committer's thread.
pub(crate) fn run(core: &Core) {
    while let Some(group) = core.commit_queue.next_group() {
        guarded_commit(core, group);
    }
    if let Err(error) = core.lookups.flush() {
        core.warn(
            "cannot save which groups are settled; the next start checks them again",
            &error,
        );
    }
}

/// Commits a group on this thread, if one waits and no other thread commits.
pub(crate) fn run_once(core: &Core) {
    if let Some(group) = core.commit_queue.group_at_once() {
        guarded_commit(core, group);
    }
}

fn guarded_commit(core: &Core, group: Vec<QueuedCommit>) {
    if catch_unwind(AssertUnwindSafe(|| commit(core, group))).is_err() {
        // The lookup store, the store or the quarantine panicked. Dropping the replies of the group
        // has reported an error to their callers.
        let error = BackendError::new(Remedy::Stop, "a commit panicked");
        core.poison_with(&Arc::new(error));
    }
    core.commit_queue.schedule.group_done();
}

fn commit(core: &Core, mut group: Vec<QueuedCommit>) {
    // An object that replaces another is a group of its own.
    while let Some(position) = group.iter().position(replaces) {
        let replacement = group.remove(position);
        commit_group(core, vec![replacement]);
    }
    if !group.is_empty() {
        commit_group(core, group);
    }
}

fn replaces(ready: &QueuedCommit) -> bool {
    ready.instance.replaces.is_some()
}

fn commit_group(core: &Core, group: Vec<QueuedCommit>) {
    let size = group.len();
    let mut instances = Vec::with_capacity(size);
    let mut staged = Vec::with_capacity(size);
    let mut pending = Vec::with_capacity(size);
    for ready in group {
        instances.push(ready.instance);
        staged.push(ready.staged);
        pending.push(ready.pending);
    }
    let committed = match core.poison() {
        Some(error) => Err(error),
        None => caught(|| core.lookups.commit(&instances)).map_err(|error| {
            let error = Arc::new(error);
            if error.remedy == Remedy::Stop {
                core.poison_with(&error);
            }
            error
        }),
    };
    match committed {
        Ok(id) => {
            let replaces = instances.first().and_then(|instance| instance.replaces);
            drop(instances);
            match replaces {
                Some(digest) => replace(core, (id, digest), staged, pending),
                None => publish(core, id, staged, pending),
            }
        }
        Err(error) => give_up(core, &error, instances, staged, pending),
    }
}

/// Discards a group whose commit failed: it is not in the index, so nothing may stay in the store.
fn give_up(
    core: &Core,
    error: &Arc<BackendError>,
    instances: Vec<NewInstance>,
    staged: Vec<Staged>,
    pending: Vec<PendingReceipt>,
) {
    tracing::error!(instances = pending.len(), "a commit failed");
    for staged in staged {
        if let Err(error) = core.store.discard(staged) {
            core.warn(
                "cannot remove a temporary file; the next start does",
                &error,
            );
        }
    }
    for (pending, instance) in pending.into_iter().zip(instances) {
        core.lookups.abandon(&Wanted {
            study: instance.study_uid,
            series: instance.series_uid,
            instance: instance.instance_uid,
            ..Wanted::default()
        });
        drop(pending.claim);
        pending.reply.send(Err(Error::Commit(Arc::clone(error))));
    }
}

fn publish(core: &Core, id: Group, staged: Vec<Staged>, pending: Vec<PendingReceipt>) {
    let size = pending.len();
    let results = catch_unwind(AssertUnwindSafe(|| core.store.publish(staged)));
    let results = match results {
        Ok(results) if results.len() == size => results,
        // It is unknown which files are visible. The intent stays, and the next start checks them.
        Ok(_) | Err(_) => {
            let message =
                "the store failed in the middle of publishing a group; restart to repair it";
            let error = Arc::new(BackendError::new(Remedy::Stop, message));
            core.poison_with(&error);
            for pending in pending {
                pending.reply.send(Err(Error::Poisoned(Arc::clone(&error))));
            }
            return;
        }
    };
    let mut failures = Vec::new();
    for (position, (pending, result)) in pending.into_iter().zip(results).enumerate() {
        match result {
            Ok(()) => stored(core, pending),
            Err(error) => failures.push((position, pending, error)),
        }
    }
    settle(core, id, size, failures);
}

/// Puts an object in the place of the stored one. If the store fails, the file that is there decides
/// whether it is stored.
fn replace(
    core: &Core,
    (id, digest): (Group, [u8; 16]),
    staged: Vec<Staged>,
    pending: Vec<PendingReceipt>,
) {
    for (staged, pending) in staged.into_iter().zip(pending) {
        let path = staged.path().clone();
        let replaced = catch_unwind(AssertUnwindSafe(|| core.store.replace(staged)));
        let error = match replaced {
            Ok(Ok(())) => {
                stored(core, pending);
                return settle(core, id, 1, Vec::new());
            }
            Ok(Err(error)) => error,
            Err(_) => StoreError::Write(io::Error::other("the store panicked")),
        };
        match settle_replacement(&*core.lookups, &*core.store, (id, digest), &path) {
            Ok(true) => stored(core, pending),
            Ok(false) => failed(pending, error),
            Err(unknown) => {
                core.warn("cannot tell which of two objects is stored", &unknown);
                let message = "the store failed while it replaced an object; restart to repair it";
                core.poison_with(&Arc::new(BackendError::new(Remedy::Stop, message)));
                failed(pending, error);
            }
        }
    }
}

fn failed(pending: PendingReceipt, error: StoreError) {
    drop(pending.claim);
    pending.reply.send(Err(Error::Store(error)));
}

fn stored(core: &Core, pending: PendingReceipt) {
    core.clear_entries(&pending.entries);
    drop(pending.claim);
    pending.reply.send(Ok(pending.receipt));
}

/// Removes the objects that could not be published from the index, then reports them as failed. In
/// the other order, a second try could be called a duplicate of an object that is not stored.
fn settle(core: &Core, id: Group, size: usize, failures: Vec<(usize, PendingReceipt, StoreError)>) {
    let unpublished: Vec<usize> = failures.iter().map(|(position, ..)| *position).collect();
    let settled = caught(|| core.lookups.settle(id, &unpublished)).map_err(Arc::new);
    match &settled {
        Ok(()) => {}
        Err(error) if unpublished.is_empty() => {
            core.warn(
                "cannot mark a group as settled; the next start checks it again",
                &**error,
            );
        }
        Err(error) => core.poison_with(error),
    }
    core.notify(&Event::Committed {
        instances: size,
        unpublished: unpublished.len(),
    });
    tracing::debug!(
        instances = size,
        unpublished = unpublished.len(),
        "committed"
    );
    for (_, pending, error) in failures {
        failed(pending, error);
    }
}

/// Calls the lookup store. A panic in it becomes an error that stops the engine.
fn caught<T>(call: impl FnOnce() -> Result<T, BackendError>) -> Result<T, BackendError> {
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|_| Err(BackendError::new(Remedy::Stop, "the lookup store panicked")))
}
