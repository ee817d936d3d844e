//! [`Exporter`]: puts what a source has at a destination, and leaves alone what is there.
//!
//! ```text
//! Source ─ patients ─► walkers, one a patient: one listing of the destination, the journal's file
//!                         │ object + what the destination has of it      bounded channel
//!                         ▼
//!                      senders: skip, or open ─► Sink::put ─► journal ─► event
//!                         ▲            └─ Retry: wait, open again
//!                         ├─ SkipPatient, again and again: the rest of the patient fails
//!                         └─ Stop: each patient that is left is told of; cancelled: none
//! ```

mod decide;
mod event;
mod export_run;
mod options;
mod patient_export;
mod patient_worker;
mod sender;
mod source_body;
mod state;

use std::sync::Arc;

pub use event::{ExportError, ExportEvent, Observer, PatientReport, Quiet};
pub use options::{ExportMode, ExportOptions, Selection};

pub use crate::report::{Counts, ExportReport};

use crate::{Cancel, Error, Journal, Sink, Source};
use export_run::ExportRun;
use state::ExportState;

/// Puts objects of a source at a destination.
///
/// An object that the destination has is skipped: its length is the same, and its tag is that of the
/// bytes, as the journal remembers it or [`Sink::is_tag_of`] tells it. Where a listing tells no tag, or
/// one that cannot be told, the journal decides. An object that it does not know is put once more; the
/// sink may compare. A destination that tells neither length nor tag and does not compare has an object
/// if it lists it.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use anon_export::{Cancel, Exporter, MemorySink, MemorySource, ObjectKey, Quiet, Selection};
///
/// let mut source = MemorySource::new();
/// source.insert(ObjectKey::new(["S-1", "1.1", "1.2", "1.3"])?, *b"an object");
/// let exporter = Exporter::new(Arc::new(MemorySink::new()));
///
/// let first = exporter.export(&source, &Selection::all(), &Cancel::new(), &Quiet)?;
/// assert_eq!((first.counts.sent, first.counts.skipped), (1, 0));
/// let again = exporter.export(&source, &Selection::all(), &Cancel::new(), &Quiet)?;
/// assert_eq!((again.counts.sent, again.counts.skipped), (0, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Exporter {
    sink: Arc<dyn Sink>,
    journal: Option<Arc<Journal>>,
    options: ExportOptions,
}

impl Exporter {
    /// Puts objects at `sink`, with the default options and without a journal.
    pub fn new(sink: Arc<dyn Sink>) -> Self {
        Self {
            sink,
            journal: None,
            options: ExportOptions::default(),
        }
    }

    /// Notes in `journal` what was sent, and asks it what was.
    #[must_use]
    pub fn with_journal(self, journal: Arc<Journal>) -> Self {
        let journal = Some(journal);
        Self { journal, ..self }
    }

    /// Sets how it is done.
    #[must_use]
    pub fn with_options(self, options: ExportOptions) -> Self {
        Self { options, ..self }
    }

    /// Exports what is selected, and tells `observer` what becomes of it.
    ///
    /// Blocks until all is done, or until `cancel` ends it: then objects on their way are broken off.
    /// An object that fails never stops the others of its patient, and a patient that the destination
    /// denies ([`Remedy::SkipPatient`](crate::Remedy::SkipPatient)) none of the other patients. Exporting
    /// again goes on with what is missing.
    ///
    /// # Errors
    /// [`ExportError`] if it ends early: the destination cannot be used (an error whose remedy is
    /// [`Stop`](crate::Remedy::Stop), or one object after the other that fails though it may pass), the
    /// source cannot be listed, or it was cancelled. What was done until then stays done. Unless it was
    /// cancelled, each patient that was selected is told of all the same, by
    /// [`ExportEvent::PatientEnded`] with this error, without asking the destination again.
    pub fn export(
        &self,
        source: &dyn Source,
        selection: &Selection,
        cancel: &Cancel,
        observer: &dyn Observer,
    ) -> Result<ExportReport, ExportError> {
        let state = ExportState::new(source, selection, cancel, observer);
        ExportRun::new(self, state).all()
    }

    /// Tells `observer` of each patient that is selected that it is not exported because of `error`: for a
    /// destination that could not be opened.
    ///
    /// Returns what [`export`](Self::export) does if its destination cannot be used.
    ///
    /// # Examples
    /// ```
    /// use anon_export::{
    ///     BackendError, Cancel, Exporter, MemorySource, ObjectKey, Quiet, Remedy, Selection,
    /// };
    ///
    /// let mut source = MemorySource::new();
    /// source.insert(ObjectKey::new(["S-1", "1.1", "1.2", "1.3"])?, *b"an object");
    /// let error = BackendError::new(Remedy::Stop, "the password is wrong").into();
    /// let ended = Exporter::fail_all(error, &source, &Selection::all(), &Cancel::new(), &Quiet);
    /// assert_eq!(ended.report.patients_failed, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fail_all(
        error: Error,
        source: &dyn Source,
        selection: &Selection,
        cancel: &Cancel,
        observer: &dyn Observer,
    ) -> ExportError {
        let state = ExportState::new(source, selection, cancel, observer);
        let error = Arc::new(error);
        state.stop(Arc::clone(&error));
        state.miss_all();
        let (report, _) = state.finish();
        ExportError::new(error, report)
    }
}
