//! [`Core`]: what the threads of one engine share.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use anon_model::{BackendError, LookupStore};

use crate::deid::policy::Policy;
use crate::keep::quarantine::{EntryId, Quarantine};
use crate::keep::store::Store;
use crate::run::claim::Claims;
use crate::run::commit_queue::CommitQueue;
use crate::run::event::{Event, Observer, notify};
use crate::run::filing_queue::FilingQueue;
use crate::run::intake::Intake;
use crate::run::plan_memory::PlanMemory;

pub(crate) struct Core {
    pub(crate) policy: Policy,
    pub(crate) lookups: Arc<dyn LookupStore>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) quarantine: Arc<dyn Quarantine>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) scratch: Option<PathBuf>,
    pub(crate) clock: Option<fn() -> SystemTime>,
    pub(crate) intake: Arc<Intake>,
    pub(crate) claims: Arc<Claims>,
    pub(crate) commit_queue: CommitQueue,
    pub(crate) filing: FilingQueue,
    pub(crate) plan_memory: Arc<PlanMemory>,
    pub(crate) poison: OnceLock<Arc<BackendError>>,
}

impl Core {
    /// Returns the failure after which the lookup store cannot be trusted, if there was one.
    pub(crate) fn poison(&self) -> Option<Arc<BackendError>> {
        self.poison.get().cloned()
    }

    /// Makes every later object fail with this error, unless an earlier one does.
    pub(crate) fn poison_with(&self, error: &Arc<BackendError>) {
        if self.poison.set(Arc::clone(error)).is_ok() {
            tracing::error!(
                "the lookup store failed; no more objects are accepted until a restart"
            );
        }
    }

    /// Logs a failure that no receipt reports, and passes it to the observer.
    pub(crate) fn warn(&self, message: &str, error: &(dyn std::error::Error + 'static)) {
        tracing::warn!(error = %crate::error::with_sources(error), "{message}");
        self.notify(&Event::Warning { message, error });
    }

    /// Passes an event to the observer.
    pub(crate) fn notify(&self, event: &Event<'_>) {
        notify(&*self.observer, event);
    }

    /// Removes the quarantine entries of an instance that is now stored.
    pub(crate) fn clear_entries(&self, entries: &[EntryId]) {
        for entry in entries {
            if let Err(error) = self.quarantine.clear(entry) {
                self.warn(
                    "cannot remove the quarantine entry of an object that is now stored",
                    &error,
                );
            }
        }
    }
}
