//! [`Shared`]: what all threads of an export share.

use std::sync::atomic::{AtomicU32, Ordering};

use super::Exporter;
use super::event::ExportEvent;
use super::options::ExportOptions;
use super::state::ExportState;
use crate::retry::LONGEST_ASKED;
use crate::{Error, Journal, Needs, ObjectKey, Remedy, Sink};

/// The state that all threads of one export share.
pub(super) struct Shared<'r> {
    pub(super) sink: &'r dyn Sink,
    pub(super) journal: Option<&'r Journal>,
    pub(super) options: ExportOptions,
    pub(super) needs: Needs,
    pub(super) state: ExportState<'r>,
    /// Objects in a row that failed after their last attempt.
    exhausted: AtomicU32,
}

impl<'r> Shared<'r> {
    pub(super) fn new(exporter: &'r Exporter, state: ExportState<'r>) -> Self {
        Self {
            sink: &*exporter.sink,
            journal: exporter.journal.as_deref(),
            options: exporter.options,
            needs: exporter.sink.needs(),
            state,
            exhausted: AtomicU32::new(0),
        }
    }

    /// Does something until it succeeds, cannot, or was tried often enough.
    pub(super) fn tries<T>(
        &self,
        key: Option<&ObjectKey>,
        what: &mut dyn FnMut() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut attempt = 1;
        loop {
            if self.state.is_over() {
                return Err(Error::Cancelled);
            }
            let error = match what() {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let asked = error.retry_after();
            if error.remedy() != Remedy::Retry
                || attempt >= self.options.attempts.get()
                || asked.is_some_and(|asked| asked > LONGEST_ASKED)
            {
                return Err(error);
            }
            let wait = self.options.backoff.wait(attempt, asked);
            tracing::debug!(attempt, ?wait, error = %error.text(), "will be tried again");
            self.state.tell(&ExportEvent::Retrying {
                key,
                attempt,
                error: &error,
                wait,
            });
            self.state.pause(wait);
            attempt += 1;
        }
    }

    /// The destination answered for an object.
    pub(super) fn answered(&self) {
        self.exhausted.store(0, Ordering::Relaxed);
    }

    /// An object failed after its last attempt. True if the destination is to be given up.
    pub(super) fn exhausted(&self) -> bool {
        let in_a_row = self.exhausted.fetch_add(1, Ordering::Relaxed) + 1;
        in_a_row >= self.options.give_up_after.get()
    }
}
