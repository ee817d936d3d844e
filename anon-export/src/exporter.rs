//! [`Exporter`]: copies the objects of a source to a destination and skips those that it already
//! has.
//!
//! ```text
//! Source ─ patients ─► patient workers: origins, one listing of the destination, the journal
//!                         │ object + what to do with it                   bounded channel
//!                         ▼
//!                      senders: skip, or open ─► Sink::put_with ─► journal ─► event
//!                         ▲            └─ Retry: wait, open again
//!                         ├─ SkipPatient, repeatedly: the rest of the patient fails
//!                         └─ Stop: reported for each remaining patient; cancelled: not reported
//! ```

mod decide;
mod event;
mod export_run;
mod options;
mod patient_export;
mod patient_worker;
mod send_job;
mod sender;
mod source_body;
mod state;

use std::sync::Arc;

pub use event::{ExportError, ExportEvent, Observer, PatientReport, Quiet};
pub use options::{Existing, ExportMode, ExportOptions, Overwrite, Selection};

pub use crate::report::{Counts, ExportReport};

use crate::{Cancel, Error, Journal, Origins, Sink, Source};
use export_run::ExportRun;
use state::ExportState;

/// Copies objects of a source to a destination.
///
/// An object that the destination has is skipped if both have one [`Origin`](crate::Origin) and one
/// length, replaced if they are of one original, and otherwise left alone: the object fails. The
/// journal knows the origin of the object at the destination if it recorded the tag that the
/// destination lists, or if there are no tags; otherwise [`Sink::origin_of`] is asked.
///
/// If an origin is not known, the bytes decide. The object is skipped if the listing has the tag of
/// its bytes, as computed by [`Sink::is_tag_of`], if the journal recorded it with its present length
/// and modification time, or if the sink finds equal bytes. If a destination lists neither lengths nor
/// tags and does not compare, a listed object is skipped. Anything else fails.
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
    origins: Option<Arc<dyn Origins>>,
    options: ExportOptions,
}

impl Exporter {
    /// Creates an exporter to `sink` with the default options and without a journal.
    pub fn new(sink: Arc<dyn Sink>) -> Self {
        Self {
            sink,
            journal: None,
            origins: None,
            options: ExportOptions::default(),
        }
    }

    /// Sets the journal that records what is sent.
    #[must_use]
    pub fn with_journal(self, journal: Arc<Journal>) -> Self {
        let journal = Some(journal);
        Self { journal, ..self }
    }

    /// Sets who knows which original each object was made from. Without it no origin is known.
    #[must_use]
    pub fn with_origins(self, origins: Arc<dyn Origins>) -> Self {
        let origins = Some(origins);
        Self { origins, ..self }
    }

    /// Sets the options.
    #[must_use]
    pub fn with_options(self, options: ExportOptions) -> Self {
        Self { options, ..self }
    }

    /// Exports the selected objects and reports events to `observer`.
    ///
    /// Blocks until everything is done or `cancel` is set; then transfers in progress are aborted.
    /// A failed object does not stop the other objects of its patient. A patient that the
    /// destination denies ([`Remedy::SkipPatient`](crate::Remedy::SkipPatient)) does not stop the
    /// other patients. Exporting again sends what is missing.
    ///
    /// # Errors
    /// [`ExportError`] if the export ends early: the destination cannot be used (an error with
    /// [`Stop`](crate::Remedy::Stop), or too many objects in a row that fail after their last
    /// attempt), the source cannot be listed, or the export was cancelled. Objects that were sent
    /// stay sent. Unless it was cancelled, each remaining patient is reported by
    /// [`ExportEvent::PatientEnded`] with this error, without asking the destination again.
    pub fn export(
        &self,
        source: &dyn Source,
        selection: &Selection,
        cancel: &Cancel,
        observer: &dyn Observer,
    ) -> Result<ExportReport, ExportError> {
        let state = ExportState::new(source, selection, cancel, observer);
        ExportRun::new(self, state).run()
    }

    /// Reports each selected patient to `observer` as failed with `error`. For a destination that
    /// could not be opened.
    ///
    /// Returns the error that [`export`](Self::export) returns if its destination cannot be used.
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
        state.report_all_not_started();
        let (report, _) = state.finish();
        ExportError::new(error, report)
    }
}
